//! Why a partition's task ended, and what is said of it.

use std::fmt;

use ledger::Offset;
use read_models::Error;
use read_models::model::EffectiveEvent;
use toolkit::retry::{GaveUp, Transient};
use uuid::Uuid;

/// How a task ended before it was told to.
#[derive(Debug)]
pub(super) enum End {
    /// The partition is, or will be, another member's.
    GivenBack,
    /// What was written may be lost: the partition is taken over again, from this offset or else from its durable position.
    TakeOver(Option<Offset>),
    /// Somebody must look.
    Stopped(Stop),
}

impl End {
    /// The end that a failed call to the store means.
    pub(super) fn of_store(gave_up: GaveUp<Error>, offset: Offset) -> Self {
        match gave_up {
            GaveUp::Final(error) if error.is_missing() => Self::TakeOver(None),
            gave_up => Self::of(gave_up, offset),
        }
    }

    /// The end that a failed call means: told to stop, or a failure that trying again cannot help.
    pub(super) fn of<E: Transient>(gave_up: GaveUp<E>, offset: Offset) -> Self {
        match gave_up {
            GaveUp::Cancelled { .. } => Self::GivenBack,
            GaveUp::Final(error) => Self::Stopped(Stop::new(
                offset,
                error.to_string(),
                "repair the store (`folio stores check` compares it with its declaration), then restart the projector",
            )),
        }
    }
}

/// An effective record that cannot be applied, or a store that refuses.
#[derive(Debug)]
pub(super) struct Stop {
    /// The record that cannot be applied.
    offset: Offset,
    /// The first that is not applied.
    applied: Offset,
    product: Option<String>,
    event_id: Option<Uuid>,
    reason: String,
    remedy: &'static str,
}

impl Stop {
    pub(super) fn new(offset: Offset, reason: impl Into<String>, remedy: &'static str) -> Self {
        Self { offset, applied: offset, product: None, event_id: None, reason: reason.into(), remedy }
    }

    pub(super) fn at_event(mut self, product: &str, event_id: Uuid) -> Self {
        self.product = Some(product.to_owned());
        self.event_id = Some(event_id);
        self
    }

    pub(super) fn at(self, record: &EffectiveEvent) -> Self {
        self.at_event(record.product.as_str(), record.event_id)
    }

    /// The same, where nothing from this offset on is applied.
    pub(super) fn before(mut self, offset: Offset) -> Self {
        self.applied = self.applied.min(offset);
        self
    }

    /// The first offset that is not applied.
    pub(super) fn applied(&self) -> Offset {
        self.applied
    }

    /// Says it loudly.
    pub(super) fn report(&self, group: &str, partition: i32) {
        tracing::error!(
            group,
            "kafka.partition" = partition,
            "kafka.offset" = self.offset,
            "product.id" = self.product,
            "event.id" = self.event_id.map(|id| id.to_string()),
            "partition {partition} stopped: {self}"
        );
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {}", self.offset)?;
        if let (Some(product), Some(event_id)) = (&self.product, &self.event_id) {
            write!(f, ", event {event_id} of product {product}")?;
        }
        write!(f, ": {}; {}", self.reason, self.remedy)
    }
}
