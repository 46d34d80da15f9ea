//! What is parked, by product, for people and for consoles.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use jiff::Timestamp;
use read_models::Generation;
use read_models::control::Selection;
use serde::Serialize;
use toolkit::dead_letters::{DeadLetterError, DeadLetters, Kind, Outline};

/// A product that is parked in one build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedProduct {
    pub generation: Generation,
    pub group: String,
    /// Its letters in their order; there is one at least.
    pub letters: Vec<Outline>,
}

/// How it stands with a product that is parked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ParkedView {
    pub product: String,
    pub generation: Generation,
    pub partition: i32,
    /// `<partition>/<offset>` of its first letter.
    pub id: String,
    /// Why that is there.
    pub kind: Kind,
    pub reason: String,
    /// How many letters it has.
    pub records: usize,
    /// How often the first was tried, and when.
    pub attempts: u32,
    pub first_failed: String,
    pub last_failed: String,
    /// It was given up.
    pub is_discarded: bool,
}

impl ParkedProduct {
    /// All that is parked of a group, by partition and then in the order of the products' first letters.
    ///
    /// # Errors
    /// If letters cannot be read.
    pub async fn all(
        generation: Generation,
        group: &str,
        letters: &dyn DeadLetters,
        partitions: i32,
    ) -> Result<Vec<Self>, DeadLetterError> {
        // At once: where nothing is parked one answer serves them all.
        let loads = (0..partitions).map(|partition| letters.load(partition));
        let loaded = try_join_all(loads).await?;
        Ok(loaded.into_iter().flat_map(|letters| Self::of(generation, group, letters)).collect())
    }

    /// The letters of a partition, by product, in the order of their first ones.
    fn of(generation: Generation, group: &str, letters: Vec<Outline>) -> Vec<Self> {
        let mut products: BTreeMap<String, Vec<Outline>> = BTreeMap::new();
        for letter in letters {
            products.entry(letter.subject.clone()).or_default().push(letter);
        }
        let mut all: Vec<Self> = products
            .into_values()
            .map(|letters| Self { generation, group: group.to_owned(), letters })
            .collect();
        all.sort_by_key(|it| it.first().map(|first| (first.partition, first.offset)));
        all
    }

    pub fn first(&self) -> Option<&Outline> {
        self.letters.first()
    }

    /// Whether it is meant.
    pub fn is_of(&self, which: &Selection) -> bool {
        let has = |offset| self.letters.iter().any(|it| it.offset == offset);
        self.first().is_some_and(|first| which.means(first, has))
    }

    pub fn view(&self) -> Option<ParkedView> {
        let first = self.first()?;
        Some(ParkedView {
            product: first.subject.clone(),
            generation: self.generation,
            partition: first.partition,
            id: format!("{}/{}", first.partition, first.offset),
            kind: first.kind,
            reason: first.reason.clone(),
            records: self.letters.len(),
            attempts: first.attempts,
            first_failed: time(first.first_failed_ms),
            last_failed: time(first.last_failed_ms),
            is_discarded: first.is_discarded,
        })
    }
}

/// A time in milliseconds since 1970, for people.
pub fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map(|it| it.to_string()).unwrap_or_default()
}
