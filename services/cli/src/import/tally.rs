//! What an import came to, product by product.

use std::collections::BTreeMap;

use contract::AddressedCommand;
use contract::IdempotencyKey;
use contract::json::bulk_line;
use domain::{
    ChangePrice, Command, CreateProduct, DetailChanges, InitialStatus, MoveToCategory, ReviseDetails,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::upload::Answer;

/// How many products went which way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Created.
    pub new: u64,
    /// There already, by the same row: nothing was done.
    pub known: u64,
    /// There already, and changed to what the file says.
    pub updated: u64,
    /// There already, and as the file says.
    pub unchanged: u64,
    /// Left out, by why.
    pub left_out: BTreeMap<String, u64>,
}

impl Tally {
    /// All products that were looked at.
    pub fn products(&self) -> u64 {
        self.new + self.known + self.updated + self.unchanged + self.left_out()
    }

    /// Those that were left out.
    pub fn left_out(&self) -> u64 {
        self.left_out.values().sum()
    }

    /// Counts one that is left out.
    pub(crate) fn leave_out(&mut self, why: &str) {
        *self.left_out.entry(why.to_owned()).or_default() += 1;
    }
}

/// What the answer to a create means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Created {
    New,
    /// By the same row.
    Known,
    /// Otherwise.
    Exists,
    Refused {
        code: String,
        told: String,
    },
}

impl Created {
    pub(crate) fn of(answer: &Answer) -> Self {
        match answer.code() {
            None if answer.replayed => Self::Known,
            None => Self::New,
            Some("product-already-exists") => Self::Exists,
            Some(code) => Self::Refused { code: code.to_owned(), told: answer.told() },
        }
    }
}

/// The commands that bring an existing product to what a row says; each does nothing if it is so already. `run` names the
/// import: sent again within it they are recognised, in a later one they are new requests.
pub(crate) fn updates(addressed: &AddressedCommand, run: Uuid) -> Vec<String> {
    let Command::CreateProduct(create) = &addressed.command else { return Vec::new() };
    let CreateProduct { sku, name, description, category, brand, price, attributes, tags, status } =
        create.clone();
    let changes = DetailChanges {
        sku: Some(sku),
        name: Some(name),
        description: Some(description),
        brand: Some(brand),
        attributes: Some(attributes),
        tags: Some(tags),
    };
    let mut commands = Vec::new();
    commands.extend(ReviseDetails::new(changes).ok().map(Command::ReviseDetails));
    commands.push(Command::ChangePrice(ChangePrice { price }));
    commands.push(Command::MoveToCategory(MoveToCategory { category }));
    if status == InitialStatus::Listed {
        commands.push(Command::ListProduct);
    }
    let line = |command: Command| {
        let key = IdempotencyKey::parse(&format!("import-{run}-{}", command.name())).ok();
        bulk_line(&AddressedCommand {
            product_id: addressed.product_id.clone(),
            command,
            expected_version: None,
            idempotency_key: key,
        })
    };
    commands.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use contract::json::parse_bulk_line;

    use super::*;

    #[test]
    fn an_update_is_every_field_of_the_row() {
        let line = r#"{"command": "create_product", "product_id": "p1", "payload": {"sku": "A", "name": "n", "category": "c",
            "brand": "b", "price": {"minor_units": 5, "currency": "EUR"}, "status": "listed"}}"#;
        let create = parse_bulk_line(line.as_bytes()).unwrap();
        let run = Uuid::from_u128(7);
        let lines = updates(&create, run);
        let names: Vec<_> =
            lines.iter().map(|line| parse_bulk_line(line.as_bytes()).unwrap().command.name()).collect();
        assert_eq!(names, ["revise_details", "change_price", "move_to_category", "list_product"]);
        assert_eq!(updates(&create, run), lines);
        assert_ne!(updates(&create, Uuid::from_u128(8)), lines);
    }
}
