//! Identities made of what a client sends, so that any instance makes the same ones: the command's id, the hash that
//! tells a repetition from another command, and the id of a product created without one.

use std::fmt;

use domain::{Attributes, Command, CreateProduct, DetailChanges, Money, ProductId, Reason, Tags, ValueError};
use ledger::{CommandHash, CommandId};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Namespaces of the UUIDv5 identities. They never change: they are part of what a key means.
const COMMANDS: Uuid = Uuid::from_u128(0x5b0f_6f3e_0d2a_5e0c_9a64_3a0c_7c1f_a201);
const PRODUCTS: Uuid = Uuid::from_u128(0x5b0f_6f3e_0d2a_5e0c_9a64_3a0c_7c1f_a202);

/// A client's name for a request, so that a repetition is recognised: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The most characters of a key.
    pub const MAX_LEN: usize = 255;

    /// Parses a key, or says what is wrong with it.
    pub fn parse(key: &str) -> Result<Self, ValueError> {
        let problem = match key.len() {
            0 => "must not be empty",
            1..=Self::MAX_LEN if key.bytes().all(|b| b.is_ascii_graphic()) => {
                return Ok(Self(key.to_owned()));
            }
            1..=Self::MAX_LEN => "may contain only visible ASCII characters",
            _ => "must have at most 255 characters",
        };
        Err(ValueError { field: "idempotency_key", problem: problem.to_owned() })
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of the command that `principal` named `key`: the same wherever and however often it arrives.
pub fn command_id(principal: &str, key: &IdempotencyKey) -> CommandId {
    CommandId(named(&COMMANDS, principal, key))
}

/// The id of the product that a `CreateProduct` without a product id creates. It begins with `prefix`, which is one of a product's id, of
/// at most 28 bytes; a longer one is left out.
pub fn product_id_for_key(principal: &str, prefix: Option<&str>, key: &IdempotencyKey) -> ProductId {
    let id = named(&PRODUCTS, principal, key).hyphenated().to_string();
    let prefixed = prefix.and_then(|prefix| ProductId::parse(&format!("{prefix}{id}")).ok());
    prefixed.unwrap_or_else(|| ProductId::parse(&id).expect("a hyphenated uuid is a product id"))
}

fn named(namespace: &Uuid, principal: &str, key: &IdempotencyKey) -> Uuid {
    // The length keeps (ab, c) and (a, bc) apart.
    let name = format!("{}:{principal}:{}", principal.len(), key.as_str());
    Uuid::new_v5(namespace, name.as_bytes())
}

/// The hash that tells a repeated command from another one with the same id: equal commands have equal hashes,
/// however they were written.
pub fn command_hash(command: &Command) -> CommandHash {
    let mut canonical = Canonical(Sha256::new());
    canonical.text("folio-command-v1");
    canonical.text(command.name());
    match command {
        Command::CreateProduct(create) => canonical.create(create),
        Command::ReviseDetails(revise) => canonical.changes(revise.changes()),
        Command::ChangePrice(change) => canonical.money(change.price),
        Command::MoveToCategory(to) => canonical.text(to.category.as_str()),
        Command::DiscontinueProduct(discontinue) => canonical.reason(discontinue.reason.as_ref()),
        Command::DeleteProduct(delete) => canonical.reason(delete.reason.as_ref()),
        Command::ListProduct | Command::RestoreProduct => {}
    }
    let digest = canonical.0.finalize();
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest[..16]);
    CommandHash(hash)
}

/// Feeds values to the hash so that different values are never the same bytes: each has its length or presence first.
struct Canonical(Sha256);

impl Canonical {
    fn count(&mut self, n: usize) {
        self.0.update((n as u64).to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.update(text.as_bytes());
    }

    fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.0.update([u8::from(value.is_some())]);
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn reason(&mut self, reason: Option<&Reason>) {
        self.option(reason, |canonical, reason| canonical.text(reason.as_str()));
    }

    fn money(&mut self, money: Money) {
        self.0.update(money.minor_units().to_be_bytes());
        self.text(money.currency().as_str());
    }

    fn attributes(&mut self, attributes: &Attributes) {
        self.count(attributes.len());
        for (name, value) in attributes.iter() {
            self.text(name);
            self.text(value);
        }
    }

    fn tags(&mut self, tags: &Tags) {
        self.count(tags.len());
        for tag in tags.iter() {
            self.text(tag);
        }
    }

    fn create(&mut self, create: &CreateProduct) {
        let CreateProduct { sku, name, description, category, brand, price, attributes, tags, status } =
            create;
        for text in [sku.as_str(), name.as_str(), description.as_str(), category.as_str(), brand.as_str()] {
            self.text(text);
        }
        self.money(*price);
        self.attributes(attributes);
        self.tags(tags);
        self.text(status.as_str());
    }

    fn changes(&mut self, changes: &DetailChanges) {
        let DetailChanges { sku, name, description, brand, attributes, tags } = changes;
        self.option(sku.as_ref(), |canonical, sku| canonical.text(sku.as_str()));
        self.option(name.as_ref(), |canonical, name| canonical.text(name.as_str()));
        self.option(description.as_ref(), |canonical, description| canonical.text(description.as_str()));
        self.option(brand.as_ref(), |canonical, brand| canonical.text(brand.as_str()));
        self.option(attributes.as_ref(), Self::attributes);
        self.option(tags.as_ref(), Self::tags);
    }
}

#[cfg(test)]
mod tests;
