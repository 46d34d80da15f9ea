//! The builds of one read model, as the steps that were decided have made them.

use std::collections::{BTreeMap, BTreeSet};

use super::as_of::{AsOf, MAX_AS_OF, check_name};
use super::hold::Hold;
use super::letters::Asked;
use super::record::{Decision, Step, Switch};
use crate::Generation;
use crate::publication::PublishedBuild;

/// The builds of one read model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Builds {
    /// How many steps were decided.
    pub revision: u64,
    /// When the first was, in milliseconds since 1970: a journal that was lost and begun anew has another.
    begun_ms: i64,
    /// With what is published because of the last decision.
    pub(super) published_order: u64,
    /// All that ever were read, also those that are gone.
    pub(super) were_read: BTreeSet<Generation>,
    /// The one that questions are to be answered from.
    pub read: Generation,
    pub turn: Turn,
    all: BTreeMap<Generation, Build>,
    /// No build has this number or a lower one that is not there: numbers are not used again.
    highest: Generation,
    /// No build was ever decided to have a higher format.
    format: u32,
    /// A step that a later release of Folio decided: this one no longer knows how things stand.
    later: Option<String>,
    /// Why the last hold was given up.
    pub released: Option<String>,
    /// Whether anything was decided about builds, and not about letters alone.
    is_decided: bool,
    /// What was decided about letters last, in order.
    asked: Vec<Asked>,
}

/// One build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Of its rows: who does not write this format leaves the build alone.
    pub format: u32,
    pub stage: Stage,
    pub is_paused: bool,
    pub switch: Switch,
    /// When it came to its stage, in milliseconds since 1970.
    pub since_ms: i64,
    /// Who wanted it.
    pub by: String,
    /// What it differed in from the one that was read then, if it did when it was compared last: also once it is read.
    pub differed: Option<Differed>,
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differed {
    /// Products whose rows differed,
    pub products: u64,
    /// and some of them.
    pub told: Vec<String>,
}

/// How far a build is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// It is made, from the beginning of the log.
    Building,
    /// It had caught up, and was compared.
    Compared { rows: u64, differences: u64, told: Vec<String> },
    /// It is read.
    Read,
    /// It was read before, and follows the one that is: a way back.
    Previous,
    /// It is made of what was appended up to some time, and never read but by its name.
    AsOf(AsOf),
}

/// What goes on between two builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Steady,
    /// What is read stands still, so that `to` reaches it.
    Holding {
        to: Generation,
        hold: Hold,
    },
    /// What is read has changed; both stand still until whoever reads has followed.
    Switched {
        from: Generation,
        revision: u64,
        since_ms: i64,
    },
}

/// What a build has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Apply whatever comes.
    Live,
    /// Stand still, and say where.
    Held(Hold),
    /// Stand where it is: it was switched to, and gateways follow.
    Waits,
    /// Apply what this build has applied, and nothing beyond; in a hold say how far.
    Follows { other: Generation, hold: Option<Hold> },
    /// Apply what was appended up to some time: [`Builds::end`].
    Ends,
}

/// Why a step cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

fn refuse(why: impl Into<String>) -> Result<(), Refused> {
    Err(Refused(why.into()))
}

impl Build {
    /// One that nobody has decided to make.
    fn read(format: u32) -> Self {
        Self {
            format,
            stage: Stage::Read,
            is_paused: false,
            switch: Switch::default(),
            since_ms: 0,
            by: String::new(),
            differed: None,
        }
    }
}

impl Builds {
    /// Before anything was decided: the first build is read, in the first format, whoever looks.
    pub fn first() -> Self {
        Self {
            revision: 0,
            begun_ms: 0,
            published_order: 0,
            were_read: BTreeSet::from([Generation::FIRST]),
            read: Generation::FIRST,
            turn: Turn::Steady,
            all: BTreeMap::from([(Generation::FIRST, Build::read(1))]),
            highest: Generation::FIRST,
            format: 1,
            later: None,
            released: None,
            is_decided: false,
            asked: Vec::new(),
        }
    }

    /// Whether anything was ever decided about builds. (What was decided about letters says nothing of which build is read.)
    pub fn is_decided(&self) -> bool {
        self.is_decided
    }

    /// What was decided about letters, in order.
    pub fn asked(&self) -> &[Asked] {
        &self.asked
    }

    /// The builds by their numbers.
    pub fn all(&self) -> impl Iterator<Item = (Generation, &Build)> {
        self.all.iter().map(|(generation, build)| (*generation, build))
    }

    pub fn get(&self, generation: Generation) -> Option<&Build> {
        self.all.get(&generation)
    }

    /// The build that is being made to be read, if there is one.
    pub fn candidate(&self) -> Option<(Generation, &Build)> {
        self.all().find(|(_, build)| matches!(build.stage, Stage::Building | Stage::Compared { .. }))
    }

    /// The build that was read before, if it is still there.
    pub fn previous(&self) -> Option<Generation> {
        let previous = self.all().filter(|(_, build)| build.stage == Stage::Previous);
        previous.max_by_key(|(_, build)| build.since_ms).map(|(generation, _)| generation)
    }

    /// Whether rows of this format are what a release brings that nobody has decided about yet: only then it is for the release to
    /// propose a build. One that somebody has dropped since is nothing new.
    pub fn is_new(&self, format: u32) -> bool {
        format > self.format
    }

    /// The number of the next build.
    pub fn next(&self) -> Generation {
        self.highest.next()
    }

    /// The step of a later release that this one does not know, if there was one.
    pub fn later(&self) -> Option<&str> {
        self.later.as_deref()
    }

    /// Larger for each later revision, of this journal and of one that takes its place: what is asked of letters is known by it.
    pub fn order(&self, revision: u64) -> u64 {
        self.begun_ms.unsigned_abs().saturating_mul(1_000).saturating_add(revision)
    }

    /// The builds that are made as of some time.
    pub fn as_of(&self) -> impl Iterator<Item = (Generation, &AsOf)> {
        self.all().filter_map(|(generation, build)| match &build.stage {
            Stage::AsOf(as_of) => Some((generation, as_of)),
            Stage::Building | Stage::Compared { .. } | Stage::Read | Stage::Previous => None,
        })
    }

    /// Where a build as of some time ends in a partition.
    pub fn end(&self, generation: Generation, partition: i32) -> i64 {
        let of = self.as_of().find(|(it, _)| *it == generation);
        let end = of.and_then(|(_, as_of)| as_of.ends.get(usize::try_from(partition).ok()?));
        end.copied().unwrap_or_default()
    }

    /// What a build has to do.
    pub fn role(&self, generation: Generation) -> Role {
        match self.turn {
            _ if self.all.get(&generation).is_some_and(|it| matches!(it.stage, Stage::AsOf(_))) => Role::Ends,
            Turn::Holding { to, hold } if generation == to => {
                Role::Follows { other: self.read, hold: Some(hold) }
            }
            _ if generation != self.read => Role::Follows { other: self.read, hold: None },
            Turn::Steady => Role::Live,
            Turn::Holding { hold, .. } => Role::Held(hold),
            Turn::Switched { .. } => Role::Waits,
        }
    }

    /// Whether a build's rows have the format of those that are read.
    pub fn is_as_read(&self, build: &Build) -> bool {
        self.all.get(&self.read).is_some_and(|read| read.format == build.format)
    }

    /// Whether a step can be taken now; if not, why, for people.
    pub fn check(&self, step: &Step) -> Result<(), Refused> {
        if let Some(later) = &self.later {
            return refuse(format!(
                "a later release of Folio has decided the step `{later}`, which this one does not know: use that release"
            ));
        }
        match step {
            Step::Adopt { generation, published: Some(order), .. }
                if !self.knows_of(PublishedBuild { generation: *generation, order: *order }) =>
            {
                Ok(())
            }
            Step::Adopt { .. } if !self.is_decided => Ok(()),
            Step::Adopt { .. } => refuse(format!(
                "it is decided already that {} is read, and nothing else was published since",
                self.read
            )),
            Step::Build { generation, format, .. } => self.may_build(*generation, *format),
            Step::AsOf { generation, name, ends, .. } => self.may_build_as_of(*generation, name, ends),
            Step::Complete { generation } => match self.as_of().find(|(it, _)| it == generation) {
                Some((_, AsOf { is_complete: false, .. })) => Ok(()),
                _ => refuse(format!("{generation} is not being built as of some time")),
            },
            Step::Pause { generation } | Step::Resume { generation } => self.may_pause(*generation, step),
            Step::Compared { generation, .. } => match self.candidate() {
                Some((candidate, _)) if candidate == *generation => self.must_be_steady(),
                _ => refuse(format!("{generation} is not being built")),
            },
            Step::Hold { to, force } => self.may_hold(*to, *force),
            Step::Release { .. } | Step::Switch => match self.turn {
                Turn::Holding { .. } => Ok(()),
                Turn::Steady | Turn::Switched { .. } => refuse("nothing is held"),
            },
            Step::Live => match self.turn {
                Turn::Switched { .. } => Ok(()),
                Turn::Steady | Turn::Holding { .. } => refuse("nothing was switched"),
            },
            Step::Drop { generation } => {
                self.there(*generation)?;
                match self.turn {
                    _ if *generation == self.read => {
                        refuse(format!("{generation} is what is read: switch to another build first"))
                    }
                    Turn::Switched { .. } => self.must_be_steady(),
                    Turn::Steady | Turn::Holding { .. } => Ok(()),
                }
            }
            // Whoever stands still does it afterwards.
            Step::Redrive { .. } | Step::Discard { .. } => Ok(()),
        }
    }

    fn may_build(&self, generation: Generation, format: u32) -> Result<(), Refused> {
        self.must_be_steady()?;
        if let Some(read) = self.all.get(&self.read).filter(|it| it.format > format) {
            return refuse(format!(
                "{}, which is read, has rows of format {}, and this release makes those of format {format}: ask a later one, or go \
                 back to a build of this one first",
                self.read, read.format
            ));
        }
        if let Some((candidate, _)) = self.candidate() {
            return refuse(format!("{candidate} is being built: wait for it, or abort it"));
        }
        self.must_be_next(generation)
    }

    fn must_be_next(&self, generation: Generation) -> Result<(), Refused> {
        if generation == self.next() {
            return Ok(());
        }
        refuse(format!("the next build is {}, and not {generation}", self.next()))
    }

    fn may_build_as_of(&self, generation: Generation, name: &str, ends: &[i64]) -> Result<(), Refused> {
        check_name(name)?;
        if let Some((other, _)) = self.as_of().find(|(_, as_of)| as_of.name == name) {
            return refuse(format!("{other} has the name {name}: give another one, or retire that build"));
        }
        if self.as_of().count() >= MAX_AS_OF {
            return refuse(format!(
                "there are {MAX_AS_OF} builds as of some time already: retire one of them"
            ));
        }
        if ends.is_empty() || ends.iter().any(|end| *end < 0) {
            return refuse("it is not said where the build ends");
        }
        self.must_be_next(generation)
    }

    fn may_pause(&self, generation: Generation, step: &Step) -> Result<(), Refused> {
        let build = self.there(generation)?;
        if generation == self.read {
            return refuse(format!("{generation} is what is read: it must not fall behind"));
        }
        self.must_be_steady()?;
        match step {
            Step::Pause { .. } if build.is_paused => refuse(format!("{generation} is paused already")),
            Step::Resume { .. } if !build.is_paused => refuse(format!("{generation} is not paused")),
            _ => Ok(()),
        }
    }

    fn may_hold(&self, to: Generation, force: bool) -> Result<(), Refused> {
        self.must_be_steady()?;
        let build = self.there(to)?;
        match &build.stage {
            Stage::Read => refuse(format!("{to} is what is read already")),
            Stage::AsOf(AsOf { name, .. }) => {
                refuse(format!("{to} ends at some time, and is read by its name alone: ?generation={name}"))
            }
            _ if build.is_paused => refuse(format!("{to} is paused: resume it first")),
            Stage::Building if !force => {
                refuse(format!("{to} is still being built, and not compared yet: wait, or force it"))
            }
            Stage::Compared { differences, .. } if *differences > 0 && !force => refuse(format!(
                "{to} and {} differ in the rows of {differences} products: look at them, then force it or abort it",
                self.read
            )),
            Stage::Building | Stage::Compared { .. } | Stage::Previous => Ok(()),
        }
    }

    fn there(&self, generation: Generation) -> Result<&Build, Refused> {
        self.all.get(&generation).ok_or_else(|| Refused(format!("there is no build {generation}")))
    }

    fn must_be_steady(&self) -> Result<(), Refused> {
        match self.turn {
            Turn::Steady => Ok(()),
            Turn::Holding { to, .. } => refuse(format!("a switch to {to} is in flight")),
            Turn::Switched { .. } => refuse(format!("a switch to {} is being finished", self.read)),
        }
    }

    /// Takes a step that was decided then; nothing is changed if it cannot be taken.
    pub(super) fn take(&mut self, decision: Decision, at_ms: i64) -> Result<(), Refused> {
        self.check(&decision.step)?;
        self.begin(at_ms);
        let revision = self.revision;
        if let Some(asked) = Asked::of(&decision, self.order(revision), at_ms) {
            asked.remember(&mut self.asked);
            if self.turn == Turn::Steady {
                // The rows of either may change by it.
                self.forget_comparisons();
            }
            return Ok(());
        }
        self.is_decided = true;
        match decision.step {
            Step::Adopt { generation, format, published } => {
                let build = Build { since_ms: at_ms, by: decision.by, ..Build::read(format) };
                // What is there beside it was made by decisions of which some are lost.
                self.all = BTreeMap::from([(generation, build)]);
                self.highest = self.highest.max(generation);
                (self.read, self.format, self.turn) = (generation, format, Turn::Steady);
                self.were_read.insert(generation);
                // Beyond what was published, whatever the clocks say.
                self.published_order = self.published_order.max(published.map_or(0, |it| it + 1));
            }
            Step::Build { generation, format, switch } => {
                let stage = Stage::Building;
                let build = Build { stage, switch, since_ms: at_ms, by: decision.by, ..Build::read(format) };
                self.all.insert(generation, build);
                (self.highest, self.format) = (generation, self.format.max(format));
                self.released = None;
            }
            Step::AsOf { generation, format, name, as_of_ms, ends, expires_ms } => {
                let stage = Stage::AsOf(AsOf { name, as_of_ms, ends, expires_ms, is_complete: false });
                let build = Build { stage, since_ms: at_ms, by: decision.by, ..Build::read(format) };
                self.all.insert(generation, build);
                // A release's own build is still to come.
                self.highest = generation;
            }
            Step::Complete { generation } => self.change(generation, |build| {
                if let Stage::AsOf(as_of) = &mut build.stage {
                    as_of.is_complete = true;
                    build.since_ms = at_ms;
                }
            }),
            Step::Pause { generation } => self.change(generation, |build| build.is_paused = true),
            Step::Resume { generation } => self.change(generation, |build| build.is_paused = false),
            Step::Compared { generation, rows, differences, told } => {
                let differed =
                    (differences > 0).then(|| Differed { products: differences, told: told.clone() });
                self.change(generation, |build| build.differed = differed);
                self.come(generation, Stage::Compared { rows, differences, told }, at_ms);
            }
            Step::Hold { to, .. } => {
                self.turn = Turn::Holding { to, hold: Hold { revision, since_ms: at_ms } };
                self.released = None;
            }
            Step::Release { reason } => {
                self.turn = Turn::Steady;
                self.released = Some(reason);
            }
            Step::Switch => {
                if let Turn::Holding { to, .. } = self.turn {
                    let from = std::mem::replace(&mut self.read, to);
                    self.come(from, Stage::Previous, at_ms);
                    self.come(to, Stage::Read, at_ms);
                    self.were_read.insert(to);
                    self.forget_comparisons();
                    self.turn = Turn::Switched { from, revision, since_ms: at_ms };
                }
            }
            Step::Live => self.turn = Turn::Steady,
            Step::Redrive { .. } | Step::Discard { .. } => {}
            Step::Drop { generation } => {
                self.all.remove(&generation);
                if matches!(self.turn, Turn::Holding { to, .. } if to == generation) {
                    self.turn = Turn::Steady;
                    self.released = Some(format!("{generation} was dropped"));
                }
            }
        }
        Ok(())
    }

    /// A step that only a later release knows.
    pub(super) fn take_later(&mut self, step: String, at_ms: i64) {
        self.begin(at_ms);
        self.is_decided = true;
        self.later.get_or_insert(step);
    }

    fn begin(&mut self, at_ms: i64) {
        if self.revision == 0 {
            self.begun_ms = at_ms;
        }
        self.revision += 1;
        let now = u64::try_from(at_ms).unwrap_or_default().saturating_mul(1_000);
        self.published_order = now.max(self.published_order) + 1;
    }

    /// What a build was compared with is no longer read.
    fn forget_comparisons(&mut self) {
        for build in self.all.values_mut() {
            if matches!(build.stage, Stage::Compared { .. }) {
                build.stage = Stage::Building;
            }
        }
    }

    fn come(&mut self, generation: Generation, stage: Stage, at_ms: i64) {
        self.change(generation, |build| (build.stage, build.since_ms) = (stage, at_ms));
    }

    fn change(&mut self, generation: Generation, change: impl FnOnce(&mut Build)) {
        if let Some(build) = self.all.get_mut(&generation) {
            change(build);
        }
    }
}
