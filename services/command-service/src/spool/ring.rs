//! The file of a spool, written round and round: it never grows beyond its capacity however long an upload is. Promises
//! that it has no name: nothing is left of it when it is closed, however the process ends.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

/// What lies in the file, as blocks in their order. Positions only grow; in the file they wrap around.
pub(super) struct Ring {
    file: Arc<File>,
    capacity: u64,
    blocks: VecDeque<usize>,
    start: u64,
    end: u64,
}

/// Where to write the next block.
pub(super) struct ToWrite {
    file: Arc<File>,
    at: u64,
}

/// A block to read.
pub(super) struct Stored {
    file: Arc<File>,
    capacity: u64,
    at: u64,
    len: usize,
}

/// Writes a block, into a new file if there is none yet. Blocks on the disk.
pub(super) fn store(
    ring: Option<ToWrite>,
    dir: Option<&Path>,
    capacity: usize,
    block: &[u8],
) -> io::Result<Arc<File>> {
    let ToWrite { file, at } = match ring {
        Some(ring) => ring,
        None => ToWrite {
            file: Arc::new(match dir {
                Some(dir) => tempfile::tempfile_in(dir)?,
                None => tempfile::tempfile()?,
            }),
            at: 0,
        },
    };
    let (at, before_wrap) = place(at, capacity as u64, block.len());
    file.write_all_at(&block[..before_wrap], at)?;
    file.write_all_at(&block[before_wrap..], 0)?;
    Ok(file)
}

/// Where in the file a position is, and how many bytes from there on come before the wrap.
fn place(position: u64, capacity: u64, len: usize) -> (u64, usize) {
    let at = position % capacity;
    (at, len.min((capacity - at) as usize))
}

impl Ring {
    pub(super) fn new(file: Arc<File>, capacity: usize) -> Self {
        Self { file, capacity: capacity as u64, blocks: VecDeque::new(), start: 0, end: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    pub(super) fn to_write(&self) -> ToWrite {
        ToWrite { file: Arc::clone(&self.file), at: self.end }
    }

    /// How long the file is once one more block of this length is in it.
    pub(super) fn extent(ring: Option<&Self>, len: usize, capacity: usize) -> usize {
        ring.map_or(0, |ring| ring.end as usize).saturating_add(len).min(capacity)
    }

    /// The block that was written last is whole.
    pub(super) fn stored(&mut self, len: usize) {
        self.blocks.push_back(len);
        self.end += len as u64;
    }

    pub(super) fn first(&self) -> Option<Stored> {
        let len = *self.blocks.front()?;
        Some(Stored { file: Arc::clone(&self.file), capacity: self.capacity, at: self.start, len })
    }

    /// The first block is read: its place is free.
    pub(super) fn taken(&mut self) {
        self.start += self.blocks.pop_front().unwrap_or(0) as u64;
    }

    #[cfg(test)]
    pub(super) fn file_bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }
}

impl Stored {
    /// Blocks on the disk.
    pub(super) fn load(&self) -> io::Result<Bytes> {
        let mut block = vec![0; self.len];
        let (at, before_wrap) = place(self.at, self.capacity, self.len);
        self.file.read_exact_at(&mut block[..before_wrap], at)?;
        self.file.read_exact_at(&mut block[before_wrap..], 0)?;
        Ok(block.into())
    }
}
