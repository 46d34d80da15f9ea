//! P28 A release that makes other rows of a read model builds them beside those that are read, and is ready when they are; no read fails meanwhile, and there is a way back.
//!
//! The later release is testkit's, as a projector in the test's own process: its rows of `products` are another format. All of it
//! under P25's load. `make test-kube` does it on a cluster.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use cli::args;
use cli::commands::read_models::{self as actions, Of};
use cli::commands::rebuild;
use cli::commands::stores;
use projector::{Application, Parts};
use read_models::control::{Desk, Stage, Turn};
use read_models::model::Fold;
use read_models::products::Products;
use read_models::{Generation, ReadModel, Servers};
use testkit::expected::differences;
use testkit::later_release::{Later, MARK};
use testkit::{Client, OnServers, PATIENCE, System as _, eventually};
use tokio_util::sync::CancellationToken;
use toolkit::lifecycle::Lifecycle;

use super::a_read_model_is_built_beside_the_live_one::Load;

const MODEL: ReadModel = ReadModel::Products;
const PRODUCTS: usize = 200;

/// A projector of the later release, until it is told to stop.
struct Running {
    ops: String,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Running {
    fn start(system: &OnServers, later: impl FnOnce(Servers) -> Later) -> anyhow::Result<Self> {
        let mut config = projector::Config {
            read_model: MODEL.to_string(),
            group_prefix: system.planner.names.group_prefix.clone(),
            topic: system.config.topic.clone(),
            control_topic: system.config.control_topic.clone(),
            kafka: system.config.kafka.clone(),
            registry: system.config.registry.clone(),
            cql: system.config.cql.clone(),
            search: system.config.search.clone(),
            ..projector::Config::default()
        };
        config.listen.ops.set_port(0);
        config.auth.allow_anonymous = true;
        config.rebuild.lease_ms = 1_200;
        let servers = Servers::new(&config.cql, &config.search);
        let parts = Parts::on_servers(&config, later(servers.clone()), Arc::new(servers))?;
        let application = Application::build_on(config, parts, Lifecycle::new().without_signals())?;
        let (ops, stop) = (format!("http://{}", application.process.ops), CancellationToken::new());
        let task = tokio::spawn(application.process.run_until_stopped(stop.clone()));
        Ok(Self { ops, stop, task })
    }

    async fn readyz(&self) -> (u16, String) {
        let reply = Client::new(&self.ops).get("/readyz").await;
        reply.map(|it| (it.status.as_u16(), it.body.to_string())).unwrap_or_default()
    }

    async fn end(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.task.await?
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_installation_begins_with_the_rows_of_its_release() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    let reads = Client::new(&system.query_gateway().await?.url());
    ensure!(commands.create("first").await?.status == 201);
    let later = Running::start(&system, Later::from_the_start)?;
    eventually("it is ready", async || later.readyz().await, |(status, _)| *status == 200).await;
    let name = async || reads.get("/v1/products/first").await.map(|it| it.body["name"].to_string());
    eventually("its rows are read", async || name().await.unwrap_or_default(), |it| it.contains(MARK)).await;
    let desk = rebuild::open(&system.config).await?;
    let builds = desk.builds(MODEL);
    ensure!(builds.read == Generation::FIRST && builds.all().count() == 1, "{builds:?}");
    later.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_with_other_rows_builds_them_beside_the_old_and_takes_their_place() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    let old = system.projectors_with(&[("REBUILD__LEASE_MS", "1200")]).await?;
    let gateway = system.query_gateway().await?;
    let reads = Client::new(&gateway.url());
    for n in 0..PRODUCTS {
        ensure!(commands.create(&format!("still-{n}")).await?.status == 201);
    }
    let name = async || reads.get("/v1/products/still-7").await.map(|it| it.body["name"].to_string());
    let load = Load::start(commands.clone(), std::slice::from_ref(&gateway)).await?;

    // Nobody asks for it: the release does, and is not ready before what it makes is read.
    let later = Running::start(&system, Later::after_another)?;
    let waits = async || later.readyz().await;
    eventually("it says what it waits for", waits, |(status, told)| {
        *status == 503 && told.contains("g1, which is read, has rows of format 1")
    })
    .await;
    eventually("it is ready", async || later.readyz().await, |(status, _)| *status == 200).await;
    let mut desk = rebuild::open(&system.config).await?;
    let builds = desk.builds(MODEL).clone();
    ensure!(
        builds.read == Generation::try_from(2)? && builds.previous() == Some(Generation::FIRST),
        "{builds:?}"
    );
    let marked = async || name().await.unwrap_or_default();
    eventually("what it makes is read", marked, |name| name.contains(MARK)).await;
    load.goes_on(60).await;

    // What a release declares is nothing for a build of another one.
    stores::apply(&system.config, &stores::Which::default()).await?;
    stores::check(&system.config, &stores::Which::default()).await?;

    // The old release goes.
    let products = ReadModel::ALL.iter().position(|it| *it == MODEL).context("one of them")?;
    ensure!(system.stop(&old[products]).await, "it ends by itself");
    load.goes_on(60).await;

    // And comes back: it makes what it knows come up to date, waits to be switched to, and is ready then.
    let again = system.start_again(&old[products])?;
    let stage = async |desk: &mut Desk| {
        desk.look().await.map(|_| desk.builds(MODEL).get(Generation::FIRST).map(|it| it.stage.clone()))
    };
    ensure!(stage(&mut desk).await? == Some(Stage::Previous), "nobody goes back by himself");
    // A hold is given up while it has not caught up.
    let until = std::time::Instant::now() + PATIENCE;
    while let Err(why) =
        actions::run(&system.config, args::ReadModels::Rollback(Of { read_model: MODEL })).await
    {
        ensure!(std::time::Instant::now() < until && why.to_string().contains("given up"), "{why:#}");
    }
    again.service.wait_ready(PATIENCE).await?;
    let plain = async || name().await.unwrap_or_default();
    eventually("what the old one makes is read", plain, |name| {
        name.contains("still-7") && !name.contains(MARK)
    })
    .await;
    load.goes_on(60).await;
    let told = later.readyz().await;
    ensure!(told.0 == 503 && told.1.contains("format 2"), "{told:?}");
    // The later one is still there, and does not begin again by itself.
    tokio::time::sleep(Duration::from_secs(1)).await;
    desk.look().await?;
    let builds = desk.builds(MODEL);
    ensure!(
        builds.turn == Turn::Steady && builds.candidate().is_none() && builds.read == Generation::FIRST,
        "{builds:?}"
    );
    later.end().await?;
    load.end().await?;

    system.caught_up().await?;
    let (compared, wrong) = differences(&system.oracle().await?, &system.rows().await?, &[])?;
    assert!(wrong.is_empty() && compared > 4 * PRODUCTS, "{compared}: {wrong:#?}");
    assert_eq!(Products::DECLARED.format, 1, "the later release is a test's");
    Ok(())
}
