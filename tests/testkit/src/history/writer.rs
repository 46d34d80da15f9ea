//! Clients that give commands to several instances, retry with the same key, and record everything.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::catalog::Catalog;
use super::wish::{chance, change, creation, request};
use super::{Attempt, Recorded, Told};
use crate::Client;

/// How long a client waits for an answer: longer than the ten seconds that an instance may take, or not.
const PATIENT: Duration = Duration::from_secs(15);
const IMPATIENT: Duration = Duration::from_secs(2);

/// One client.
#[derive(Debug)]
pub struct Writer {
    number: usize,
    catalog: Arc<Catalog>,
    instances: Vec<Client>,
    dice: StdRng,
    given: u64,
}

impl Writer {
    /// The writer `number` of a history; number and `seed` decide what it wishes. It asks instance `number` first,
    /// counted round.
    pub fn new(number: usize, seed: u64, catalog: &Arc<Catalog>, instances: &[Client]) -> Self {
        let dice = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
        Self { number, catalog: Arc::clone(catalog), instances: instances.to_vec(), dice, given: 0 }
    }

    /// Creates this writer's share of the products among `writers`.
    pub async fn create(&mut self, writers: usize) -> Vec<Recorded> {
        let creatable = self.catalog.load.products - self.catalog.load.unknown;
        let mut recorded = Vec::new();
        for product in (self.number..creatable).step_by(writers) {
            let command = creation(&self.catalog.products[product].id);
            recorded.push(self.give(product, command, None).await);
        }
        recorded
    }

    /// Gives `count` commands, or fewer if the catalog is stopped, each until it is answered for good.
    pub async fn run(&mut self, count: usize) -> Vec<Recorded> {
        let mut recorded = Vec::new();
        while recorded.len() < count && !self.catalog.is_stopped() {
            let product = self.choose();
            let told = self.catalog.products[product].version.load(Ordering::SeqCst);
            let expected = match self.dice.random_range(0..10) {
                0..4 => None,
                4..9 => Some(told),
                _ => Some(told.saturating_sub(1)),
            };
            let command = change(&mut self.dice);
            recorded.push(self.give(product, command, expected).await);
            tokio::time::sleep(self.catalog.load.pause).await;
        }
        recorded
    }

    fn choose(&mut self) -> usize {
        let load = self.catalog.load;
        for _ in 0..10 {
            let is_hot = chance(&mut self.dice, load.hot_share);
            let product = self.dice.random_range(if is_hot { 0..load.hot } else { load.hot..load.products });
            if self.catalog.products[product].may_go_on() {
                return product;
            }
        }
        self.dice.random_range(load.hot..load.products)
    }

    async fn give(&mut self, number: usize, command: domain::Command, expected: Option<u64>) -> Recorded {
        let catalog = Arc::clone(&self.catalog);
        let product = &catalog.products[number];
        self.given += 1;
        let id = (self.number as u64) << 32 | self.given;
        product.open(id);
        let key = format!("w{}-{}", self.number, self.given);
        let mut recorded =
            Recorded { product: product.id.clone(), command, expected, key, attempts: Vec::new() };
        let mut instance = self.number % self.instances.len();
        let mut repeats = u32::from(chance(&mut self.dice, catalog.load.repeated));
        loop {
            let attempt = self.ask(&recorded, instance).await;
            if attempt.told == Told::GIVEN_UP {
                product.lingers(id);
            }
            catalog.told(product, &attempt);
            let (is_final, is_accepted) =
                (attempt.told.is_final(), matches!(attempt.told, Told::Accepted { .. }));
            recorded.attempts.push(attempt);
            if !is_final {
                let failures = recorded.attempts.len().min(6) as u64;
                let pause = self.dice.random_range(10..=50) * failures;
                tokio::time::sleep(Duration::from_millis(pause)).await;
            } else if is_accepted && repeats > 0 {
                repeats -= 1;
            } else {
                break;
            }
            // Wherever it lands: the same key is the same command.
            instance = self.dice.random_range(0..self.instances.len());
        }
        product.close(id);
        catalog.is_answered();
        recorded
    }

    async fn ask(&mut self, recorded: &Recorded, instance: usize) -> Attempt {
        let (path, body) = request(&recorded.product, &recorded.command);
        // A product that was never created has no tag that could match.
        let precondition = recorded.expected.map(|version| match version {
            0 => ("if-none-match", "*".to_owned()),
            _ => ("if-match", format!("\"{version}\"")),
        });
        let mut headers = vec![("idempotency-key", recorded.key.as_str())];
        headers.extend(precondition.iter().map(|(name, value)| (*name, value.as_str())));
        let patience = if chance(&mut self.dice, self.catalog.load.impatient) { IMPATIENT } else { PATIENT };
        let sent = self.catalog.now();
        let asked = self.instances[instance].post(&path, &headers, &body);
        let told = match tokio::time::timeout(patience, asked).await {
            Ok(Ok(reply)) => Told::of(&reply),
            Ok(Err(_)) => Told::DISCONNECTED,
            Err(_) => Told::GIVEN_UP,
        };
        Attempt { instance, sent, answered: self.catalog.now(), told }
    }
}
