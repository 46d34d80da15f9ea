//! The headers of a record: CloudEvents 1.0 in binary mode, and Folio's own.
//!
//! They promise to other teams' consumers that an event can be identified, traced and filtered without decoding its
//! value, and that none of them says nothing: what a command does not have has no header, and what the key says is not said
//! again unless `CloudEvents` asks for it. Folio itself decides nothing by them but whether a command is a repetition.

use domain::Product;
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use ledger::{CommandHash, CommandId, Headers};
use uuid::Uuid;

use crate::avro;

/// The content type of a record's value.
pub const CONTENT_TYPE: &str = "application/avro";

/// The headers' names.
pub mod names {
    /// The event's id; also the last part of the record's key.
    pub const ID: &str = "ce_id";
    /// The full name of the event's type.
    pub const TYPE: &str = "ce_type";
    /// Who wrote the event.
    pub const SOURCE: &str = "ce_source";
    /// The version of CloudEvents: 1.0.
    pub const SPEC_VERSION: &str = "ce_specversion";
    /// When the command was decided, by the writer's clock, in milliseconds like the record's own timestamp.
    pub const TIME: &str = "ce_time";
    /// What a client calls the work this belongs to.
    pub const CORRELATION_ID: &str = "ce_correlationid";
    /// The id of the command that caused the event.
    pub const CAUSATION_ID: &str = "ce_causationid";
    /// W3C trace context.
    pub const TRACEPARENT: &str = "traceparent";
    /// The media type of the value.
    pub const CONTENT_TYPE: &str = "content-type";
    /// The hash of the command, 32 hexadecimal digits.
    pub const COMMAND_HASH: &str = "folio_command_hash";
    /// Who the command was given for: usually who gave it.
    pub const ACTOR: &str = "folio_actor";
    /// Who gave the command, where that is somebody else: a front end that was let act on behalf of others.
    pub const PRINCIPAL: &str = "folio_principal";
    /// The product's category after the event.
    pub const CATEGORY: &str = "folio_category";
    /// The product's brand after the event.
    pub const BRAND: &str = "folio_brand";
}

/// What the headers say beyond the event and its product.
#[derive(Debug, Clone, Copy)]
pub struct EventMeta<'a> {
    /// The event's id; also the last part of the record's key.
    pub event_id: Uuid,
    /// When the command was decided, by the writer's clock; information only.
    pub time: Timestamp,
    /// Who writes, as a URI reference: `/folio/command-service`.
    pub source: &'a str,
    /// What the client calls the work this belongs to.
    pub correlation_id: Option<&'a str>,
    /// The command that caused the event.
    pub command_id: CommandId,
    /// The hash of a command that has an idempotency key; no other can be given twice.
    pub command_hash: Option<CommandHash>,
    /// Who the command was given for.
    pub actor: Option<&'a str>,
    /// Who gave it, where that is somebody else.
    pub principal: Option<&'a str>,
    /// W3C trace context of the command.
    pub traceparent: Option<&'a str>,
}

/// The headers of a record whose event, of type `event_type`, made the product what `after` says.
pub fn headers(meta: &EventMeta<'_>, after: &Product, event_type: &str) -> Headers {
    let mut headers = Headers::with_capacity(14, 512);
    let mut buffer = Uuid::encode_buffer();
    headers.push(names::ID, meta.event_id.hyphenated().encode_lower(&mut buffer).as_bytes());
    headers.push(names::TYPE, avro::fqn_of(event_type).unwrap_or(event_type).as_bytes());
    headers.push(names::SOURCE, meta.source.as_bytes());
    headers.push(names::SPEC_VERSION, b"1.0");
    headers.push(names::TIME, milliseconds(meta.time).as_bytes());
    headers.push(names::CONTENT_TYPE, CONTENT_TYPE.as_bytes());
    if let Some(correlation_id) = meta.correlation_id {
        headers.push(names::CORRELATION_ID, correlation_id.as_bytes());
    }
    if let Some(traceparent) = meta.traceparent {
        headers.push(names::TRACEPARENT, traceparent.as_bytes());
    }
    if let Some(actor) = meta.actor {
        headers.push(names::ACTOR, actor.as_bytes());
    }
    if let Some(principal) = meta.principal {
        headers.push(names::PRINCIPAL, principal.as_bytes());
    }
    headers.push(names::CATEGORY, after.category.as_str().as_bytes());
    headers.push(names::BRAND, after.brand.as_str().as_bytes());
    // Last, because they are all that the log's rule reads, and readers look from the end.
    if let Some(hash) = meta.command_hash {
        headers.push(names::COMMAND_HASH, hex(hash, &mut buffer));
    }
    headers.push(names::CAUSATION_ID, meta.command_id.0.hyphenated().encode_lower(&mut buffer).as_bytes());
    headers
}

/// RFC 3339 in UTC, to the millisecond.
fn milliseconds(time: Timestamp) -> String {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
    PRINTER.timestamp_to_string(&time)
}

/// What a record's headers say. A header that is missing or makes no sense is `None`: headers are information, and a
/// record does not fail for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordMeta<'a> {
    /// The event's id.
    pub event_id: Option<Uuid>,
    /// The full name of the event's type.
    pub event_type: Option<&'a str>,
    /// Who wrote the event.
    pub source: Option<&'a str>,
    /// When the command was decided, by the writer's clock.
    pub time: Option<Timestamp>,
    /// What a client calls the work this belongs to.
    pub correlation_id: Option<&'a str>,
    /// The command that caused the event.
    pub command_id: Option<CommandId>,
    /// The command's hash.
    pub command_hash: Option<CommandHash>,
    /// Who the command was given for.
    pub actor: Option<&'a str>,
    /// Who gave it, where that is somebody else.
    pub principal: Option<&'a str>,
    /// W3C trace context.
    pub traceparent: Option<&'a str>,
    /// The product's category after the event.
    pub category: Option<&'a str>,
    /// The product's brand after the event.
    pub brand: Option<&'a str>,
}

/// The headers that [`read_command`] looks at.
pub const COMMAND_HEADERS: &[&str] = &[names::CAUSATION_ID, names::COMMAND_HASH];

/// What the log's rule needs of the headers: the command, and its hash. For every record; [`read_meta`] costs much more.
pub fn read_command(headers: &Headers) -> (Option<CommandId>, Option<CommandHash>) {
    let id = headers.get(names::CAUSATION_ID).and_then(|id| Uuid::try_parse_ascii(id).ok());
    (id.map(CommandId), headers.get(names::COMMAND_HASH).and_then(unhex))
}

/// Reads the headers of a record, whoever wrote it.
pub fn read_meta(headers: &Headers) -> RecordMeta<'_> {
    let text = |name: &str| headers.get(name).and_then(|value| std::str::from_utf8(value).ok());
    let (command_id, command_hash) = read_command(headers);
    RecordMeta {
        event_id: text(names::ID).and_then(|id| id.parse().ok()),
        event_type: text(names::TYPE),
        source: text(names::SOURCE),
        time: text(names::TIME).and_then(|time| time.parse().ok()),
        correlation_id: text(names::CORRELATION_ID),
        command_id,
        command_hash,
        actor: text(names::ACTOR),
        principal: text(names::PRINCIPAL),
        traceparent: text(names::TRACEPARENT),
        category: text(names::CATEGORY),
        brand: text(names::BRAND),
    }
}

/// 32 digits, which is what a UUID's text is without hyphens.
fn hex(CommandHash(hash): CommandHash, buffer: &mut [u8]) -> &[u8] {
    Uuid::from_bytes(hash).simple().encode_lower(buffer).as_bytes()
}

fn unhex(text: &[u8]) -> Option<CommandHash> {
    let text: &[u8; 32] = text.try_into().ok()?;
    Uuid::try_parse_ascii(text).ok().map(|it| CommandHash(it.into_bytes()))
}

#[cfg(test)]
mod tests;
