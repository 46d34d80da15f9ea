//! What fjall keeps of its own files, looked through before fjall reads it: it checks neither the list of a keyspace's tables, and
//! deletes the tables that a changed one does not name, nor what it deletes when a keyspace's marker is gone.
//!
//! Promises: what [`check`] lets pass is as it was written; it touches nothing. Not seen here: tables and journals.
//!
//! ```text
//! keyspaces/{0, 1}/current  id:u64le hash:u128le 0:u8
//! keyspaces/{0, 1}/v{id}    the list of tables; `hash` is the XXH3-128 of all of it (lsm-tree 3.1)
//! ```

use std::fs;
use std::io;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

/// The one in which fjall keeps what it knows of the others, and ours.
const KEYSPACES: [&str; 2] = ["0", OURS];
const OURS: &str = "1";
const CURRENT: &str = "current";
/// What `current` ends with: the only kind of hash there is.
const XXH3: [u8; 1] = [0];

/// What is wrong, in words, or that the files cannot be read at the moment.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("{0}")]
    Damage(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Problem {
    /// What it means that the file cannot be read.
    pub(crate) fn of(path: &Path, error: &io::Error) -> Self {
        let what = format!("{} cannot be read: {error}", path.display());
        if is_damage(error) { Self::Damage(what) } else { Self::Io(io::Error::new(error.kind(), what)) }
    }
}

/// Whether the error is of the files, and not of a machine that is short of something or keeps us out.
pub(crate) fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
    matches!(error.kind(), NotFound | UnexpectedEof | InvalidData)
}

/// Whether the database in `data`, which has one keyspace of ours, is complete, and its lists of tables are as they were written.
pub(crate) fn check(data: &Path) -> Result<(), Problem> {
    let keyspaces = data.join("keyspaces");
    let unreadable = |error: io::Error| Problem::of(&keyspaces, &error);
    let mut found = 0;
    for entry in fs::read_dir(&keyspaces).map_err(unreadable)? {
        entry.map_err(unreadable)?;
        found += 1;
    }
    // Without it fjall makes an empty database, and over what is there.
    let marker = data.join("version");
    let is_marked = marker.try_exists().map_err(|error| Problem::of(&marker, &error))?;
    if found != KEYSPACES.len() || !is_marked {
        return Err(Problem::Damage(format!("{} is not complete", data.display())));
    }
    KEYSPACES.iter().try_for_each(|keyspace| check_keyspace(&keyspaces.join(keyspace)))
}

/// Whether fjall still has our keyspace: one that it takes for unfinished it removes, and makes an empty one.
pub(crate) fn has_ours(data: &Path) -> Result<bool, Problem> {
    let marker = data.join("keyspaces").join(OURS).join(CURRENT);
    marker.try_exists().map_err(|error| Problem::of(&marker, &error))
}

fn check_keyspace(keyspace: &Path) -> Result<(), Problem> {
    let current = keyspace.join(CURRENT);
    let changed = |path: &Path| Problem::Damage(format!("{} is not as it was written", path.display()));
    let (id, hash) = parse(&read(&current)?).ok_or_else(|| changed(&current))?;
    let version = keyspace.join(format!("v{id}"));
    if xxh3_128(&read(&version)?) == hash { Ok(()) } else { Err(changed(&version)) }
}

/// Which list of tables is the current one, and its hash.
fn parse(current: &[u8]) -> Option<(u64, u128)> {
    let (id, rest) = current.split_first_chunk()?;
    let (hash, kind) = rest.split_first_chunk()?;
    (kind == XXH3).then(|| (u64::from_le_bytes(*id), u128::from_le_bytes(*hash)))
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    fs::read(path).map_err(|error| Problem::of(path, &error))
}

/// The files that [`check`] reads, for tests that damage them.
#[cfg(test)]
pub(crate) fn checked_files(data: &Path) -> Vec<std::path::PathBuf> {
    let of_keyspace = |keyspace: &str| {
        let dir = data.join("keyspaces").join(keyspace);
        let current = dir.join(CURRENT);
        let (id, _) = parse(&read(&current).unwrap()).unwrap();
        [current, dir.join(format!("v{id}"))]
    };
    KEYSPACES.into_iter().flat_map(of_keyspace).collect()
}
