//! P26 Whatever dies or is away in whatever phase of a rebuild, it is finished by who is there; of two rebuilds at once one is begun, and a hold that cannot come to its end is given up.
//!
//! A writer goes on all the while, and reads go on but for the time in which nobody is there to be read from.

use std::time::{Duration, Instant};

use adapter_kafka::{KafkaJournal, Profile};
use anyhow::{Context as _, bail, ensure};
use cli::args;
use cli::commands::read_models::{self as actions, Of};
use cli::commands::rebuild::{self, Rebuild, decide};
use cli::commands::stores::One;
use cli::commands::topics;
use cli::config::Config;
use nix::sys::signal::Signal;
use read_models::control::{Builds, Desk, Role, Stage, Step, Turn};
use read_models::{Generation, ReadModel};
use serde_json::Value;
use testkit::expected::differences;
use testkit::{Client, Gate, OnServers, PARTITIONS, PATIENCE, Started, System as _, eventually};
use toolkit::journal::Journal as _;

const MODEL: ReadModel = ReadModel::Products;
const PRODUCTS: usize = 300;
/// How long the store is away.
const AWAY: Duration = Duration::from_secs(30);

/// The phases in which something dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Building,
    Holding,
    Switched,
}

impl Phase {
    /// Whether it is seen, or is over.
    fn is(self, builds: &Builds) -> bool {
        match self {
            Self::Building => builds.candidate().is_some(),
            Self::Holding => matches!(builds.turn, Turn::Holding { .. }),
            Self::Switched => matches!(builds.turn, Turn::Switched { .. }),
        }
    }
}

fn rebuild_of(read_model: ReadModel) -> Rebuild {
    Rebuild { read_model, wait: false, force: false, no_switch: false, as_of: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_is_finished_by_who_is_there() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    let settings = [("REBUILD__HOLD_MS", "3000"), ("REBUILD__LEASE_MS", "1200")];
    let store = Gate::to(&system.planner.addresses.cql_contact_point, true).await?;
    system.planner.addresses.cql_contact_point = store.address();
    let servers = system.planner.addresses.elasticsearch_url.clone();
    let index = Gate::to(servers.trim_start_matches("http://"), true).await?;
    system.planner.addresses.elasticsearch_url = format!("http://{}", index.address());
    let mut projectors = Vec::new();
    for read_model in [MODEL, MODEL, ReadModel::Search] {
        let (mut plan, listens) = system.planner.projector(read_model, projectors.len() + 10)?;
        let variables = settings.iter().map(|(key, value)| (format!("FOLIO__{key}"), (*value).to_owned()));
        plan.environment.extend(variables);
        projectors.push(system.start((plan, listens))?);
    }
    for one in &projectors {
        one.service.wait_ready(PATIENCE).await?;
    }
    let gateway = system.query_gateway().await?;
    for n in 0..PRODUCTS {
        assert_eq!(commands.create(&format!("product-{n}")).await?.status, 201);
    }
    let mut desk = Decided::open(&system.config, MODEL).await?;

    // Of two who ask at once one is told that the other was first.
    let asked = rebuild_of(MODEL);
    let (one, other) =
        tokio::join!(rebuild::run(&system.config, &asked), rebuild::run(&system.config, &asked));
    let refused = one.and(other).unwrap_err().to_string();
    assert!(refused.contains("g2 is being built"), "{refused}");
    read_again(&mut desk, &commands, &gateway, 1).await?;

    // Killed in each phase, one of the two or both: who is left, or comes back, goes on.
    let deaths = [(Phase::Building, 1), (Phase::Holding, 2), (Phase::Switched, 1)];
    for (phase, dying) in deaths {
        rebuild::run(&system.config, &asked).await?;
        seen(&mut desk, phase).await?;
        for one in &projectors[..dying] {
            system.kill(one).await?;
        }
        assert_eq!(commands.change_price("product-7", 77, &[]).await?.status, 200, "{phase:?}");
        for one in &mut projectors[..dying] {
            *one = system.start_again(one)?;
        }
        read_again(&mut desk, &commands, &gateway, dying).await.with_context(|| format!("{phase:?}"))?;
    }

    // The store away in each phase, for longer than a hold may take: it is finished when it is back, and nothing dies of it. Of each kind
    // of store at the same time.
    let away = [(MODEL, &store, 2), (ReadModel::Search, &index, 3)].map(|(read_model, store, n)| {
        away_in_each_phase(&system.config, (read_model, store), &commands, &gateway, n)
    });
    futures::future::try_join_all(away).await?;

    // A gateway that dies reads what was decided meanwhile.
    rebuild::run(&system.config, &asked).await?;
    seen(&mut desk, Phase::Holding).await?;
    system.kill(&gateway).await?;
    finished(&mut desk).await?;
    let gateway = system.start_again(&gateway)?;
    gateway.service.wait_ready(PATIENCE).await?;
    read_again(&mut desk, &commands, &gateway, 0).await?;

    // One that stands still holds everything up: the hold is given up, what is read goes on, and it is done when that one is back.
    let quiet = Rebuild { no_switch: true, ..asked.clone() };
    rebuild::run(&system.config, &quiet).await?;
    let found = found(&mut desk, |it| it.candidate().is_some_and(|(_, it)| is_ready(&it.stage))).await?;
    let (to, _) = found.candidate().context("a build")?;
    let standing = &projectors[1];
    standing.service.signal(Signal::SIGSTOP);
    decide(&mut desk.desk, MODEL, |_| Step::Hold { to, force: false }).await?;
    let given_up = self::found(&mut desk, |it| it.turn == Turn::Steady).await?;
    let reason = given_up.released.clone().unwrap_or_default();
    assert!(given_up.read == found.read && reason.contains("within 3000 ms"), "{given_up:?}");
    assert_eq!(given_up.role(found.read), Role::Live);
    standing.service.signal(Signal::SIGCONT);
    let again = args::ReadModels::Switch { one: One { read_model: MODEL, generation: to }, force: false };
    let until = Instant::now() + PATIENCE;
    while let Err(error) = actions::run(&system.config, again.clone()).await {
        ensure!(Instant::now() < until && error.to_string().contains("given up"), "{error:#}");
    }
    read_again(&mut desk, &commands, &gateway, 0).await?;

    paused_and_aborted(&system.config, &mut desk).await?;
    expired(&system.config, &mut desk).await?;
    system.projector(ReadModel::History).await?;
    system.caught_up().await?;
    let (compared, wrong) = differences(&system.oracle().await?, &system.rows().await?, &[])?;
    assert!(wrong.is_empty() && compared > 3 * PRODUCTS, "{compared}: {wrong:#?}");
    Ok(())
}

/// The log is also where it is written what was decided: it may be killed in each phase.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_is_finished_though_the_log_is_killed() -> anyhow::Result<()> {
    let mut system = OnServers::prepare_with_own_log().await?;
    let commands = Client::new(&system.command_service().await?.url());
    system.projector(MODEL).await?;
    let gateway = system.query_gateway().await?;
    for n in 0..PRODUCTS {
        assert_eq!(commands.create(&format!("product-{n}")).await?.status, 201);
    }
    let mut desk = Decided::open(&system.config, MODEL).await?;
    for (n, phase) in [Phase::Building, Phase::Holding, Phase::Switched].into_iter().enumerate() {
        rebuild::run(&system.config, &rebuild_of(MODEL)).await?;
        seen(&mut desk, phase).await?;
        system.kill_log().await?;
        // Who looks at a log that has died may be told so for a while.
        let until = Instant::now() + PATIENCE;
        while let Err(error) = finished(&mut desk).await {
            ensure!(Instant::now() < until, "{phase:?}: {error:#}");
        }
        let writes =
            async || commands.change_price("product-9", 99, &[]).await.map(|it| it.status.as_u16()).ok();
        eventually("commands are accepted again", writes, |it| *it == Some(200)).await;
        read_again(&mut desk, &commands, &gateway, n).await.with_context(|| format!("{phase:?}"))?;
    }
    for read_model in [ReadModel::History, ReadModel::Search] {
        system.projector(read_model).await?;
    }
    system.caught_up().await?;
    let (compared, wrong) = differences(&system.oracle().await?, &system.rows().await?, &[])?;
    assert!(wrong.is_empty() && compared > 3 * PRODUCTS, "{compared}: {wrong:#?}");
    Ok(())
}

/// Records that nobody who is right wrote are named and count for nothing; where all decisions are lost, nobody guesses which build
/// is read, and whoever knows says it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_decisions_were_damaged_or_lost_nobody_guesses() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    let projector = system.projector(MODEL).await?;
    let gateway = system.query_gateway().await?;
    for n in 0..20 {
        assert_eq!(commands.create(&format!("product-{n}")).await?.status, 201);
    }
    let waited = Rebuild { wait: true, ..rebuild_of(MODEL) };
    rebuild::run(&system.config, &waited).await?;
    let journal = KafkaJournal::open(&system.config.kafka, &system.config.control_topic).await?;
    journal.append("garbage".to_owned(), b"x".to_vec()).await?;
    let named = async || projector.log().contains("`garbage` is no key of a decision");
    eventually("it is named", named, |it| *it).await;
    rebuild::run(&system.config, &waited).await?;
    let read = finished(&mut Decided::open(&system.config, MODEL).await?).await?.read;
    assert_eq!(read.get(), 3);

    // The topic is gone, and an empty one in its place.
    ensure!(system.stop(&projector).await, "it ends by itself");
    let lost = another_topic_of_decisions(&system).await?;
    let client = Client::new(&gateway.url());
    let still = stands_still(&mut system, &lost, One { read_model: MODEL, generation: read }).await?;
    assert_eq!(client.get("/v1/products/product-1").await?.status, 200, "what is read stays as it is");
    let adopted = args::ReadModels::Adopt(One { read_model: MODEL, generation: read });
    actions::run(&lost, adopted.clone()).await?;
    still.service.wait_ready(PATIENCE).await?;
    let refused = actions::run(&lost, adopted).await.err().context("it is decided now")?.to_string();
    ensure!(refused.contains("decided already"), "{refused}");
    let written = commands.change_price("product-1", 111, &[]).await?;
    let headers = [("consistency-token", written.header("consistency-token")), ("prefer", "wait=30")];
    let shown = client.get_with("/v1/products/product-1", &headers).await?;
    ensure!(shown.status == 200 && shown.body["version"] == written.body["version"], "{}", shown.body);
    rebuild::run(&lost, &waited).await?;
    // What nobody knows of any more is dropped.
    let servers = cli::commands::stores::servers(&lost);
    let there = async || {
        let all = servers.builds(MODEL).await;
        all.map(|it| it.iter().map(|it| it.generation.get()).collect::<Vec<_>>()).unwrap_or_default()
    };
    eventually("builds that nobody knows are dropped", there, |it| *it == [3, 4]).await;
    Ok(())
}

/// The same where the topic is there and its end is not, as of an older copy: all that is known of the build that is published is that
/// somebody made it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_last_decisions_were_lost_nobody_guesses() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    let gateway = Client::new(&system.query_gateway().await?.url());
    let read_models = [ReadModel::Products, ReadModel::Search];
    let mut projectors = Vec::new();
    for read_model in read_models {
        projectors.push(system.projector(read_model).await?);
    }
    for n in 0..20 {
        assert_eq!(commands.create(&format!("product-{n}")).await?.status, 201);
    }
    for read_model in read_models {
        rebuild::run(&system.config, &Rebuild { wait: true, ..rebuild_of(read_model) }).await?;
    }
    for projector in &projectors {
        ensure!(system.stop(projector).await, "it ends by itself");
    }
    let whole = KafkaJournal::open(&system.config.kafka, &system.config.control_topic).await?;
    let lost = another_topic_of_decisions(&system).await?;
    let ends_early = KafkaJournal::open(&lost.kafka, &lost.control_topic).await?;
    for read_model in read_models {
        let key = format!("read-model/{read_model}/");
        let of_it = whole.read(0).await?.0.into_iter().filter(|it| it.key.starts_with(key.as_bytes()));
        let is_switch = |value: &[u8]| String::from_utf8_lossy(value).contains(r#""step":"switch""#);
        let mut kept = 0;
        for entry in of_it.take_while(|it| !is_switch(&it.value)) {
            ends_early.append(String::from_utf8(entry.key.to_vec())?, entry.value.to_vec()).await?;
            kept += 1;
        }
        ensure!(kept >= 3, "build, compared and hold of {read_model}: {kept}");
    }
    let read = rebuild::open(&system.config).await?.builds(ReadModel::Search).read;
    assert_eq!(read.get(), 2);
    let servers = cli::commands::stores::servers(&lost);
    for (read_model, path) in
        read_models.into_iter().zip(["/v1/products/product-1", "/v1/search?q=product-1"])
    {
        let one = One { read_model, generation: read };
        let still = stands_still(&mut system, &lost, one).await?;
        assert_eq!(gateway.get(path).await?.status, 200, "{read_model}: what is read stays as it is");
        actions::run(&lost, args::ReadModels::Adopt(one)).await?;
        still.service.wait_ready(PATIENCE).await?;
        let there = async || {
            let all = servers.builds(read_model).await;
            all.map(|it| it.iter().map(|it| it.generation.get()).collect::<Vec<_>>()).unwrap_or_default()
        };
        eventually("the others are dropped, and it stays", there, |it| *it == [2]).await;
        let written = commands.change_price("product-1", 111, &[]).await?;
        let headers = [("consistency-token", written.header("consistency-token")), ("prefer", "wait=30")];
        let shown = gateway.get_with(path, &headers).await?;
        assert_eq!(shown.status, 200, "{read_model}: {}", shown.body);
    }
    Ok(())
}

/// A topic of decisions with nothing in it, and how it is found.
async fn another_topic_of_decisions(system: &OnServers) -> anyhow::Result<Config> {
    let prefix = format!("{}again.", system.prefix());
    topics::run(&system.config.kafka, &topics::declared(&prefix)?, Profile::Local, true).await?;
    let control_topic = format!("{prefix}{}", contract::topics::CONTROL);
    Ok(Config { control_topic, ..system.config.clone() })
}

/// Starts a projector where decisions are lost, and waits until it says what was, and what to do.
async fn stands_still(system: &mut OnServers, lost: &Config, one: One) -> anyhow::Result<Started> {
    let One { read_model, generation } = one;
    let (mut plan, listens) = system.planner.projector(read_model, 20 + read_model as usize)?;
    plan.environment.push(("FOLIO__CONTROL_TOPIC".to_owned(), lost.control_topic.clone()));
    let projector = system.start((plan, listens))?;
    let ops = Client::new(&projector.ops());
    let readyz = async || {
        let told = ops.get("/readyz").await;
        told.map(|it| (it.status.as_u16(), it.body.to_string())).unwrap_or_default()
    };
    let command = format!("folio read-models adopt {read_model} --generation {generation}");
    eventually("it says what was lost, and what to do", readyz, |(status, told)| {
        *status == 503 && told.contains(&format!("gateways read {generation}")) && told.contains(&command)
    })
    .await;
    Ok(projector)
}

/// Begins a rebuild, and takes the store away in the middle of it: once in each phase. Product `n` is nobody else's.
async fn away_in_each_phase(
    config: &Config,
    (read_model, store): (ReadModel, &Gate),
    commands: &Client,
    gateway: &Started,
    n: usize,
) -> anyhow::Result<()> {
    let (mut desk, client) = (Decided::open(config, read_model).await?, Client::new(&gateway.url()));
    for phase in [Phase::Building, Phase::Holding, Phase::Switched] {
        rebuild::run(config, &rebuild_of(read_model)).await?;
        seen(&mut desk, phase).await?;
        store.close();
        tokio::time::sleep(AWAY).await;
        assert_eq!(commands.change_price("product-8", 88, &[]).await?.status, 200, "{read_model} {phase:?}");
        store.open();
        let path = path_of(read_model, 1);
        let read = async || client.get(&path).await.map(|it| it.status.as_u16()).ok();
        eventually("the gateway is back at the store", read, |it| *it == Some(200)).await;
        let again = read_again(&mut desk, commands, gateway, n).await;
        again.with_context(|| format!("{read_model} {phase:?}, store away"))?;
    }
    Ok(())
}

/// Where a product is read from a read model.
fn path_of(read_model: ReadModel, n: usize) -> String {
    match read_model {
        ReadModel::Products => format!("/v1/products/product-{n}"),
        ReadModel::Search => format!("/v1/search?q=product-{n}"),
        ReadModel::History => unreachable!("its items do not name their product"),
    }
}

/// Paused a build stands still, and is not switched to; aborted it is gone.
async fn paused_and_aborted(config: &Config, desk: &mut Decided) -> anyhow::Result<()> {
    rebuild::run(config, &Rebuild { no_switch: true, ..rebuild_of(MODEL) }).await?;
    let (next, _) = desk.look().await?.candidate().context("a build")?;
    let one = One { read_model: MODEL, generation: next };
    actions::run(config, args::ReadModels::Pause(one)).await?;
    let paused = args::ReadModels::Switch { one, force: true };
    let refused = actions::run(config, paused).await.err().context("what is paused is not switched to")?;
    assert!(refused.to_string().contains("paused"), "{refused}");
    actions::run(config, args::ReadModels::Resume(one)).await?;
    self::found(desk, |it| it.candidate().is_some_and(|(_, it)| is_ready(&it.stage))).await?;
    actions::run(config, args::ReadModels::Abort(Of { read_model: MODEL })).await?;
    dropped(config, next).await
}

/// What was made as of some time is dropped when it expires, and nobody has to say so.
async fn expired(config: &Config, desk: &mut Decided) -> anyhow::Result<()> {
    let now = jiff::Timestamp::now().as_millisecond();
    let as_of = |builds: &Builds| Step::AsOf {
        generation: builds.next(),
        format: builds.get(builds.read).map(|it| it.format).unwrap_or_default(),
        name: "brief".to_owned(),
        as_of_ms: now,
        ends: vec![0; PARTITIONS as usize],
        expires_ms: now + 3_000,
    };
    let Step::AsOf { generation, .. } = decide(&mut desk.desk, MODEL, as_of).await? else {
        bail!("another step was decided");
    };
    let builds = found(desk, |it| it.get(generation).is_none()).await?;
    ensure!(jiff::Timestamp::now().as_millisecond() >= now + 3_000, "not before its time: {builds:?}");
    dropped(config, generation).await
}

/// Waits until nothing is left of the build.
async fn dropped(config: &Config, generation: Generation) -> anyhow::Result<()> {
    let servers = cli::commands::stores::servers(config);
    let there =
        async || servers.builds(MODEL).await.map(|it| it.iter().map(|it| it.generation).collect::<Vec<_>>());
    let is_gone = |it: &Result<Vec<_>, _>| it.as_ref().is_ok_and(|it| !it.contains(&generation));
    eventually("its tables are dropped", there, is_gone).await?;
    Ok(())
}

fn is_ready(stage: &Stage) -> bool {
    matches!(stage, Stage::Compared { differences: 0, .. })
}

/// What was decided about one read model.
struct Decided {
    desk: Desk,
    read_model: ReadModel,
}

impl Decided {
    async fn open(config: &Config, read_model: ReadModel) -> anyhow::Result<Self> {
        Ok(Self { desk: rebuild::open(config).await?, read_model })
    }

    async fn look(&mut self) -> anyhow::Result<Builds> {
        self.desk.look().await?;
        Ok(self.desk.builds(self.read_model).clone())
    }
}

/// Waits for a state, looking often.
async fn found(desk: &mut Decided, is: impl Fn(&Builds) -> bool) -> anyhow::Result<Builds> {
    let until = Instant::now() + PATIENCE;
    loop {
        let builds = desk.look().await?;
        if is(&builds) {
            return Ok(builds);
        }
        ensure!(Instant::now() < until, "last seen: {builds:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn seen(desk: &mut Decided, phase: Phase) -> anyhow::Result<()> {
    found(desk, |it| phase.is(it)).await.with_context(|| format!("{phase:?} is not seen"))?;
    Ok(())
}

/// Waits until the build is read, and nothing goes on any more.
async fn finished(desk: &mut Decided) -> anyhow::Result<Builds> {
    found(desk, |it| it.candidate().is_none() && it.turn == Turn::Steady).await
}

/// The build is finished and read, and shows a write that comes after it; the build before is made an end of.
async fn read_again(
    desk: &mut Decided,
    commands: &Client,
    gateway: &Started,
    n: usize,
) -> anyhow::Result<()> {
    let builds = finished(desk).await?;
    let written = commands.change_price(&format!("product-{n}"), 100 + builds.revision, &[]).await?;
    ensure!(written.status == 200, "{}", written.body);
    let headers = [("consistency-token", written.header("consistency-token")), ("prefer", "wait=30")];
    let client = Client::new(&gateway.url());
    let read = client.get_with(&path_of(desk.read_model, n), &headers).await?;
    // Others are found by the same words.
    let found = read.body.pointer("/items").and_then(Value::as_array).into_iter().flatten();
    let mut shown = std::iter::once(&read.body).chain(found);
    let id = format!("product-{n}");
    let is_shown = shown.any(|it| it["product_id"] == *id && it["version"] == written.body["version"]);
    ensure!(read.status == 200 && is_shown, "{}: {}", written.body, read.body);
    let previous = builds.previous().context("a way back")?;
    let drop = |_: &Builds| Step::Drop { generation: previous };
    decide(&mut desk.desk, desk.read_model, drop).await?;
    Ok(())
}
