//! A small product whose state holds the whole history: an event says which state it was decided on.

use bytes::Bytes;

use crate::sim::StateCodec;
use crate::{
    Aggregate, CommandHash, CommandId, Decision, EvolveError, Headers, LogRecord, Recorded, Subject,
    Unreadable,
};

#[derive(Debug)]
pub(super) struct Shop;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stock {
    pub(super) level: u64,
    /// Tells this history from any other.
    pub(super) digest: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Order {
    Open,
    Set(u64),
    Add(u64),
    Take(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) level: u64,
    /// The digest of the state it was decided on.
    pub(super) seen: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum No {
    Exists,
    NotFound,
    TooFew,
}

impl Aggregate for Shop {
    type State = Stock;
    type Command = Order;
    type Event = Changed;
    type Rejection = No;

    fn decide(state: Option<&Stock>, order: &Order) -> Decision<Changed, No> {
        let Some(stock) = state else {
            return match order {
                Order::Open => Decision::Event(Changed { level: 0, seen: 0 }),
                Order::Set(_) | Order::Add(_) | Order::Take(_) => Decision::Rejected(No::NotFound),
            };
        };
        let level = match order {
            Order::Open => return Decision::Rejected(No::Exists),
            Order::Set(level) if *level == stock.level => return Decision::NoEffect,
            Order::Set(level) => *level,
            Order::Add(more) => stock.level + more,
            Order::Take(some) if *some > stock.level => return Decision::Rejected(No::TooFew),
            Order::Take(some) => stock.level - some,
        };
        Decision::Event(Changed { level, seen: stock.digest })
    }

    fn evolve(
        state: Option<Stock>,
        _subject: &Subject,
        version: u64,
        event: &Changed,
    ) -> Result<Stock, EvolveError> {
        let before = state.map_or(0, |stock| stock.digest);
        Ok(Stock { level: event.level, digest: mix(mix(mix(before, version), event.level), event.seen) | 1 })
    }
}

const fn mix(a: u64, b: u64) -> u64 {
    let mixed = (a ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 29)
}

pub(super) fn hash_of(order: &Order) -> CommandHash {
    let (kind, number) = match order {
        Order::Open => (0, 0),
        Order::Set(n) => (1, *n),
        Order::Add(n) => (2, *n),
        Order::Take(n) => (3, *n),
    };
    let mut hash = [kind; 16];
    hash[8..].copy_from_slice(&number.to_be_bytes());
    CommandHash(hash)
}

pub(super) fn encode(event: &Changed, id: CommandId, hash: CommandHash) -> (Bytes, Headers) {
    let mut headers = Headers::new();
    headers.push("command_id", id.0.as_bytes());
    headers.push("command_hash", &hash.0);
    (Bytes::from([event.level.to_be_bytes(), event.seen.to_be_bytes()].concat()), headers)
}

pub(super) fn decode(record: &LogRecord) -> Result<Recorded<Changed>, Unreadable> {
    let damaged = || Unreadable("damaged".into());
    let value: [u8; 16] = record.value.as_deref().and_then(|v| v.try_into().ok()).ok_or_else(damaged)?;
    let half = |range: std::ops::Range<usize>| {
        value[range].try_into().map(u64::from_be_bytes).map_err(|_| damaged())
    };
    let id = record.headers.get("command_id").and_then(|id| uuid::Uuid::from_slice(id).ok());
    let hash = record.headers.get("command_hash").and_then(|hash| hash.try_into().ok());
    Ok(Recorded {
        event: Changed { level: half(0..8)?, seen: half(8..16)? },
        command_id: id.map(CommandId),
        command_hash: hash.map(CommandHash),
    })
}

/// How a stock is saved.
pub(super) const CODEC: StateCodec<Stock> = StateCodec {
    encode: |stock, into| {
        into.extend(stock.level.to_be_bytes());
        into.extend(stock.digest.to_be_bytes());
    },
    decode: |bytes| {
        let (level, digest) = bytes.split_first_chunk()?;
        let (level, digest) = (u64::from_be_bytes(*level), u64::from_be_bytes(digest.try_into().ok()?));
        Some(Stock { level, digest })
    },
};
