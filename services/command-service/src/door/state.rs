//! What both doors work with.

use edge::auth::Auth;
use edge::config::DoorConfig;
use persons::Persons;
use tokio_util::sync::CancellationToken;
use toolkit::memory::Memory;

use super::CommandHandler;
use crate::config::UploadsConfig;
use crate::spool;

/// The door behind both, and what requests may take of memory, disk and time. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) door: CommandHandler,
    /// What callers are checked by.
    pub(crate) auth: Auth,
    pub(crate) config: DoorConfig,
    pub(crate) uploads: UploadsConfig,
    /// What bodies and messages take that are arriving.
    pub(crate) bodies: Memory,
    /// What the answers of uploads take on disk.
    spools: Memory,
    /// Cancelled when no new work may be taken.
    pub(crate) shutdown: CancellationToken,
}

impl State {
    pub(crate) fn new(
        door: CommandHandler,
        auth: Auth,
        config: DoorConfig,
        uploads: UploadsConfig,
        shutdown: CancellationToken,
    ) -> Self {
        let (bodies, spools) = (config.bodies(), uploads.spools());
        Self { door, auth, config, uploads, bodies, spools, shutdown }
    }

    /// The same, whose door seals the names of callers.
    pub(crate) fn sealing(self, persons: Persons) -> Self {
        Self { door: self.door.sealing(persons), ..self }
    }

    /// What may wait of the answers of one upload, and for how long it may stand still.
    pub(crate) fn spool_limits(&self) -> spool::Limits {
        self.uploads.spool(&self.spools, self.config.stall())
    }
}
