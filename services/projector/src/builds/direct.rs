//! Proposes what comes next, and does what has to be done for it: compares, publishes, drops.
//!
//! Promises: whatever it is in the middle of when its process dies, another one does it anew; what is switched to has come exactly
//! as far as what was read, in every partition; a hold that does not come to an end is given up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use read_models::builds::held_group;
use read_models::compare::By;
use read_models::control::{Build, BuildStore, Builds, Desk, Hold, Proposed, Stage, Step, Switch, Turn};
use read_models::{Error, Generation, ReadModel};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use toolkit::dead_letters::DeadLetters;

use super::comparable::{Basis, is_near};
use super::given_up::GivenUp;
use super::reached::Reached;
use super::supervise::{Made, has_first};
use crate::application::{LettersOf, OpenLetters};
use crate::config::RebuildConfig;
use crate::letters::ParkedProduct;

/// How often it is looked whether anything can be done.
const TICK: Duration = Duration::from_millis(200);
/// The same while what is read stands still.
const HOLD_TICK: Duration = Duration::from_millis(20);
/// After what was dropped its writers may need so long to hear of it.
const BEFORE_DROPPING: Duration = Duration::from_secs(2);
/// How often it is looked whether what is published is what was decided.
const PUBLISHED: Duration = Duration::from_secs(5);
/// A store that was started anew is noticed within this time.
const WATCHED: Duration = Duration::from_secs(3);
/// How often it is looked for builds that nobody wants: a process that hears late may have made place for one again.
const SWEPT: Duration = Duration::from_mins(5);
/// How often it is said again that something cannot be done.
const SAID_AGAIN: Duration = Duration::from_mins(1);
/// Products whose differences are told in the journal; `folio stores compare` tells more.
const TOLD: usize = 20;

/// Carries out what was decided about the builds of one read model.
pub(crate) struct Director {
    pub(crate) desk: Desk,
    pub(crate) read_model: ReadModel,
    pub(crate) group_prefix: String,
    pub(crate) partitions: i32,
    pub(crate) builds: watch::Receiver<Builds>,
    pub(crate) store: Arc<dyn BuildStore>,
    pub(crate) reached: Arc<dyn Reached>,
    pub(crate) letters: OpenLetters,
    pub(crate) made: Made,
    pub(crate) config: RebuildConfig,
    /// After so long a store has on disk what it acknowledged.
    pub(crate) window: Duration,
    /// Of the rows that this process makes.
    pub(crate) format: u32,
    /// Who proposes: for people.
    pub(crate) by: String,
    pub(crate) memory: Memory,
}

/// What is known between two looks, and can be lost.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// When this hold was seen first.
    hold: Option<(Hold, Instant)>,
    /// From where on the build that is made can be compared.
    basis: Basis,
    /// What was published and when, by revision.
    published: Option<(u64, Instant)>,
    looked: Option<Instant>,
    /// Builds were looked for that nobody wants, at this revision and then.
    swept: Option<(u64, Instant)>,
    given_up: Option<GivenUp>,
    /// When builds as of some time were first seen at their ends.
    at_end: BTreeMap<Generation, Instant>,
    /// What could not be done, and when that was said.
    failed: Option<(String, Instant)>,
}

impl Director {
    /// Works until `shutdown`.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        while !shutdown.is_cancelled() {
            let builds = self.builds.borrow_and_update().clone();
            let mut later = self.builds.clone();
            let work = async {
                if builds.later().is_some() {
                    return;
                }
                match self.act(&builds).await {
                    Ok(()) => self.memory.failed = None,
                    Err(error) => self.failed(error.to_string()),
                }
            };
            // A comparison may take long: what was decided meanwhile comes first, and all of it can be begun again.
            tokio::select! {
                () = work => {}
                decided = later.changed() => if decided.is_err() { break },
                () = shutdown.cancelled() => break,
            }
            let tick = if matches!(builds.turn, Turn::Holding { .. }) { HOLD_TICK } else { TICK };
            tokio::select! {
                () = tokio::time::sleep(tick) => {}
                decided = self.builds.changed() => if decided.is_err() { break },
                () = shutdown.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Says what cannot be done, and says it again after a while.
    fn failed(&mut self, problem: String) {
        let is_known = |(known, said): &(String, Instant)| *known == problem && said.elapsed() < SAID_AGAIN;
        if !self.memory.failed.as_ref().is_some_and(is_known) {
            tracing::warn!(
                "what was decided about builds of {} cannot be done yet: {problem}",
                self.read_model
            );
            self.memory.failed = Some((problem, Instant::now()));
        }
    }

    /// One process at a time does it: the member that has the first partition of the build it is about.
    async fn act(&mut self, builds: &Builds) -> Result<(), Error> {
        match builds.turn {
            Turn::Steady => {
                if !builds.is_decided()
                    && builds.is_new(self.format)
                    && !self.store.is_begun(self.read_model, builds.read).await?
                {
                    // A new installation begins with what its release makes.
                    let step = Step::Adopt { generation: builds.read, format: self.format, published: None };
                    return self.propose(builds, step).await;
                }
                if builds.candidate().is_none() && builds.is_new(self.format) {
                    // Nobody has a partition of it yet: the first process of the release that says it is heard.
                    let (generation, switch) = (builds.next(), Switch::WhenEqual);
                    let step = Step::Build { generation, format: self.format, switch };
                    return self.propose(builds, step).await;
                }
                // One that fails, or takes long, keeps no other from being done.
                let completed = self.complete(builds).await;
                let is_of_read = has_first(&self.made, builds.read);
                let tidied = if is_of_read { self.tidy(builds).await } else { Ok(()) };
                let is_mine =
                    builds.candidate().is_some_and(|(candidate, _)| has_first(&self.made, candidate));
                let advanced = if is_mine { self.advance(builds).await } else { Ok(()) };
                completed.and(tidied).and(advanced)
            }
            Turn::Holding { to, hold } => self.holding(builds, to, hold).await,
            Turn::Switched { from, revision, .. } if has_first(&self.made, builds.read) => {
                self.switched(builds, from, revision).await
            }
            Turn::Switched { .. } => Ok(()),
        }
    }

    /// Gives builds as of some time their names, when they have all that they are to have.
    async fn complete(&mut self, builds: &Builds) -> Result<(), Error> {
        let in_work = builds.as_of().filter(|(_, it)| !it.is_complete);
        let made = Arc::clone(&self.made);
        for (generation, as_of) in in_work.filter(|(it, _)| has_first(&made, *it)) {
            if !self.is_at_end(builds, generation).await? {
                continue;
            }
            // Nothing is done for it any more when it is complete: what the store may still lose has to be made again before.
            let since = *self.memory.at_end.entry(generation).or_insert_with(Instant::now);
            let is_kept = !self.store.may_lose() || since.elapsed() > self.window + WATCHED;
            if is_kept && self.is_so(builds).await? {
                self.store.ready(self.read_model, generation).await?;
                let order = builds.published_order() + 1;
                self.store.name(self.read_model, generation, &as_of.name, order).await?;
                // One at a time: the next is another revision's.
                return self.propose(builds, Step::Complete { generation }).await;
            }
        }
        Ok(())
    }

    async fn is_at_end(&self, builds: &Builds, generation: Generation) -> Result<bool, Error> {
        let applied = self.applied(generation).await?;
        Ok((0..).zip(applied).all(|(partition, applied)| applied >= builds.end(generation, partition)))
    }

    async fn tidy(&mut self, builds: &Builds) -> Result<(), Error> {
        self.look_at_published(builds).await?;
        self.sweep(builds).await?;
        self.retire(builds).await
    }

    /// Brings the build that is being made a step further.
    async fn advance(&mut self, builds: &Builds) -> Result<(), Error> {
        if let Some((generation, build)) = builds.candidate()
            && !build.is_paused
        {
            match &build.stage {
                Stage::Building => {
                    let (read, reached) = (self.applied(builds.read).await?, self.applied(generation).await?);
                    if self.memory.basis.is_reached([generation, builds.read], &read, &reached) {
                        self.compare(builds, generation).await?;
                    }
                }
                Stage::Compared { differences, .. } => {
                    let is_due = match build.switch {
                        Switch::WhenEqual => *differences == 0,
                        Switch::Always => true,
                        Switch::ByHand => false,
                    };
                    let given_up = self.memory.given_up;
                    let is_too_soon = given_up.is_some_and(|it| it.forbids(generation, Instant::now()));
                    if !is_due || is_too_soon {
                        return Ok(());
                    }
                    let (read, reached) = (self.applied(builds.read).await?, self.applied(generation).await?);
                    if is_near(&read, &reached) {
                        let force = build.switch == Switch::Always;
                        if !force {
                            self.lacks_no_more(builds, generation).await?;
                        }
                        self.propose(builds, Step::Hold { to: generation, force }).await?;
                    }
                }
                Stage::Read | Stage::Previous | Stage::AsOf(_) => {}
            }
        }
        Ok(())
    }

    /// What was read before is kept for a while, and then dropped; what was made as of some time, until it expires.
    async fn retire(&mut self, builds: &Builds) -> Result<(), Error> {
        let keep =
            i64::try_from(self.config.keep_previous_hours).unwrap_or(i64::MAX).saturating_mul(3_600_000);
        let now = jiff::Timestamp::now().as_millisecond();
        let is_old = |since: i64| now.saturating_sub(since) > keep;
        let is_over = |build: &Build| match &build.stage {
            // As long as another is made it is the only way back from that one.
            Stage::Previous => builds.candidate().is_none() && is_old(build.since_ms),
            Stage::AsOf(as_of) => as_of.expires_ms <= now,
            Stage::Building | Stage::Compared { .. } | Stage::Read => false,
        };
        let old = builds.all().find(|(_, build)| is_over(build));
        if let Some((generation, _)) = old {
            self.propose(builds, Step::Drop { generation }).await?;
        }
        Ok(())
    }

    async fn holding(&mut self, builds: &Builds, to: Generation, hold: Hold) -> Result<(), Error> {
        let begun = match self.memory.hold {
            Some((known, begun)) if known == hold => begun,
            _ => self.memory.hold.insert((hold, Instant::now())).1,
        };
        let most = Duration::from_millis(self.config.hold_ms);
        if !has_first(&self.made, to) {
            // Whoever should, does not: what is read must go on all the same.
            let reason = format!("nobody has made {to} come as far as {}", builds.read);
            return if begun.elapsed() < 2 * most {
                Ok(())
            } else {
                self.give_up(builds, (to, hold), reason).await
            };
        }
        let why = match self.is_level(builds, to, hold).await {
            Ok(None) => return self.propose(builds, Step::Switch).await,
            Ok(Some(why)) => why,
            Err(error) => error.to_string(),
        };
        if begun.elapsed() < most { Ok(()) } else { self.give_up(builds, (to, hold), why).await }
    }

    async fn give_up(
        &mut self,
        builds: &Builds,
        (to, hold): (Generation, Hold),
        why: String,
    ) -> Result<(), Error> {
        let reason = format!("not done within {} ms: {why}", self.config.hold_ms);
        tracing::warn!("the switch to another build of {} is given up: {reason}", self.read_model);
        self.memory.given_up = Some(GivenUp::of(self.memory.given_up, to, hold, Instant::now()));
        self.propose(builds, Step::Release { reason }).await
    }

    /// Whether what is read stands still in every partition, and `to` has come as far; else what is missing.
    async fn is_level(&self, builds: &Builds, to: Generation, hold: Hold) -> Result<Option<String>, Error> {
        let of = |generation| held_group(&self.read_model.group_id(&self.group_prefix, generation), hold);
        let (of_read, of_other) = (of(builds.read), of(to));
        for partition in 0..self.partitions {
            let Some(stands) = self.reached.position(builds.read, &of_read, partition).await? else {
                return Ok(Some(format!("{} does not stand still in partition {partition}", builds.read)));
            };
            let reached = self.reached.position(to, &of_other, partition).await?;
            if reached.is_none_or(|reached| reached.applied != stands.applied) {
                let reached = reached.map_or("elsewhere".to_owned(), |it| format!("at {}", it.applied));
                return Ok(Some(format!(
                    "{to} is {reached} in partition {partition}, and {} at {}",
                    builds.read, stands.applied
                )));
            }
        }
        Ok(None)
    }

    async fn switched(&mut self, builds: &Builds, from: Generation, revision: u64) -> Result<(), Error> {
        let published = match self.memory.published {
            Some((known, at)) if known == revision => at,
            _ => {
                if !self.is_so(builds).await? {
                    return Ok(());
                }
                let order = builds.published_order();
                self.store.publish(self.read_model, builds.read, Some(from), order).await?;
                // Somebody else may have told another one, who knows how.
                let published = self.store.published(self.read_model).await?.generation;
                if published != builds.read {
                    let problem = format!("{published} is published, and should be {}", builds.read);
                    return Err(Error::Unavailable(problem));
                }
                tracing::info!("{} of {} is what gateways read from now on", builds.read, self.read_model);
                self.memory.published.insert((revision, Instant::now())).1
            }
        };
        if published.elapsed() >= Duration::from_millis(self.config.lease_ms) {
            self.propose(builds, Step::Live).await?;
        }
        Ok(())
    }

    /// Publishes again what was decided, if something else is published: an alias was lost, or somebody moved it.
    async fn look_at_published(&mut self, builds: &Builds) -> Result<(), Error> {
        if self.memory.looked.is_some_and(|at| at.elapsed() < PUBLISHED) {
            return Ok(());
        }
        let published = match self.store.published(self.read_model).await {
            Ok(published) => Some(published),
            Err(error) if error.is_missing() => None,
            Err(error) => return Err(error),
        };
        if !builds.is_decided() && published.is_some() {
            // Nothing was decided; what is published was seen at the start.
            self.memory.looked = Some(Instant::now());
            return Ok(());
        }
        if !self.is_so(builds).await? {
            return Ok(());
        }
        if let Some(lost) = published.and_then(|it| builds.lost(self.read_model, it)) {
            return Err(Error::Unavailable(lost));
        }
        let published = published.map(|it| it.generation);
        if published != Some(builds.read) {
            tracing::warn!(
                ?published,
                "what is published of {} is not what was decided: publishing {}",
                self.read_model,
                builds.read
            );
            let order = builds.published_order();
            self.store.publish(self.read_model, builds.read, None, order).await?;
        }
        self.memory.looked = Some(Instant::now());
        Ok(())
    }

    /// Whether nothing was decided since: where an alias is moved, the last one to move it is right.
    async fn is_so(&mut self, builds: &Builds) -> Result<bool, Error> {
        self.desk.look().await?;
        Ok(self.desk.builds(self.read_model).revision == builds.revision)
    }

    /// Drops what is there of builds that were dropped.
    async fn sweep(&mut self, builds: &Builds) -> Result<(), Error> {
        if self.memory.swept.is_some_and(|(at, when)| at == builds.revision && when.elapsed() < SWEPT) {
            return Ok(());
        }
        let published = self.store.published(self.read_model).await?.generation;
        let unwanted = |it: &Generation| builds.get(*it).is_none() && *it < builds.next() && *it != published;
        let there = self.store.all(self.read_model).await?;
        if there.iter().any(unwanted) {
            tokio::time::sleep(BEFORE_DROPPING).await;
        }
        for generation in there.into_iter().filter(unwanted) {
            self.drop_letters(generation).await;
            self.store.drop_build(self.read_model, generation).await?;
        }
        self.memory.swept = Some((builds.revision, Instant::now()));
        Ok(())
    }

    fn letters_of(&self, generation: Generation) -> anyhow::Result<Arc<dyn DeadLetters>> {
        let (read_model, partitions) = (self.read_model, self.partitions);
        let group = read_model.group_id(&self.group_prefix, generation);
        (self.letters)(&LettersOf { read_model, generation, group, partitions })
    }

    /// An error that names what is parked in the build that is made and not in the one that is read: it may have been parked after
    /// they were compared, and nobody would see its products go on.
    async fn lacks_no_more(&self, builds: &Builds, generation: Generation) -> Result<(), Error> {
        let (there, here) =
            (self.products_parked_in(generation).await?, self.products_parked_in(builds.read).await?);
        let Some(product) = there.difference(&here).next() else { return Ok(()) };
        let (read, count) = (builds.read, there.difference(&here).count());
        let problem = format!(
            "{count} products are parked in {generation} and not in {read}, such as {product}: redrive or discard them, or switch \
             by hand"
        );
        Err(Error::Unavailable(problem))
    }

    async fn products_parked_in(&self, generation: Generation) -> Result<BTreeSet<String>, Error> {
        let failed = |problem: String| Error::Unavailable(problem);
        let letters = self.letters_of(generation).map_err(|error| failed(format!("{error:#}")))?;
        let all = ParkedProduct::all(generation, "", &*letters, self.partitions).await;
        let all = all.map_err(|error| failed(error.to_string()))?;
        Ok(all.iter().filter_map(|it| it.first()).map(|first| first.subject.clone()).collect())
    }

    /// How many products are parked, as far as it can be said.
    async fn parked_in(&self, generation: Generation) -> usize {
        let Ok(letters) = self.letters_of(generation) else { return 0 };
        let all = ParkedProduct::all(generation, "", &*letters, self.partitions).await;
        all.map_or(0, |products| products.len())
    }

    /// Nobody needs them any more. What cannot be removed is in nobody's way.
    async fn drop_letters(&self, generation: Generation) {
        let dropped = match self.letters_of(generation) {
            Ok(letters) => letters.abolish().await.map_err(anyhow::Error::from),
            Err(error) => Err(error),
        };
        if let Err(error) = dropped {
            tracing::warn!(
                "what is parked of {generation} of {} cannot be removed: {error:#}",
                self.read_model
            );
        }
    }

    /// How far a build has come with each partition.
    async fn applied(&self, generation: Generation) -> Result<Vec<i64>, Error> {
        let group = self.read_model.group_id(&self.group_prefix, generation);
        let mut applied = Vec::new();
        for partition in 0..self.partitions {
            let reached = self.reached.position(generation, &group, partition).await?;
            applied.push(reached.unwrap_or_default().applied);
        }
        Ok(applied)
    }

    async fn compare(&mut self, builds: &Builds, generation: Generation) -> Result<(), Error> {
        self.store.ready(self.read_model, generation).await?;
        let begun = Instant::now();
        let is_as_read = builds.get(generation).is_some_and(|it| builds.is_as_read(it));
        let by = if is_as_read { By::Rows } else { By::Versions };
        let compared = self.store.compare(self.read_model, [generation, builds.read], by).await?;
        let rows = compared.rows();
        tracing::info!(
            rows,
            products = compared.differences.len(),
            took_ms = begun.elapsed().as_millis() as u64,
            "{generation} and {} of {} are {}",
            builds.read,
            self.read_model,
            if compared.is_same() { "the same" } else { "not the same" }
        );
        let mut told: Vec<String> = compared.differences.keys().map(|(product, _)| product.clone()).collect();
        told.dedup();
        let hopeless = u64::from(compared.hopeless.is_some());
        let differences = told.len() as u64 + hopeless;
        told.truncate(TOLD);
        if let Some(table) = compared.hopeless {
            told.push(format!("(nearly all rows of {})", table.name));
        }
        if differences > 0 {
            for build in [generation, builds.read] {
                let parked = self.parked_in(build).await;
                told.extend(
                    (parked > 0)
                        .then(|| format!("({parked} products are parked in {build}: `folio dlq list`)")),
                );
            }
        }
        self.propose(builds, Step::Compared { generation, rows, differences, told }).await
    }

    /// Proposes what is right as `builds` are.
    async fn propose(&mut self, builds: &Builds, step: Step) -> Result<(), Error> {
        let told = step.to_string();
        match self.desk.propose(self.read_model, builds.revision, step, &self.by).await? {
            Proposed::Taken => tracing::info!("decided about {}: {told}", self.read_model),
            Proposed::Overtaken => {}
            Proposed::Refused(why) => tracing::info!("not decided about {}: {told}: {why}", self.read_model),
        }
        Ok(())
    }
}
