//! `folio rebuild`: proposes a further build of a read model, and watches what becomes of it.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use adapter_kafka::{KafkaJournal, describe_topic, open_reader};
use anyhow::{Context, bail};
use event_reader::LogReader;
use jiff::{SignedDuration, Timestamp};
use read_models::control::{AsOfRequest, Build, Builds, Desk, Differed, Stage, Step, Switch, Turn};
use read_models::{Generation, ReadModel};

use super::import::bar;
use super::read_models::progress;
use super::stores::servers;
use crate::config::Config;
use crate::say::say;

/// How often it is looked how things stand.
const LOOK: Duration = Duration::from_millis(250);
const A_DAY: SignedDuration = SignedDuration::from_hours(24);
/// After how long without any change it is said.
const NOTHING: Duration = Duration::from_mins(1);

/// What is to be built anew.
#[derive(Clone, Debug, clap::Args)]
pub struct Rebuild {
    #[arg(value_name = "READ_MODEL")]
    pub read_model: ReadModel,
    /// Wait until it is read, and show how far it is.
    #[arg(long)]
    pub wait: bool,
    /// Switch to it whatever the comparison finds.
    #[arg(long, conflicts_with = "no_switch")]
    pub force: bool,
    /// Do not switch to it by itself: `folio read-models switch` does.
    #[arg(long)]
    pub no_switch: bool,
    #[command(flatten)]
    pub as_of: Option<AsOfOptions>,
}

/// A build of what was appended up to some time, to be read by its name and never in place of another.
#[derive(Clone, Debug, clap::Args)]
pub struct AsOfOptions {
    /// Build the read model as it was at this time by the log's clock: `2026-11-27T08:00:00Z`. It is never what is read unless a
    /// question asks for it by its name, `?generation=<NAME>`.
    #[arg(long, value_name = "TIME", requires = "name", conflicts_with_all = ["force", "no_switch"])]
    pub as_of: Timestamp,
    /// What to call it: lower-case letters, digits and hyphens.
    #[arg(long, value_name = "NAME", requires = "as_of")]
    pub name: String,
    /// How long it is needed: `90m`, `24h`, `30d`; a day if it is not said. It is dropped by itself then.
    #[arg(long, value_name = "DURATION", requires = "as_of")]
    pub expires: Option<SignedDuration>,
}

/// Proposes it, and waits for it if that is wanted.
///
/// # Errors
/// If it cannot be begun now, and why; if it is waited for and does not come to be read, and why.
pub async fn run(config: &Config, options: &Rebuild) -> anyhow::Result<()> {
    let read_model = options.read_model;
    let mut desk = open(config).await?;
    if let Some(wanted) = &options.as_of {
        let generation = as_of(config, &mut desk, read_model, wanted).await?;
        return if options.wait { wait(config, &mut desk, read_model, generation).await } else { Ok(()) };
    }
    let switch = match options {
        Rebuild { force: true, .. } => Switch::Always,
        Rebuild { no_switch: true, .. } => Switch::ByHand,
        Rebuild { .. } => Switch::WhenEqual,
    };
    let format = read_model.declared().format;
    let step = |builds: &Builds| Step::Build { generation: builds.next(), format, switch };
    let generation = match decide(&mut desk, read_model, step).await? {
        Step::Build { generation, .. } => generation,
        other => bail!("{other} was decided"),
    };
    say!("{generation} of {read_model} is being built");
    if options.wait {
        return wait(config, &mut desk, read_model, generation).await;
    }
    say!("see how far it is: folio read-models show {read_model}");
    Ok(())
}

/// Has a build as of some time decided; which it is.
async fn as_of(
    config: &Config,
    desk: &mut Desk,
    read_model: ReadModel,
    wanted: &AsOfOptions,
) -> anyhow::Result<Generation> {
    let expires = wanted.expires.unwrap_or(A_DAY);
    let requested = AsOfRequest { as_of: wanted.as_of, name: wanted.name.clone(), expires };
    requested.check(Timestamp::now())?;
    let partitions = describe_topic(&config.kafka, &config.topic).await?.partitions;
    let logs = LogReader::several(|| open_reader(&config.kafka, &config.topic, partitions, None))?;
    let ends = LogReader::first_after(&logs, requested.as_of.as_millisecond()).await?;
    let format = read_model.declared().format;
    let step = |builds: &Builds| requested.step(builds, format, ends.clone(), Timestamp::now());
    let Step::AsOf { generation, name, .. } = decide(desk, read_model, step).await? else {
        bail!("another step was decided");
    };
    say!(
        "{generation} of {read_model} is being built as of {}; read it with ?generation={name}",
        requested.as_of
    );
    Ok(generation)
}

/// The decisions about builds, read as far as they go.
///
/// # Errors
/// If the topic cannot be read, or is not what it has to be.
pub async fn open(config: &Config) -> anyhow::Result<Desk> {
    let journal = KafkaJournal::open(&config.kafka, &config.control_topic).await;
    let journal = journal.with_context(|| {
        format!("cannot read the topic of decisions, {}; `folio topics apply` makes it", config.control_topic)
    })?;
    let mut desk = Desk::new(Arc::new(journal));
    desk.look().await?;
    for problem in desk.take_damaged() {
        say!(
            "{} holds what no Folio writes there, and it counts for nothing: {problem}",
            config.control_topic
        );
    }
    Ok(desk)
}

/// Has a step decided that is right as things stand, and tells which it was.
///
/// # Errors
/// If it cannot be taken, and why.
pub async fn decide(
    desk: &mut Desk,
    read_model: ReadModel,
    step: impl Fn(&Builds) -> Step,
) -> anyhow::Result<Step> {
    let decided = desk.decide(read_model, &who(), |builds| Ok(step(builds))).await?;
    decided.map_err(|why| anyhow::anyhow!("{read_model}: {why}"))
}

/// Who decides, for people, as far as the environment says: `folio, root at host`.
pub(super) fn who() -> String {
    let told = |name| std::env::var(name).ok().filter(|it| !it.is_empty());
    match (told("USER"), told("HOSTNAME")) {
        (Some(user), Some(host)) => format!("folio, {user} at {host}"),
        (Some(name), None) | (None, Some(name)) => format!("folio, {name}"),
        (None, None) => "folio".to_owned(),
    }
}

/// Waits until the build is read, and shows how far it is.
///
/// # Errors
/// If it does not come to be read: what it needs, or what became of it.
pub async fn wait(
    config: &Config,
    desk: &mut Desk,
    read_model: ReadModel,
    generation: Generation,
) -> anyhow::Result<()> {
    let (servers, mut told, mut shown) = (servers(config), String::new(), None);
    let (mut moved, mut done) = (Instant::now(), 0);
    loop {
        desk.look().await?;
        let builds = desk.builds(read_model).clone();
        let Some(phase) = builds.phase(generation) else { bail!("{generation} of {read_model} was dropped") };
        if phase != told {
            if let Some(bar) = shown.take() {
                indicatif::ProgressBar::finish_and_clear(&bar);
            }
            say!("{read_model} {generation}: {phase}");
            (told, moved) = (phase, Instant::now());
        }
        if builds.read == generation && builds.turn == Turn::Steady {
            if let Some(Differed { products, told }) =
                builds.get(generation).and_then(|it| it.differed.as_ref())
            {
                say!(
                    "{read_model} {generation}: it differed in the rows of {products} products from the one before ({})",
                    told.join(", ")
                );
            }
            return Ok(());
        }
        if is_as_far_as_it_goes(&builds, read_model, generation)? {
            return Ok(());
        }
        let is_made =
            |it: &Build| matches!(it.stage, Stage::Building | Stage::Compared { .. } | Stage::AsOf(_));
        if builds.get(generation).is_some_and(is_made)
            // A store that does not answer now is the projectors' concern.
            && let Ok((now, all)) = progress(&servers, &builds, read_model, generation).await
        {
            if now != std::mem::replace(&mut done, now) {
                moved = Instant::now();
            }
            if std::io::stderr().is_terminal() {
                let bar = shown.get_or_insert_with(|| bar("records of the log", all));
                bar.set_length(all);
                bar.set_position(now);
            }
        }
        if moved.elapsed() > NOTHING {
            say!(
                "{read_model} {generation}: nothing has moved for a minute: is a projector of {read_model} running, and what does its log say?"
            );
            moved = Instant::now();
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether a build that is not read comes no further by itself because nobody wants it to.
///
/// # Errors
/// If it comes no further although somebody does: why, and what to do.
fn is_as_far_as_it_goes(
    builds: &Builds,
    read_model: ReadModel,
    generation: Generation,
) -> anyhow::Result<bool> {
    if let Some(later) = builds.later() {
        bail!("a later release of Folio has decided `{later}` about {read_model}: use that one");
    }
    let Some(build) = builds.get(generation).filter(|_| builds.turn == Turn::Steady) else {
        return Ok(false);
    };
    if build.is_paused {
        bail!(
            "{generation} of {read_model} is paused: `folio read-models resume {read_model} --generation {generation}`"
        );
    }
    let (differences, told) = match &build.stage {
        Stage::Compared { differences, told, .. } => (*differences, told),
        Stage::Previous => bail!("{generation} of {read_model} was read, and {} is read again", builds.read),
        Stage::AsOf(as_of) => return Ok(as_of.is_complete),
        Stage::Building | Stage::Read => return Ok(false),
    };
    if build.switch == Switch::WhenEqual && differences > 0 {
        bail!(
            "{generation} and {} of {read_model} differ in the rows of {differences} products ({}): `folio stores compare \
             {read_model} --generation {generation}` shows them; then `folio read-models switch {read_model} --generation \
             {generation} --force`, or `folio read-models abort {read_model}`",
            builds.read,
            told.join(", ")
        );
    }
    Ok(build.switch == Switch::ByHand)
}
