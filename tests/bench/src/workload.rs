//! The commands: diamonds of the sample catalog created, then repriced, revised and repriced again, many products at a
//! time, each command with an idempotency key as a careful client sends it.

use anyhow::Context;
use bytes::Bytes;
use contract::{AddressedCommand, IdempotencyKey, json};
use domain::{
    ChangePrice, Command, CreateProduct, Description, DetailChanges, Money, Name, ProductId, ReviseDetails,
};
use prost::Message as _;

/// Commands each product gets.
const LIFE: usize = 4;
/// Products whose commands are mixed: enough that a product's commands lie far apart.
const TOGETHER: usize = 10_000;

/// Makes commands; no product comes twice.
pub(crate) struct Workload {
    diamonds: Vec<CreateProduct>,
    next: usize,
}

impl Workload {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let mut diamonds = Vec::new();
        for line in cli::import::diamonds::lines()? {
            let parsed = json::parse_bulk_line(line.as_bytes());
            match parsed.map(|addressed| addressed.command) {
                Ok(Command::CreateProduct(create)) => diamonds.push(create),
                Ok(other) => anyhow::bail!("a line of the sample is no creation but {}", other.name()),
                Err(faults) => anyhow::bail!("a line of the sample does not parse: {faults:?}"),
            }
        }
        Ok(Self { diamonds, next: 1 })
    }

    /// About `number` commands (whole lives of products), in the order they are to be sent.
    pub(crate) fn commands(&mut self, number: usize) -> anyhow::Result<Vec<AddressedCommand>> {
        let mut commands = Vec::with_capacity(number);
        let mut left = number / LIFE;
        while left > 0 {
            let products = left.min(TOGETHER);
            commands.extend(self.lives(products, LIFE)?);
            left -= products;
        }
        Ok(commands)
    }

    /// So many commands for each of so many products, mixed: every product's first, then every product's second.
    pub(crate) fn lives(&mut self, products: usize, each: usize) -> anyhow::Result<Vec<AddressedCommand>> {
        let first = self.next;
        self.next += products;
        let rounds =
            (0..each).flat_map(|round| (first..first + products).map(move |product| (product, round)));
        rounds.map(|(product, round)| self.command(product, round)).collect()
    }

    /// So many creations of products, in the order they are to be sent.
    pub(crate) fn creations(&mut self, number: usize) -> anyhow::Result<Vec<AddressedCommand>> {
        self.lives(number, 1)
    }

    fn command(&self, product: usize, round: usize) -> anyhow::Result<AddressedCommand> {
        let diamond = &self.diamonds[product % self.diamonds.len()];
        let price = diamond.price.minor_units() as i64 + product as i64 % 90 + 1 + round as i64;
        let command = match round {
            0 => Command::CreateProduct(diamond.clone()),
            round if round % LIFE == 2 => Command::ReviseDetails(ReviseDetails::new(DetailChanges {
                // Again and again in long lives: each time to another name.
                name: Some(Name::parse(&format!(
                    "{}, revised{}",
                    diamond.name.as_str(),
                    "!".repeat(round / LIFE)
                ))?),
                description: Some(Description::parse(&format!(
                    "{} Certified.",
                    diamond.description.as_str()
                ))?),
                ..DetailChanges::default()
            })?),
            _ => Command::ChangePrice(ChangePrice { price: Money::of(price, diamond.price.currency())? }),
        };
        let id = format!("diamond-{product:08}");
        Ok(AddressedCommand {
            idempotency_key: Some(IdempotencyKey::parse(&format!("bench-{id}-{round}"))?),
            product_id: Some(ProductId::parse(&id)?),
            command,
            expected_version: None,
        })
    }
}

/// Deals commands to `hands`, all of one product to the same one, each hand in order.
pub(crate) fn deal<T>(
    commands: Vec<AddressedCommand>,
    hands: usize,
    mut form: impl FnMut(&AddressedCommand) -> T,
) -> Vec<Vec<T>> {
    let mut dealt: Vec<Vec<T>> = (0..hands).map(|_| Vec::new()).collect();
    for command in commands {
        let id = command.product_id.as_ref().map_or("", ProductId::as_str);
        let hand = ledger::partition_of(id, hands as i32).0 as usize;
        dealt[hand].push(form(&command));
    }
    dealt
}

/// As a gRPC message.
pub(crate) fn message(command: &AddressedCommand) -> Bytes {
    Bytes::from(contract::proto::catalog::v1::CommandRequest::from(command).encode_to_vec())
}

/// As a line of a bulk upload.
pub(crate) fn line(command: &AddressedCommand) -> String {
    json::bulk_line(command) + "\n"
}

/// As a whole HTTP request of its own.
pub(crate) fn request(command: &AddressedCommand) -> anyhow::Result<Bytes> {
    request_with(command, "")
}

/// The same with these lines in its head.
pub(crate) fn request_with(command: &AddressedCommand, header: &str) -> anyhow::Result<Bytes> {
    let id = command.product_id.as_ref().context("every command names its product")?.as_str();
    let name = command.command.name();
    let (method, path) = match name {
        "create_product" => ("PUT", format!("/v1/products/{id}")),
        _ => ("POST", format!("/v1/products/{id}:{}", name.replace('_', "-"))),
    };
    let body = json::command_payload(&command.command).to_string();
    let key = command.idempotency_key.as_ref().map(|key| format!("idempotency-key: {}\r\n", key.as_str()));
    let key = key.unwrap_or_default();
    let length = body.len();
    Ok(Bytes::from(format!(
        "{method} {path} HTTP/1.1\r\nhost: folio\r\ncontent-type: application/json\r\n{key}{header}\
         content-length: {length}\r\n\r\n{body}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_are_whole_and_in_order_on_every_hand() {
        let mut workload = Workload::new().unwrap();
        let commands = workload.commands(400).unwrap();
        assert_eq!(commands.len(), 400);
        let dealt =
            deal(commands, 3, |command| (command.product_id.clone().unwrap(), command.command.name()));
        assert!(dealt.iter().all(|hand| !hand.is_empty()));
        for hand in dealt {
            let mut lives = std::collections::BTreeMap::<_, Vec<_>>::new();
            for (product, name) in hand {
                lives.entry(product).or_default().push(name);
            }
            for life in lives.values() {
                assert_eq!(life, &["create_product", "change_price", "revise_details", "change_price"]);
            }
        }
        let again = workload.commands(4).unwrap();
        assert_eq!(again[0].product_id.as_ref().unwrap().as_str(), "diamond-00000101");
    }
}
