//! The scenes, each small enough to be explored to the end.

use std::collections::BTreeSet;

use ledger::{RecordKey, VoidReason, WINDOW, rule};

use crate::state::{Fate, State};
use crate::{Bounds, CommandRequest, Order, Scene, Sight};

/// Opened at a level that tells who did it.
pub(super) const fn open(command: u8, at: usize, product: &'static str) -> CommandRequest {
    CommandRequest::new(command, at, product, Order::Open(command))
}

pub(super) const fn set(command: u8, at: usize, product: &'static str, level: u8) -> CommandRequest {
    CommandRequest::new(command, at, product, Order::Set(level))
}

/// A scene in which nothing goes wrong.
pub(super) fn scene(name: &'static str, writers: usize, requests: Vec<CommandRequest>) -> Scene {
    let bounds = Bounds::default();
    Scene { name, writers, requests, max_attempts: 8, bounds, broken: None, sights: Vec::new() }
}

pub(super) fn all() -> Vec<Scene> {
    let none = Bounds::default();
    let race = || vec![open(0, 0, "a"), open(1, 1, "a")];
    let open_and_set = || vec![open(0, 0, "a"), set(1, 1, "a", 1)];
    vec![
        Scene {
            bounds: Bounds { timeouts: 1, retries: 1, ..none },
            sights: vec![ACCEPTED, REPLAYED, REJECTED, LOST_RACE, WRITTEN_TWICE],
            ..scene("two writers race, an append times out, a client asks again", 2, race())
        },
        Scene {
            bounds: Bounds { copies: 1, retries: 1, ..none },
            sights: vec![LANDED_TWICE, REPLAYED, REJECTED],
            ..scene("two writers race, a record lands twice, a client asks again", 2, race())
        },
        Scene {
            bounds: Bounds { crashes: 1, retries: 1, ..none },
            sights: vec![LOST, REPLAYED, LOST_RACE],
            ..scene("a writer dies, a client asks again", 2, open_and_set())
        },
        Scene {
            bounds: Bounds { resets: 1, timeouts: 1, ..none },
            sights: vec![UNKNOWN, WRITTEN_TWICE],
            ..scene("a writer throws its state away, an append times out", 2, open_and_set())
        },
        Scene {
            bounds: Bounds { deadlines: 1, timeouts: 1, ..none },
            sights: vec![UNKNOWN, EXPIRED, WRITTEN_TWICE],
            ..scene("deadlines pass, an append times out", 2, open_and_set())
        },
        Scene {
            bounds: Bounds { jumps: 1, ..none },
            sights: vec![AT_THE_WINDOWS_EDGE, OUTSIDE_THE_WINDOW],
            ..scene("two products, the log jumps by a window", 2, vec![open(0, 0, "a"), open(1, 1, "b")])
        },
        Scene {
            sights: vec![ACCEPTED, REJECTED, LOST_RACE],
            ..scene("three writers, two products", 3, vec![open(0, 0, "a"), open(1, 1, "a"), open(2, 2, "b")])
        },
        Scene {
            max_attempts: 1,
            sights: vec![CONTENDED, ACCEPTED, REJECTED],
            ..scene("three writers, one race may be lost", 3, three_sets())
        },
        Scene {
            sights: vec![ACCEPTED, CONFLICT, NO_EFFECT, KEY_REUSED],
            ..scene("an expected version, the same value again, and a key used twice", 2, conditions())
        },
    ]
}

fn three_sets() -> Vec<CommandRequest> {
    vec![open(0, 0, "a"), set(1, 1, "a", 1), set(2, 2, "a", 2)]
}

fn conditions() -> Vec<CommandRequest> {
    vec![open(0, 0, "a"), set(1, 1, "a", 1).expecting(1), set(2, 0, "a", 1), set(0, 1, "a", 0)]
}

const ACCEPTED: Sight = ("a command is accepted", |_, s| has(s, Fate::Accepted));
const REPLAYED: Sight = ("a command is known already", |_, s| has(s, Fate::Replayed));
const REJECTED: Sight = ("a command is rejected", |_, s| has(s, Fate::Rejected));
const NO_EFFECT: Sight = ("a command has no effect", |_, s| has(s, Fate::NoEffect));
const CONFLICT: Sight = ("an expected version does not hold", |_, s| has(s, Fate::Conflict));
const KEY_REUSED: Sight = ("a key is used for another command", |_, s| has(s, Fate::KeyReused));
const CONTENDED: Sight = ("a command loses too many races", |_, s| has(s, Fate::Contended));
const UNKNOWN: Sight = ("an outcome stays unknown", |_, s| has(s, Fate::Unknown));
const EXPIRED: Sight = ("a command expires unwritten", |_, s| has(s, Fate::Expired));
const LOST: Sight = ("a command dies with its writer", |_, s| has(s, Fate::Lost));
const LOST_RACE: Sight = ("a record comes too late for its version", |_, s| {
    verdicts(s).any(|(_, verdict)| verdict == rule::Verdict::Void(VoidReason::Stale))
});
const OUTSIDE_THE_WINDOW: Sight = ("a record is void for its window alone", |_, s| {
    verdicts(s).any(|(_, verdict)| verdict == rule::Verdict::Void(VoidReason::OutsideWindow))
});
const AT_THE_WINDOWS_EDGE: Sight = ("a record counts at the window's edge", |_, s| {
    verdicts(s).any(|(distance, verdict)| distance == WINDOW && verdict == rule::Verdict::Effective)
});
const LANDED_TWICE: Sight = ("a record stands in the log twice", |_, s| {
    let keys: BTreeSet<_> = s.log.iter().map(|landed| &landed.record.key).collect();
    keys.len() < s.log.len()
});
const WRITTEN_TWICE: Sight = ("both records of a command land, and one counts", |_, s| {
    let all = || s.log.iter().map(|landed| landed.record.ticket);
    all().any(|ticket| {
        all().filter(|other| *other == ticket).count() == 2
            && s.tickets.get(&ticket).is_some_and(|it| it.fate == Fate::Accepted)
    })
});

fn has(state: &State, fate: Fate) -> bool {
    state.tickets.values().any(|ticket| ticket.fate == fate)
}

/// Each record's distance from its basis, and what the rule says of it if it is its product's first version.
fn verdicts(state: &State) -> impl Iterator<Item = (i64, rule::Verdict)> + '_ {
    let mut opened = BTreeSet::new();
    state.log.iter().filter_map(move |landed| {
        let key = RecordKey::parse(&landed.record.key).ok()?;
        let current = u64::from(opened.contains(&key.subject));
        let verdict = rule::judge(landed.offset, key.basis, key.version, current);
        if verdict == rule::Verdict::Effective {
            opened.insert(key.subject);
        }
        (key.version == 1).then_some((landed.offset - key.basis, verdict))
    })
}
