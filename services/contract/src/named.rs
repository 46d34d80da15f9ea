//! What a command names, so that its answer can name it too: also one that cannot be taken, as far as it can be read.

use serde_json::Value;

use crate::{AddressedCommand, IdempotencyKey};

/// A client's text comes back no longer than this, in characters.
const MAX_LEN: usize = IdempotencyKey::MAX_LEN;

/// The product and the idempotency key a command came with, as it wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named {
    /// The product; none if the command named none, or if that cannot be read.
    pub product_id: Option<String>,
    /// The key, likewise.
    pub idempotency_key: Option<String>,
}

impl Named {
    /// What a command that was read names.
    pub fn by(command: &AddressedCommand) -> Self {
        Self {
            product_id: command.product_id.as_ref().map(ToString::to_string),
            idempotency_key: command.idempotency_key.as_ref().map(ToString::to_string),
        }
    }

    /// What two fields of a message name; an empty one names nothing.
    pub fn by_fields(product_id: &str, idempotency_key: &str) -> Self {
        let bounded = |text: &str| Some(bounded(text)).filter(|text| !text.is_empty());
        Self { product_id: bounded(product_id), idempotency_key: bounded(idempotency_key) }
    }

    /// What a line of a bulk request names that cannot be taken. If it is no JSON, perhaps because its end is missing, it is
    /// searched for the two fields.
    pub fn by_line(line: &[u8]) -> Self {
        let read = serde_json::from_slice::<Value>(line).ok();
        let field = |name: &str| {
            let value = match &read {
                Some(line) => line.get(name).cloned(),
                None => searched(line, name),
            };
            match value? {
                Value::String(text) => Some(bounded(&text)),
                Value::Number(number) => Some(bounded(&number.to_string())),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
            }
        };
        Self { product_id: field("product_id"), idempotency_key: field("idempotency_key") }
    }
}

/// The value after the first such field of the line's own object, if it is whole.
fn searched(line: &[u8], name: &str) -> Option<Value> {
    let field = format!("\"{name}\"");
    let mut rest = line.trim_ascii_start().strip_prefix(b"{")?;
    let mut depth = 1;
    while depth > 0 {
        let at = rest.iter().position(|byte| b"\"{}[]".contains(byte))?;
        let byte = rest[at];
        rest = &rest[at..];
        let length = if byte == b'"' { text_length(rest)? } else { 1 };
        let (token, after) = rest.split_at(length);
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ if depth == 1 && token == field.as_bytes() => {
                let value = after.trim_ascii_start().strip_prefix(b":")?;
                // Of a number that is cut off the rest is missing: what ends the line is not believed.
                let value = serde_json::Deserializer::from_slice(value).into_iter::<Value>().next()?.ok()?;
                return (!value.is_number()).then_some(value);
            }
            _ => {}
        }
        rest = after;
    }
    None
}

/// The bytes of the JSON text at the beginning, with its quotes; none if it does not end.
fn text_length(json: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match json.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn bounded(text: &str) -> String {
    text.chars().take(MAX_LEN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(line: &str) -> (Option<String>, Option<String>) {
        let Named { product_id, idempotency_key } = Named::by_line(line.as_bytes());
        (product_id, idempotency_key)
    }

    fn some(product_id: &str, key: &str) -> (Option<String>, Option<String>) {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        (some(product_id), some(key))
    }

    #[test]
    fn a_line_names_what_can_be_read_of_it() {
        for (line, expected) in [
            (r#"{"product_id": "p-1", "idempotency_key": "k", "payload": 7}"#, some("p-1", "k")),
            (
                r#"{"command": "paint", "product_id": "not/an id", "idempotency_key": ""}"#,
                (some("not/an id", "").0, Some(String::new())),
            ),
            (r#"{"product_id": 17, "idempotency_key": null}"#, some("17", "")),
            (r#"{"payload": {"product_id": "inner"}, "idempotency_key": ["k"]}"#, some("", "")),
            (r#"{"product_id": "a", "product_id": "b"}"#, some("b", "")),
            (
                r#"{"command": "list_product", "product_id" : "p\u002d1", "idempotency_key": "k-1", "#,
                some("p-1", "k-1"),
            ),
            (r#"{"idempotency_key": "k-1", "product_id": "cut o"#, some("", "k-1")),
            (r#"{"payload": {"product_id": "inner"}, "idempotency_key": "k", "#, some("", "k")),
            (
                r#"{"payload": {"tags": ["product_id", {"product_id": "inner"}], "idempotency_key": "k""#,
                some("", ""),
            ),
            (r#"{"note": "a \"product_id\": \"x\"", "product_id": "p", oops"#, some("p", "")),
            (r#"{"note": "\\", "product_id": "p", "#, some("p", "")),
            (r#"["product_id": "p""#, some("", "")),
            (r#"{} {"product_id": "p"}"#, some("", "")),
            (r#"{"product_id": 17"#, some("", "")),
            (r#"{"product_id""#, some("", "")),
            ("nonsense", some("", "")),
            ("", some("", "")),
            ("[1]", some("", "")),
        ] {
            assert_eq!(named(line), expected, "{line}");
        }
        let broken = b"{\"product_id\": \"p\", \"idempotency_key\": \"k\", \"x\": \"\xff\"}";
        assert_eq!(Named::by_line(broken).product_id.as_deref(), Some("p"));
        let long = format!(r#"{{"product_id": "{}"}}"#, "x".repeat(100_000));
        assert_eq!(named(&long).0.unwrap().len(), MAX_LEN);
        assert_eq!(Named::by_fields("p", ""), Named { product_id: Some("p".to_owned()), ..Named::default() });
    }
}
