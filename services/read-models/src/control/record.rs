//! A step as a record of the journal: the key says of what and in which place, the value what.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::letters::Selection;
use crate::{Generation, ReadModel};

const BEGINS: &str = "read-model";

/// What can be decided about the builds of a read model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// Where decisions were lost: this build is what is read. Before anything else is decided, or where it was `published` by a
    /// decision that is not there: the order of that.
    Adopt {
        generation: Generation,
        format: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        published: Option<u64>,
    },
    /// Make a further build, whose rows have this format.
    Build {
        generation: Generation,
        format: u32,
        switch: Switch,
    },
    /// Make a build of what was appended up to some time and no more, which can be read by its name until it expires.
    AsOf {
        generation: Generation,
        format: u32,
        name: String,
        /// In milliseconds since 1970, as the times below.
        as_of_ms: i64,
        /// Of each partition the first offset that was appended after it.
        ends: Vec<i64>,
        expires_ms: i64,
    },
    /// A build as of some time has all that it is to have.
    Complete {
        generation: Generation,
    },
    /// Leave a build as it is for a while.
    Pause {
        generation: Generation,
    },
    Resume {
        generation: Generation,
    },
    /// The build was compared with the one that is read: rows, and products whose rows differ, of which some are told.
    Compared {
        generation: Generation,
        rows: u64,
        differences: u64,
        told: Vec<String>,
    },
    /// The build that is read stands still, so that the other one reaches it. With `force` whatever a comparison said.
    Hold {
        to: Generation,
        force: bool,
    },
    /// The hold is given up: the build that is read goes on.
    Release {
        reason: String,
    },
    /// Both have come equally far: from now on the other build is read.
    Switch,
    /// Whoever reads has followed: the build that is read goes on.
    Live,
    /// Make an end of a build that is not read.
    Drop {
        generation: Generation,
    },
    /// Try again what is parked of every build, so many products a second in each partition at most.
    Redrive {
        which: Selection,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        per_second: Option<u32>,
        why: String,
    },
    /// Give up products that are parked: their rows stay as they are, and nothing more of them is applied.
    Discard {
        which: Selection,
        why: String,
    },
}

/// When a build takes the place of the one that is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// As soon as it has caught up, if a comparison finds no difference.
    #[default]
    WhenEqual,
    /// As soon as it has caught up and was compared, whatever was found.
    Always,
    /// When somebody says so.
    ByHand,
}

/// A step, and who proposed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    #[serde(flatten)]
    pub step: Step,
    /// For people.
    pub by: String,
}

/// Where a record belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) read_model: ReadModel,
    /// Counted from 1.
    pub(super) revision: u64,
    pub(super) id: Uuid,
}

/// What a record's value is.
#[derive(Debug)]
pub(super) enum Told {
    Decision(Decision),
    /// A step that a later release of Folio knows.
    Later(String),
    /// Nothing that anybody writes.
    Damaged(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BEGINS}/{}/{}/{}", self.read_model, self.revision, self.id)
    }
}

impl Place {
    /// `None`: not a key of ours, or of a read model that this release does not know.
    pub(super) fn parse(key: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(key).ok()?.split('/');
        let place = match (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()) {
            (BEGINS, name, revision, id, None) => Self {
                read_model: name.parse().ok()?,
                revision: revision.parse().ok()?,
                id: id.parse().ok()?,
            },
            _ => return None,
        };
        // One spelling: `+1` and `01` are not what anybody writes.
        (place.to_string().as_bytes() == key).then_some(place)
    }
}

impl Decision {
    pub(super) fn encode(&self) -> Result<Vec<u8>, String> {
        serde_json::to_vec(self).map_err(|error| error.to_string())
    }

    pub(super) fn decode(value: &[u8]) -> Told {
        let parsed: Value = match serde_json::from_slice(value) {
            Ok(parsed) => parsed,
            Err(error) => return Told::Damaged(format!("it is no JSON: {error}")),
        };
        let Some(step) = parsed["step"].as_str().map(str::to_owned) else {
            return Told::Damaged("it names no step".to_owned());
        };
        match serde_json::from_value(parsed) {
            Ok(decision) => Told::Decision(decision),
            // A step of a later release, or one that it says more of.
            Err(error) if is_of_later(&error.to_string()) => Told::Later(step),
            Err(error) => Told::Damaged(format!("step {step}: {error}")),
        }
    }
}

fn is_of_later(problem: &str) -> bool {
    ["unknown variant", "unknown field"].iter().any(|it| problem.starts_with(it))
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Adopt { generation, .. } => write!(f, "{generation} is what is read"),
            Self::Build { generation, .. } => write!(f, "build {generation}"),
            Self::AsOf { generation, name, .. } => write!(f, "build {generation} as of some time, as {name}"),
            Self::Complete { generation } => write!(f, "{generation} is complete"),
            Self::Pause { generation } => write!(f, "pause {generation}"),
            Self::Resume { generation } => write!(f, "resume {generation}"),
            Self::Compared { generation, rows, differences, .. } => {
                write!(f, "{generation} compared: {rows} rows, {differences} products differ")
            }
            Self::Hold { to, force: false } => write!(f, "hold, to switch to {to}"),
            Self::Hold { to, force: true } => write!(f, "hold, to switch to {to} whatever differs"),
            Self::Release { reason } => write!(f, "release: {reason}"),
            Self::Switch => f.write_str("switch"),
            Self::Live => f.write_str("live"),
            Self::Drop { generation } => write!(f, "drop {generation}"),
            Self::Redrive { which, .. } => write!(f, "redrive {which}"),
            Self::Discard { which, .. } => write!(f, "discard {which}"),
        }
    }
}
