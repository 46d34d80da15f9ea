//! The names of topics and consumer groups.

/// The event store: the default name of the topic that holds every record.
pub const EVENTS: &str = "catalog.product.events.v1";

/// The control topic: generations of read models, rebuild requests, pauses.
pub const CONTROL: &str = "folio.control.v1";

/// The topic of a consumer group's dead letters.
pub fn dead_letters(group: &str) -> String {
    format!("{group}.dlq")
}
