//! P42 What a person does shows their name until they are erased, and a pseudonym afterwards, on both doors and through a rebuild; then the name is found on no server's disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::persons::PrivacyConfig;
use anyhow::{Context as _, ensure};
use cli::args;
use cli::commands::{persons, stores};
use contract::proto::catalog::v1::GetHistoryRequest;
use contract::proto::catalog::v1::command_service_client::CommandServiceClient;
use contract::proto::catalog::v1::query_service_client::QueryServiceClient;
use edge::auth::{AuthConfig, OidcConfig, hashed_key};
use folio_dev::{Dev, Options, Settings};
use memchr::memmem::Finder;
use read_models::ReadModel;
use serde_json::{Value, json};
use testkit::login::{AUDIENCE, Login};
use testkit::servers::{servers, test_prefix};
use testkit::{Client, OnServers, PATIENCE, Started, System, eventually};

/// Of 32 bytes each, in base64.
const K1: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const K2: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
const LOOKUP: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Names that are nowhere else.
struct People {
    /// Acts while names are not sealed.
    plain: String,
    erased: String,
    kept: String,
}

/// A catalog whose services seal names.
struct Catalog {
    system: OnServers,
    keys_file: PathBuf,
    gateway: Started,
}

impl Catalog {
    fn settings(&self) -> Vec<(&'static str, String)> {
        settings(&self.system, &self.keys_file)
    }

    /// Version, actor and whether it says that it was erased, of each event of a product, oldest first: over HTTP.
    async fn over_http(&self, product: &str) -> anyhow::Result<Vec<(String, bool)>> {
        let reads = Client::new(&self.gateway.url());
        let reply = reads.get(&format!("/v1/products/{product}/history?order=asc")).await?;
        let items = reply.body["items"].as_array().cloned().unwrap_or_default();
        Ok(items.iter().map(|it| (text(&it["actor"]), it["actor_erased"] == true)).collect())
    }

    /// The same over gRPC.
    async fn over_grpc(&self, product: &str) -> anyhow::Result<Vec<(String, bool)>> {
        let mut reads = QueryServiceClient::connect(self.gateway.grpc()).await?;
        let asked =
            GetHistoryRequest { product_id: product.to_owned(), oldest_first: true, ..Default::default() };
        let entries = reads.get_history(asked).await?.into_inner().entries;
        Ok(entries.into_iter().map(|it| (it.actor, it.actor_erased)).collect())
    }

    /// What both doors say of a product, as soon as it is what is expected.
    async fn says(&self, product: &str, is: impl Fn(&[(String, bool)]) -> bool) -> anyhow::Result<()> {
        let look = async || self.over_http(product).await.unwrap_or_default();
        let http = eventually(&format!("the history of {product}"), look, |it| is(it)).await;
        let grpc = self.over_grpc(product).await?;
        ensure!(http == grpc, "HTTP says {http:?}, gRPC {grpc:?}");
        Ok(())
    }

    /// Whether the name is in any file of a server or service.
    async fn is_on_disk(&self, name: &str) -> anyhow::Result<Vec<PathBuf>> {
        let (dirs, name) = ([servers().dir.clone(), self.system.planner.dir.clone()], name.to_owned());
        let search = move || {
            let (finder, mut found) = (Finder::new(&name), Vec::new());
            dirs.iter().try_for_each(|dir| search(dir, &finder, &mut found)).map(|()| found)
        };
        tokio::task::spawn_blocking(search).await?
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn settings(system: &OnServers, keys_file: &Path) -> Vec<(&'static str, String)> {
    vec![
        ("PRIVACY__ENABLED", "true".to_owned()),
        ("PRIVACY__KEYS_FILE", keys_file.display().to_string()),
        ("PRIVACY__CACHE_MS", "500".to_owned()),
        ("CQL__CONTACT_POINTS", system.config.cql.contact_points.join(",")),
        ("CQL__KEYSPACE", system.config.cql.keyspace.clone()),
    ]
}

/// The files below `dir` that hold what is looked for. They change meanwhile: one that is gone holds nothing.
fn search(dir: &Path, finder: &Finder<'_>, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Ok(()) };
    for entry in entries.filter_map(Result::ok) {
        let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
        if kind.is_dir() {
            search(&path, finder, found)?;
        } else if kind.is_file()
            && let Ok(bytes) = std::fs::read(&path)
            && finder.find(&bytes).is_some()
        {
            found.push(path);
        }
    }
    Ok(())
}

fn write_keys(path: &Path, current: &str, keys: &[(&str, &str)]) -> anyhow::Result<()> {
    let keys: Vec<_> = keys.iter().map(|(id, key)| format!("  {id}: {key}\n")).collect();
    let text = format!("current: {current}\nlookup: {LOOKUP}\nkeys:\n{}", keys.concat());
    let beside = path.with_extension("new");
    std::fs::write(&beside, text)?;
    Ok(std::fs::rename(beside, path)?)
}

/// What the people do: each product has one event of each of them who has to do with it.
async fn act(system: &mut OnServers, keys_file: &Path, people: &People) -> anyhow::Result<()> {
    let before = system.command_service().await?;
    let client = Client::new(&before.url());
    for product in ["a", "b", "c"] {
        ensure!(client.create(product).await?.status == 201);
        let plain = [("x-folio-actor", &*people.plain)];
        ensure!(client.change_price(product, 1_100, &plain).await?.status == 200);
    }
    ensure!(system.stop(&before).await);

    let settings = settings(system, keys_file);
    let settings: Vec<_> = settings.iter().map(|(key, value)| (*key, &**value)).collect();
    let one = system.command_service_with(&settings).await?;
    let other = system.command_service_with(&settings).await?;
    // Two instances meet a person for the first time at once.
    let (erased, kept) = ([("x-folio-actor", &*people.erased)], [("x-folio-actor", &*people.kept)]);
    let (one_client, other_client) = (Client::new(&one.url()), Client::new(&other.url()));
    let both = tokio::try_join!(
        one_client.change_price("a", 1_200, &erased),
        other_client.change_price("b", 1_200, &erased)
    )?;
    ensure!(both.0.status == 200 && both.1.status == 200, "{} {}", both.0.body, both.1.body);
    ensure!(one_client.change_price("a", 1_300, &kept).await?.status == 200);
    // An upload, and a call.
    let line = json!({ "command": "change_price", "product_id": "c", "payload": { "price": { "minor_units": 1_200, "currency": "USD" } } });
    let upload = [("content-type", "application/x-ndjson"), erased[0]];
    let answered =
        other_client.send(reqwest::Method::POST, "/v1/commands:bulk", &upload, line.to_string()).await?;
    ensure!(answered.body.to_string().contains("accepted"), "{}", answered.body);
    let mut grpc = CommandServiceClient::connect(one.grpc()).await?;
    let mut call = tonic::Request::new(super::grpc_says_what_http_says::change("c", 1_300));
    call.metadata_mut().insert("x-folio-actor", people.erased.parse()?);
    ensure!(grpc.execute(call).await?.into_inner().version == 4);
    Ok(())
}

async fn rebuilt(projectors: &[Started]) -> anyhow::Result<()> {
    let at = ReadModel::ALL.iter().position(|it| *it == ReadModel::History).context("there is a history")?;
    let admin = Client::new(&projectors[at].ops());
    let begun = admin.post("/admin/v1/read-models/history:rebuild", &[], &json!({ "by": "a test" })).await?;
    ensure!(begun.status == 200, "{}", begun.body);
    let look = async || match admin.get("/admin/v1/read-models/history").await {
        Ok(reply) => reply.body["read"].as_u64().unwrap_or_default(),
        Err(_) => 0,
    };
    eventually("the rebuilt history is read", look, |read| *read == 2).await;
    Ok(())
}

fn erase(people: &People, dry_run: bool) -> persons::Erase {
    persons::Erase {
        identity: Some(people.erased.clone()),
        pseudonym: None,
        dry_run,
        reason: Some("ticket 4711".to_owned()),
        by: Some("the data protection officer".to_owned()),
        at: persons::At::default(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_erased_from_all_that_servers_keep() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let unique = test_prefix();
    let people = People {
        plain: format!("plain-{unique}@example.com"),
        erased: format!("erased-{unique}@example.com"),
        kept: format!("kept-{unique}@example.com"),
    };
    let secrets = tempfile::tempdir()?;
    let keys_file = secrets.path().join("keys.yaml");
    write_keys(&keys_file, "k1", &[("k1", K1)])?;
    (system.config.privacy.enabled, system.config.privacy.keys_file) = (true, Some(keys_file.clone()));
    stores::apply(&system.config, &stores::Which::default()).await?;
    stores::check(&system.config, &stores::Which::default()).await?;

    act(&mut system, &keys_file, &people).await?;
    let projectors =
        system.projectors_with(&[("ADMIN__ENABLED", "true"), ("REBUILD__LEASE_MS", "1200")]).await?;
    let (mut gateway, listens) = system.planner.query_gateway(99)?;
    gateway.environment.extend(
        settings(&system, &keys_file).into_iter().map(|(key, value)| (format!("FOLIO__{key}"), value)),
    );
    let gateway = system.start((gateway, listens))?;
    gateway.service.wait_ready(PATIENCE).await?;
    let mut catalog = Catalog { system, keys_file, gateway };

    let named = |name: &str| (name.to_owned(), false);
    let [plain, erased, kept] = [&people.plain, &people.erased, &people.kept].map(|name| named(name));
    catalog.says("a", |it| *it == [named(""), plain.clone(), erased.clone(), kept.clone()]).await?;
    catalog.says("b", |it| *it == [named(""), plain.clone(), erased.clone()]).await?;
    catalog.says("c", |it| *it == [named(""), plain.clone(), erased.clone(), erased.clone()]).await?;

    // In the log there is one pseudonym, whichever instance wrote it; and plain names only of before.
    let records = catalog.system.plain_records().await?;
    let actors: Vec<_> = records.iter().filter_map(|it| it.headers.get("folio_actor")).collect();
    let pseudonyms: std::collections::BTreeSet<_> =
        actors.iter().filter_map(|it| it.strip_prefix("person:")?.split(':').next()).collect();
    ensure!(actors.len() == 8 && pseudonyms.len() == 2, "{actors:?}");
    let is_plain = |it: &&&String| ***it == people.plain;
    ensure!(actors.iter().filter(is_plain).count() == 3, "{actors:?}");

    // A dry run, and what must not be kept, change nothing.
    persons::erase(&catalog.system.config, &erase(&people, true)).await?;
    let naming = persons::Erase { reason: Some(format!("{} asked", people.erased)), ..erase(&people, false) };
    let refused = persons::erase(&catalog.system.config, &naming).await.unwrap_err().to_string();
    ensure!(refused.contains("--reason holds the identity"), "{refused}");
    tokio::time::sleep(Duration::from_millis(600)).await;
    catalog.says("b", |it| *it == [named(""), plain.clone(), erased.clone()]).await?;

    persons::erase(&catalog.system.config, &erase(&people, false)).await?;
    let again = persons::erase(&catalog.system.config, &erase(&people, false)).await.unwrap_err().to_string();
    ensure!(again.contains("nobody is known so"), "{again}");
    persons::run(&catalog.system.config, args::Persons::Erasures(persons::At::default())).await?;
    let is_erased = |(actor, erased): &(String, bool)| {
        *erased && pseudonyms.contains(actor.trim_start_matches("person:"))
    };
    catalog.says("a", |it| it.len() == 4 && is_erased(&it[2]) && it[3] == kept && it[1] == plain).await?;
    catalog.says("c", |it| it.len() == 4 && is_erased(&it[2]) && it[2] == it[3]).await?;

    // Through a rotation of the master keys, and a rebuild from the beginning of the log.
    write_keys(&catalog.keys_file, "k2", &[("k1", K1), ("k2", K2)])?;
    persons::run(
        &catalog.system.config,
        args::Persons::Rewrap { dry_run: false, at: persons::At::default() },
    )
    .await?;
    write_keys(&catalog.keys_file, "k2", &[("k2", K2)])?;
    rebuilt(&projectors).await?;
    catalog.says("a", |it| it.len() == 4 && is_erased(&it[2]) && it[3] == kept && it[1] == plain).await?;

    // Whoever comes back is somebody else.
    let settings = catalog.settings();
    let settings: Vec<_> = settings.iter().map(|(key, value)| (*key, &**value)).collect();
    let late = Client::new(&catalog.system.command_service_with(&settings).await?.url());
    ensure!(late.change_price("b", 1_400, &[("x-folio-actor", &people.erased)]).await?.status == 200);
    catalog.says("b", |it| it.len() == 4 && is_erased(&it[2]) && it[3] == erased).await?;
    persons::erase(&catalog.system.config, &erase(&people, false)).await?;

    // What is on disk is found; and of those whose names were sealed there is nothing.
    let look = async || catalog.is_on_disk(&people.plain).await.unwrap_or_default();
    let found = eventually("the plain name is on disks", look, |it| {
        let is_in = |part: &str| it.iter().any(|path| path.display().to_string().contains(part));
        is_in("kafka") && is_in("cassandra")
    })
    .await;
    ensure!(!found.is_empty());
    for name in [&people.erased, &people.kept] {
        let found = catalog.is_on_disk(name).await?;
        ensure!(found.is_empty(), "{name} is in {found:?}");
    }
    Ok(())
}

/// All of it in one process, where callers are checked: who calls with a token is a person and whom a front end acts for too, and a machine is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_is_erased_from_one_process_and_a_machine_is_no_person() -> anyhow::Result<()> {
    const KEY: &str = "folio_0123456789abcdef0123456789abcdef";
    let (login, dir, secrets) = (Login::start().await?, tempfile::tempdir()?, tempfile::tempdir()?);
    let [caller, front, customer, machine] =
        ["caller", "front", "customer", "machine"].map(|who| format!("{who}-{}", test_prefix()));
    let (keys_file, api_keys) = (secrets.path().join("keys.yaml"), secrets.path().join("api.yaml"));
    write_keys(&keys_file, "k1", &[("k1", K1)])?;
    let scopes = "[products:read, products:write]";
    let hash = hashed_key(KEY);
    std::fs::write(&api_keys, format!("keys:\n- {{name: {machine}, sha256: {hash}, scopes: {scopes}}}\n"))?;
    let privacy = PrivacyConfig {
        enabled: true,
        keys_file: Some(keys_file.clone()),
        cache_ms: 500,
        ..PrivacyConfig::default()
    };
    let options = || {
        let oidc = OidcConfig {
            issuer: Some(login.url()),
            audiences: vec![AUDIENCE.to_owned()],
            ..OidcConfig::default()
        };
        let auth = AuthConfig { oidc, keys_file: Some(api_keys.clone()), ..AuthConfig::default() };
        let settings = Settings { auth, privacy: privacy.clone(), ..Settings::default() };
        Options { data_dir: Some(dir.path().join("data")), settings, ..Options::default() }
    };
    let token = |name: &str| login.token(name, &["products:read", "products:write", "act-on-behalf"]);
    let history = async |dev: &Dev| -> anyhow::Result<Vec<(String, bool)>> {
        let reads = Client::new(&format!("http://{}", dev.addresses().http));
        let bearer = format!("Bearer {KEY}");
        let reply =
            reads.get_with("/v1/products/a/history?order=asc", &[("authorization", &*bearer)]).await?;
        let items = reply.body["items"].as_array().cloned().unwrap_or_default();
        Ok(items.iter().map(|it| (text(&it["actor"]), it["actor_erased"] == true)).collect())
    };

    let dev = Dev::start(options()).await?;
    let client = Client::new(&format!("http://{}", dev.addresses().http));
    let as_caller = format!("Bearer {}", token(&caller)?);
    let mut body = testkit::product("a");
    body["product_id"] = json!("a");
    let created = client.post("/v1/products", &[("authorization", &*as_caller)], &body).await?;
    ensure!(created.status == 201, "{}", created.body);
    let (as_front, as_machine) = (format!("Bearer {}", token(&front)?), format!("Bearer {KEY}"));
    let changes: [&[(&str, &str)]; 2] =
        [&[("authorization", &*as_front), ("x-folio-actor", &*customer)], &[("authorization", &*as_machine)]];
    for (price, headers) in (1_100..).zip(changes) {
        let reply = client.change_price("a", price, headers).await?;
        ensure!(reply.status == 200, "{}", reply.body);
    }
    let machine = format!("key:{machine}");
    let before = [(caller.clone(), false), (customer.clone(), false), (machine.clone(), false)];
    eventually("the history names all", async || history(&dev).await.unwrap_or_default(), |it| *it == before)
        .await;
    dev.stop().await?;

    let config = cli::config::Config { privacy: privacy.clone(), ..cli::config::Config::default() };
    let at = persons::At { data_dir: Some(dir.path().join("data")) };
    for name in [&caller, &front] {
        let options = persons::Erase {
            identity: Some(name.clone()),
            pseudonym: None,
            dry_run: false,
            reason: Some("asked".to_owned()),
            by: Some("a test".to_owned()),
            at: at.clone(),
        };
        persons::erase(&config, &options).await?;
    }
    write_keys(&keys_file, "k2", &[("k1", K1), ("k2", K2)])?;
    persons::run(&config, args::Persons::Rewrap { dry_run: false, at }).await?;
    write_keys(&keys_file, "k2", &[("k2", K2)])?;

    let dev = Dev::start(options()).await?;
    let is_so = |it: &Vec<(String, bool)>| {
        it.len() == 3 && it[0].0.starts_with("person:") && it[0].1 && it[1..] == before[1..]
    };
    eventually("one is erased", async || history(&dev).await.unwrap_or_default(), is_so).await;
    dev.stop().await?;
    let mut found = Vec::new();
    search(dir.path(), &Finder::new(&machine), &mut found)?;
    ensure!(!found.is_empty(), "a machine's name is there, and is found");
    for name in [&caller, &front, &customer] {
        let mut found = Vec::new();
        search(dir.path(), &Finder::new(name), &mut found)?;
        ensure!(found.is_empty(), "{name} is in {found:?}");
    }
    Ok(())
}
