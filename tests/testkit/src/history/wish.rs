//! Random commands.

use contract::json::{command_payload, parse_command};
use domain::{ChangePrice, Command, DeleteProduct, DiscontinueProduct, Money};
use rand::rngs::StdRng;
use rand::{Rng, RngExt as _};
use serde_json::{Value, json};

use crate::client::product;

/// A command that makes the product `id`.
pub(super) fn creation(id: &str) -> Command {
    parsed("create_product", &product(id))
}

/// A command on a product that may exist: mostly prices, of which few are different, so that some change nothing.
pub(super) fn change(dice: &mut StdRng) -> Command {
    match dice.random_range(0..24) {
        0 => Command::ListProduct,
        1 => Command::DiscontinueProduct(DiscontinueProduct { reason: None }),
        2 => Command::DeleteProduct(DeleteProduct { reason: None }),
        3 | 4 => Command::RestoreProduct,
        5 => parsed("move_to_category", &json!({ "category": format!("tests/{}", dice.random_range(0..4)) })),
        6 => {
            let number = dice.random_range(0..5);
            parsed(
                "revise_details",
                &json!({ "name": format!("Renamed {number}"), "tags": [format!("t{number}")] }),
            )
        }
        _ => {
            let price = Money::new(dice.random_range(1..6) * 1_000, "USD").expect("a price");
            Command::ChangePrice(ChangePrice { price })
        }
    }
}

fn parsed(name: &str, payload: &Value) -> Command {
    parse_command(name, payload.to_string().as_bytes()).expect("a command of the contract")
}

/// Path and body of a request for it.
pub(super) fn request(product: &str, command: &Command) -> (String, Value) {
    let mut body = command_payload(command);
    let verb = match command {
        Command::CreateProduct(_) => {
            body["product_id"] = product.into();
            return ("/v1/products".to_owned(), body);
        }
        Command::ReviseDetails(_) => "revise-details",
        Command::ChangePrice(_) => "change-price",
        Command::MoveToCategory(_) => "move-to-category",
        Command::ListProduct => "list",
        Command::DiscontinueProduct(_) => "discontinue",
        Command::DeleteProduct(_) => "delete",
        Command::RestoreProduct => "restore",
    };
    (format!("/v1/products/{product}:{verb}"), body)
}

/// True with this probability.
pub(super) fn chance(dice: &mut impl Rng, probability: f64) -> bool {
    dice.random::<f64>() < probability
}
