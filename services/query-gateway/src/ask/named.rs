//! Who did it, in a history: the name while its person's key is there, and the pseudonym when it was erased.
//!
//! Promise: a name is never taken for an erased one because a store does not answer; that is an error.

use persons::{Persons, Shown, Unavailable};
use read_models::Page;
use read_models::history::HistoryEntry;

use super::error::ApiError;
use super::parked::Read;
use super::terms::Answer;

/// What these errors say is away.
const STORE: &str = "person-keys";

/// One event of a product's history, with its actor as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NamedEntry {
    pub(crate) entry: HistoryEntry,
    /// The actor is the pseudonym of somebody who was erased.
    pub(crate) actor_erased: bool,
}

/// The history with its actors as they are shown.
pub(super) async fn named(
    persons: &Persons,
    answer: Answer<Read<Page<HistoryEntry>>>,
) -> Result<Answer<Read<Page<NamedEntry>>>, ApiError> {
    let Answer { found: Read { found: Page { items, next }, stale }, build } = answer;
    let mut items: Vec<_> =
        items.into_iter().map(|entry| NamedEntry { entry, actor_erased: false }).collect();
    if persons.is_on() {
        let names = |entry: &HistoryEntry| [entry.actor.clone(), entry.principal.clone()];
        let held: Vec<String> = items.iter().flat_map(|it| names(&it.entry)).flatten().collect();
        let held: Vec<&str> = held.iter().map(String::as_str).collect();
        let mut shown = persons.show(&held).await.map_err(unavailable)?.into_iter();
        for item in &mut items {
            let mut next = |held: &mut Option<String>| {
                let (name, erased) = match held.as_ref().and_then(|_| shown.next()) {
                    Some(Shown::Name(name)) => (Some(name), false),
                    Some(Shown::Erased(pseudonym)) => (Some(pseudonym.to_string()), true),
                    None => (None, false),
                };
                *held = name;
                erased
            };
            item.actor_erased = next(&mut item.entry.actor);
            next(&mut item.entry.principal);
        }
    }
    Ok(Answer { found: Read { found: Page { items, next }, stale }, build })
}

fn unavailable(error: Unavailable) -> ApiError {
    match error {
        Unavailable::Store(error) => ApiError::Unavailable { store: STORE, why: error.to_string() },
        // A ring that lacks a master key is an operator's to mend.
        Unavailable::Ring(error) => ApiError::Internal(format!("showing who did it: {error}")),
    }
}
