//! P7 A poisoned record parks its product in projectors only, loudly; a void one stops nothing.

use adapter_kafka::{NewMessage, RecordProducer};
use anyhow::Context as _;
use bytes::Bytes;
use cli::commands::rebuild::{self, Rebuild};
use cli::commands::stores;
use contract::avro::{SchemaIds, encode};
use event_reader::SchemaSource as _;
use ledger::{Headers, partition_of};
use read_models::positions::AllPositions;
use read_models::{Generation, ReadModel};
use testkit::scenario::caught_up;
use testkit::{Client, OnServers, Started, System, eventually};

/// Appends a record with this key and value, as anyone with access to the topic could.
pub(crate) async fn inject(
    system: &OnServers,
    partition: i32,
    key: &str,
    value: Option<&[u8]>,
) -> anyhow::Result<i64> {
    let message = NewMessage {
        topic: system.topic().to_owned(),
        partition: Some(partition),
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: value.map(Bytes::copy_from_slice),
        headers: Headers::new(),
    };
    Ok(RecordProducer::open(&system.config.kafka)?.send(message).await?.1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_that_is_void_changes_nothing_for_anyone() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let service = system.command_service().await?;
    let commands = Client::new(&service.url());
    let projectors = system.projectors().await?;
    assert_eq!(commands.create("clean").await?.status, 201);
    let home = partition_of("clean", 6).0;
    let id = uuid::Uuid::nil();
    for (partition, key, value) in [
        (home, String::new(), Some(&b"no key"[..])),
        (home, "not a key at all".to_owned(), Some(b"x")),
        (home, format!("clean/2/1/{id}/more"), Some(b"x")),
        (home, format!("clean/02/1/{id}"), Some(b"x")),
        (home, format!("clean/0/0/{id}"), Some(b"x")),
        // The wrong partition, though the version and basis would do.
        ((home + 1) % 6, format!("clean/1/0/{id}"), Some(b"x")),
        // A lost race, a basis from the future, a tombstone.
        (home, format!("clean/1/0/{id}"), Some(b"x")),
        (home, format!("clean/2/99999/{id}"), Some(b"x")),
        (home, format!("clean/1/1/{id}"), None),
    ] {
        inject(&system, partition, &key, value).await?;
    }
    let changed = commands.change_price("clean", 2_000, &[("if-match", "\"1\"")]).await?;
    assert_eq!(
        (changed.status.as_u16(), &changed.body["version"]),
        (200, &serde_json::json!(2)),
        "{}",
        changed.body
    );
    let prefix = system.planner.names.group_prefix.clone();
    caught_up(&system, &prefix).await?;
    for (what, ops) in [("command service", service.ops())]
        .into_iter()
        .chain(projectors.iter().map(|it| ("projector", it.ops())))
    {
        let metrics = metrics(&ops).await;
        assert!(counter(&metrics, "ledger_garbage_records_total") >= 5.0, "{what} counts garbage: {metrics}");
        assert!(
            counter(&metrics, "ledger_void_records_total") >= 3.0,
            "{what} counts void records: {metrics}"
        );
    }
    let queries = Client::new(&system.query_gateway().await?.url());
    assert_eq!(queries.get("/v1/products/clean").await?.body["version"], 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_effective_record_that_cannot_be_decoded_parks_its_product_in_projectors() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let service = system.command_service().await?;
    let commands = Client::new(&service.url());
    let projectors = system.projectors().await?;
    let queries = Client::new(&system.query_gateway().await?.url());
    let home = partition_of("poisoned", 6).0;
    let (neighbour, elsewhere) = (named_in(home), named_in((home + 1) % 6));
    for id in ["poisoned", &neighbour, &elsewhere] {
        assert_eq!(commands.create(id).await?.status, 201);
    }
    let prefix = system.planner.names.group_prefix.clone();
    caught_up(&system, &prefix).await?;

    // An effective key, and a schema id that nobody ever registered.
    let wrong_schema = [&[0][..], &999_999_u32.to_be_bytes(), b"datum"].concat();
    let basis = 2;
    let key = format!("poisoned/2/{basis}/{}", uuid::Uuid::nil());
    let offset = inject(&system, home, &key, Some(&wrong_schema)).await?;

    // Writers refuse that product's commands, and no other's.
    // Until the registry has said that it does not know the id either, the partition may be about to learn it.
    eventually(
        "the product is unreadable",
        async || {
            commands
                .change_price("poisoned", 2_000, &[])
                .await
                .map(|it| it.code().to_owned())
                .unwrap_or_default()
        },
        |code| code == "product-unreadable",
    )
    .await;
    for id in [&neighbour, &elsewhere] {
        let changed = commands.change_price(id, 2_000, &[]).await?;
        assert_eq!(changed.status, 200, "{}", changed.body);
    }
    // Projectors park that product, say where and why, and go on with the others.
    for projector in &projectors {
        let metrics = eventually(
            "the parked product is counted",
            async || metrics(&projector.ops()).await,
            |metrics| counter(metrics, "folio_projector_parked_products") >= 1.0,
        )
        .await;
        assert!(counter(&metrics, "folio_projector_parked_products") < 2.0, "one product: {metrics}");
        assert!((0.5..1.5).contains(&counter(&metrics, "folio_projector_parked_records")), "{metrics}");
        assert!(counter(&metrics, "folio_projector_stopped_partitions") < 0.5, "{metrics}");
        let log = projector.log();
        let line =
            log.lines().find(|line| line.contains("ERROR") && line.contains("poisoned")).unwrap_or_default();
        assert!(line.contains(&offset.to_string()), "the log names product and offset {offset}: {log}");
        projector.service.wait_ready(testkit::PATIENCE).await?;
    }
    let read = async |id: &str| {
        queries.get(&format!("/v1/products/{id}")).await.map(|it| it.body["version"].as_u64()).ok()
    };
    for id in [&neighbour, &elsewhere] {
        eventually("all others go on", async || read(id).await, |it| *it == Some(Some(2))).await;
    }
    assert_eq!(read("poisoned").await, Some(Some(1)), "its rows stay as they were");
    // Its read model can be built anew all the same: both builds park the record.
    let read_model = ReadModel::Products;
    let asked = Rebuild { read_model, wait: true, force: false, no_switch: false, as_of: None };
    rebuild::run(&system.config, &asked).await?;
    for id in [&neighbour, &elsewhere] {
        assert_eq!(read(id).await, Some(Some(2)));
    }
    assert_eq!(read("poisoned").await, Some(Some(1)), "the new build parks it, too");
    assert!(service.service.is_running() && projectors.iter().all(|it: &Started| it.service.is_running()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_record_that_skips_versions_is_void_from_any_start() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let service = system.command_service().await?;
    let commands = Client::new(&service.url());
    let queries = Client::new(&system.query_gateway().await?.url());
    let home = partition_of("forged", 6).0;
    let neighbour = named_in(home);
    // Whatever is applied is durable at once, so that a projector begins just behind it.
    let settings = [("DURABILITY_WINDOW_MS", "0")];
    let mut projectors = system.projectors_with(&settings).await?;
    for id in ["forged", &neighbour] {
        assert_eq!(commands.create(id).await?.status, 201);
    }
    let prefix = system.planner.names.group_prefix.clone();
    caught_up(&system, &prefix).await?;
    let stored = AllPositions::open(&stores::servers(&system.config), Generation::FIRST).await?;
    let mut changes = 1;
    eventually(
        "the product's record is durable in every read model",
        async || {
            changes += 1;
            drop(commands.change_price(&neighbour, 1_000 + changes, &[]).await);
            let mut durable = i64::MAX;
            for read_model in ReadModel::ALL {
                let group = read_model.group_id(&prefix, Generation::FIRST);
                let position = stored.read(*read_model, &group, home).await.unwrap_or_default();
                durable = durable.min(position.durable);
            }
            durable
        },
        |durable| *durable >= 2,
    )
    .await;
    caught_up(&system, &prefix).await?;
    for projector in &projectors {
        projector.service.kill();
        assert!(projector.service.wait_ended(testkit::PATIENCE).await);
    }

    // Far ahead of the product, with a basis that is recent; of a product that is not there; and one without a value.
    for (key, value) in [
        ("forged/1000/3", Some(&b"x"[..])),
        ("forged/1001/4", None),
        (&format!("{}/7/4", named_after(&neighbour, home)), None),
    ] {
        inject(&system, home, &format!("{key}/{}", uuid::Uuid::new_v4()), value).await?;
    }
    // Who knows the product takes no more commands on it, and the others go on.
    eventually(
        "the product is quarantined",
        async || {
            commands
                .change_price("forged", 2_000, &[])
                .await
                .map(|it| it.code().to_owned())
                .unwrap_or_default()
        },
        |code| code == "product-quarantined",
    )
    .await;
    let answer = commands.change_price(&neighbour, 2_000, &[]).await?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let last = answer.body["version"].as_u64().unwrap_or_default() as usize;

    projectors = system.projectors_with(&settings).await?;
    caught_up(&system, &prefix).await?;
    for projector in &projectors {
        projector.service.wait_ready(testkit::PATIENCE).await?;
        assert!(!projector.log().contains(" stopped: "), "{}", projector.log());
    }
    for (id, version) in [("forged", 1), (neighbour.as_str(), last)] {
        let found = queries.get(&format!("/v1/products/{id}")).await?;
        assert_eq!(found.body["version"], version, "{}", found.body);
        let history = queries.get(&format!("/v1/products/{id}/history?page_size=200")).await?;
        assert_eq!(history.body["items"].as_array().map(Vec::len), Some(version), "{}", history.body);
    }
    Ok(())
}

/// Another product id of the partition.
fn named_after(other: &str, partition: i32) -> String {
    (0..1_000)
        .map(|number| format!("nobody-{number}"))
        .find(|id| id != other && partition_of(id, 6).0 == partition)
        .unwrap_or_default()
}

/// A product id that lives in this partition.
fn named_in(partition: i32) -> String {
    named("neighbour", partition)
}

/// The same that says what it is there for.
fn named(what: &str, partition: i32) -> String {
    (0..1_000)
        .map(|number| format!("{what}-{number}"))
        .find(|id| partition_of(id, 6).0 == partition)
        .unwrap_or_default()
}

/// Waits until commands for these products are answered so.
async fn are_answered(commands: &Client, expected: &[(&str, &str)]) {
    for (id, code) in expected {
        let answer = async || commands.change_price(id, 2_000, &[]).await.map(|it| it.code().to_owned()).ok();
        eventually(&format!("{id} is answered {code}"), answer, |it| it.as_deref() == Some(*code)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_stands_on_the_topic_stops_no_partition_of_writers() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let registry = system.gate_registry().await?;
    let mut service = system.command_service().await?;
    let commands = Client::new(&service.url());
    let (home, ids) = (0, SchemaIds::new(system.registry()?.ids().await?)?);
    let of = |what| named(what, home);
    let (garbage, tombstone, twice, ahead, unknown, neighbour) =
        (of("garbage"), of("tombstone"), of("twice"), of("ahead"), of("unknown"), of("neighbour"));
    let elsewhere = named("elsewhere", home + 1);
    for id in [&garbage, &tombstone, &twice, &ahead, &unknown, &neighbour, &elsewhere] {
        assert_eq!(commands.create(id).await?.status, 201);
    }

    // None of it needs a schema that is not known: that the registry is away changes nothing.
    registry.close();
    let created = contract::json::event_from_data(
        "ProductCreated",
        r#"{"sku": "s", "name": "n", "description": "", "category": "c", "brand": "b", "status": "draft",
            "price": {"minor_units": 1, "currency": "USD"}, "attributes": {}, "tags": []}"#,
    );
    let created = encode(&created.context("an event")?, &ids)?;
    for (key, value) in [
        ("not a key".to_owned(), Some(&b"x"[..])),
        (format!("{elsewhere}/2/0/{}", uuid::Uuid::new_v4()), Some(b"x")),
        (format!("{garbage}/2/0/{}", uuid::Uuid::new_v4()), Some(b"garbage")),
        (format!("{garbage}/3/0/{}", uuid::Uuid::new_v4()), Some(b"more of it")),
        (format!("{tombstone}/2/0/{}", uuid::Uuid::new_v4()), None),
        (format!("{twice}/2/0/{}", uuid::Uuid::new_v4()), Some(&*created)),
        (format!("{ahead}/7/0/{}", uuid::Uuid::new_v4()), Some(b"x")),
        (format!("{ahead}/8/0/{}", uuid::Uuid::new_v4()), Some(b"x")),
    ] {
        inject(&system, home, &key, value).await?;
    }
    let closed = [
        (garbage.as_str(), "product-unreadable"),
        (tombstone.as_str(), "product-unreadable"),
        (twice.as_str(), "product-unreadable"),
        (ahead.as_str(), "product-quarantined"),
    ];
    are_answered(&commands, &closed).await;
    let mut price = 2_000;
    for id in [&neighbour, &elsewhere] {
        let changed = commands.change_price(id, price, &[]).await?;
        assert_eq!(changed.status, 200, "{}", changed.body);
    }
    // It is counted, and said once of each product.
    let counted = metrics(&service.ops()).await;
    for (name, at_least) in [
        ("ledger_garbage_records_total", 2.0),
        ("ledger_violations_total", 2.0),
        ("ledger_unreadable_records_total", 4.0),
    ] {
        assert!(counter(&counted, name) >= at_least, "{name}: {counted}");
    }
    let log = service.log();
    for (id, _) in &closed {
        let lines = log.lines().filter(|line| line.contains("ERROR") && line.contains(id)).count();
        assert_eq!(lines, 1, "{id} in {log}");
    }
    assert!(log.contains("someone else writes into the topic"), "{log}");

    // Whether this one can be read only the registry knows: its product waits for that, and no other.
    let strange = [&[0][..], &999_999_u32.to_be_bytes(), b"datum"].concat();
    inject(&system, home, &format!("{unknown}/2/0/{}", uuid::Uuid::new_v4()), Some(&strange)).await?;
    are_answered(&commands, &[(unknown.as_str(), "not-ready")]).await;
    price += 1;
    for id in [&neighbour, &elsewhere] {
        assert_eq!(commands.change_price(id, price, &[]).await?.status, 200);
    }
    registry.open();
    let all = [&closed[..], &[(unknown.as_str(), "product-unreadable")]].concat();
    are_answered(&commands, &all).await;

    // So it is for whoever starts, with what lies in the cache and without.
    for keeps_cache in [true, false] {
        price += 1;
        let changed = commands.change_price(&neighbour, price, &[]).await?;
        assert_eq!(changed.status, 200, "{}", changed.body);
        if keeps_cache {
            assert!(system.stop(&service).await, "it saves what it knows");
        } else {
            system.kill(&service).await?;
            std::fs::remove_dir_all(system.cache_of(&service)?)?;
        }
        service = system.again(&service).await?;
        are_answered(&commands, &all).await;
    }
    price += 1;
    assert_eq!(commands.change_price(&neighbour, price, &[]).await?.status, 200);
    Ok(())
}

pub(crate) async fn metrics(ops: &str) -> String {
    let reply = Client::new(ops).get("/metrics").await;
    reply.map(|it| it.body.as_str().unwrap_or_default().to_owned()).unwrap_or_default()
}

/// The sum of a metric over its labels.
pub(crate) fn counter(metrics: &str, name: &str) -> f64 {
    let values = metrics.lines().filter(|line| line.starts_with(name));
    values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}
