//! The catalog's rules as the ledger drives them: `domain` behind `ledger`'s [`Aggregate`]. Nothing is decided here.

use domain::{Command, Event, Product, ProductId, Rejection, Version};
use ledger::{Aggregate, Decision, EvolveError, Subject};

/// The products of the catalog.
#[derive(Debug)]
pub struct Catalog;

impl Aggregate for Catalog {
    type State = Product;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(state: Option<&Product>, command: &Command) -> Decision<Event, Rejection> {
        match domain::decide(state, command) {
            domain::Decision::Event(event) => Decision::Event(event),
            domain::Decision::NoEffect => Decision::NoEffect,
            domain::Decision::Rejected(rejection) => Decision::Rejected(rejection),
        }
    }

    fn evolve(
        state: Option<Product>,
        subject: &Subject,
        version: u64,
        event: &Event,
    ) -> Result<Product, EvolveError> {
        let id = match &state {
            Some(product) => product.id.clone(),
            None => ProductId::parse(subject.as_str()).map_err(|error| EvolveError(error.to_string()))?,
        };
        domain::evolve(state, &id, Version(version), event).map_err(|error| EvolveError(error.to_string()))
    }
}
