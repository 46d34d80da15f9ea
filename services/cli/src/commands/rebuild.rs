//! `folio rebuild`: proposes a further build of a read model, and watches what becomes of it.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use adapter_kafka::KafkaJournal;
use anyhow::{Context, bail};
use read_models::control::{Builds, Desk, Stage, Step, Switch, Turn};
use read_models::{Generation, ReadModel};

use super::import::bar;
use super::read_models::progress;
use super::stores::servers;
use crate::config::Config;
use crate::say::say;

/// How often it is looked how things stand.
const LOOK: Duration = Duration::from_millis(250);
/// After how long without any change it is said.
const NOTHING: Duration = Duration::from_mins(1);

/// What is to be built anew.
#[derive(Clone, Copy, Debug, clap::Args)]
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
}

/// Proposes it, and waits for it if that is wanted.
///
/// # Errors
/// If it cannot be begun now, and why; if it is waited for and does not come to be read, and why.
pub async fn run(config: &Config, options: &Rebuild) -> anyhow::Result<()> {
    let read_model = options.read_model;
    let mut desk = open(config).await?;
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
fn who() -> String {
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
            return Ok(());
        }
        if is_as_far_as_it_goes(&builds, read_model, generation)? {
            return Ok(());
        }
        if builds.candidate().is_some_and(|(it, _)| it == generation)
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
