use std::io::Write;

use super::*;

const FIRST: &str = "folio-key-0123456789abcdef0123456789abcdef";
const SECOND: &str = "folio-key-fedcba9876543210fedcba9876543210";

fn line(name: &str, key: &str, more: &str) -> String {
    format!("- {{name: {name}, sha256: \"{}\"{more}}}\n", hashed(key))
}

fn ring(lines: &[String]) -> Result<Ring, String> {
    let roles = [("editor".to_owned(), vec![Scope::Write])].into_iter().collect();
    Ring::parse(&format!("keys:\n{}", lines.concat()), &roles)
}

#[test]
fn a_key_is_known_by_its_hash_and_grants_what_its_line_says() {
    let ring = ring(&[
        line("importer", FIRST, ", scopes: [\"products:bulk\"], roles: [editor], tenant: acme"),
        line("importer", SECOND, ""),
    ])
    .unwrap();
    let first = ring.find(FIRST).unwrap();
    assert_eq!((first.name(), first.product_prefix()), ("key:importer", Some("acme.")));
    assert_eq!(first.rights(), [Scope::Bulk, Scope::Write].into_iter().collect());
    let second = ring.find(SECOND).unwrap();
    assert_eq!((second.name(), second.rights()), ("key:importer", Rights::default()), "several of one name");
    let long = "x".repeat(MAX_KEY + 1);
    for unknown in ["", "short", &FIRST.to_uppercase(), &format!("{FIRST} "), &hashed(FIRST), &long] {
        assert_eq!(ring.find(unknown), None, "{unknown}");
    }
    let shown = format!("{ring:?}");
    assert!(shown.contains("importer") && !shown.contains(&hashed(FIRST)), "{shown}");
}

#[test]
fn a_hash_is_what_other_tools_make_of_the_key() {
    // printf %s abc | sha256sum
    assert_eq!(hashed("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn a_key_that_is_over_is_refused() {
    let ring = ring(&[line("a", FIRST, ", expires: 2020-01-01T00:00:00Z, scopes: [ops]")]).unwrap();
    assert_eq!(ring.find(FIRST).unwrap().allow(Scope::Ops).unwrap_err().status, 401);
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_the_line() {
    let short = "- {name: a, sha256: \"abc\"}\n".to_owned();
    let foreign = format!("- {{name: a, sha256: \"{}\"}}\n", "\u{e4}".repeat(32));
    for (lines, told) in [
        (vec![line("a", FIRST, ""), short], "key 2 (`a`)"),
        (vec![foreign], "64 hexadecimal digits"),
        (vec![line("\"\"", FIRST, "")], "visible ASCII"),
        (vec![line("a", FIRST, ", roles: [king]")], "`king` is not among auth.roles"),
        (vec![line("a", FIRST, ", scopes: [everything]")], "everything"),
        (vec![line("a", FIRST, ", tenant: a.b")], "a tenant's name"),
        (vec![line("a", FIRST, ", key: secret")], "unknown field"),
    ] {
        let problem = ring(&lines).unwrap_err();
        assert!(problem.contains(told), "{told}: {problem}");
    }
    assert!(Ring::parse("", &Roles::new()).is_err() && Ring::parse("keys: 7", &Roles::new()).is_err());
}

/// That the place of the first difference, the place of the key and whether it is there make no difference that can be measured would be
/// a test that fails by chance. That a key is looked for by its hash, and that all hashes are compared, each as a whole, follows from their
/// type, which has no other way to be compared. What is left to hold is that the right one is found wherever it stands.
#[test]
fn the_right_key_is_found_wherever_it_stands() {
    let keys: Vec<String> = (0..50).map(|n| format!("folio-key-{n:032}")).collect();
    let ring =
        ring(&keys.iter().enumerate().map(|(n, key)| line(&n.to_string(), key, "")).collect::<Vec<_>>())
            .unwrap();
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(ring.find(key).unwrap().name(), format!("key:{n}"));
    }
}

#[tokio::test]
async fn a_file_is_replaced_without_a_restart_and_a_broken_one_changes_nothing() {
    let path = std::env::temp_dir().join(format!("folio-keys-{}.yaml", uuid::Uuid::new_v4()));
    let write = |text: &str| std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    write(&format!("keys:\n{}", line("a", FIRST, "")));
    let keys = Keys::open(&path, &Roles::new()).unwrap();
    let stop = CancellationToken::new();
    let following = tokio::spawn(keys.clone().follow(Duration::from_millis(5), stop.clone()));
    let until = async |state: &dyn Fn() -> bool| {
        for _ in 0..2_000 {
            if state() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("not in ten seconds");
    };
    write(&format!("keys:\n{}", line("b", SECOND, "")));
    until(&|| keys.find(SECOND).is_some() && keys.find(FIRST).is_none()).await;
    write("keys: [broken");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(keys.find(SECOND).is_some(), "the old ones stay");
    write("keys: []");
    until(&|| keys.find(SECOND).is_none()).await;
    stop.cancel();
    following.await.unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(Keys::open(&path, &Roles::new()).unwrap_err().contains("folio-keys-"));
}
