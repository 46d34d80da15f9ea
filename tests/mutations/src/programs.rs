//! Building the copy, and the programs that come out.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;
use serde_json::Value;

use crate::copy::Copy;

/// A test program or a binary of the copy.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// The folder of its crate, from the root: `services/ledger`.
    pub(crate) crate_dir: PathBuf,
    pub(crate) name: String,
    /// Unit tests of a library or a binary; else an integration test.
    pub(crate) is_unit: bool,
    pub(crate) path: PathBuf,
}

/// What a build came to.
#[derive(Debug)]
pub(crate) enum Built {
    Tests(Vec<Program>),
    /// It does not compile: the compiler's last words.
    No(String),
}

/// What is built together. Which crates are selected decides the features of what they share, so there are two selections
/// only, and neither builds anew what it has built before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Selection {
    /// The pure crates and what explores them: seconds.
    Pure,
    /// Everything.
    Whole,
}

/// The crates of [`Selection::Pure`]: package and folder.
pub(crate) const PURE: [(&str, &str); 4] = [
    ("ledger", "services/ledger"),
    ("domain", "services/domain"),
    ("folio-sim", "tests/sim"),
    ("folio-model", "tests/model"),
];

/// Builds the selection's tests (and, of everything, the binaries that tests start).
pub(crate) fn build(copy: &Copy, selection: Selection) -> anyhow::Result<Built> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--tests", "--locked", "--message-format=json-render-diagnostics", "--quiet"]);
    match selection {
        Selection::Pure => cargo.args(PURE.iter().flat_map(|(package, _)| ["-p", package])),
        Selection::Whole => cargo.args(["--workspace", "--bins"]),
    };
    let done = cargo
        .current_dir(&copy.tree)
        .env("CARGO_TARGET_DIR", &copy.build)
        // Set by the cargo that runs us: they would change the fingerprints of what is built.
        .env_remove("CARGO_MANIFEST_DIR")
        .stdin(Stdio::null())
        .output()
        .context("cargo")?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        let lines: Vec<&str> = said.lines().collect();
        return Ok(Built::No(lines[lines.len().saturating_sub(20)..].join("\n")));
    }
    let messages = String::from_utf8(done.stdout).context("cargo speaks UTF-8")?;
    Ok(Built::Tests(messages.lines().filter_map(|line| test_program(&copy.tree, line)).collect()))
}

/// The test program that a message of cargo tells of.
fn test_program(tree: &Path, message: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(message).ok()?;
    if message["profile"]["test"] != Value::Bool(true) {
        return None;
    }
    let manifest = Path::new(message["manifest_path"].as_str()?);
    Some(Program {
        crate_dir: manifest.parent()?.strip_prefix(tree).ok()?.to_owned(),
        name: message["target"]["name"].as_str()?.to_owned(),
        is_unit: message["target"]["kind"].as_array()?.iter().all(|kind| kind != "test"),
        path: message["executable"].as_str()?.into(),
    })
}
