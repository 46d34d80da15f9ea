//! The names of topics.

/// The event store: the default name of the topic that holds every record.
pub const EVENTS: &str = "catalog.product.events.v1";
