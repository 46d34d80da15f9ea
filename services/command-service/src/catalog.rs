//! The catalog's rules as the ledger drives them: `domain` behind `ledger`'s [`Aggregate`]. Nothing is decided here.

use domain::{
    Attributes, Brand, Command, Description, Event, Name, Product, ProductId, Rejection, Sku, Tags, Version,
};
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

    fn size(product: &Product) -> usize {
        let texts = [
            product.id.as_str(),
            product.sku.as_str(),
            product.name.as_str(),
            product.description.as_str(),
            product.category.as_str(),
            product.brand.as_str(),
        ];
        let texts: usize = texts.iter().map(|text| text.len() + SHARED).sum();
        size_of::<Product>() + texts + attributes(&product.attributes) + tags(&product.tags)
    }
}

/// What a text, a map or a set costs beside its content: counters, and the allocator's rounding.
const SHARED: usize = 32;
/// What an entry of a map or a set costs beside its text.
const ENTRY: usize = 16;

fn attributes(attributes: &Attributes) -> usize {
    let pairs = attributes.iter().map(|(name, value)| name.len() + value.len() + 2 * (SHARED + ENTRY));
    SHARED + pairs.sum::<usize>()
}

fn tags(tags: &Tags) -> usize {
    SHARED + tags.iter().map(|tag| tag.len() + SHARED + ENTRY).sum::<usize>()
}

/// About how much memory a command takes, in bytes.
pub(crate) fn command_size(command: &Command) -> usize {
    let text = |text: &str| text.len() + SHARED;
    let variable = match command {
        Command::CreateProduct(create) => {
            let texts = [
                create.sku.as_str(),
                create.name.as_str(),
                create.description.as_str(),
                create.brand.as_str(),
            ];
            texts.iter().map(|it| text(it)).sum::<usize>()
                + text(create.category.as_str())
                + attributes(&create.attributes)
                + tags(&create.tags)
        }
        Command::ReviseDetails(revise) => {
            let changes = revise.changes();
            let texts = [
                changes.sku.as_ref().map(Sku::as_str),
                changes.name.as_ref().map(Name::as_str),
                changes.description.as_ref().map(Description::as_str),
                changes.brand.as_ref().map(Brand::as_str),
            ];
            texts.into_iter().flatten().map(text).sum::<usize>()
                + changes.attributes.as_ref().map_or(0, attributes)
                + changes.tags.as_ref().map_or(0, tags)
        }
        Command::MoveToCategory(to) => text(to.category.as_str()),
        Command::DiscontinueProduct(discontinue) => {
            discontinue.reason.as_ref().map_or(0, |it| text(it.as_str()))
        }
        Command::DeleteProduct(delete) => delete.reason.as_ref().map_or(0, |it| text(it.as_str())),
        Command::ChangePrice(_) | Command::ListProduct | Command::RestoreProduct => 0,
    };
    size_of::<Command>() + variable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_products_size_follows_its_content() {
        let product = |description: &str, attributes: usize| {
            let mut fields = crate::testing::diamond();
            fields["description"] = description.into();
            fields["attributes"] = (0..attributes)
                .map(|n| (format!("a{n}"), "v".repeat(200).into()))
                .collect::<serde_json::Map<_, _>>()
                .into();
            let line = serde_json::json!({"command": "create_product", "product_id": "p", "payload": fields});
            let command = crate::testing::command(&line).command;
            let domain::Decision::Event(event) = domain::decide(None, &command) else { panic!("it creates") };
            let subject = Subject::parse("p").unwrap();
            (Catalog::size(&Catalog::evolve(None, &subject, 1, &event).unwrap()), command_size(&command))
        };
        let small = product("", 0);
        assert!((300..1_500).contains(&small.0), "{small:?}");
        for (large, least) in [(product(&"x".repeat(10_000), 0), 10_000), (product("", 64), 64 * 200)] {
            assert!(large.0 - small.0 >= least && large.1 - small.1 >= least, "{large:?} {small:?}");
            assert!(large.0 < 3 * least && large.1 < 3 * least, "{large:?}");
        }
    }
}
