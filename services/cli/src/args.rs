//! The command line of `folio`. Promises that every command says in its help what it changes.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use read_models::Generation;

use crate::commands::dev;
use crate::commands::dlq;
use crate::commands::import::Options;
use crate::commands::persons;
use crate::commands::probe;
use crate::commands::read_models::Of;
use crate::commands::rebuild::Rebuild;
use crate::commands::stores::{One, Which};

/// Folio's tool: topics, schemas, stores, the local system, imports.
#[derive(Debug, Parser)]
#[command(name = "folio", version, about, arg_required_else_help = true)]
pub struct Args {
    /// A YAML file with the sections kafka, registry, cql and search; `FOLIO__SECTION__KEY` variables win over it.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A setting that wins over file and environment, e.g. `--set kafka.bootstrap_servers=localhost:9092`.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = toolkit::config::setting)]
    pub settings: Vec<(String, String)>,
    /// Where state, data and logs of the local system are. Commands that are given no address take that system's.
    #[arg(long, global = true, default_value = ".folio/run", value_name = "DIR")]
    pub dir: PathBuf,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run all of Folio in this process, on local disk: the first five minutes, tests, what one machine serves.
    ///
    /// It needs no server. It is one process on one disk: nothing is replicated, and no other process takes over when it ends.
    /// With a data directory, what was acknowledged is there again after any end. It listens on this machine alone (127.0.0.1)
    /// and runs until Ctrl-C.
    Dev(dev::Options),
    /// Start everything locally, import the sample catalog, change some prices and show what one can ask.
    Demo,
    /// Start the real servers and every service as local processes.
    Up,
    /// Stop what `up` or `demo` started and remove its files.
    Down,
    /// Show what `up` or `demo` started, and whether it is ready.
    Status,
    /// Kafka topics, as `deploy/topics.yaml` declares them.
    Topics {
        #[command(subcommand)]
        action: Topics,
    },
    /// Event schemas in the schema registry.
    Schemas {
        #[command(subcommand)]
        action: Schemas,
    },
    /// Tables and indices of the read models.
    Stores {
        #[command(subcommand)]
        action: Stores,
    },
    /// Import products from a CSV or NDJSON file, as shops export it, through the bulk API of a command service.
    Import {
        #[command(flatten)]
        options: Box<Options>,
        /// Base address of a command service; several are used in turn. The local system's if not given.
        #[arg(long, value_name = "URL")]
        url: Vec<String>,
    },
    /// Build a read model anew, from the beginning of the log, beside the one that is read; compare; switch.
    ///
    /// The projectors do the work, and go on with it whatever becomes of this command. Nothing is read from the new build before
    /// it has caught up and was compared row for row. The build before is kept for a while: `folio read-models rollback`.
    Rebuild(Rebuild),
    /// The builds of the read models: which there are, which are read, how far each has come.
    ReadModels {
        #[command(subcommand)]
        action: ReadModels,
    },
    /// What projectors could not apply: which products are parked, why, and what is to become of them.
    ///
    /// A record that cannot be applied is parked as a dead letter with all later ones of its product; all other products go on. The
    /// projectors do what is decided here, and go on with it whatever becomes of this command.
    Dlq {
        #[command(subcommand)]
        action: Dlq,
    },
    /// Drop the key of a person: whatever they did shows a pseudonym from then on, and nobody can undo that.
    ///
    /// It needs privacy.enabled and the master keys of the services. `docs/erasure.md` says what is erased so, and what is not.
    ErasePerson(persons::Erase),
    /// The keys that the names of persons are sealed with.
    Persons {
        #[command(subcommand)]
        action: Persons,
    },
    /// Make a product, wait for it in every read model, and delete it: does everything work?
    Probe(probe::Options),
    /// Count effective records in Kafka and the products in each store, and compare. Changes nothing but with `--rows`.
    Verify {
        #[command(flatten)]
        which: Which,
        /// Compare every row: let the projectors make a further build from the log, compare it with the one that is read, and drop
        /// it again. What is read is not touched. If they differ the new build stays, to look at and to switch to.
        #[arg(long, conflicts_with = "generation")]
        rows: bool,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub enum ReadModels {
    /// A line for each build and consumer group. Changes nothing.
    List,
    /// How it stands with one read model: its builds, what a comparison found, what goes on. Changes nothing.
    Show(Of),
    /// Leave a build that is not read as it is for a while.
    Pause(One),
    /// Go on with a build that was paused.
    Resume(One),
    /// Make an end of the build that is being made, and of its tables or index.
    Abort(Of),
    /// Let another build be read, as soon as it has come as far as the one that is.
    Switch {
        #[command(flatten)]
        one: One,
        /// Whatever a comparison found, or if there was none.
        #[arg(long)]
        force: bool,
    },
    /// Let the build be read again that was read before.
    Rollback(Of),
    /// Make an end of a build that is not read, and of its tables or index.
    Retire(One),
    /// Where the topic of decisions was lost: say which build is read.
    Adopt(One),
}

#[derive(Debug, Clone, Subcommand)]
pub enum Dlq {
    /// A line for each product that is parked. Changes nothing.
    List {
        #[command(flatten)]
        which: dlq::Which,
        /// So many products at most.
        #[arg(long, value_name = "NUMBER", default_value_t = 100)]
        limit: usize,
    },
    /// The records of products that are parked, with key and headers, and what was decided about them. Changes nothing.
    Show {
        #[command(flatten)]
        which: dlq::Which,
        /// So many products at most.
        #[arg(long, value_name = "NUMBER", default_value_t = 20)]
        limit: usize,
    },
    /// Have products tried again: their records are applied in order, up to the first that fails again.
    Redrive {
        #[command(flatten)]
        change: dlq::Change,
        /// So many products a second in each partition at most.
        #[arg(long, value_name = "NUMBER")]
        limit: Option<u32>,
    },
    /// Give products up: their rows stay as they are, and nothing more of them is applied until they are redriven.
    Discard {
        #[command(flatten)]
        change: dlq::Change,
    },
}

#[derive(Debug, Subcommand)]
pub enum Topics {
    /// Create missing topics; verify those that are there. Never alters a topic.
    Apply(TopicOptions),
    /// Compare the topics with their declaration, change nothing.
    Check(TopicOptions),
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub struct TopicOptions {
    /// `default`: 24 partitions, three replicas. `local`: 6 partitions, one replica; taken for the local system.
    #[arg(long, value_enum)]
    pub profile: Option<Profile>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    Default,
    Local,
}

#[derive(Debug, Clone, Subcommand)]
pub enum Persons {
    /// Wrap the keys of all persons with the current master key, so that older master keys can go. May be repeated.
    Rewrap {
        /// Say how many it would be. Changes nothing.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        at: persons::At,
    },
    /// Who was erased, by their pseudonyms, when, by whom and why. Changes nothing.
    Erasures(persons::At),
}

#[derive(Debug, Subcommand)]
pub enum Schemas {
    /// Register every event schema of this build with compatibility `BACKWARD_TRANSITIVE`.
    Register,
    /// Check that every event schema of this build is registered, or could be. Changes nothing.
    Check,
}

#[derive(Debug, Subcommand)]
pub enum Stores {
    /// Create missing keyspaces, tables, indices and aliases; verify those that are there.
    Apply(Which),
    /// Compare the stores with their declaration, change nothing.
    Check(Which),
    /// Compare two builds of a read model row for row, change nothing. What differs is told by product, with both rows.
    ///
    /// Both may be written to meanwhile: only rows that differ in the same way in three passes are told.
    Compare {
        #[command(flatten)]
        one: One,
        /// The other build; the one that is read, if none is given.
        #[arg(long, value_name = "NUMBER")]
        with: Option<Generation>,
    },
}
