//! Snapshots as bytes: numbers as LEB128, ids as they are, the state as whoever knows it writes it. Promises that any
//! bytes give a value or an error.

use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::{ColdError, Mark, Saved};
use crate::sequencer::{Product, Remembered};
use crate::{CommandHash, CommandId, Limits, Offset, Subject};

const UNREADABLE: u8 = 1;
const QUARANTINED: u8 = 2;
const HAS_STATE: u8 = 4;

/// The layout below. Another number: saved products of the other cannot be read.
pub const SAVED_FORMAT: u32 = 1;

impl<S> Saved<S> {
    /// The product as bytes, without its subject. `state` writes the state, last of all.
    pub fn encode<E: Display>(
        &self,
        state: impl FnOnce(&S, &mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Vec<u8>, ColdError> {
        let product = &self.0;
        let mut bytes = Vec::with_capacity(320 + 56 * product.commands.len());
        bytes.push(
            (UNREADABLE * u8::from(product.unreadable))
                | (QUARANTINED * u8::from(product.quarantined))
                | (HAS_STATE * u8::from(product.state.is_some())),
        );
        put(&mut bytes, product.version);
        put(&mut bytes, product.commands.len() as u64);
        for command in &product.commands {
            bytes.extend_from_slice(command.command_id.0.as_bytes());
            bytes.push(u8::from(command.command_hash.is_some()));
            bytes.extend(command.command_hash.iter().flat_map(|hash| hash.0));
            bytes.extend_from_slice(command.event_id.as_bytes());
            put(&mut bytes, command.version);
            put(&mut bytes, command.offset as u64);
        }
        if let Some(value) = &product.state {
            state(value, &mut bytes).map_err(|error| {
                ColdError(format!("the state of {} cannot be saved: {error}", product.subject))
            })?;
        }
        Ok(bytes)
    }

    /// Reads what `encode` wrote. `state` gets the state's bytes.
    pub fn decode<E: Display>(
        subject: Subject,
        bytes: &[u8],
        state: impl FnOnce(&[u8]) -> Result<S, E>,
    ) -> Result<Self, ColdError> {
        let damaged = || ColdError(format!("the saved state of {subject} is damaged"));
        let mut rest = bytes;
        let flags =
            take::<1>(&mut rest).map(|[flags]| flags).filter(|flags| *flags < 8).ok_or_else(damaged)?;
        let version = get(&mut rest).ok_or_else(damaged)?;
        // Whoever saved it may have remembered more than whoever loads it, who forgets the rest.
        let most = Limits::MAX_REMEMBERED as u64;
        let count = get(&mut rest).filter(|count| *count <= most).ok_or_else(damaged)?;
        let commands =
            (0..count).map(|_| remembered(&mut rest)).collect::<Option<VecDeque<_>>>().ok_or_else(damaged)?;
        let value = if flags & HAS_STATE != 0 {
            let value = state(rest).map_err(|error| {
                ColdError(format!("the saved state of {subject} cannot be read: {error}"))
            })?;
            Some(Arc::new(value))
        } else if rest.is_empty() {
            None
        } else {
            return Err(damaged());
        };
        Ok(Self(Product {
            subject,
            version,
            state: value,
            unreadable: flags & UNREADABLE != 0,
            quarantined: flags & QUARANTINED != 0,
            // While one is, nothing is saved.
            withheld: false,
            commands,
        }))
    }
}

impl Mark {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(20 + self.key.len());
        put(&mut bytes, self.next as u64);
        put(&mut bytes, self.last as u64);
        bytes.extend_from_slice(&self.key);
        bytes
    }

    /// Reads what `encode` wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, ColdError> {
        let mut rest = bytes;
        let mut offset = || get(&mut rest).and_then(|offset| Offset::try_from(offset).ok());
        match (offset(), offset()) {
            (Some(next), Some(last)) if last < next => {
                Ok(Self { next, last, key: Bytes::copy_from_slice(rest) })
            }
            _ => Err(ColdError("the mark of a snapshot is damaged".to_owned())),
        }
    }
}

fn remembered(rest: &mut &[u8]) -> Option<Remembered> {
    let command_id = CommandId(Uuid::from_bytes(take(rest)?));
    let command_hash = match take(rest)? {
        [0] => None,
        [1] => Some(CommandHash(take(rest)?)),
        _ => return None,
    };
    let event_id = Uuid::from_bytes(take(rest)?);
    let version = get(rest)?;
    let offset = Offset::try_from(get(rest)?).ok()?;
    Some(Remembered { command_id, command_hash, version, event_id, offset })
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn get(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let [byte] = take(rest)?;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}

#[cfg(test)]
mod tests;
