//! Where steps are proposed, and how they stand: the journal, read so far.

use std::collections::BTreeMap;
use std::sync::Arc;

use toolkit::journal::{Entry, Journal, JournalError};
use uuid::Uuid;

use super::builds::{Builds, Refused};
use super::record::{Decision, Place, Step, Told};
use crate::{Error, ReadModel};

/// Others may decide at the same time: how often that is taken for chance.
const ATTEMPTS: usize = 10;

/// The builds of all read models, as far as the journal was read.
#[derive(Debug)]
pub struct Desk {
    journal: Arc<dyn Journal>,
    builds: BTreeMap<ReadModel, Builds>,
    /// Where the journal is read on.
    next: i64,
    /// Records that nobody who is right has written, and why: not told yet.
    damaged: Vec<String>,
    /// The id of the last record that was proposed here, and whether it was the first of its revision.
    proposed: Option<(Uuid, bool)>,
}

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proposed {
    /// It is decided.
    Taken,
    /// Another step was decided before it: look again.
    Overtaken,
    /// It cannot be taken as things stand.
    Refused(Refused),
}

impl From<JournalError> for Error {
    fn from(error: JournalError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl Desk {
    /// Nothing is read yet: [`Desk::look`].
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        let first = |it: &ReadModel| (*it, Builds::first());
        Self {
            journal,
            builds: ReadModel::ALL.iter().map(first).collect(),
            next: 0,
            damaged: Vec::new(),
            proposed: None,
        }
    }

    /// As far as was read.
    pub fn builds(&self, read_model: ReadModel) -> &Builds {
        &self.builds[&read_model]
    }

    /// Reads what was decided since; whether anything was.
    pub async fn look(&mut self) -> Result<bool, Error> {
        let (entries, next) = self.journal.read(self.next).await?;
        let before = self.next;
        for entry in &entries {
            self.fold(entry);
        }
        self.next = next;
        Ok(next > before)
    }

    /// What is in the journal and cannot be, since this was asked last.
    pub fn take_damaged(&mut self) -> Vec<String> {
        std::mem::take(&mut self.damaged)
    }

    /// Proposes a step as `by`, that was found right when so many steps were decided.
    pub async fn propose(
        &mut self,
        read_model: ReadModel,
        revision: u64,
        step: Step,
        by: &str,
    ) -> Result<Proposed, Error> {
        self.look().await?;
        let builds = self.builds(read_model);
        if builds.revision != revision {
            return Ok(Proposed::Overtaken);
        }
        if let Err(refused) = builds.check(&step) {
            return Ok(Proposed::Refused(refused));
        }
        let place = Place { read_model, revision: builds.revision + 1, id: Uuid::new_v4() };
        let decision = Decision { step, by: by.to_owned() };
        let value = decision.encode().map_err(Error::Unavailable)?;
        self.proposed = Some((place.id, false));
        let appended = self.journal.append(place.to_string(), value).await;
        // It may be there although that failed.
        self.look().await?;
        if self.builds(read_model).revision >= place.revision {
            // Others may have gone on from it meanwhile.
            let is_it = self.proposed == Some((place.id, true));
            return Ok(if is_it { Proposed::Taken } else { Proposed::Overtaken });
        }
        appended?;
        Err(Error::Unavailable(format!("{place} was appended, and cannot be read yet")))
    }

    /// Has a step decided that is right as things stand, however often others decide at the same time; which it was, or why it
    /// cannot be taken.
    pub async fn decide(
        &mut self,
        read_model: ReadModel,
        by: &str,
        step: impl Fn(&Builds) -> Result<Step, Refused>,
    ) -> Result<Result<Step, Refused>, Error> {
        for _ in 0..ATTEMPTS {
            self.look().await?;
            let builds = self.builds(read_model);
            let (revision, step) = match step(builds) {
                Ok(step) => (builds.revision, step),
                Err(refused) => return Ok(Err(refused)),
            };
            match self.propose(read_model, revision, step.clone(), by).await? {
                Proposed::Taken => return Ok(Ok(step)),
                Proposed::Refused(why) => return Ok(Err(why)),
                Proposed::Overtaken => {}
            }
        }
        Err(Error::Unavailable("others decide at the same time: look, and try again".to_owned()))
    }

    fn fold(&mut self, entry: &Entry) {
        let Some(place) = Place::parse(&entry.key) else {
            let key = String::from_utf8_lossy(&entry.key);
            self.damaged.push(format!("offset {}: `{key}` is no key of a decision", entry.offset));
            return;
        };
        let Some(builds) = self.builds.get_mut(&place.read_model) else { return };
        if place.revision <= builds.revision {
            // Somebody was first.
            return;
        }
        let problem = match Decision::decode(&entry.value) {
            _ if place.revision > builds.revision + 1 => {
                format!("the revision before it is {}", builds.revision)
            }
            Told::Damaged(problem) => problem,
            Told::Later(step) => {
                builds.take_later(step, entry.appended_ms);
                self.counts(&place);
                return;
            }
            Told::Decision(decision) => match builds.take(decision, entry.appended_ms) {
                Ok(()) => {
                    self.counts(&place);
                    return;
                }
                Err(refused) => refused.to_string(),
            },
        };
        self.damaged.push(format!("offset {}: {place} counts for nothing: {problem}", entry.offset));
    }

    fn counts(&mut self, place: &Place) {
        if let Some((id, counts)) = &mut self.proposed {
            *counts |= *id == place.id;
        }
    }
}
