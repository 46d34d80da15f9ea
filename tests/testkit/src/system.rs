//! A catalog of one test's own, whatever it runs on: on the real servers, or in one process on local disk.
//!
//! A test's body is written once, over a [`System`], and [`promised!`](crate::promised) runs it on both kinds. What only makes
//! sense of one kind, the body asks for by [`System::IS_IN_PARTS`]. Promises that services end with the value, and that what
//! they logged is shown if the test failed.

use std::path::PathBuf;
use std::time::Duration;

use adapter_registry::TopicSchemas;
use cli::system::{Listens, Service};
use event_reader::LogReader;
use ledger::NewRecord;

use crate::oracle::Oracle;
use crate::plain::PlainRecord;
use crate::rows::Rows;

/// How long anything on these two shared cores may take.
pub const PATIENCE: Duration = Duration::from_mins(4);

/// Partitions of a catalog's log.
pub const PARTITIONS: i32 = 6;

/// A service of the catalog: a process.
#[derive(Clone, Debug)]
pub struct Started {
    pub service: Service,
    pub listens: Listens,
}

impl Started {
    /// Base address of its HTTP API.
    pub fn url(&self) -> String {
        format!("http://{}", self.listens.http)
    }

    /// Base address of its gRPC API.
    pub fn grpc(&self) -> String {
        format!("http://{}", self.listens.grpc)
    }

    /// Base address of `/readyz` and `/metrics`.
    pub fn ops(&self) -> String {
        format!("http://{}", self.listens.ops)
    }

    /// Everything it logged so far, in all its lives.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.service.plan.log_path()).unwrap_or_default()
    }
}

/// The catalog of one test: a log of [`PARTITIONS`] partitions, schemas, read models, and services as processes or not at all.
#[expect(async_fn_in_trait, reason = "a test awaits it where it stands, so that no future has to be Send")]
pub trait System: Sized {
    /// Is each service a process of its own? Then there can be several of each, each with its own ports: command services race,
    /// and a projector can stand still while the others go on. If not, whichever service is asked for is the same process again.
    const IS_IN_PARTS: bool;

    /// What a document of `search` has and its store does not give back: fields that it is only found by.
    const NOT_GIVEN_BACK: &'static [&'static str];

    /// A catalog without a service yet.
    ///
    /// # Errors
    /// If a server cannot be reached.
    async fn prepare() -> anyhow::Result<Self>;

    /// The same with a log that the test may kill.
    ///
    /// # Errors
    /// If a server cannot be started or reached.
    async fn prepare_with_own_log() -> anyhow::Result<Self>;

    /// Kills what holds the log (`kill -9`) and starts it again with its data. In one process that is all of it.
    ///
    /// # Errors
    /// If it does not start again, or the log is not the test's own.
    async fn kill_log(&mut self) -> anyhow::Result<()>;

    /// Starts a command service with settings of its own, names without `FOLIO__`, and waits until it is ready.
    ///
    /// # Errors
    /// If it does not become ready.
    async fn command_service_with(&mut self, settings: &[(&str, &str)]) -> anyhow::Result<Started>;

    /// Starts a projector for each read model, with settings of their own, and waits until they are ready.
    ///
    /// # Errors
    /// If one does not become ready.
    async fn projectors_with(&mut self, settings: &[(&str, &str)]) -> anyhow::Result<Vec<Started>>;

    /// Starts a query gateway and waits until it is ready.
    ///
    /// # Errors
    /// If it does not become ready.
    async fn query_gateway(&mut self) -> anyhow::Result<Started>;

    /// `kill -9`, and waits until it is gone.
    ///
    /// # Errors
    /// If it survives.
    async fn kill(&mut self, started: &Started) -> anyhow::Result<()>;

    /// SIGTERM, and waits until it is gone. True if it ended by itself in time.
    async fn stop(&mut self, started: &Started) -> bool;

    /// Starts a service again at the same addresses, after it was killed or stopped, and does not wait.
    ///
    /// # Errors
    /// If it cannot be started.
    fn start_again(&mut self, started: &Started) -> anyhow::Result<Started>;

    /// Starts one more process on the cache of a command service that runs, and does not wait. In one process: on its data.
    ///
    /// # Errors
    /// If it cannot be started.
    fn start_beside(&mut self, started: &Started) -> anyhow::Result<Started>;

    /// Where a command service caches products that are not in use.
    ///
    /// # Errors
    /// If it does not.
    fn cache_of(&self, started: &Started) -> anyhow::Result<PathBuf>;

    /// Projectors that start from now on begin at offset zero, whatever is in the read models: their groups have never been.
    fn begin_at_zero(&mut self);

    /// Empties the read models, positions included, while no projector runs.
    ///
    /// # Errors
    /// If a store does not answer.
    async fn drop_read_models(&mut self) -> anyhow::Result<()>;

    /// Waits until the projectors that were started last have applied all of the log.
    ///
    /// # Errors
    /// If a server does not answer.
    async fn caught_up(&mut self) -> anyhow::Result<()>;

    /// Every row of every read model. In one process it is stopped for that, as SIGTERM does it, and started again.
    ///
    /// # Errors
    /// If a store does not answer.
    async fn rows(&mut self) -> anyhow::Result<Rows>;

    /// What `read` makes of the log. In one process it is stopped and started again, as for [`Self::rows`].
    ///
    /// # Errors
    /// If the log does not answer, or `read` fails.
    async fn with_log<T>(
        &mut self,
        read: impl AsyncFnOnce(LogReader) -> anyhow::Result<T>,
    ) -> anyhow::Result<T>;

    /// The log as someone sees it who knows nothing of Folio, partition after partition in the order of offsets.
    ///
    /// # Errors
    /// If the log does not answer.
    async fn plain_records(&mut self) -> anyhow::Result<Vec<PlainRecord>>;

    /// Appends records, each to the partition of its product, in their order. In one process: while it is stopped.
    ///
    /// # Errors
    /// If one is not appended.
    async fn append(&mut self, records: Vec<NewRecord>) -> anyhow::Result<()>;

    /// The schemas of the log's events.
    ///
    /// # Errors
    /// If its address is none.
    fn registry(&self) -> anyhow::Result<TopicSchemas>;

    /// The log, judged independently. In one process it is stopped and started again, as for [`Self::rows`].
    ///
    /// # Errors
    /// If the log does not answer, or does not hold what it has to.
    async fn oracle(&mut self) -> anyhow::Result<Oracle> {
        let registry = self.registry()?;
        self.with_log(async |log| Oracle::by(&log, &registry).await).await
    }

    /// Starts a command service and waits until it is ready.
    ///
    /// # Errors
    /// If it does not become ready.
    async fn command_service(&mut self) -> anyhow::Result<Started> {
        self.command_service_with(&[]).await
    }

    /// Starts a projector for each read model and waits until they are ready.
    ///
    /// # Errors
    /// If one does not become ready.
    async fn projectors(&mut self) -> anyhow::Result<Vec<Started>> {
        self.projectors_with(&[]).await
    }

    /// Starts a service again at the same addresses, after it was killed or stopped, and waits until it is ready.
    ///
    /// # Errors
    /// If it does not become ready.
    async fn again(&mut self, started: &Started) -> anyhow::Result<Started> {
        let again = self.start_again(started)?;
        again.service.wait_ready(PATIENCE).await?;
        Ok(again)
    }
}

/// A setting as a variable.
pub(crate) fn variable((name, value): &(&str, &str)) -> (String, String) {
    (format!("FOLIO__{name}"), (*value).to_owned())
}

/// Makes two tests of each body, which is generic over the [`System`] it runs on: `on_servers::<body>` on the real servers,
/// and `in_one_process::<body>`.
#[macro_export]
macro_rules! promised {
    ($($body:ident),+ $(,)?) => {
        $crate::promised_on!(on_servers, $crate::OnServers, $($body)+);
        $crate::promised_on!(in_one_process, $crate::InOneProcess, $($body)+);
    };
}

/// For [`promised!`](crate::promised).
#[doc(hidden)]
#[macro_export]
macro_rules! promised_on {
    ($kind:ident, $system:ty, $($body:ident)+) => {
        mod $kind {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $body() -> anyhow::Result<()> {
                    // On the heap: these futures are large.
                    Box::pin(super::$body::<$system>()).await
                }
            )+
        }
    };
}
