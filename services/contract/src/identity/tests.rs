//! Identities are the same everywhere and for ever.

use proptest::prelude::*;

use super::*;
use crate::json;
use crate::samples;

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::parse(text).unwrap()
}

proptest! {
    #[test]
    fn commands_have_equal_hashes_exactly_if_they_are_equal(a in samples::command(), b in samples::command()) {
        prop_assert_eq!(command_hash(&a) == command_hash(&b), a == b);
        prop_assert_eq!(command_hash(&a.clone()), command_hash(&a));
    }

    #[test]
    fn principal_and_key_make_different_ids(a in "[a-z:0-9]{0,4}", b in "[a-z:0-9]{1,4}", c in "[a-z:0-9]{0,4}", d in "[a-z:0-9]{1,4}") {
        let is_same = (&a, &b) == (&c, &d);
        prop_assert_eq!(command_id(&a, &key(&b)) == command_id(&c, &key(&d)), is_same);
        prop_assert_eq!(product_id_for_key(&a, None, &key(&b)) == product_id_for_key(&c, None, &key(&d)), is_same);
        prop_assert_ne!(command_id(&a, &key(&b)).0.to_string(), product_id_for_key(&a, None, &key(&b)).to_string());
    }
}

#[test]
fn a_command_has_the_same_hash_however_it_was_written() {
    let parse = |body: &str| json::parse_command("create_product", body.as_bytes()).unwrap();
    let a = parse(
        r#"{"sku": "R", "name": " Ring ", "category": "c", "brand": "b", "tags": ["y", "x", "y"],
            "price": {"minor_units": 5, "currency": "EUR"}, "attributes": {"b": "2", "a": "1"}}"#,
    );
    let b = parse(
        r#"{"attributes": {"a": "1", "b": "2"}, "price": {"currency": "EUR", "minor_units": 5}, "status": "draft",
            "sku": "R", "tags": ["x", "y"], "name": "Ring", "category": "c", "brand": "b", "description": ""}"#,
    );
    assert_eq!(command_hash(&a), command_hash(&b));
}

#[test]
fn ids_and_hashes_keep_between_releases() {
    let id = command_id("alice", &key("k-1")).to_string();
    let product = product_id_for_key("alice", None, &key("k-1")).to_string();
    let longest = format!("{}.", "t".repeat(27));
    let of_tenant = product_id_for_key("alice", Some(&longest), &key("k-1")).to_string();
    assert_eq!(of_tenant, format!("{longest}{product}"), "there is room for the longest name of a tenant");
    let CommandHash(hash) = command_hash(&Command::ListProduct);
    let hash = format!("{:032x}", u128::from_be_bytes(hash));
    // Computed with other tools: uuid5 over "5:alice:k-1", sha256 over the two names, each after its length.
    let expected = [
        "991de599-8fd4-5056-a97a-81336bce4ef9",
        "6d6e37ed-dcd7-5395-87ee-658b19fb2a48",
        "7dd4ef9e7718baf49f15312aee8dd833",
    ];
    assert_eq!([id.as_str(), product.as_str(), hash.as_str()], expected);
}

#[test]
fn keys_are_visible_ascii_of_bounded_length() {
    for good in ["k", "0b0a5c1e-6d0b-4a9e-8f4e-1f7d3f1d2c3b", &"k".repeat(255), "a\"b"] {
        assert_eq!(key(good).as_str(), good);
    }
    for bad in ["", " ", "a b", "\u{e4}", "a\n", &"k".repeat(256)] {
        assert_eq!(IdempotencyKey::parse(bad).unwrap_err().field, "idempotency_key", "{bad:?}");
    }
}
