//! What is linked into the programs that ship, as a build of the whole workspace makes them: the drivers each needs, and
//! nothing of the tests. Manifests cannot show it: such a build gives every crate the features that any of them asks for.
//!
//! Promises: each finding names the program, what is in it, and a symbol that shows it. Needs no server.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::{Object as _, ObjectSymbol as _};

/// Each program with the drivers it has, no more and no fewer.
const SHIPPED: [(&str, &[&str]); 4] = [
    ("command-service", &["rdkafka", "openssl", "fjall", "scylla"]),
    ("projector", &["rdkafka", "openssl", "scylla", "elasticsearch"]),
    ("query-gateway", &["scylla", "elasticsearch"]),
    ("folio", &["rdkafka", "openssl", "scylla", "elasticsearch", "fjall", "tantivy"]),
];
/// A part of the symbols' names by which each driver is known: a crate's mangled name, or a function in C.
const DRIVERS: [(&str, &str); 6] = [
    ("rdkafka", "rd_kafka_new"),
    ("openssl", "SSL_CTX_new"),
    ("scylla", "6scylla"),
    ("elasticsearch", "13elasticsearch"),
    ("fjall", "5fjall"),
    ("tantivy", "7tantivy"),
];
/// The same of what only tests may have: their crates, and what they are made with.
const OF_TESTS: [&str; 6] =
    ["7testkit", "9folio_sim", "11folio_model", "10ledger_sim", "10stateright", "8proptest"];

#[test]
fn a_program_has_its_drivers_and_nothing_of_the_tests() {
    let mut faults = Vec::new();
    for (program, needed) in SHIPPED {
        let path = built().join(program);
        let found = marks_in(&path, DRIVERS.map(|(_, mark)| mark).into_iter().chain(OF_TESTS));
        for (driver, mark) in DRIVERS {
            match (needed.contains(&driver), found.get(mark)) {
                (false, Some(symbol)) => faults.push(format!(
                    "{program} has {driver}, which it does not need ({symbol}): find who takes it with `cargo tree -i {driver}`"
                )),
                (true, None) => faults.push(format!(
                    "{program} has no {driver}: it cannot do its work, or this test no longer knows {driver} by `{mark}`"
                )),
                _ => {}
            }
        }
        for mark in OF_TESTS {
            if let Some(symbol) = found.get(mark) {
                faults.push(format!(
                    "{program} has something of the tests ({symbol}): move what it takes out of the tests' crates"
                ));
            }
        }
    }
    assert!(faults.is_empty(), "what ships is not clean:\n- {}", faults.join("\n- "));
}

/// What takes longest to build is not in it: a newcomer waits for the first command. Whatever ships has it: see above.
#[test]
fn what_make_dev_builds_does_without_openssl() {
    let tree = |features: &[&str]| {
        let arguments = ["tree", "--locked", "--offline", "--package", "cli", "--prefix", "none"];
        let told = Command::new(env!("CARGO")).args(arguments).args(features).output().unwrap();
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).unwrap()
    };
    assert!(tree(&[]).contains("openssl-sys"), "this test no longer knows OpenSSL by its name");
    let found = tree(&["--no-default-features"]);
    assert!(found.contains("rdkafka") && !found.contains("openssl-sys"), "{found}");
}

/// Of each mark the first symbol that has it.
fn marks_in(program: &Path, marks: impl Iterator<Item = &'static str>) -> BTreeMap<&'static str, String> {
    let bytes =
        fs::read(program).unwrap_or_else(|error| panic!("cannot read {}: {error}", program.display()));
    let file = object::File::parse(&*bytes).unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let names: Vec<&str> = file.symbols().filter_map(|symbol| symbol.name().ok()).collect();
    assert!(names.len() > 1_000, "{} has no symbols to look at", program.display());
    let first = |mark: &str| names.iter().find(|name| name.contains(mark)).map(|name| (*name).to_owned());
    marks.filter_map(|mark| Some((mark, first(mark)?))).collect()
}

/// Where the build put the programs: beside the folder of this test.
fn built() -> PathBuf {
    let own = std::env::current_exe().expect("this test knows its own file");
    own.ancestors().nth(2).expect("it lies in target/<profile>/deps").to_owned()
}
