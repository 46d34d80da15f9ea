//! The work on the read model: what was decided is followed, directed, and every build of it made.
//!
//! Promises: no build is begun before it is known what was decided; where decisions were lost nobody guesses.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use event_reader::feed::GroupOptions;
use event_reader::{Decoder, LogLooks, SchemaSource};
use futures::FutureExt;
use futures::future::BoxFuture;
use read_models::control::{BuildStore, Builds, Desk, adoption};
use read_models::model::{Fold, Opens, Store};
use read_models::{Adapter, Generation, ReadModel, Visitor};
use tokio::sync::watch;
use toolkit::journal::Journal;
use toolkit::lanes::Lane;
use toolkit::retry::GaveUp;

use crate::admin::{Admin, Opened};
use crate::application::{LettersOf, Log, OpenLetters, Opening, Parts};
use crate::builds::{
    Control, Director, Made, Makes, Memory, OpenBuilds, Reached, Running, Told, follow, supervise,
};
use crate::durability::Durability;
use crate::member::Member;
use crate::metrics::Metrics;
use crate::partition::{Context as PartitionContext, Decided, Followed, Refusals, Traces};
use crate::same_log::{FRESH, SameLog};
use crate::trial::{Trials, TrialsOf};
use crate::watch::Watch;

/// Any error, to be tried again.
#[derive(Debug)]
struct AlwaysTransient(String);

impl<E: Into<anyhow::Error>> From<E> for AlwaysTransient {
    fn from(error: E) -> Self {
        Self(format!("{:#}", error.into()))
    }
}

impl std::fmt::Display for AlwaysTransient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl toolkit::retry::Transient for AlwaysTransient {
    fn is_transient(&self) -> bool {
        true
    }
}

/// The work on any read model.
pub(crate) struct Work<A> {
    pub(crate) read_model: ReadModel,
    pub(crate) opening: Opening,
    pub(crate) parts: Parts<A>,
    pub(crate) metrics: Metrics,
    pub(crate) admin: Admin,
}

/// What every build of it needs.
struct Shared<A> {
    read_model: ReadModel,
    opening: Opening,
    stores: A,
    schemas: Arc<dyn SchemaSource>,
    log: Log,
    metrics: Metrics,
    traces: Traces,
    letters: OpenLetters,
    builds: Option<Arc<dyn BuildStore>>,
    reached: Arc<dyn Reached>,
}

impl<A: Adapter> Visitor<A> for Work<A> {
    type Output = BoxFuture<'static, anyhow::Result<()>>;

    fn visit<M: Fold>(self) -> Self::Output
    where
        A: Opens<M>,
    {
        self.run::<M>().boxed()
    }
}

impl<A: Adapter> Work<A> {
    async fn run<M: Fold>(self) -> anyhow::Result<()>
    where
        A: Opens<M>,
    {
        let Self { read_model, opening, parts, metrics, admin } = self;
        let Parts { stores, schemas, log_name, log, control, letters } = parts;
        let traces = metrics.traces(log_name, read_model);
        let log = log(opening.clone()).await?;
        let control = match control {
            Some(open) => Some(open(opening.clone()).await?),
            None => None,
        };
        let Opening { config, shutdown, .. } = opening.clone();
        let for_start = opening.clone();
        let reached: Arc<dyn Reached> = Arc::new(OpenBuilds::<A, M>::new(stores.clone()));
        let (partitions, read) = (log.partitions, Arc::clone(&log.read));
        let format = Opens::<M>::format(&stores);
        let builds = control.as_ref().map(|it| Arc::clone(&it.builds));
        let trials: Arc<dyn Trials> = Arc::new(TrialsOf::<A, M>::new(stores.clone(), Arc::clone(&schemas)));
        let shared = Shared {
            read_model,
            opening,
            stores,
            schemas,
            log,
            metrics,
            traces,
            letters: Arc::clone(&letters),
            builds,
            reached: Arc::clone(&reached),
        };
        let (shared, made) = (Arc::new(shared), Made::default());
        let (heard, last) = control.as_ref().map(|_| watch::channel(Instant::now())).unzip();
        let run = move |running| build::<M, A>(Arc::clone(&shared), last.clone(), running).boxed();
        let (Some(Control { journal, builds }), Some(heard)) = (control, heard) else {
            // The sender is kept: nothing else is ever decided.
            for_start.dependencies.decisions.up();
            let (_told, decided) = watch::channel(Builds::first());
            let makes =
                Makes { format, run: Box::new(run), health: for_start.dependencies.partitions.clone() };
            return supervise(decided, makes, made, shutdown).await;
        };
        let opened = Opened {
            journal: Arc::clone(&journal),
            adoption: {
                let builds = Arc::clone(&builds);
                Arc::new(move |read_model, generation| {
                    let builds = Arc::clone(&builds);
                    async move { adoption(&*builds, read_model, generation).await }.boxed()
                })
            },
            reached: Arc::clone(&reached),
            group_prefix: config.group_prefix.clone(),
            partitions,
            read,
            letters: Arc::clone(&letters),
            trials,
        };
        admin.open(read_model, opened);
        let desk = decided_before(&for_start, &journal, &builds, read_model).await?;
        let (told, decided) = watch::channel(desk.builds(read_model).clone());
        let told = Told { builds: told, heard, health: for_start.dependencies.decisions.clone() };
        let director = Director {
            desk: Desk::new(Arc::clone(&journal)),
            read_model,
            group_prefix: config.group_prefix.clone(),
            partitions,
            builds: decided.clone(),
            store: builds,
            reached,
            letters,
            made: Arc::clone(&made),
            config: config.rebuild.clone(),
            window: Duration::from_millis(config.durability_window_ms),
            format,
            by: who(),
            memory: Memory::default(),
        };
        let makes = Makes { format, run: Box::new(run), health: for_start.dependencies.partitions.clone() };
        tokio::try_join!(
            follow(desk, read_model, told, shutdown.clone()),
            director.run(shutdown.clone()),
            supervise(decided, makes, made, shutdown),
        )?;
        Ok(())
    }
}

/// What was decided, before any build is begun: one that was dropped is not made again. Where a build is published by a decision that
/// is not there, decisions were lost, and nobody guesses.
async fn decided_before(
    opening: &Opening,
    journal: &Arc<dyn Journal>,
    builds: &Arc<dyn BuildStore>,
    read_model: ReadModel,
) -> anyhow::Result<Desk> {
    let retry = opening.retry(&opening.dependencies.decisions);
    let mut desk = Desk::new(Arc::clone(journal));
    let mut waits = retry.waits();
    loop {
        // The store first: whatever is published then was decided before the journal is read.
        let published = match builds.published(read_model).await {
            Ok(published) => Ok(Some(published)),
            // Nothing was ever published.
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => {
                opening.dependencies.store.down(error.to_string());
                Err(AlwaysTransient::from(error))
            }
        };
        let problem = match (published, desk.look().await) {
            (Ok(published), Ok(_)) => {
                match published.and_then(|it| desk.builds(read_model).lost(read_model, it)) {
                    None => return Ok(desk),
                    Some(lost) => {
                        let (topic, damaged) =
                            (&opening.config.control_topic, desk.take_damaged().join("; "));
                        let damaged = if damaged.is_empty() {
                            damaged
                        } else {
                            format!("; what is wrong in it: {damaged}")
                        };
                        AlwaysTransient(format!("{lost}; the topic is {topic}{damaged}"))
                    }
                }
            }
            (Err(problem), _) => problem,
            (_, Err(error)) => AlwaysTransient::from(error),
        };
        retry.report(Err(&problem.0));
        let waited = waits.wait("begin with what was decided about builds", problem).await;
        waited.map_err(|gave_up| anyhow::anyhow!("{gave_up}"))?;
    }
}

/// This process, for people: `projector host (pid 7)`.
fn who() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_default();
    format!("projector {host} (pid {})", std::process::id())
}

/// Makes one build until it is told to stop.
async fn build<M: Fold, A: Opens<M>>(
    shared: Arc<Shared<A>>,
    heard: Option<watch::Receiver<Instant>>,
    running: Running,
) -> anyhow::Result<()> {
    let Running { generation, is_read, stop, .. } = &running;
    let opening = Opening {
        dependencies: shared.opening.dependencies.told_while(is_read),
        shutdown: stop.clone(),
        ..shared.opening.clone()
    };
    let retry = opening.retry(&opening.dependencies.store);
    let given_up = |gave_up: GaveUp<AlwaysTransient>| anyhow::anyhow!("{gave_up}");
    let open = async {
        if *generation != Generation::FIRST
            && let Some(builds) = &shared.builds
        {
            let what = format!("make place for {generation} of {}", shared.read_model);
            let create = || async {
                builds.create(shared.read_model, *generation).await?;
                // One that was lost and is read is not only to be filled.
                if is_read.load(Ordering::Acquire) {
                    builds.ready(shared.read_model, *generation).await?;
                }
                Ok(())
            };
            retry.run(&what, create).await.map_err(given_up)?;
        }
        // Missing tables are waited for too: whoever installs Folio may start the projector before the tables are there.
        let what = format!("open what holds {}, {generation}", shared.read_model);
        // What is read never waits for what is not.
        let stores = Opens::<M>::in_lane(&shared.stores, &Lane::until(Arc::clone(is_read)));
        let opened = retry.run(&what, || async { Ok(Opens::<M>::open(&stores, *generation).await?) });
        opened.await.map_err(given_up)
    };
    match open.await {
        Ok(store) => project::<M, _, A>(opening, store, &shared, heard, &running).await,
        Err(_) if stop.is_cancelled() => Ok(()),
        Err(error) => Err(error),
    }
}

async fn project<M: Fold, S: Store<M>, A>(
    opening: Opening,
    store: S,
    shared: &Shared<A>,
    heard: Option<watch::Receiver<Instant>>,
    running: &Running,
) -> anyhow::Result<()> {
    let Opening { config, dependencies, shutdown } = &opening;
    let Log { partitions, repairs, looks, join, .. } = shared.log.clone();
    let given_up = |gave_up: GaveUp<AlwaysTransient>| anyhow::anyhow!("{gave_up}");
    let decoder = Decoder::open(Arc::clone(&shared.schemas), &opening.retry(&dependencies.registry)).await;
    let decoder = decoder.map_err(|gave_up| anyhow::anyhow!("{gave_up}"))?;
    let group = config.group(running.generation)?;
    let (read_model, generation) = (shared.read_model, running.generation);
    let letters = (shared.letters)(&LettersOf { read_model, generation, group: group.clone(), partitions })?;
    let member = join(
        GroupOptions {
            max_batch_records: config.batch.max_records,
            max_batch_bytes: config.batch.max_mib << 20,
            revoke_timeout: Duration::from_millis(config.batch.revoke_timeout_ms),
            ..GroupOptions::new(group.clone())
        },
        dependencies.log.clone(),
    )?;
    let metrics = shared.metrics.told_while(&running.is_read);
    let durability = Arc::new(Durability::new(Duration::from_millis(config.durability_window_ms)));
    // Before anything is written: a new start is one since then.
    let retry = opening.retry(&dependencies.store);
    let look = || async { Ok(durability.look(store.positions()).await?) };
    retry.run("look at the store", look).await.map_err(given_up)?;
    let watch = Watch {
        positions: store.positions().clone(),
        group: group.clone(),
        generation: running.generation,
        is_read: Arc::clone(&running.is_read),
        handle: member.handle(),
        progress: running.progress.clone(),
        durability: Arc::clone(&durability),
        metrics: metrics.clone(),
        store_health: dependencies.store.clone(),
        registry_health: dependencies.registry.clone(),
        letters_health: dependencies.letters.clone(),
        partitions: dependencies.partitions.clone(),
    };
    let looks = LogLooks::new(looks, member.handle().end_offsets().clone());
    let same_log = Arc::new(SameLog::new(looks, &config.topic, FRESH));
    // Nothing is known against it before a partition has asked.
    dependencies.letters.up();
    tracing::info!(group, partitions, topic = config.topic, "projecting {}", config.read_model);
    let context = PartitionContext {
        group,
        topic: config.topic.clone(),
        partitions,
        states: config.batch.states,
        states_bytes: (config.batch.states_mib << 20) / partitions.unsigned_abs().max(1) as usize,
        unwritten_bytes: (config.rebuild.unwritten_mib << 20) / partitions.unsigned_abs().max(1) as usize,
        handle: member.handle(),
        repairs,
        decoder: Arc::new(decoder),
        store,
        store_health: dependencies.store.clone(),
        registry_health: dependencies.registry.clone(),
        durability,
        metrics,
        traces: shared.traces,
        progress: running.progress.clone(),
        same_log: Arc::clone(&same_log),
        letters,
        letters_health: dependencies.letters.clone(),
        refusals: Refusals::default(),
        decided: Decided { generation: running.generation, builds: running.builds.clone(), heard },
        followed: Followed {
            reached: Arc::clone(&shared.reached),
            read_model: shared.read_model,
            group_prefix: config.group_prefix.clone(),
        },
        _read_model: std::marker::PhantomData,
    };
    tokio::try_join!(
        Member::new(member, context).run(shutdown.clone()),
        watch.run(shutdown.clone()),
        same_log.watch(&running.progress, shutdown.clone()),
    )?;
    Ok(())
}
