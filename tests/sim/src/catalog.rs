//! The catalog's rules as a simulated writer drives them: the real `domain`, with commands that are cheap to hand on.

use std::rc::Rc;

use domain::{Command, Event, Product, ProductId, Rejection, Version};
use ledger::{Aggregate, Decision, EvolveError, Subject};

#[derive(Debug)]
pub(crate) struct Catalog;

impl Aggregate for Catalog {
    type State = Product;
    type Command = Rc<Command>;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(state: Option<&Product>, command: &Rc<Command>) -> Decision<Event, Rejection> {
        use domain::Decision as Decided;
        match domain::decide(state, command) {
            Decided::Event(event) => Decision::Event(event),
            Decided::Rejected(rejection) => Decision::Rejected(rejection),
            Decided::NoEffect => Decision::NoEffect,
        }
    }

    fn evolve(
        state: Option<Product>,
        subject: &Subject,
        version: u64,
        event: &Event,
    ) -> Result<Product, EvolveError> {
        fold(state, subject.as_str(), version, event).map_err(EvolveError)
    }
}

/// The domain's fold for a product of that id.
pub(crate) fn fold(state: Option<Product>, id: &str, version: u64, event: &Event) -> Result<Product, String> {
    let id = ProductId::parse(id).map_err(|error| error.to_string())?;
    domain::evolve(state, &id, Version(version), event).map_err(|error| error.to_string())
}
