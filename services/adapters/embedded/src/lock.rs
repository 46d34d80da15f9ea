//! One owner of a directory at a time.
//!
//! Promises: it waits a little for an owner who is just ending, because files are closed on threads of their own; it is free again
//! when the file that is returned is dropped, or its process is gone.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// What is locked.
pub(crate) const FILE: &str = "lock";
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(5);

/// Takes the lock in `dir`, which is made if it is missing; none if somebody else has it. Blocks for 2 s at most.
pub fn take(dir: &Path) -> io::Result<Option<File>> {
    let lock = File::create(dir.join(FILE))?;
    let until = Instant::now() + PATIENCE;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(Some(lock)),
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(LOOK),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}
