//! How far an import has come, in a small file beside the one that is imported. Promises that it never says more than what
//! was acknowledged, whenever the process is killed: it is replaced as a whole, after the answers.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::tally::Tally;

/// How far an import has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Tells the file's content and what was said about it from others.
    pub fingerprint: String,
    /// The addresses it went to.
    #[serde(default)]
    pub target: Vec<String>,
    /// Names the changes of this import, so that they are recognised when it goes on.
    pub run: Uuid,
    /// Products that are done, in the file's order.
    pub done: u64,
    /// The line of the last of them.
    pub line: u64,
    /// How long the file of what was left out is.
    pub rejected_bytes: u64,
    pub tally: Tally,
}

impl State {
    /// The beginning of an import.
    pub fn new(fingerprint: String, target: Vec<String>) -> Self {
        Self {
            fingerprint,
            target,
            run: Uuid::new_v4(),
            done: 0,
            line: 0,
            rejected_bytes: 0,
            tally: Tally::default(),
        }
    }

    /// Where the state of an import of `input` is kept.
    pub fn path_beside(input: &Path) -> PathBuf {
        let name = input.file_name().unwrap_or_default().to_string_lossy().into_owned();
        input.with_file_name(format!("{name}.import-state.json"))
    }

    /// The state of an import that did not end.
    ///
    /// # Errors
    /// If there is none, it cannot be read, or it is of another file or went to none of the addresses of `target`.
    pub fn resume(path: &Path, fingerprint: &str, target: &[String]) -> anyhow::Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                bail!("there is nothing to resume: {} is not there; import without --resume", path.display())
            }
            read => read.with_context(|| format!("reading {}", path.display()))?,
        };
        let state: Self = serde_json::from_str(&text).with_context(|| {
            format!("{} is damaged: remove it and import without --resume", path.display())
        })?;
        if state.fingerprint != fingerprint {
            bail!(
                "{} is of another file, map or way to import: import without --resume (what is in already stays as it is)",
                path.display()
            );
        }
        let plain = |url: &String| url.trim_end_matches('/').to_lowercase();
        // One of several instances may be gone meanwhile.
        if !state.target.iter().any(|url| target.iter().any(|it| plain(it) == plain(url))) {
            bail!(
                "{} is of an import into {}, and this one is into {}: give the same --url, or import without --resume (what is in \
                 already stays as it is)",
                path.display(),
                if state.target.is_empty() {
                    "nobody knows where".to_owned()
                } else {
                    state.target.join(", ")
                },
                target.join(", ")
            );
        }
        Ok(state)
    }

    /// Writes it; whoever reads it sees the old one or the new one.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        let new = path.with_extension("new");
        let save = || -> std::io::Result<()> {
            std::fs::write(&new, serde_json::to_vec_pretty(self)?)?;
            std::fs::rename(&new, path)
        };
        save().with_context(|| format!("saving how far the import has come in {}", path.display()))
    }

    /// Removes what an import that ended no longer needs.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove(path: &Path) -> anyhow::Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("removing {}", path.display()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_taken_up_only_for_its_own_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = State::path_beside(&dir.path().join("products.csv"));
        let target = ["http://a:1".to_owned(), "http://b:1".to_owned()];
        let error = State::resume(&path, "a", &target).unwrap_err();
        assert!(error.to_string().contains("nothing to resume"), "{error}");
        let mut state = State::new("a".to_owned(), target.to_vec());
        (state.done, state.line, state.tally.new) = (7, 9, 7);
        state.save(&path).unwrap();
        assert_eq!(State::resume(&path, "a", &target).unwrap(), state);
        assert_eq!(State::resume(&path, "a", &["http://B:1/".to_owned()]).unwrap(), state);
        let error = State::resume(&path, "a", &["http://c:1".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("into http://a:1, http://b:1, and this one is into http://c:1"), "{error}");
        let error = State::resume(&path, "b", &target).unwrap_err();
        assert!(error.to_string().contains("another file"), "{error}");
        std::fs::write(&path, "{").unwrap();
        let error = State::resume(&path, "a", &target).unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
        State::remove(&path).unwrap();
        State::remove(&path).unwrap();
    }
}
