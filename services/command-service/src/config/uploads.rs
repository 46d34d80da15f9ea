//! What uploads (HTTP and gRPC) may take beyond what every request may.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toolkit::memory::Memory;

use super::mib;
use crate::spool::Limits;

/// How uploads are read and answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UploadsConfig {
    /// Longest line of a bulk upload, in bytes. An upload as a whole has no limit if its answers are read meanwhile.
    pub max_line_bytes: usize,
    /// Commands of one upload that may be in flight at once.
    pub window: usize,
    /// A directory on local disk for answers of uploads whose clients read them later; none: the system's for temporary files.
    pub spool_dir: Option<PathBuf>,
    /// How many answers of one upload may wait there for their client, in MiB. Reading pauses beyond that.
    pub spool_mib: usize,
    /// How many of all uploads may wait on disk together, in MiB. One that finds no room goes on as fast as its answers are read.
    pub spools_mib: usize,
}

impl Default for UploadsConfig {
    fn default() -> Self {
        Self { max_line_bytes: 512 * 1024, window: 1_024, spool_dir: None, spool_mib: 256, spools_mib: 2_048 }
    }
}

impl UploadsConfig {
    /// What all files of waiting answers may take.
    pub(crate) fn spools(&self) -> Memory {
        Memory::new(mib(self.spools_mib))
    }

    /// What may wait of the answers of one upload, and for how long it may stand still.
    pub(crate) fn spool(&self, disk: &Memory, stall: Duration) -> Limits {
        let (dir, max_bytes) = (self.spool_dir.clone(), mib(self.spool_mib));
        Limits { dir, max_bytes, disk: disk.clone(), stall }
    }
}
