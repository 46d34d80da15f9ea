//! Product ids out of what shops call their products. Promises: the same text always makes the same id, different texts
//! make different ids, and a text that is a product id already stays as it is.

use domain::ProductId;
use unicode_normalization::UnicodeNormalization as _;
use uuid::Uuid;

/// Never changes: it is part of what an id means.
const NAMESPACE: Uuid = Uuid::from_u128(0x5b0f_6f3e_0d2a_5e0c_9a64_3a0c_7c1f_a203);
/// What is kept of a text that is no id, before the digits that tell it from others.
const KEPT: usize = 48;

/// The product id of what the shop calls `name`; none if that is blank.
pub(crate) fn product_id(name: &str) -> Option<String> {
    // The same text has several spellings in Unicode.
    let name: String = name.nfc().collect();
    let name = name.trim().trim_end_matches('/');
    if name.is_empty() {
        return None;
    }
    if ProductId::parse(name).is_ok() {
        return Some(name.to_owned());
    }
    let mut slug = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        if slug.len() >= KEPT {
            break;
        }
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') {
            slug.push(c);
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    let slug = slug.trim_matches(['-', '.', '_']);
    let mark = Uuid::new_v5(&NAMESPACE, name.as_bytes()).simple().to_string();
    let mark = &mark[..12];
    Some(if slug.is_empty() { format!("p-{mark}") } else { format!("{slug}-{mark}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_and_anything_else_becomes_one() {
        assert_eq!(product_id("classic-tee").as_deref(), Some("classic-tee"));
        assert_eq!(product_id("classic-tee//").as_deref(), Some("classic-tee"));
        assert_eq!(product_id(" 1042 ").as_deref(), Some("1042"));
        assert_eq!(product_id("  "), None);
        for name in ["classic-tee/M/Blue", "größe 42", "日本", "UHJvZHVjdDo3Mg==", "-x", &"long".repeat(40)]
        {
            let id = product_id(name).unwrap();
            assert!(ProductId::parse(&id).is_ok(), "{name}: {id}");
            assert_eq!(product_id(name).unwrap(), id);
        }
        assert!(product_id("classic-tee/M/Blue").unwrap().starts_with("classic-tee-m-blue-"));
        assert_ne!(product_id("tee/M"), product_id("tee M"));
        assert_ne!(product_id("a b"), product_id("A B"));
        assert_eq!(product_id("gro\u{df}e gr\u{f6}\u{df}e"), product_id("gro\u{df}e gro\u{308}\u{df}e"));
        assert_ne!(product_id(&"x".repeat(70)), product_id(&"x".repeat(71)));
    }
}
