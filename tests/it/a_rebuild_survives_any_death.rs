//! P26 Whatever dies or is away in whatever phase of a rebuild, it is finished by who is there; of two rebuilds at once one is begun, and a hold that cannot come to its end is given up.
//!
//! A writer goes on all the while, and reads go on but for the time in which nobody is there to be read from.

use std::time::{Duration, Instant};

use adapter_kafka::{KafkaJournal, Profile};
use anyhow::{Context as _, ensure};
use cli::args;
use cli::commands::read_models::{self as actions, Of};
use cli::commands::rebuild::{self, Rebuild, decide};
use cli::commands::stores::One;
use cli::commands::topics;
use cli::config::Config;
use nix::sys::signal::Signal;
use read_models::ReadModel;
use read_models::control::{Builds, Desk, Role, Stage, Step, Turn};
use testkit::expected::differences;
use testkit::{Client, Gate, OnServers, PATIENCE, Started, System as _, eventually};
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
    let mut projectors = Vec::new();
    for _ in 0..2 {
        let (mut plan, listens) = system.planner.projector(MODEL, projectors.len() + 10)?;
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
    let mut desk = rebuild::open(&system.config).await?;

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

    // The store away in each phase, for longer than a hold may take: it is finished when it is back, and nothing dies of it.
    for phase in [Phase::Building, Phase::Holding, Phase::Switched] {
        rebuild::run(&system.config, &asked).await?;
        seen(&mut desk, phase).await?;
        store.close();
        tokio::time::sleep(AWAY).await;
        assert_eq!(commands.change_price("product-8", 88, &[]).await?.status, 200, "{phase:?}");
        store.open();
        let client = Client::new(&gateway.url());
        let read = async || client.get("/v1/products/product-1").await.map(|it| it.status.as_u16()).ok();
        eventually("the gateway is back at the store", read, |it| *it == Some(200)).await;
        read_again(&mut desk, &commands, &gateway, 2)
            .await
            .with_context(|| format!("{phase:?}, store away"))?;
    }

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
    decide(&mut desk, MODEL, |_| Step::Hold { to, force: false }).await?;
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
    let mut desk = rebuild::open(&system.config).await?;
    let read = finished(&mut desk).await?.read;
    assert_eq!(read.get(), 3);

    // The topic is gone, and an empty one in its place.
    ensure!(system.stop(&projector).await, "it ends by itself");
    let prefix = format!("{}again.", system.prefix());
    topics::run(&system.config.kafka, &topics::declared(&prefix)?, Profile::Local, true).await?;
    let lost =
        Config { control_topic: format!("{prefix}{}", contract::topics::CONTROL), ..system.config.clone() };
    let (mut plan, listens) = system.planner.projector(MODEL, 20)?;
    plan.environment.push(("FOLIO__CONTROL_TOPIC".to_owned(), lost.control_topic.clone()));
    let projector = system.start((plan, listens))?;
    let ops = Client::new(&projector.ops());
    let readyz = async || {
        let told = ops.get("/readyz").await;
        told.map(|it| (it.status.as_u16(), it.body.to_string())).unwrap_or_default()
    };
    eventually("it says what was lost, and what to do", readyz, |(status, told)| {
        *status == 503
            && told.contains("gateways read g3")
            && told.contains("folio read-models adopt products")
    })
    .await;
    let client = Client::new(&gateway.url());
    assert_eq!(client.get("/v1/products/product-1").await?.status, 200, "what is read stays as it is");
    let adopted = args::ReadModels::Adopt(One { read_model: MODEL, generation: read });
    actions::run(&lost, adopted.clone()).await?;
    projector.service.wait_ready(PATIENCE).await?;
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

/// Paused a build stands still, and is not switched to; aborted it is gone.
async fn paused_and_aborted(config: &Config, desk: &mut Desk) -> anyhow::Result<()> {
    rebuild::run(config, &Rebuild { no_switch: true, ..rebuild_of(MODEL) }).await?;
    let (next, _) = desk_of(desk).await?.candidate().context("a build")?;
    let one = One { read_model: MODEL, generation: next };
    actions::run(config, args::ReadModels::Pause(one)).await?;
    let paused = args::ReadModels::Switch { one, force: true };
    let refused = actions::run(config, paused).await.err().context("what is paused is not switched to")?;
    assert!(refused.to_string().contains("paused"), "{refused}");
    actions::run(config, args::ReadModels::Resume(one)).await?;
    self::found(desk, |it| it.candidate().is_some_and(|(_, it)| is_ready(&it.stage))).await?;
    actions::run(config, args::ReadModels::Abort(Of { read_model: MODEL })).await?;
    let servers = cli::commands::stores::servers(config);
    let there =
        async || servers.builds(MODEL).await.map(|it| it.iter().map(|it| it.generation).collect::<Vec<_>>());
    let gone =
        eventually("its tables are dropped", there, |it| it.as_ref().is_ok_and(|it| !it.contains(&next)));
    gone.await?;
    Ok(())
}

fn is_ready(stage: &Stage) -> bool {
    matches!(stage, Stage::Compared { differences: 0, .. })
}

async fn desk_of(desk: &mut Desk) -> anyhow::Result<Builds> {
    desk.look().await?;
    Ok(desk.builds(MODEL).clone())
}

/// Waits for a state, looking often.
async fn found(desk: &mut Desk, is: impl Fn(&Builds) -> bool) -> anyhow::Result<Builds> {
    let until = Instant::now() + PATIENCE;
    loop {
        let builds = desk_of(desk).await?;
        if is(&builds) {
            return Ok(builds);
        }
        ensure!(Instant::now() < until, "last seen: {builds:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn seen(desk: &mut Desk, phase: Phase) -> anyhow::Result<()> {
    found(desk, |it| phase.is(it)).await.with_context(|| format!("{phase:?} is not seen"))?;
    Ok(())
}

/// Waits until the build is read, and nothing goes on any more.
async fn finished(desk: &mut Desk) -> anyhow::Result<Builds> {
    found(desk, |it| it.candidate().is_none() && it.turn == Turn::Steady).await
}

/// The build is finished and read, and shows a write that comes after it; the build before is made an end of.
async fn read_again(desk: &mut Desk, commands: &Client, gateway: &Started, n: usize) -> anyhow::Result<()> {
    let builds = finished(desk).await?;
    let written = commands.change_price(&format!("product-{n}"), 100 + builds.revision, &[]).await?;
    ensure!(written.status == 200, "{}", written.body);
    let headers = [("consistency-token", written.header("consistency-token")), ("prefer", "wait=30")];
    let client = Client::new(&gateway.url());
    let read = client.get_with(&format!("/v1/products/product-{n}"), &headers).await?;
    ensure!(read.status == 200 && read.body["version"] == written.body["version"], "{}", read.body);
    let previous = builds.previous().context("a way back")?;
    decide(desk, MODEL, |_| Step::Drop { generation: previous }).await?;
    Ok(())
}
