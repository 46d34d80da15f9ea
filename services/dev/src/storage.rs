//! What the services stand on here: a log, the schemas of what is in it, and the read models' rows.
//!
//! Promise: all of it lies in one directory, and is what the services' own ports ask for.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use adapter_embedded::log::{EmbeddedLog, LogOptions};
use adapter_embedded::person_keys::EmbeddedKeys;
use adapter_registry::{LocalRegistry, Registry, TopicSchemas};
use anyhow::Context;
use command_service::{Backend, BackendError, OpenLog};
use contract::topics::EVENTS;
use embedded_read_models::Embedded;
use event_reader::{LogLooks, LogReader, SchemaSource};
use futures::FutureExt;
use futures::future::BoxFuture;
use ledger::Inbox;
use projector::{Control, LettersOf, Log, Parts};
use query_gateway::{Pace, Stores};
use read_models::{ReadModel, history, products, search};
use toolkit::lifecycle::{Dependency, Lifecycle};

use crate::directory::Directory;

/// How the gateway follows what is published: to ask costs next to nothing here. `rebuild.lease_ms` is longer than it believes what
/// it was told.
const PACE: Pace = Pace { every: Duration::from_millis(50), believed: Duration::from_millis(100) };
/// What readiness calls the log.
const LOG: &str = "log";

/// The open storage. Cheap to clone; closed when the last clone and all that was made of it is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    log: EmbeddedLog,
    rows: Embedded,
    schemas: TopicSchemas,
}

impl Storage {
    /// Opens what lies in `directory`. Blocks on the disk.
    pub(crate) fn open(directory: &Directory) -> anyhow::Result<Self> {
        let log = log(directory)?;
        let options = embedded_read_models::Options::of_log(log.identity());
        let rows = Embedded::open(directory.path(), &options).context("cannot open the read models")?;
        let schemas = Registry::Local(LocalRegistry::knowing(EVENTS)).of_topic(EVENTS);
        Ok(Self { log, rows, schemas })
    }

    /// Ends when the log takes no commands any more, with the reason.
    pub(crate) fn failed(&self) -> impl Future<Output = String> + Send + use<> {
        self.log.failed()
    }

    /// What the gateway asks: always of the builds that are published. Must be called on the runtime of the process.
    pub(crate) fn stores(&self, config: &query_gateway::Config, lifecycle: &Lifecycle) -> Stores {
        let stores = Stores::new(config);
        let published = |read_model| self.rows.publication(read_model);
        let rows = self.rows.clone();
        let open = move |generation| {
            let rows = rows.clone();
            async move { Ok(products::Queries::new(rows.product_rows(generation).await?)) }.boxed()
        };
        stores.products.keep_following(published(ReadModel::Products), PACE, open, lifecycle);
        let rows = self.rows.clone();
        let open = move |generation| {
            let rows = rows.clone();
            async move { Ok(history::Queries::new(rows.history_rows(generation).await?)) }.boxed()
        };
        stores.history.keep_following(published(ReadModel::History), PACE, open, lifecycle);
        let rows = self.rows.clone();
        let open = move |generation| {
            let rows = rows.clone();
            async move { Ok(search::Queries::new(rows.search_index(generation).await?)) }.boxed()
        };
        stores.search.keep_following(published(ReadModel::Search), PACE, open, lifecycle);
        stores.tell_of_other_logs(lifecycle);
        stores
    }

    /// What a projector reads and writes.
    pub(crate) fn parts(&self) -> Parts<Embedded> {
        let log = self.log.clone();
        let control = Control { journal: self.rows.journal(), builds: Arc::new(self.rows.clone()) };
        let rows = self.rows.clone();
        Parts {
            stores: self.rows.clone(),
            schemas: Arc::new(self.schemas.clone()),
            log_name: LOG,
            letters: Arc::new(move |of: &LettersOf| {
                Ok(rows.dead_letters(of.read_model, of.generation, &of.group)?)
            }),
            log: Box::new(move |opening| {
                opening.dependencies.log.up();
                let opened = Log {
                    partitions: log.partitions(),
                    repairs: log.reader().ranges,
                    looks: log.reader().ranges,
                    read: Arc::new({
                        let log = log.clone();
                        move || Ok(log.reader())
                    }),
                    join: Arc::new(move |options, _| Ok(log.join(options)?)),
                };
                async { Ok(opened) }.boxed()
            }),
            control: Some(Box::new(move |_| async { Ok(control) }.boxed())),
        }
    }
}

/// Opens the log of a data directory that no process has, as for an audit. As long as it is open only its own lock keeps others out.
/// Blocks on the disk.
///
/// # Errors
/// [`crate::Error`] if the directory is none or is in use; [`adapter_embedded::log::LogError`] if the log cannot be read.
pub fn open_log(data_dir: &Path) -> anyhow::Result<EmbeddedLog> {
    log(&Directory::again(data_dir)?)
}

/// Opens the keys of persons of a data directory that no process has; nobody takes it while what is returned with them is there. Blocks on
/// the disk.
///
/// # Errors
/// [`crate::Error`] if the directory is none or is in use; or if the keys cannot be read.
pub fn open_person_keys(data_dir: &Path) -> anyhow::Result<(EmbeddedKeys, impl Send + use<>)> {
    let directory = Directory::again(data_dir)?;
    let keys = EmbeddedKeys::open(&directory.person_keys()).context("cannot open the keys of persons")?;
    Ok((keys, directory))
}

fn log(directory: &Directory) -> anyhow::Result<EmbeddedLog> {
    let options = LogOptions {
        topic: EVENTS.to_owned(),
        partitions: directory.partitions(),
        durable: !directory.is_temporary(),
    };
    EmbeddedLog::open(&directory.log(), &options).context("cannot open the log")
}

impl Backend for Storage {
    fn name(&self) -> &'static str {
        LOG
    }

    fn schemas(&self) -> Arc<dyn SchemaSource> {
        Arc::new(self.schemas.clone())
    }

    fn open(
        &self,
        inbox: Arc<dyn Inbox>,
        dependency: Dependency,
    ) -> BoxFuture<'_, Result<OpenLog, BackendError>> {
        dependency.up();
        let LogReader { ranges, ends, .. } = self.log.reader();
        let (log, identity) = (self.log.event_log(inbox), self.log.identity());
        // Whoever puts another log into the directory means that one.
        let name = identity.clone();
        let topic = EVENTS.to_owned();
        let opened = OpenLog { log, identity, name, topic, looks: LogLooks::new(ranges, ends) };
        async { Ok(opened) }.boxed()
    }
}
