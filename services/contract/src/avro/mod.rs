//! Events as Avro in Confluent's wire format: a zero byte, the schema id (4 bytes, big-endian), the datum.
//!
//! Promises: what was ever written decodes for ever, whatever texts are refused by now in new commands; any bytes whatsoever give an event or an error, never a panic,
//! and decoding never takes more memory than a small multiple of the input.

mod containers;
mod schemas;
mod state;
mod wire;

#[cfg(test)]
mod evolution_tests;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod size_tests;
#[cfg(test)]
mod tests;

use std::io::Read as _;

use bytes::{BufMut as _, Bytes, BytesMut};
use domain::Event;
use serde_avro_fast::Schema;
use serde_avro_fast::de::{DatumDeserializer, DeserializerConfig, DeserializerState, read::SliceRead};
use serde_avro_fast::ser::SerializerConfig;

pub(crate) use schemas::fqn_of;
pub use schemas::{KnownSchema, SchemaError, SchemaIds, known_schemas, subject};
pub use state::{STATE_FORMAT, decode_state, encode_state};

/// The largest encoded record value, in bytes, frame included.
pub const MAX_RECORD_BYTES: usize = 256 * 1024;

/// Bytes before the datum: the zero byte and the schema id.
const HEADER_BYTES: usize = 5;

/// Why an event cannot be encoded. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The record would be larger than [`MAX_RECORD_BYTES`].
    #[error("the encoded event has {bytes} bytes, the most are {MAX_RECORD_BYTES}")]
    TooLarge {
        /// The size it would have.
        bytes: usize,
    },
    /// The event does not fit its own schema: a bug, and the text says where.
    #[error("cannot encode the event with its schema: {0}")]
    Schema(String),
}

/// Why a record's value is not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It does not start with the five bytes of the frame.
    #[error("the value is not framed: it does not start with a zero byte and a schema id")]
    NotFramed,
    /// The schema id is none of the known ones.
    #[error("the value names schema id {0}, which is not known here")]
    UnknownSchema(u32),
    /// The datum does not fit its schema.
    #[error("the value does not fit its schema: {0}")]
    Malformed(String),
    /// The datum fits its schema and holds a value that the domain does not allow.
    #[error("the event holds an invalid value: {0}")]
    Invalid(String),
}

/// Encodes an event with the newest schema of its type.
///
/// # Errors
/// If the record would be too large to append.
pub fn encode(event: &Event, schema_ids: &SchemaIds) -> Result<Bytes, EncodeError> {
    let (id, schema) = schema_ids.newest(event);
    let mut buffer = BytesMut::with_capacity(wire::size_hint(event) + HEADER_BYTES);
    buffer.put_u8(0);
    buffer.put_u32(id);
    let writer = buffer.writer();
    let written = wire::write(event, writer, &mut SerializerConfig::new(schema))
        .map_err(|error| EncodeError::Schema(error.to_string()))?;
    let bytes = written.into_inner().freeze();
    if bytes.len() > MAX_RECORD_BYTES {
        return Err(EncodeError::TooLarge { bytes: bytes.len() });
    }
    Ok(bytes)
}

/// Decodes the value of a record, whatever version of its type's schema it was written with.
///
/// # Errors
/// If the value is not an event; retrying cannot help, except after [`SchemaIds::learn`] for an unknown schema.
pub fn decode(value: &[u8], schema_ids: &SchemaIds) -> Result<Event, DecodeError> {
    let Some((&[0, a, b, c, d], datum)) = value.split_first_chunk::<HEADER_BYTES>() else {
        return Err(DecodeError::NotFramed);
    };
    let id = u32::from_be_bytes([a, b, c, d]);
    let (event_type, schema) = schema_ids.by_id(id).ok_or(DecodeError::UnknownSchema(id))?;
    read_whole(datum, schema, |datum| wire::read(event_type, datum))
}

/// Reads a datum of which nothing may be left.
fn read_whole<'d, T>(
    datum: &'d [u8],
    schema: &Schema,
    read: impl FnOnce(DatumDeserializer<'_, '_, SliceRead<'d>>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let mut config = DeserializerConfig::new(schema);
    // Each element of a sequence takes a byte at least, unless it is empty; then this bounds the work.
    config.max_seq_size = datum.len();
    let mut state = DeserializerState::with_config(SliceRead::new(datum), config);
    let value = read(state.deserializer())?;
    match state.into_reader().read(&mut [0]) {
        Ok(0) => Ok(value),
        Ok(_) | Err(_) => Err(DecodeError::Malformed("bytes are left after the datum".to_owned())),
    }
}

/// The schema id in a record's value, if it is framed.
pub fn schema_id(value: &[u8]) -> Option<u32> {
    match value.split_first_chunk::<HEADER_BYTES>() {
        Some((&[0, a, b, c, d], _)) => Some(u32::from_be_bytes([a, b, c, d])),
        Some(_) | None => None,
    }
}
