//! `folio stores`: tables and indices of the read models.

use anyhow::bail;
use read_models::{Generation, ReadModel, Servers};

use crate::config::Config;
use crate::say::say;

/// What is looked after: a generation of some read models.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Which {
    /// Only this read model; may be repeated. All of them if none is given.
    #[arg(long = "read-model", value_name = "NAME")]
    read_models: Vec<ReadModel>,
    /// Which build of them. Projectors are told theirs by `generation`.
    #[arg(long, default_value = "1", value_name = "NUMBER")]
    pub generation: Generation,
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
        Self { read_models: vec![read_model], generation }
    }

    /// The read models.
    pub fn read_models(&self) -> Vec<ReadModel> {
        if self.read_models.is_empty() { ReadModel::ALL.to_vec() } else { self.read_models.clone() }
    }
}

/// Creates what is missing.
///
/// # Errors
/// If a store cannot be reached, or holds something of another shape.
pub async fn apply(config: &Config, which: &Which) -> anyhow::Result<()> {
    for one in servers(config).apply(&which.read_models(), which.generation).await? {
        say!("{}: {}", one.what, if one.created { "created" } else { "as declared" });
    }
    Ok(())
}

/// Compares only.
///
/// # Errors
/// If something is missing: what.
pub async fn check(config: &Config, which: &Which) -> anyhow::Result<()> {
    let missing = servers(config).missing(&which.read_models(), which.generation).await?;
    if missing.is_empty() {
        say!("all tables and indices are as declared");
        return Ok(());
    }
    bail!("missing: {}; run `folio stores apply`", missing.join(", "))
}

/// Says that a build is read from now on: gateways follow within a second, and the alias for outsiders is moved.
///
/// # Errors
/// If a store cannot be reached, or the build is not there.
pub async fn publish(config: &Config, one: One) -> anyhow::Result<()> {
    for (what, moved) in servers(config).publication(one.read_model).publish(one.generation).await? {
        say!("{what} {} to {}", if moved { "leads" } else { "led already" }, one.generation);
    }
    Ok(())
}

/// Drops a generation, if that is confirmed.
///
/// # Errors
/// If it is not, if it is the one that is read, or a store cannot be reached.
pub async fn drop_one(config: &Config, one: One, confirmed: bool) -> anyhow::Result<()> {
    let One { read_model, generation } = one;
    if !confirmed {
        bail!(
            "this would drop all of {generation} of {read_model} ({}); it can be built again from the log. Stop its \
             projectors, and say --yes",
            read_model.declared().tables.iter().map(|it| it.name).collect::<Vec<_>>().join(", ")
        );
    }
    let servers = servers(config);
    match servers.publication(read_model).generation().await {
        Ok(read) if read == generation => bail!(
            "{generation} of {read_model} is what gateways read: publish another build first (`folio stores publish`)"
        ),
        Ok(_) => {}
        // Nothing is read that way.
        Err(error) if error.is_missing() => {}
        Err(error) => return Err(error.into()),
    }
    let dropped = servers.drop_generation(read_model, generation).await?;
    for what in &dropped {
        say!("{what}: dropped");
    }
    if dropped.is_empty() {
        say!("there is no {generation} of {read_model}");
    }
    Ok(())
}

/// The servers that hold the read models.
pub fn servers(config: &Config) -> Servers {
    Servers::new(&config.cql, &config.search)
}
