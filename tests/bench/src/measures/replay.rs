//! A new instance on a topic full of records: from its first record until it has caught up, against a bare consumer that
//! reads the same topic.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use adapter_kafka::bare::consume;
use adapter_kafka::read_topic;
use anyhow::{Context, ensure};
use command_service::{Application, Backend, BackendError, KafkaBackend, OpenLog};
use event_reader::SchemaSource;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use ledger::{Inbox, Signal};
use tokio_util::sync::CancellationToken;
use toolkit::lifecycle::{Dependency, Lifecycle};

use super::grpc_stream::Streams;
use super::in_process::config;
use crate::bench::{Bench, Catalog};
use crate::pairs;
use crate::report::Row;
use crate::workload::Workload;

/// Records of the topic, by the commands of one throughput measurement.
const TIMES: usize = 3;

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut catalog = bench.catalog("replay")?;
    let (listens, _) = catalog.service()?;
    let streams = Streams::new()?;
    let mut workload = Workload::new()?;
    for _ in 0..TIMES {
        catalog.acknowledged.extend(streams.send(&listens, workload.commands(bench.commands)?)?);
    }
    catalog.stop_services();
    catalog.check()?;
    let (kafka, topic) = (&catalog.config.kafka, &catalog.config.topic);
    let ends = bench.runtime.block_on(async {
        anyhow::Ok(read_topic(kafka, topic).await?.ends.of_all(catalog.partitions()).await?)
    })?;
    let total: i64 = ends.iter().sum();
    let bare = || {
        let (records, took) = consume(kafka, topic, &ends)?;
        ensure!(records == total as u64, "{records} of {total} records were read");
        Ok(records as f64 / took.as_secs_f64())
    };
    bare()?;
    let measured =
        pairs::measure(bench.pairs, bare, |_| Ok(total as f64 / replay(bench, &catalog)?.as_secs_f64()))?;
    let summary = pairs::summary(&measured, |pair| pair.system / pair.ceiling);
    Ok(vec![
        Row::rate("tail replay into states", "records/s", &summary, 0.8)
            .noting(format!("{total} records, from the first until ready")),
    ])
}

/// Starts an instance in this process; the time from its first record until it has caught up.
fn replay(bench: &Bench, catalog: &Catalog<'_>) -> anyhow::Result<Duration> {
    let config = config(catalog);
    let first = Arc::new(Mutex::new(None));
    let backend = Watched { kafka: KafkaBackend::new(&config)?, first: Arc::clone(&first) };
    let lifecycle = Lifecycle::with_timing(config.shutdown.clone()).without_signals();
    let application = bench.runtime.block_on(Application::build_on(config, Arc::new(backend), lifecycle))?;
    let readiness = application.process.lifecycle.readiness().clone();
    let stop = CancellationToken::new();
    let running = bench.runtime.spawn(application.process.run_until_stopped(stop.clone()));
    super::wait_ready(&readiness)?;
    let first = first.lock().unwrap_or_else(PoisonError::into_inner).context("no record came")?;
    let took = first.elapsed();
    stop.cancel();
    bench.runtime.block_on(running)??;
    Ok(took)
}

/// Kafka, and when its first record came.
struct Watched {
    kafka: KafkaBackend,
    first: Arc<Mutex<Option<Instant>>>,
}

impl Backend for Watched {
    fn name(&self) -> &'static str {
        self.kafka.name()
    }

    fn schemas(&self) -> Arc<dyn SchemaSource> {
        self.kafka.schemas()
    }

    fn open(
        &self,
        inbox: Arc<dyn Inbox>,
        dependency: Dependency,
    ) -> BoxFuture<'_, Result<OpenLog, BackendError>> {
        let inbox = Arc::new(WatchedInbox { inbox, first: Arc::clone(&self.first) });
        async move { self.kafka.open(inbox, dependency).await }.boxed()
    }
}

struct WatchedInbox {
    inbox: Arc<dyn Inbox>,
    first: Arc<Mutex<Option<Instant>>>,
}

impl Inbox for WatchedInbox {
    fn deliver(&self, signal: Signal) {
        if let Signal::Records { .. } = &signal {
            self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
        }
        self.inbox.deliver(signal);
    }
}
