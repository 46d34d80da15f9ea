//! `folio stores`: tables and indices of the read models.

use std::collections::BTreeSet;

use anyhow::bail;
use read_models::control::BuildStore as _;
use read_models::publication::Published;
use read_models::{Generation, ReadModel, Servers};

use super::{persons, rebuild};
use crate::config::Config;
use crate::say::say;

/// What is looked after: a generation of some read models.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Which {
    /// Only this read model; may be repeated. All of them if none is given.
    #[arg(long = "read-model", value_name = "NAME")]
    read_models: Vec<ReadModel>,
    /// Which build of them; the one that is read, if none is given.
    #[arg(long, value_name = "NUMBER")]
    generation: Option<Generation>,
}

/// One build of one read model.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct One {
    #[arg(value_name = "READ_MODEL")]
    pub read_model: ReadModel,
    /// Which build of it.
    #[arg(long, value_name = "NUMBER")]
    pub generation: Generation,
}

impl Which {
    /// A generation of one read model.
    pub fn one(read_model: ReadModel, generation: Generation) -> Self {
        Self { read_models: vec![read_model], generation: Some(generation) }
    }

    /// Of these read models the build that is read.
    pub fn of(read_models: &[ReadModel]) -> Self {
        Self { read_models: read_models.to_vec(), generation: None }
    }

    /// The read models.
    pub fn read_models(&self) -> Vec<ReadModel> {
        if self.read_models.is_empty() { ReadModel::ALL.to_vec() } else { self.read_models.clone() }
    }
}

impl Which {
    /// The build of one of the read models: the one that is read, or the first if there is none yet.
    ///
    /// # Errors
    /// If a store cannot be reached, or it is not told which of several is read.
    pub async fn generation(&self, servers: &Servers, read_model: ReadModel) -> anyhow::Result<Generation> {
        if let Some(generation) = self.generation {
            return Ok(generation);
        }
        match servers.publication(read_model).read().await {
            Ok(read) => Ok(read),
            Err(error) if error.is_missing() => match &servers.builds(read_model).await?[..] {
                [] => Ok(Generation::FIRST),
                [only] => Ok(only.generation),
                [..] => bail!(
                    "nothing tells which build of {read_model} is read: say --generation (`folio read-models list` shows \
                     them)"
                ),
            },
            Err(error) => Err(error.into()),
        }
    }
}

/// Creates what is missing.
///
/// # Errors
/// If a store cannot be reached, or holds something of another shape.
pub async fn apply(config: &Config, which: &Which) -> anyhow::Result<()> {
    let (servers, mut told) = (servers(config), BTreeSet::new());
    for read_model in which.read_models() {
        let generation = Box::pin(which.generation(&servers, read_model)).await?;
        if let Some(format) = other_format(config, which, read_model, generation).await? {
            say!(
                "{read_model} {generation}: left as it is: it has rows of format {format}, and this release makes those of format {}, which \
                 projectors build beside it",
                read_model.declared().format
            );
            continue;
        }
        // On the heap, as all that asks servers: what awaits it stays small.
        for one in Box::pin(servers.apply(&[read_model], generation)).await? {
            // The keyspace is of several.
            if told.insert(one.what.clone()) {
                say!("{}: {}", one.what, if one.created { "created" } else { "as declared" });
            }
        }
    }
    persons::apply(config).await
}

/// The format of the build that is read, if it is not this release's: what this release declares is not for it.
async fn other_format(
    config: &Config,
    which: &Which,
    read_model: ReadModel,
    generation: Generation,
) -> anyhow::Result<Option<u32>> {
    let format = read_model.declared().format;
    // The first build of the first format needs no decision, and no Kafka to be asked for one.
    if which.generation.is_some() || (generation == Generation::FIRST && format == 1) {
        return Ok(None);
    }
    let desk = Box::pin(rebuild::open(config)).await?;
    let builds = desk.builds(read_model);
    let Some(other) = builds.get(generation).filter(|it| it.format != format) else { return Ok(None) };
    // A new installation, of which nobody has made anything and nothing is decided, begins with what this release declares.
    let is_begun = || async { servers(config).is_begun(read_model, generation).await };
    let is_new = !builds.is_decided() && !Box::pin(is_begun()).await?;
    Ok((!is_new).then_some(other.format))
}

/// Compares only.
///
/// # Errors
/// If something is missing: what.
pub async fn check(config: &Config, which: &Which) -> anyhow::Result<()> {
    let (servers, mut missing) = (servers(config), BTreeSet::new());
    for read_model in which.read_models() {
        let generation = Box::pin(which.generation(&servers, read_model)).await?;
        if other_format(config, which, read_model, generation).await?.is_some() {
            continue;
        }
        missing.extend(servers.missing(&[read_model], generation).await?);
    }
    missing.extend(persons::missing(config).await?);
    if missing.is_empty() {
        say!("all tables and indices are as declared");
        return Ok(());
    }
    bail!("missing: {}; run `folio stores apply`", missing.into_iter().collect::<Vec<_>>().join(", "))
}

/// The servers that hold the read models.
pub fn servers(config: &Config) -> Servers {
    Servers::new(&config.cql, &config.search)
}
