//! P32 A topic that is not the one it was is refused: no projector writes of it, no command is decided on the states of another
//! log, no token of one is taken for a place in the other; what the messages say mends it.

use adapter_kafka::{Profile, read_topic};
use cli::commands::stores::{self, Which};
use cli::commands::topics;
use reqwest::StatusCode;
use testkit::rows::{Rows, assert_same};
use testkit::{Client, OnServers, PATIENCE, Started, System, eventually};

const OLD: usize = 60;
/// Many more: in each partition the new log is longer than the old one was.
const NEW: usize = 300;

/// What the parts of a catalog are doing.
struct Catalog {
    system: OnServers,
    service: Started,
    projectors: Vec<Started>,
    gateway: Started,
    /// The rows of the old log, and a token of it.
    rows: Rows,
    token: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_made_anew_is_refused_by_all_until_somebody_says_that_it_is_meant() -> anyhow::Result<()> {
    let mut catalog = Box::pin(built()).await?;
    Box::pin(replaced(&mut catalog)).await?;
    let token = Box::pin(grown(&mut catalog)).await?;
    Box::pin(read_models_stand_still(&mut catalog, &token)).await?;
    Box::pin(a_cache_remembers_its_log(&mut catalog)).await?;
    Box::pin(built_from_nothing(catalog, &token)).await
}

async fn built() -> anyhow::Result<Catalog> {
    let mut system = OnServers::prepare_with_own_log().await?;
    let service = system.command_service().await?;
    let projectors = system.projectors().await?;
    let gateway = system.query_gateway().await?;
    let token = create(&Client::new(&service.url()), "old", OLD).await?;
    system.caught_up().await?;
    let rows = system.rows().await?;
    let shown = read(&gateway, "old-0", &token).await?;
    assert_eq!(shown, (StatusCode::OK, String::new()), "the token of the log that there is");
    Ok(Catalog { system, service, projectors, gateway, rows, token })
}

/// The topic is deleted and made again, and the instance that runs notices while nothing is in it.
async fn replaced(catalog: &mut Catalog) -> anyhow::Result<()> {
    let Catalog { system, service, .. } = catalog;
    system.delete_events()?;
    let (kafka, declared) = (system.config.kafka.clone(), topics::declared(&system.prefix())?);
    // Deleting goes on for a moment after it is answered.
    let make =
        async || topics::run(&kafka, &declared, Profile::Local, true).await.map_err(|it| it.to_string());
    eventually("the topic is made again", make, Result::is_ok).await.map_err(anyhow::Error::msg)?;
    let said = eventually(
        "the command service says that the log was replaced",
        async || ready(service).await,
        |said| said.contains("not the one that was served"),
    )
    .await;
    assert!(said.contains("cache.take_new_log"), "it says what to do: {said}");
    let refused = Client::new(&service.url()).create("meanwhile").await?;
    assert_eq!((refused.status.as_u16(), refused.code()), (503, "not-ready"), "{}", refused.body);
    assert!(service.log().contains("ERROR"), "{}", service.log());
    let log = read_topic(&kafka, system.topic()).await?;
    assert_eq!(log.ends.of_all(log.partitions).await?, [0; 6], "nothing was appended to it");
    Ok(())
}

/// Others, who know of no other log, write to it; a token of theirs.
async fn grown(catalog: &mut Catalog) -> anyhow::Result<String> {
    let other = catalog.system.command_service().await?;
    create(&Client::new(&other.url()), "new", NEW).await
}

async fn read_models_stand_still(catalog: &mut Catalog, token: &str) -> anyhow::Result<()> {
    let Catalog { system, projectors, gateway, rows, token: old, .. } = catalog;
    for again in [false, true] {
        for projector in &mut *projectors {
            if again {
                assert!(system.stop(projector).await);
                *projector = system.start_again(projector)?;
            }
            let said = eventually(
                "the projector says that it is another log",
                async || ready(projector).await,
                |said| said.contains("another log") || said.contains("made anew"),
            )
            .await;
            assert!(said.contains("folio stores apply"), "it says what to do: {said}");
        }
        assert_same("no row is changed", &system.rows().await?, rows);
    }
    for path in [
        "/v1/products/new-0",
        "/v1/products/new-0/history",
        "/v1/search?q=new",
        "/v1/products?category=tests",
    ] {
        let headers = [("consistency-token", token), ("prefer", "wait=25")];
        let asked = std::time::Instant::now();
        let refused = Client::new(&gateway.url()).get_with(path, &headers).await?;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (409, "log-mismatch"),
            "{path}: {}",
            refused.body
        );
        assert!(asked.elapsed().as_secs() < 10, "{path}: at once");
    }
    // Without one, and with one of before, reads go on.
    assert_eq!(read(gateway, "old-1", "").await?, (StatusCode::OK, String::new()));
    assert_eq!(read(gateway, "old-0", old).await?, (StatusCode::OK, String::new()));
    Ok(())
}

/// An instance that served the old log does not start on the new one by itself.
async fn a_cache_remembers_its_log(catalog: &mut Catalog) -> anyhow::Result<()> {
    let Catalog { system, service, .. } = catalog;
    assert!(system.stop(service).await);
    let again = system.start_again(service)?;
    assert!(again.service.wait_ended(PATIENCE).await, "it does not serve it:\n{}", again.log());
    assert!(again.log().contains("is not the log that this instance served before"), "{}", again.log());
    let mut plan = service.service.plan.clone();
    plan.environment.push(("FOLIO__CACHE__TAKE_NEW_LOG".to_owned(), "true".to_owned()));
    let taken = system.start((plan, service.listens.clone()))?;
    taken.service.wait_ready(PATIENCE).await?;
    let commands = Client::new(&taken.url());
    // Of the old log it knows nothing, of the new one everything.
    assert_eq!(commands.change_price("old-0", 1_500, &[]).await?.code(), "product-not-found");
    assert_eq!(commands.change_price("new-0", 1_500, &[]).await?.status, StatusCode::OK);
    // Once is enough: what it serves now is what it remembers.
    assert!(system.stop(&taken).await);
    *service = system.again(service).await?;
    assert_eq!(Client::new(&service.url()).create("taken").await?.status, StatusCode::CREATED);
    Ok(())
}

/// What the projectors say: other names, for read models built from nothing.
async fn built_from_nothing(catalog: Catalog, token: &str) -> anyhow::Result<()> {
    let Catalog { mut system, projectors, gateway, token: old, .. } = catalog;
    for one in projectors.iter().chain([&gateway]) {
        assert!(system.stop(one).await);
    }
    let names = &mut system.planner.names;
    names.keyspace.push_str("_new");
    names.index_prefix.push_str("-new");
    names.group_prefix.push_str("-new");
    system.config.cql.keyspace.clone_from(&names.keyspace);
    system.config.search.index_prefix.clone_from(&names.index_prefix);
    stores::apply(&system.config, &Which::default()).await?;
    system.projectors().await?;
    let gateway = system.query_gateway().await?;
    system.caught_up().await?;
    assert_eq!(read(&gateway, "new-0", token).await?, (StatusCode::OK, String::new()));
    assert_eq!(read(&gateway, "old-0", &old).await?, (StatusCode::CONFLICT, "log-mismatch".to_owned()));
    assert_eq!(read(&gateway, "old-0", "").await?, (StatusCode::NOT_FOUND, "product-not-found".to_owned()));
    Ok(())
}

/// Creates products; the token of the first.
async fn create(client: &Client, name: &str, count: usize) -> anyhow::Result<String> {
    let mut token = String::new();
    for number in 0..count {
        let created = client.create(&format!("{name}-{number}")).await?;
        assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
        if number == 0 {
            created.header("consistency-token").clone_into(&mut token);
        }
    }
    Ok(token)
}

/// What a read of a product comes to, with this token or none.
async fn read(gateway: &Started, id: &str, token: &str) -> anyhow::Result<(StatusCode, String)> {
    let headers = [("consistency-token", token), ("prefer", "wait=25")];
    let headers = if token.is_empty() { &headers[1..] } else { &headers[..] };
    let reply = Client::new(&gateway.url()).get_with(&format!("/v1/products/{id}"), headers).await?;
    let code = if reply.status.is_success() { String::new() } else { reply.code().to_owned() };
    Ok((reply.status, code))
}

async fn ready(started: &Started) -> String {
    Client::new(&started.ops()).get("/readyz").await.map(|it| it.body.to_string()).unwrap_or_default()
}
