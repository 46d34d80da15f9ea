//! What is published because of what was decided, and whether what is published was.
//!
//! Promise: where a build is published by a decision that is not in the journal, that is seen, however much of the journal is lost.

use super::builds::{Builds, Refused, Turn};
use super::record::Step;
use crate::publication::PublishedBuild;
use crate::{Generation, ReadModel};

impl Builds {
    /// What is published because of what was decided is told with this, so that nothing of an earlier decision has an effect after
    /// it: larger after each decision, also after those that were lost with a part of the journal, for it follows the time. Not
    /// beyond the present as microseconds since 1970: some stores refuse that as the time of a write.
    pub fn published_order(&self) -> u64 {
        self.published_order
    }

    /// Why nobody may go on with what the journal says, if this is what is published: it was published by a decision that is not
    /// there (any more). To be asked of a journal that was read after the store.
    pub fn lost(&self, read_model: ReadModel, published: PublishedBuild) -> Option<String> {
        let PublishedBuild { generation, order } = published;
        if self.knows_of(published) {
            return None;
        }
        Some(format!(
            "gateways read {generation} of {read_model}, and the decision about that was lost (it came with {order}, the last that is \
             there with {}); if {generation} is right, `folio read-models adopt {read_model} --generation {generation}`",
            self.published_order
        ))
    }

    pub(super) fn knows_of(&self, PublishedBuild { generation, order }: PublishedBuild) -> bool {
        // Where there is an order it was switched to: a topic that was written anew has other times, but no other steps.
        let was_switched_to = order == 0 || self.were_read.contains(&generation);
        let is_decided = self.is_decided() || generation == Generation::FIRST;
        is_decided && was_switched_to && generation < self.next() && order <= self.published_order
    }

    /// The step that makes an end of what is being made, or of the switch that is in flight.
    ///
    /// # Errors
    /// If there is neither.
    pub fn abort(&self, read_model: ReadModel) -> Result<Step, Refused> {
        match (self.candidate(), self.turn) {
            (Some((generation, _)), _) => Ok(Step::Drop { generation }),
            (None, Turn::Holding { .. }) => Ok(Step::Release { reason: "it was aborted".to_owned() }),
            (None, Turn::Steady | Turn::Switched { .. }) => {
                Err(Refused(format!("no build of {read_model} is being made, and nothing is held")))
            }
        }
    }
}
