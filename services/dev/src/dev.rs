//! The process as a whole: what it starts, and the order in which it ends.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use adapter_embedded::person_keys::EmbeddedKeys;
use anyhow::Context;
use command_service::Core as Commands;
use edge::OpsPort;
use edge::auth::Auth;
use edge::process::{Addresses, Process};
use persons::{Persons, PrivacyConfig};
use projector::Admin;
use query_gateway::Core as Queries;
use read_models::ReadModel;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use toolkit::lifecycle::{Lifecycle, Readiness};

use crate::directory::Directory;
use crate::storage::Storage;
use crate::{Options, doors};

/// The process's name in logs, metrics and traces.
pub const SERVICE: &str = "folio-dev";
/// How often it is looked whether all is ready.
const LOOK: Duration = Duration::from_millis(2);

/// Folio in this process. Dropped without [`Dev::stop`] it ends too, in the background.
#[derive(Debug)]
pub struct Dev {
    addresses: Addresses,
    data_dir: PathBuf,
    is_temporary: bool,
    readiness: Readiness,
    stop: CancellationToken,
    /// None: its end was told.
    running: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Dev {
    /// Starts and waits until all of it is ready: commands are decided and the projectors work.
    ///
    /// # Errors
    /// [`crate::Error`] if a port or the directory cannot be had; else what failed.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let mut dev = Self::open(options).await?;
        let ready = dev.ready();
        tokio::select! {
            ended = dev.ended() => {
                ended?;
                anyhow::bail!("it ended before it was ready")
            }
            () = ready => Ok(dev),
        }
    }

    /// Starts. The ports are open then, and what has to be read first is being read; [`Dev::ready`] tells when that is done.
    ///
    /// # Errors
    /// Like [`Dev::start`].
    pub async fn open(options: Options) -> anyhow::Result<Self> {
        options.settings.check()?;
        doors::check(&options)?;
        let (dir, partitions) = (options.data_dir.clone(), options.partitions);
        let opening = move || {
            let directory = Directory::take(dir.as_deref(), partitions)?;
            let storage = Storage::open(&directory)?;
            Ok::<_, anyhow::Error>((directory, storage))
        };
        let (directory, storage) = tokio::task::spawn_blocking(opening).await??;
        let (data_dir, is_temporary) = (directory.path().to_owned(), directory.is_temporary());
        let lifecycle = Lifecycle::with_timing(options.settings.shutdown.clone()).without_signals();
        let readiness = lifecycle.readiness().clone();
        let ops = OpsPort { address: options.ops, tls: &options.settings.ops_tls };
        let admin = Admin::default();
        let shown = admin.clone();
        let beside = move |app: &mut web::ServiceConfig, auth: &Auth| {
            doors::document(app, auth);
            shown.show(app, auth);
        };
        let settings = &options.settings;
        let configs = (&settings.telemetry, &settings.auth, &settings.limits);
        let process = Process::start(SERVICE, configs, ops, lifecycle, beside)?;
        let stop = CancellationToken::new();
        let begun = begin(&options, &directory, storage, &admin, &process).await;
        if begun.is_err() {
            stop.cancel();
        }
        let running = tokio::spawn(run(process, directory, stop.clone()));
        match begun {
            Ok(addresses) => {
                let running = Some(running);
                Ok(Self { addresses, data_dir, is_temporary, readiness, stop, running })
            }
            Err(error) => {
                // What has begun ends first, so that the directory is free again.
                drop(running.await);
                Err(error)
            }
        }
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Where the data is.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Whether the data is gone at the end.
    pub fn is_temporary(&self) -> bool {
        self.is_temporary
    }

    /// Ends when all of it is ready.
    pub fn ready(&self) -> impl Future<Output = ()> + Send + use<> {
        let readiness = self.readiness.clone();
        async move {
            while !readiness.is_ready() {
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    /// What it still waits for, readable; empty if it is ready.
    pub fn missing(&self) -> Vec<String> {
        self.readiness.status().missing()
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// What failed.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        let Some(running) = &mut self.running else { anyhow::bail!("it has ended, and that was told") };
        let ended = running.await;
        self.running = None;
        ended.context("the process's own task panicked")?
    }

    /// Ends in order: what was accepted is answered, and the directory is released (removed, if it is temporary).
    ///
    /// # Errors
    /// What failed or did not end in time.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.ended().await
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Starts the services on the storage, and opens their doors.
async fn begin(
    options: &Options,
    directory: &Directory,
    storage: Storage,
    admin: &Admin,
    process: &Process,
) -> anyhow::Result<Addresses> {
    let Process { lifecycle, telemetry, auth, .. } = process;
    let persons = persons(&options.settings.privacy, directory, lifecycle).await?;
    let (failed, drained) = (storage.failed(), lifecycle.drained());
    lifecycle.spawn_support("log", async move {
        tokio::select! {
            why = failed => Err(anyhow::anyhow!("it takes no commands any more: {why}")),
            () = drained.cancelled() => Ok(()),
        }
    });
    // They end after the work, so that a read that waits for them is answered.
    let projectors = lifecycle.outlasting_work("projectors");
    for read_model in ReadModel::ALL {
        let config = options.settings.projector(*read_model);
        let part = projectors.of_part(read_model.name());
        projector::start(config, storage.parts(), &part, telemetry, admin.clone())?;
    }
    let config = options.settings.queries();
    let mut stores = storage.stores(&config, lifecycle);
    stores.persons = persons.clone();
    let queries = Queries::start(&config, stores, telemetry, auth.clone())?;
    let mut config = options.settings.commands();
    config.cache.dir.get_or_insert_with(|| directory.cache());
    let door = config.http.clone();
    let part = lifecycle.of_part("command-service");
    let commands =
        Commands::start(config, Arc::new(storage), &part, telemetry, auth.clone())?.sealing(persons);
    doors::open(options, &commands, &queries, &door, process).await
}

/// What names are sealed and shown with: keys in the data directory.
async fn persons(
    config: &PrivacyConfig,
    directory: &Directory,
    lifecycle: &Lifecycle,
) -> anyhow::Result<Persons> {
    if !config.enabled {
        return Ok(Persons::off());
    }
    let path = directory.person_keys();
    let keys = tokio::task::spawn_blocking(move || EmbeddedKeys::open(&path)).await?;
    let keys = keys.context("cannot open the keys of persons")?;
    let persons = Persons::on(config, Arc::new(keys)).map_err(anyhow::Error::msg)?;
    let (looked_after, stop) = (persons.clone(), lifecycle.drained());
    lifecycle.spawn_support("person keys in memory", async move {
        looked_after.look_after(stop).await;
        Ok(())
    });
    Ok(persons)
}

/// Runs until told to stop, or until something fails; then everything has ended, and the directory is released.
async fn run(process: Process, directory: Directory, stop: CancellationToken) -> anyhow::Result<()> {
    let ended = process.run_until_stopped(stop).await;
    let released = tokio::task::spawn_blocking(move || directory.release()).await?;
    ended?;
    Ok(released?)
}
