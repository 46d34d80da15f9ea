//! A seeded defect: a unified diff whose header says what is wrong and which stage must catch it, at the latest.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Serialize;

/// What catches a defect, in the order in which it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stage {
    UnitTests,
    /// Simulation and model.
    Simulation,
    RealServers,
}

impl Stage {
    pub(crate) const ALL: [Self; 3] = [Self::UnitTests, Self::Simulation, Self::RealServers];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::UnitTests => "unit tests",
            Self::Simulation => "simulation",
            Self::RealServers => "real servers",
        }
    }
}

/// A patch of `tests/mutations`.
#[derive(Debug)]
pub(crate) struct Mutant {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    /// What is wrong, in one sentence.
    pub(crate) defect: String,
    /// The stage that must catch it, if none did before.
    pub(crate) stage: Stage,
    /// For real servers: the test program and what its tests' names contain.
    pub(crate) test: Option<(String, String)>,
    /// The files it changes, from the root.
    pub(crate) touched: Vec<PathBuf>,
}

impl Mutant {
    /// Every patch in the folder, by name.
    pub(crate) fn all(folder: &Path) -> anyhow::Result<Vec<Self>> {
        let entries = fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "patch"));
        files.sort();
        files.iter().map(|file| Self::read(file)).collect()
    }

    fn read(file: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        Self::parse(file.to_owned(), &text).with_context(|| file.display().to_string())
    }

    fn parse(file: PathBuf, text: &str) -> anyhow::Result<Self> {
        let header = |name: &str| {
            let mut lines = text.lines().take_while(|line| line.starts_with('#'));
            lines.find_map(|line| line.strip_prefix("# ")?.strip_prefix(name)?.strip_prefix(": "))
        };
        let stage = header("Caught by").context("the header does not say `# Caught by: STAGE`")?;
        let stage = Stage::ALL
            .into_iter()
            .find(|known| known.name() == stage)
            .with_context(|| format!("{stage:?} is none of unit tests, simulation, real servers"))?;
        let named = header("Test").and_then(|named| named.split_once(' '));
        if (stage == Stage::RealServers) != named.is_some() {
            bail!("`# Test: PROGRAM NAME` belongs to defects that real servers catch, and only to them");
        }
        let touched: Vec<PathBuf> =
            text.lines().filter_map(|line| line.strip_prefix("+++ b/")).map(PathBuf::from).collect();
        if touched.is_empty() {
            bail!("it changes no file");
        }
        Ok(Self {
            name: file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            defect: header("Defect").context("the header does not say `# Defect: SENTENCE`")?.to_owned(),
            stage,
            test: named.map(|(program, name)| (program.to_owned(), name.to_owned())),
            touched,
            file,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str =
        "# Defect: It is wrong.\n# Caught by: real servers\n# Test: it p1\n--- a/x/y.rs\n+++ b/x/y.rs\n";

    #[test]
    fn a_header_says_what_is_wrong_and_what_must_catch_it() {
        let mutant = Mutant::parse("f/some-defect.patch".into(), PATCH).unwrap();
        assert_eq!((mutant.name.as_str(), mutant.defect.as_str()), ("some-defect", "It is wrong."));
        assert_eq!((mutant.stage, mutant.test), (Stage::RealServers, Some(("it".into(), "p1".into()))));
        assert_eq!(mutant.touched, [PathBuf::from("x/y.rs")]);
    }

    #[test]
    fn a_header_that_says_too_little_or_too_much_is_refused() {
        for (from, to) in [
            ("# Defect: It is wrong.\n", ""),
            ("real servers", "luck"),
            ("# Test: it p1\n", ""),
            ("real servers", "simulation"),
            ("+++ b/x/y.rs", "+++ nothing"),
        ] {
            assert!(Mutant::parse("f.patch".into(), &PATCH.replace(from, to)).is_err(), "{from:?} -> {to:?}");
        }
    }
}
