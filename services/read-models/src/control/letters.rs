//! What is decided about dead letters: to try them again, or to give their products up.
//!
//! Promise: whoever has a partition does each once, in the order in which they were decided, on what was parked before.

use std::fmt;

use serde::{Deserialize, Serialize};
use toolkit::dead_letters::{Kind, Outline};

use super::record::{Decision, Step};

/// Which of the parked products of a read model are meant: those that all of this is true of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Why its first letter is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// The product that a letter is about, wherever it stands among that product's: they are tried in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<LetterId>,
}

/// Where the record of a letter stands: `<partition>/<offset>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterId {
    pub partition: i32,
    pub offset: i64,
}

/// What is to become of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They are tried again, so many products a second in each partition at most.
    Redriven { per_second: Option<u32> },
    /// Their products are given up.
    Discarded,
}

/// Something that was decided about letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Larger for each later one, of this journal and of one that takes its place.
    pub order: u64,
    /// In milliseconds since 1970.
    pub at_ms: i64,
    pub which: Selection,
    pub fate: Fate,
    pub by: String,
    pub why: String,
}

/// So many are remembered: who has not done an earlier one by then does not do it any more.
const MAX_ASKED: usize = 256;

impl Asked {
    /// What a step that was decided then asks, if it is about letters.
    pub(super) fn of(decision: &Decision, order: u64, at_ms: i64) -> Option<Self> {
        let (which, fate, why) = match &decision.step {
            Step::Redrive { which, per_second, why } => {
                (which, Fate::Redriven { per_second: *per_second }, why)
            }
            Step::Discard { which, why } => (which, Fate::Discarded, why),
            Step::Adopt { .. }
            | Step::Build { .. }
            | Step::AsOf { .. }
            | Step::Complete { .. }
            | Step::Pause { .. }
            | Step::Resume { .. }
            | Step::Compared { .. }
            | Step::Hold { .. }
            | Step::Release { .. }
            | Step::Switch
            | Step::Live
            | Step::Drop { .. } => return None,
        };
        let (which, by, why) = (which.clone(), decision.by.clone(), why.clone());
        Some(Self { order, at_ms, which, fate, by, why })
    }

    pub(super) fn remember(self, all: &mut Vec<Self>) {
        all.drain(..(all.len() + 1).saturating_sub(MAX_ASKED));
        all.push(self);
    }
}

impl Selection {
    /// Whether it means the product whose first letter this is; `has`: whether it has a letter at this offset.
    pub fn means(&self, first: &Outline, has: impl Fn(i64) -> bool) -> bool {
        self.product.as_ref().is_none_or(|it| *it == first.subject)
            && self.kind.is_none_or(|it| it == first.kind)
            && self.id.is_none_or(|it| it.partition == first.partition && has(it.offset))
    }

    /// Whether it means everything that is parked.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("all that is parked");
        }
        let mut words = Vec::new();
        words.extend(self.product.as_ref().map(|it| format!("product {it}")));
        words.extend(self.kind.map(|it| format!("what is {it}")));
        words.extend(self.id.map(|it| format!("the product of letter {it}")));
        f.write_str(&words.join(", "))
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.offset)
    }
}

/// Not the id of a letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no letter's id: they are <partition>/<offset>, such as 3/1024")]
pub struct NoLetterId(String);

impl std::str::FromStr for LetterId {
    type Err = NoLetterId;

    fn from_str(text: &str) -> Result<Self, NoLetterId> {
        let parse = || {
            let (partition, offset) = text.split_once('/')?;
            Some(Self { partition: partition.parse().ok()?, offset: offset.parse().ok()? })
        };
        parse().filter(|it| it.partition >= 0 && it.offset >= 0).ok_or_else(|| NoLetterId(text.to_owned()))
    }
}
