//! A catalog in one process, `folio dev` on a data directory of its own. Promises that what is read from the directory is read
//! while nothing else has it: the process is stopped for that, as SIGTERM does it, and started again at the same addresses.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use adapter_embedded::log::{EmbeddedLog, LogOptions};
use adapter_registry::{LocalRegistry, Registry, TopicSchemas};
use anyhow::{Context as _, ensure};
use cli::system::{Listens, Plan, Service, binaries};
use embedded_read_models::{Embedded, Options};
use event_reader::LogReader;
use ledger::NewRecord;
use local_servers::free_port;
use read_models::history::HistoryModel;
use read_models::model::{Fold, Opens, Positions as _, Store as _};
use read_models::products::Products;
use read_models::search::SearchModel;
use read_models::{Generation, ReadModel};

use crate::append::append;
use crate::plain::PlainRecord;
use crate::rows::{Rows, rows_of};
use crate::servers::test_prefix;
use crate::system::{PARTITIONS, PATIENCE, Started, System, variable};
use crate::{Client, eventually};

/// What the names of the projectors' groups begin with at first.
const GROUP_PREFIX: &str = "folio";

/// The catalog of one test, and the process that is all of its services.
#[derive(Debug)]
pub struct InOneProcess {
    /// Of everything: the data and the process's log.
    dir: PathBuf,
    listens: Listens,
    /// What the process is told beyond its arguments, by the name of the variable.
    environment: BTreeMap<String, String>,
    group_prefix: String,
    /// The process as it was started last.
    process: Option<Service>,
    /// Others that were started on its data.
    beside: Vec<Service>,
}

impl InOneProcess {
    fn new() -> anyhow::Result<Self> {
        let dir = std::env::temp_dir().join(format!("folio-dev-{}", test_prefix()));
        Ok(Self {
            dir,
            listens: listens()?,
            environment: BTreeMap::new(),
            group_prefix: GROUP_PREFIX.to_owned(),
            process: None,
            beside: Vec::new(),
        })
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn plan(&self, name: &str, listens: &Listens) -> anyhow::Result<Plan> {
        let port = |address: &str| address.rsplit(':').next().unwrap_or_default().to_owned();
        let data = self.data().display().to_string();
        let (http, grpc, ops) = (port(&listens.http), port(&listens.grpc), port(&listens.ops));
        let arguments = [
            "dev",
            "--data-dir",
            &data,
            "--port",
            &http,
            "--grpc-port",
            &grpc,
            "--ops-port",
            &ops,
            "--no-seed",
        ];
        Ok(Plan {
            name: name.to_owned(),
            binary: binaries()?.join("folio"),
            arguments: arguments.map(str::to_owned).to_vec(),
            environment: self.environment.clone().into_iter().collect(),
            ops: listens.ops.clone(),
            dir: self.dir.clone(),
        })
    }

    /// The process, if it runs.
    fn running(&self) -> Option<&Service> {
        self.process.as_ref().filter(|it| it.is_running())
    }

    /// Starts the process if it does not run, and does not wait.
    fn start(&mut self) -> anyhow::Result<Started> {
        let service = if let Some(service) = self.running() {
            service.clone()
        } else {
            let plan = self.plan("folio-dev", &self.listens)?;
            plan.start().context("`make test` builds the binaries first")?
        };
        self.process = Some(service.clone());
        Ok(Started { service, listens: self.listens.clone() })
    }

    /// The process, ready, with these settings beside those it has.
    async fn started_with(&mut self, settings: &[(&str, &str)]) -> anyhow::Result<Started> {
        let settings: Vec<_> = settings.iter().map(variable).collect();
        let knows = |(name, value): &(String, String)| self.environment.get(name) == Some(value);
        if !settings.iter().all(knows) {
            self.end().await?;
            self.environment.extend(settings);
        }
        let started = self.start()?;
        started.service.wait_ready(PATIENCE).await?;
        Ok(started)
    }

    /// Ends the process as SIGTERM does it, if it runs; whether it did.
    async fn end(&mut self) -> anyhow::Result<bool> {
        let Some(process) = self.running().cloned() else { return Ok(false) };
        process.wait_ready(PATIENCE).await?;
        ensure!(process.stop(PATIENCE).await, "SIGTERM did not end folio dev within {PATIENCE:?}");
        Ok(true)
    }

    /// What `look` sees in the data while the process does not run.
    async fn at_rest<T>(&mut self, look: impl AsyncFnOnce(&Self) -> anyhow::Result<T>) -> anyhow::Result<T> {
        if !self.data().exists() {
            // The process makes its directory itself, and takes none that somebody else began.
            self.started_with(&[]).await?;
        }
        let was_running = self.end().await?;
        let seen = look(self).await?;
        if was_running {
            self.started_with(&[]).await?;
        }
        Ok(seen)
    }

    fn log(&self) -> anyhow::Result<EmbeddedLog> {
        let topic = contract::topics::EVENTS.to_owned();
        let options = LogOptions { topic, partitions: PARTITIONS, durable: true };
        Ok(tokio::task::block_in_place(|| EmbeddedLog::open(&self.data().join("log"), &options))?)
    }

    fn read_models(&self, log: &EmbeddedLog) -> anyhow::Result<Embedded> {
        let options = Options::of_log(log.identity());
        Ok(tokio::task::block_in_place(|| Embedded::open(&self.data(), &options))?)
    }

    /// Whether every read model has applied all of the log.
    async fn is_caught_up(&self) -> anyhow::Result<bool> {
        let log = self.log()?;
        let ends = log.reader().ends.of_all(PARTITIONS).await?;
        let read_models = self.read_models(&log)?;
        for read_model in ReadModel::ALL {
            let generation = read_models.publication(*read_model).read().await?;
            let group = read_model.group_id(&self.group_prefix, generation);
            for (partition, end) in (0..).zip(&ends) {
                let (read_models, group) = (&read_models, &*group);
                let applied = match read_model {
                    ReadModel::Products => {
                        applied::<Products>(read_models, generation, group, partition).await?
                    }
                    ReadModel::History => {
                        applied::<HistoryModel>(read_models, generation, group, partition).await?
                    }
                    ReadModel::Search => {
                        applied::<SearchModel>(read_models, generation, group, partition).await?
                    }
                };
                if applied < *end {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// By its own word, the process has nothing left to project. A lag that it has not told of each partition is not known yet, and
    /// whoever took that for none would stop a process again and again that has only begun.
    async fn says_it_is_caught_up(&self) -> bool {
        let metrics = Client::new(&format!("http://{}", self.listens.ops)).get("/metrics").await;
        let metrics = metrics.map(|it| it.body.as_str().unwrap_or_default().to_owned()).unwrap_or_default();
        let of_a_partition =
            |line: &&str| line.starts_with("folio_projector_lag_records{") && line.contains("partition=\"");
        let lags: Vec<&str> = metrics.lines().filter(of_a_partition).collect();
        lags.len() == ReadModel::ALL.len() * PARTITIONS as usize && lags.iter().all(|it| it.ends_with(" 0"))
    }
}

/// How far the group has come with the partition.
async fn applied<M: Fold>(
    read_models: &Embedded,
    generation: Generation,
    group: &str,
    partition: i32,
) -> anyhow::Result<i64>
where
    Embedded: Opens<M>,
{
    let store = Opens::<M>::open(read_models, generation).await?;
    Ok(store.positions().read(group, partition).await?.unwrap_or_default().applied)
}

fn listens() -> anyhow::Result<Listens> {
    let address = || anyhow::Ok(format!("127.0.0.1:{}", free_port()?));
    Ok(Listens { http: address()?, grpc: address()?, ops: address()? })
}

impl System for InOneProcess {
    const IS_IN_PARTS: bool = false;
    const NOT_GIVEN_BACK: &'static [&'static str] = &["categories", "attribute_names", "attribute_pairs"];

    async fn prepare() -> anyhow::Result<Self> {
        Self::new()
    }

    async fn prepare_with_own_log() -> anyhow::Result<Self> {
        Self::new()
    }

    async fn kill_log(&mut self) -> anyhow::Result<()> {
        let all = self.start()?;
        self.kill(&all).await?;
        self.start().map(drop)
    }

    async fn command_service_with(&mut self, settings: &[(&str, &str)]) -> anyhow::Result<Started> {
        self.started_with(settings).await
    }

    async fn projectors_with(&mut self, settings: &[(&str, &str)]) -> anyhow::Result<Vec<Started>> {
        Ok(vec![self.started_with(settings).await?])
    }

    async fn query_gateway(&mut self) -> anyhow::Result<Started> {
        self.started_with(&[]).await
    }

    async fn kill(&mut self, _started: &Started) -> anyhow::Result<()> {
        let Some(process) = &self.process else { return Ok(()) };
        process.kill();
        ensure!(process.wait_ended(PATIENCE).await, "folio dev survived kill -9");
        Ok(())
    }

    async fn stop(&mut self, _started: &Started) -> bool {
        match &self.process {
            Some(process) => process.stop(PATIENCE).await,
            None => true,
        }
    }

    fn start_again(&mut self, _started: &Started) -> anyhow::Result<Started> {
        self.start()
    }

    fn start_beside(&mut self, _started: &Started) -> anyhow::Result<Started> {
        let listens = listens()?;
        let plan = self.plan(&format!("folio-dev-beside-{}", self.beside.len()), &listens)?;
        let service = plan.start().context("`make test` builds the binaries first")?;
        self.beside.push(service.clone());
        Ok(Started { service, listens })
    }

    fn cache_of(&self, _started: &Started) -> anyhow::Result<PathBuf> {
        Ok(self.data().join("cache"))
    }

    fn begin_at_zero(&mut self) {
        self.group_prefix.push_str("-again");
        for name in ["FOLIO__GROUP_PREFIX", "FOLIO__QUERIES__GROUP_PREFIX"] {
            self.environment.insert(name.to_owned(), self.group_prefix.clone());
        }
    }

    async fn drop_read_models(&mut self) -> anyhow::Result<()> {
        ensure!(self.running().is_none(), "the projectors run: kill the process first");
        for dir in ["tables", "search"] {
            std::fs::remove_dir_all(self.data().join(dir))?;
        }
        Ok(())
    }

    async fn caught_up(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        self.started_with(&[]).await?;
        loop {
            eventually("nothing is left to project", async || self.says_it_is_caught_up().await, |it| *it)
                .await;
            // Its word is about the ends that it saw last.
            if self.at_rest(async |system| system.is_caught_up().await).await? {
                return Ok(());
            }
            ensure!(Instant::now() < until, "the read models did not catch up within {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn rows(&mut self) -> anyhow::Result<Rows> {
        self.at_rest(async |system| {
            let read_models = system.read_models(&system.log()?)?;
            rows_of(&read_models, async |it| Ok(read_models.publication(it).read().await?)).await
        })
        .await
    }

    async fn with_log<T>(
        &mut self,
        read: impl AsyncFnOnce(LogReader) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.at_rest(async |system| read(system.log()?.reader()).await).await
    }

    async fn plain_records(&mut self) -> anyhow::Result<Vec<PlainRecord>> {
        self.with_log(async |log| {
            let mut records = Vec::new();
            log.read(|partition, record| records.push(PlainRecord::of(partition, &record))).await?;
            records.into_iter().collect()
        })
        .await
    }

    async fn append(&mut self, records: Vec<NewRecord>) -> anyhow::Result<()> {
        self.at_rest(async |system| {
            let log = system.log()?;
            tokio::task::spawn_blocking(move || append(|inbox| Ok(log.event_log(inbox)), records)).await?
        })
        .await
    }

    fn registry(&self) -> anyhow::Result<TopicSchemas> {
        let topic = contract::topics::EVENTS;
        Ok(Registry::Local(LocalRegistry::knowing(topic)).of_topic(topic))
    }
}

impl Drop for InOneProcess {
    fn drop(&mut self) {
        self.process.iter().chain(&self.beside).for_each(Service::kill);
        if std::thread::panicking() {
            eprintln!("the data and the log of the test's process are in {}", self.dir.display());
        } else if self.dir.exists() && std::fs::remove_dir_all(&self.dir).is_err() {
            eprintln!("{} could not be removed", self.dir.display());
        }
    }
}
