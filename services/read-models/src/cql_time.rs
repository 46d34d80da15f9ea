//! Times as CQL holds them: milliseconds since 1970, which is what the broker stamps.

use adapter_cql::scylla::value::CqlTimestamp;
use jiff::Timestamp;

pub(crate) fn to_cql(time: Timestamp) -> CqlTimestamp {
    CqlTimestamp(time.as_millisecond())
}

/// A time outside of jiff's range (years -9999 to 9999), which nobody writes, is read as 1970.
pub(crate) fn from_cql(time: CqlTimestamp) -> Timestamp {
    Timestamp::from_millisecond(time.0).unwrap_or_default()
}
