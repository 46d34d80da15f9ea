//! `folio erase-person` and `folio persons`: the keys that the names of persons are sealed with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use adapter_cql::Cql;
use adapter_person_keys::{CqlKeys, SCHEMA};
use anyhow::{Context, bail, ensure};
use persons::{Desk, PersonKey, Pseudonym};

use super::rebuild::who;
use crate::args;
use crate::config::Config;
use crate::say::say;

/// The most bytes of what is kept of who asked and why.
const MAX_TEXT: usize = 1_000;

/// Where the keys of persons are, if not in the store.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct At {
    /// The data directory of a `folio dev` that does not run now.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Who is to be erased, who asked, and why.
#[derive(Clone, Debug, clap::Args)]
pub struct Erase {
    /// Who it is, as doors know it: what tokens have as their name, or what `X-Folio-Actor` says.
    #[arg(value_name = "IDENTITY", required_unless_present = "pseudonym", conflicts_with = "pseudonym")]
    pub identity: Option<String>,
    /// The person whose events say `person:<uuid>`, where nobody knows the name.
    #[arg(long, value_name = "PERSON")]
    pub pseudonym: Option<String>,
    /// Say what would happen. Drops nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Why: it is kept. It must not name the person.
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    pub reason: Option<String>,
    /// Who asked for it, where that is somebody else than who runs this: it is kept.
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
    #[command(flatten)]
    pub at: At,
}

/// Drops the key of a person.
///
/// # Errors
/// If nobody is known so, or the store does not answer.
pub async fn erase(config: &Config, options: &Erase) -> anyhow::Result<()> {
    let by = options.by.clone().unwrap_or_else(who);
    let reason = options.reason.clone().unwrap_or_default();
    ensure!(
        by.len() <= MAX_TEXT && reason.len() <= MAX_TEXT,
        "--reason and --by have {MAX_TEXT} bytes at most"
    );
    if let Some(identity) = &options.identity {
        let names =
            |text: &str| !identity.is_empty() && text.to_lowercase().contains(&identity.to_lowercase());
        let kept = "it is kept after the erasure, and would be the one place that names the person";
        ensure!(!names(&reason), "--reason holds the identity: leave it out, {kept}");
        ensure!(
            !names(&by),
            "--by (or who runs this) is the identity: say --by with a role or a ticket's number, {kept}"
        );
    }
    let (desk, _held) = Box::pin(desk(config, &options.at)).await?;
    let Some(person) = find(&desk, options).await? else {
        bail!(
            "nobody is known so: nothing was ever recorded of them while privacy.enabled was true, or they are erased (`folio persons \
             erasures`)"
        );
    };
    let pseudonym = person.pseudonym;
    let since = person.created_at;
    if options.dry_run {
        say!(
            "{pseudonym}, known since {since}: their key would be dropped, and everything that they did would show this pseudonym only"
        );
        return Ok(());
    }
    desk.erase(&person, &by, &reason).await.context("the erasure may be half done: repeat it")?;
    say!("{pseudonym}, known since {since}: erased, asked for by {by}");
    let bound = Duration::from_millis(config.privacy.cache_ms);
    say!(
        "services that saw them forget their key within {} s (privacy.cache_ms); what else there is to do for backups and old files \
         of the store: docs/erasure.md",
        bound.as_secs_f64()
    );
    Ok(())
}

async fn find(desk: &Desk, options: &Erase) -> anyhow::Result<Option<PersonKey>> {
    match (&options.identity, &options.pseudonym) {
        (Some(identity), _) => Ok(desk.find(identity).await?),
        (None, Some(text)) => {
            let Some(pseudonym) = Pseudonym::parse(text) else {
                bail!("{text} is not a pseudonym: write person:<uuid>")
            };
            Ok(desk.find_pseudonym(pseudonym).await?)
        }
        (None, None) => bail!("say who: an identity, or --pseudonym"),
    }
}

/// Does what is said.
///
/// # Errors
/// If the store does not answer, or a key cannot be unwrapped.
pub async fn run(config: &Config, action: args::Persons) -> anyhow::Result<()> {
    let (args::Persons::Rewrap { at, .. } | args::Persons::Erasures(at)) = &action;
    let (desk, _held) = Box::pin(desk(config, at)).await?;
    match action {
        args::Persons::Rewrap { dry_run, .. } => {
            let done = desk.rewrap(dry_run).await.context("what was rewrapped stays so: repeat it")?;
            let (current, would) = (desk.current(), if dry_run { "would be" } else { "are" });
            say!(
                "{} keys {would} wrapped anew with the master key {current}, {} were so already",
                done.changed,
                done.already
            );
            if done.gone > 0 {
                say!("{} were erased or rewrapped by somebody else meanwhile", done.gone);
            }
            if !dry_run {
                say!(
                    "a master key that is not `current` may go from the file now, once every service has read the file as it is"
                );
            }
        }
        args::Persons::Erasures(_) => {
            let erasures = desk.erasures().await?;
            for erasure in &erasures {
                let persons::Erasure { pseudonym, at, by, reason } = erasure;
                say!("{pseudonym}  {at}  by {by}: {reason}");
            }
            if erasures.is_empty() {
                say!("nobody was erased");
            }
        }
    }
    Ok(())
}

/// With what keeps others from it meanwhile.
async fn desk(config: &Config, at: &At) -> anyhow::Result<(Desk, Option<Box<dyn Send>>)> {
    ensure!(
        config.privacy.enabled,
        "privacy.enabled is false: give the configuration that the services have (--config, or --set privacy.enabled=true and \
         privacy.keys_file)"
    );
    let ring = config.privacy.ring().map_err(anyhow::Error::msg)?;
    if let Some(dir) = at.data_dir.clone() {
        let (keys, held) = tokio::task::spawn_blocking(move || folio_dev::open_person_keys(&dir)).await??;
        return Ok((Desk::new(ring, Arc::new(keys)), Some(Box::new(held))));
    }
    let keys = CqlKeys::connect(&config.cql).await.context("reaching the keys of persons")?;
    Ok((Desk::new(ring, Arc::new(keys)), None))
}

/// Makes the tables, where names are sealed, and tells of each thing whether it was made.
pub(super) async fn apply(config: &Config) -> anyhow::Result<()> {
    if config.privacy.enabled {
        let cql = Box::pin(Cql::connect(&config.cql)).await?;
        for one in Box::pin(cql.apply(&SCHEMA, &config.cql.replication, 1)).await? {
            say!("{}: {}", one.what, if one.created { "created" } else { "as declared" });
        }
    }
    Ok(())
}

/// What is missing of them.
pub(super) async fn missing(config: &Config) -> anyhow::Result<Vec<String>> {
    if !config.privacy.enabled {
        return Ok(Vec::new());
    }
    let cql = Box::pin(Cql::connect(&config.cql)).await?;
    Ok(Box::pin(cql.missing(&SCHEMA, 1)).await?)
}
