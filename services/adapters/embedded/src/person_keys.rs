//! The keys of persons in one file on local disk: the port [`KeyStore`].
//!
//! Promises: what is acknowledged is on the disk, and what was erased is not in the file any more (what the disk keeps of blocks
//! that a file had is not known to files); a file that was torn by a crash has everything that was acknowledged; one process has it at a
//! time, as it has its directory. It is in memory as a whole: some hundred bytes for each person.
//!
//! A line for each change, the newest last. An erasure writes the file anew.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use persons::{Erasure, KeyStore, Lookup, PersonKey, Pseudonym, StoreError, Stored, Wrapped};
use serde::{Deserialize, Serialize};

/// A change, as the file has it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Person(Person),
    Erasure(Erased),
}

#[derive(Debug, Serialize, Deserialize)]
struct Person {
    lookup: [u8; 32],
    pseudonym: uuid::Uuid,
    master: String,
    wrapped: Vec<u8>,
    created_at: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
struct Erased {
    pseudonym: uuid::Uuid,
    at: Timestamp,
    by: String,
    reason: String,
}

/// The keys of a file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EmbeddedKeys(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: File,
    persons: BTreeMap<Lookup, PersonKey>,
    by_pseudonym: BTreeMap<Pseudonym, Lookup>,
    erasures: BTreeMap<Pseudonym, Erasure>,
    /// What of the file is not known to be whole: nothing is written behind it.
    is_broken: bool,
}

impl EmbeddedKeys {
    /// Opens the file, made if it is missing. Blocks on the disk.
    ///
    /// # Errors
    /// If it cannot be worked with, or holds something else: it is left as it is then.
    pub fn open(path: &Path) -> io::Result<Self> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        // What was torn was not acknowledged.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut lines = Vec::new();
        for (n, line) in whole.lines().enumerate() {
            let problem = |error: serde_json::Error| {
                // Its own words may be of what stands in the line.
                let what = format!(
                    "{}: line {} is no key of a person ({:?})",
                    path.display(),
                    n + 1,
                    error.classify()
                );
                io::Error::new(io::ErrorKind::InvalidData, what)
            };
            lines.push(serde_json::from_str::<Line>(line).map_err(problem)?);
        }
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let mut inner = Inner {
            path: path.to_owned(),
            file,
            persons: BTreeMap::new(),
            by_pseudonym: BTreeMap::new(),
            erasures: BTreeMap::new(),
            is_broken: false,
        };
        for line in lines {
            inner.take(line);
        }
        // Without what was torn, which the next line would be behind.
        inner.write_anew()?;
        Ok(Self(Arc::new(Mutex::new(inner))))
    }

    fn asked<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Stored<'static, T> {
        let keys = Arc::clone(&self.0);
        Box::pin(async move {
            let asked = move || ask(&mut lock(&keys));
            tokio::task::spawn_blocking(asked).await.unwrap_or_else(|error| Err(failed(&error)))
        })
    }
}

impl Inner {
    /// Makes in memory what a line says.
    fn take(&mut self, line: Line) {
        match line {
            Line::Person(Person { lookup, pseudonym, master, wrapped, created_at }) => {
                let (lookup, pseudonym) = (Lookup(lookup), Pseudonym(pseudonym));
                let wrapped = Wrapped { master, bytes: wrapped };
                let person = PersonKey { lookup, pseudonym, wrapped, created_at };
                self.by_pseudonym.insert(pseudonym, lookup);
                self.persons.insert(lookup, person);
            }
            Line::Erasure(Erased { pseudonym, at, by, reason }) => {
                let pseudonym = Pseudonym(pseudonym);
                if let Some(lookup) = self.by_pseudonym.remove(&pseudonym) {
                    self.persons.remove(&lookup);
                }
                self.erasures.insert(pseudonym, Erasure { pseudonym, at, by, reason });
            }
        }
    }

    fn append(&mut self, person: &PersonKey) -> Result<(), StoreError> {
        if self.is_broken {
            self.write_anew().map_err(|error| failed(&error))?;
        }
        let line = line_of(person);
        let written = text(&line).and_then(|text| {
            self.file.write_all(text.as_bytes())?;
            self.file.sync_data()
        });
        if let Err(error) = written {
            self.is_broken = true;
            return Err(failed(&error));
        }
        self.take(line);
        Ok(())
    }

    /// Writes what is in memory, and nothing else, in the place of the file.
    fn write_anew(&mut self) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        for erasure in self.erasures.values() {
            let Erasure { pseudonym, at, by, reason } = erasure.clone();
            file.write_all(
                text(&Line::Erasure(Erased { pseudonym: pseudonym.0, at, by, reason }))?.as_bytes(),
            )?;
        }
        for person in self.persons.values() {
            file.write_all(text(&line_of(person))?.as_bytes())?;
        }
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        if let Some(dir) = self.path.parent() {
            File::open(dir)?.sync_all()?;
        }
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        self.is_broken = false;
        Ok(())
    }
}

impl KeyStore for EmbeddedKeys {
    fn by_lookup(&self, lookup: Lookup) -> Stored<'_, Option<PersonKey>> {
        let found = lock(&self.0).persons.get(&lookup).cloned();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn by_pseudonyms<'a>(&'a self, pseudonyms: &'a [Pseudonym]) -> Stored<'a, Vec<Option<PersonKey>>> {
        let keys = lock(&self.0);
        let find =
            |it: &Pseudonym| keys.by_pseudonym.get(it).and_then(|lookup| keys.persons.get(lookup)).cloned();
        let found = pseudonyms.iter().map(find).collect();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn create<'a>(&'a self, person: &'a PersonKey) -> Stored<'a, PersonKey> {
        let person = person.clone();
        self.asked(move |keys| {
            if let Some(there) = keys.persons.get(&person.lookup) {
                return Ok(there.clone());
            }
            keys.append(&person).map(|()| person)
        })
    }

    fn erase<'a>(&'a self, person: &'a PersonKey, erasure: &'a Erasure) -> Stored<'a, ()> {
        let (pseudonym, Erasure { at, by, reason, .. }) = (person.pseudonym.0, erasure.clone());
        self.asked(move |keys| {
            keys.take(Line::Erasure(Erased { pseudonym, at, by, reason }));
            // Until it is written, the file is not what is in memory.
            keys.is_broken = true;
            keys.write_anew().map_err(|error| failed(&error))
        })
    }

    fn rewrap<'a>(&'a self, person: &'a PersonKey, wrapped: &'a Wrapped) -> Stored<'a, bool> {
        let (person, wrapped) = (person.clone(), wrapped.clone());
        self.asked(move |keys| {
            if keys.persons.get(&person.lookup) != Some(&person) {
                return Ok(false);
            }
            keys.append(&PersonKey { wrapped, ..person }).map(|()| true)
        })
    }

    fn page(&self, after: Option<Lookup>, limit: usize) -> Stored<'_, Vec<PersonKey>> {
        let keys = lock(&self.0);
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let page =
            keys.persons.range((from, Bound::Unbounded)).take(limit).map(|(_, it)| it.clone()).collect();
        Box::pin(std::future::ready(Ok(page)))
    }

    fn erasures(&self) -> Stored<'_, Vec<Erasure>> {
        let erasures = lock(&self.0).erasures.values().cloned().collect();
        Box::pin(std::future::ready(Ok(erasures)))
    }
}

fn line_of(person: &PersonKey) -> Line {
    let PersonKey { lookup, pseudonym, wrapped: Wrapped { master, bytes }, created_at } = person.clone();
    Line::Person(Person { lookup: lookup.0, pseudonym: pseudonym.0, master, wrapped: bytes, created_at })
}

fn text(line: &Line) -> io::Result<String> {
    Ok(serde_json::to_string(line)? + "\n")
}

fn failed(error: &dyn std::error::Error) -> StoreError {
    StoreError { problem: format!("the file of persons' keys: {error}"), transient: true }
}

fn lock(keys: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    keys.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(n: u8) -> PersonKey {
        PersonKey {
            lookup: Lookup([n; 32]),
            pseudonym: Pseudonym::random(),
            wrapped: Wrapped { master: "k1".to_owned(), bytes: vec![n; 60] },
            created_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[tokio::test]
    async fn what_was_acknowledged_is_there_again_and_what_was_erased_is_not_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("person-keys");
        let (ann, bob) = (person(201), person(202));
        {
            let keys = EmbeddedKeys::open(&path).unwrap();
            keys.create(&ann).await.unwrap();
            keys.create(&bob).await.unwrap();
        }
        let torn = fs::read_to_string(&path).unwrap() + "{\"person\":{\"look";
        fs::write(&path, torn).unwrap();
        let keys = EmbeddedKeys::open(&path).unwrap();
        let wrapped = Wrapped { master: "k2".to_owned(), bytes: vec![203; 60] };
        assert!(keys.rewrap(&bob, &wrapped).await.unwrap());
        let bob = PersonKey { wrapped, ..bob };
        assert_eq!(keys.page(None, 9).await.unwrap(), [ann.clone(), bob.clone()]);
        let (by, reason) = ("a test".to_owned(), "asked".to_owned());
        let erasure = Erasure { pseudonym: ann.pseudonym, at: Timestamp::UNIX_EPOCH, by, reason };
        keys.erase(&ann, &erasure).await.unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let wrapped_as = |n: u8| text.contains(&format!("\"wrapped\":[{n},"));
        assert!(!text.contains("201,201") && wrapped_as(203) && !wrapped_as(202), "{text}");
        let again = EmbeddedKeys::open(&path).unwrap();
        assert_eq!(again.page(None, 9).await.unwrap(), [bob]);
        assert_eq!(again.erasures().await.unwrap(), [erasure]);
    }

    #[test]
    fn a_file_of_something_else_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("person-keys");
        fs::write(&path, "a secret\nof somebody\n").unwrap();
        let error = EmbeddedKeys::open(&path).unwrap_err().to_string();
        assert!(error.contains("line 1") && !error.contains("secret"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "a secret\nof somebody\n");
    }
}
