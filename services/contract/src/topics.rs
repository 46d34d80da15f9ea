//! The names of topics.

/// The event store: the default name of the topic that holds every record.
pub const EVENTS: &str = "catalog.product.events.v1";

/// The decisions about builds of read models: the default name of the journal that holds them.
pub const CONTROL: &str = "folio.control.v1";
