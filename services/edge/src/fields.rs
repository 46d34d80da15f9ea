//! What stands beside a request: headers over HTTP, metadata over gRPC, read the same way.
//!
//! Promises: errors read after the field's name, so that each wire can name it as its clients do; a name that can only mean
//! one of ours and is spelled another way is found, so that it is refused and not passed over.

use actix_web::http::header::{self, HeaderName, HeaderValue};
use tonic::codegen::http;
use tonic::metadata::MetadataMap;

/// Names with values; a name may have several.
pub trait Fields {
    fn names(&self) -> impl Iterator<Item = &str>;
    fn all(&self, name: &str) -> impl Iterator<Item = &[u8]>;
}

impl Fields for header::HeaderMap {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.keys().map(HeaderName::as_str)
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.get_all(name).map(HeaderValue::as_bytes)
    }
}

impl Fields for http::HeaderMap {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.keys().map(http::HeaderName::as_str)
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.get_all(name).into_iter().map(http::HeaderValue::as_bytes)
    }
}

impl Fields for MetadataMap {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.as_ref().names()
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.as_ref().all(name)
    }
}

/// The value of a field that may be given once.
///
/// # Errors
/// If it is given more than once, or is no text.
pub fn one<'f>(fields: &'f impl Fields, name: &str) -> Result<Option<&'f str>, &'static str> {
    let mut values = fields.all(name);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err("is given several times: give it once");
    }
    visible(value).map(Some).ok_or("holds more than visible ASCII")
}

/// The bytes as text, if they are visible ASCII.
pub(crate) fn visible(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')).then_some(text)
}

/// The first name that is not `accepted` and means one of `meanings`, with what belongs to that meaning.
pub fn misspelt<'f>(
    fields: &'f impl Fields,
    accepted: &[&str],
    meanings: &[(&str, &'static str)],
) -> Option<(&'f str, &'static str)> {
    fields.names().filter(|name| !accepted.contains(name)).find_map(|name| {
        let plain = plain(name);
        meanings.iter().find(|(meaning, _)| is(plain, meaning)).map(|(_, what)| (name, *what))
    })
}

/// The name without what people add to it.
fn plain(name: &str) -> &str {
    let ending = name.len().checked_sub("-bin".len()).and_then(|at| name.split_at_checked(at));
    let name = ending.filter(|(_, end)| is(end, "-bin")).map_or(name, |(plain, _)| plain);
    ["x-", "folio-"].into_iter().fold(name, |name, prefix| {
        let beginning = name.split_at_checked(prefix.len());
        beginning.filter(|(begin, _)| is(begin, prefix)).map_or(name, |(_, plain)| plain)
    })
}

/// Whether a name is ours, whatever people write instead of its letters.
fn is(name: &str, ours: &str) -> bool {
    let written = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.bytes().map(written).eq(ours.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &impl Fields) -> [Result<Option<&str>, &'static str>; 4] {
        assert!(fields.names().any(|name| name == "x-twice"));
        ["x-once", "x-none", "x-twice", "x-foreign"].map(|name| one(fields, name))
    }

    #[test]
    fn headers_and_metadata_are_read_alike() {
        let (mut headers, mut metadata) = (header::HeaderMap::new(), MetadataMap::new());
        let mut append = |name: &'static str, value: &'static [u8]| {
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
            metadata.append(name, tonic::metadata::MetadataValue::try_from(value).unwrap());
        };
        append("x-once", b"a b");
        append("x-twice", b"a");
        append("x-twice", b"a");
        append("x-foreign", b"J\xfcrgen");
        let told = read(&headers);
        assert_eq!(told, read(&metadata));
        assert_eq!(told[..2], [Ok(Some("a b")), Ok(None)]);
        assert!(told[2].unwrap_err().contains("several") && told[3].unwrap_err().contains("ASCII"));
    }

    #[test]
    fn a_name_is_known_however_it_is_spelled() {
        const MEANINGS: &[(&str, &str)] = &[("actor", "1"), ("if-match", "2")];
        let of = |names: &[&str]| {
            let mut fields = header::HeaderMap::new();
            for name in names {
                fields.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static(""));
            }
            fields
        };
        let found =
            |name| misspelt(&of(&[name]), &["x-folio-actor", "if-match"], MEANINGS).map(|(_, what)| what);
        for name in
            ["actor", "Actor", "x-actor", "X_Actor", "folio-actor", "x-folio_actor", "x-folio-actor-bin"]
        {
            assert_eq!(found(name), Some("1"), "{name}");
        }
        for name in ["IF_MATCH", "x-if-match", "folio-if-match", "if-match-bin"] {
            assert_eq!(found(name), Some("2"), "{name}");
        }
        for name in ["x-folio-actor", "if-match", "user-agent", "grpc-trace-bin", "x-", "-bin", "actors"] {
            assert_eq!(found(name), None, "{name}");
        }
        assert_eq!(misspelt(&of(&["host", "x-actor"]), &[], MEANINGS), Some(("x-actor", "1")));
    }
}
