//! A secret that the configuration says, or that lies in a file which may be replaced at any time.
//!
//! Promises: a file that changed counts within [`EVERY`], without a restart, for whoever asks for the secret when it needs it; a file that
//! cannot be used changes nothing, and is told once; nothing that is told holds anything of what is in it.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Secret, Unusable};

/// How often a file is looked at, at most.
pub const EVERY: Duration = Duration::from_secs(5);
/// The largest file: more than any password, key or token has.
const MAX_FILE: u64 = 64 * 1024;

/// A secret as it is now. Cheap to clone; clones share what was read.
#[derive(Clone)]
pub struct Credential(Arc<Source>);

enum Source {
    Given(Secret),
    File { key: String, path: PathBuf, read: Mutex<Last> },
}

/// What a file said when it was last looked at.
struct Last {
    looked: Instant,
    secret: Secret,
    /// Why it cannot be used now, if that has been told.
    told: Option<String>,
}

/// Where it is from, and nothing of what it is.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Source::Given(secret) => f.debug_tuple("Credential").field(secret).finish(),
            Source::File { path, .. } => f.debug_tuple("Credential").field(path).finish(),
        }
    }
}

impl From<Secret> for Credential {
    fn from(value: Secret) -> Self {
        Self(Arc::new(Source::Given(value)))
    }
}

impl Credential {
    /// The secret of the key `key`, or of the file that `<key>_file` names; `None`: there is neither.
    ///
    /// # Errors
    /// If there are both, or the file cannot be used.
    pub fn of(key: &str, value: Option<&Secret>, file: Option<&Path>) -> Result<Option<Self>, Unusable> {
        let of_file = format!("{key}_file");
        let source = match (value, file) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                return Err(Unusable::new(of_file, format!("{key} is given too"), "give one of them"));
            }
            (Some(value), None) => Source::Given(value.clone()),
            (None, Some(path)) => {
                let remedy = "give a file that holds the secret and nothing else";
                let secret = read(path).map_err(|why| Unusable::new(&of_file, why, remedy))?;
                let read = Mutex::new(Last { looked: Instant::now(), secret, told: None });
                Source::File { key: of_file, path: path.to_owned(), read }
            }
        };
        Ok(Some(Self(Arc::new(source))))
    }

    /// What it is now. A file is read here, if it was not just now: it is small and on this machine, so that nobody waits for it.
    pub fn current(&self) -> Secret {
        self.after(EVERY)
    }

    fn after(&self, every: Duration) -> Secret {
        let (key, path, last) = match &*self.0 {
            Source::Given(secret) => return secret.clone(),
            Source::File { key, path, read } => (key, path, read),
        };
        let mut last: MutexGuard<'_, Last> = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.looked.elapsed() >= every {
            last.looked = Instant::now();
            match read(path) {
                Ok(secret) => {
                    if secret.expose() != last.secret.expose() {
                        tracing::info!(key, "a secret was read again: it has changed");
                    }
                    (last.secret, last.told) = (secret, None);
                }
                // While a file is replaced it may be away for a moment.
                Err(problem) => {
                    if last.told.as_ref() != Some(&problem) {
                        tracing::error!(
                            key,
                            problem,
                            "a secret cannot be read again: the old one stays in use"
                        );
                        last.told = Some(problem);
                    }
                }
            }
        }
        last.secret.clone()
    }
}

/// The secret in a file: all of it but the end of its line.
fn read(path: &Path) -> Result<Secret, String> {
    let wrong = |problem: &dyn fmt::Display| format!("{}: {problem}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| wrong(&error))?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| wrong(&error))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(wrong(&format!("it has more than {MAX_FILE} bytes")));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong(&"it is no text"))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(wrong(&"it is empty"));
    }
    Ok(Secret::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: Option<&str>, file: Option<&Path>) -> Result<Option<Credential>, Unusable> {
        Credential::of("cql.password", value.map(Secret::from).as_ref(), file)
    }

    #[test]
    fn a_file_that_changed_counts_and_one_that_cannot_be_used_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "hunter2\n").unwrap();
        let credential = of(None, Some(&path)).unwrap().unwrap();
        let now = || credential.after(Duration::ZERO).expose().to_owned();
        assert_eq!(now(), "hunter2");
        for (text, then) in [("hunter3\r\n", "hunter3"), ("", "hunter3"), (" hunter 4 ", " hunter 4 ")] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(now(), then);
        }
        std::fs::write(&path, "later").unwrap();
        assert_eq!(credential.current().expose(), " hunter 4 ", "it was looked at just now");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(now(), " hunter 4 ");
        let shown = format!("{credential:?} {:?}", of(Some("hunter5"), None).unwrap());
        assert!(!shown.contains("hunter") && shown.contains("***"), "{shown}");
    }

    #[test]
    fn what_cannot_be_used_is_named_and_never_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        assert!(of(None, None).unwrap().is_none());
        let missing = of(None, Some(&path)).unwrap_err();
        assert_eq!(missing.key, "cql.password_file");
        let large = "hunter2".repeat(10_000);
        for wrong in [&b""[..], b"\n", b"hunter2\xff", large.as_bytes()] {
            std::fs::write(&path, wrong).unwrap();
            let problem = of(None, Some(&path)).unwrap_err();
            assert!(!format!("{problem:?}").contains("hunter2"), "{problem:?}");
        }
        std::fs::write(&path, "hunter2").unwrap();
        let both = of(Some("hunter2"), Some(&path)).unwrap_err();
        assert!(both.problem.contains("cql.password is given too"), "{both:?}");
    }
}
