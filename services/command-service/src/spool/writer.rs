//! The side that writes. Promises that it waits for room only as long as somebody reads.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::ring::{self, Ring};
use super::{BLOCK, Broken, Ended, Shared};

pub(crate) struct Writer<E: From<Broken>> {
    shared: Arc<Shared<E>>,
}

impl<E: From<Broken>> Writer<E> {
    pub(super) fn new(shared: Arc<Shared<E>>) -> Self {
        Self { shared }
    }

    /// Writes a frame, as soon as there is room. To be dropped only between frames.
    pub(crate) async fn write(&mut self, frame: Bytes) -> Result<(), Ended> {
        let mut since = None;
        loop {
            {
                let mut state = self.shared.lock();
                if state.is_gone {
                    return Err(Ended::Gone);
                }
                if state.has_room(frame.len(), &self.shared.limits) {
                    state.push(frame);
                    break;
                }
            }
            let since = *since.get_or_insert_with(Instant::now);
            self.shared.until_taken(since, self.shared.limits.stall).await?;
        }
        self.shared.written.notify_one();
        self.store().await;
        Ok(())
    }

    /// Moves what lies behind into the file if it has become much.
    async fn store(&mut self) {
        let (block, ring) = {
            let mut state = self.shared.lock();
            if state.back_bytes < BLOCK || state.has_no_file || state.is_gone {
                return;
            }
            let capacity = self.shared.limits.max_bytes;
            let extent = Ring::extent(state.ring.as_ref(), state.back_bytes, capacity);
            if !state.disk.set(extent) {
                tracing::warn!(
                    "the answers of all uploads fill the disk space they may take: one goes on as fast as its client \
                     reads (uploads.spools_mib)"
                );
                state.has_no_file = true;
                return;
            }
            state.is_storing = true;
            (state.take_back(), state.ring.as_ref().map(Ring::to_write))
        };
        let (dir, capacity) = (self.shared.limits.dir.clone(), self.shared.limits.max_bytes);
        let stored = {
            let block = block.clone();
            tokio::task::spawn_blocking(move || ring::store(ring, dir.as_deref(), capacity, &block)).await
        };
        let mut state = self.shared.lock();
        state.is_storing = false;
        match stored.map_err(std::io::Error::other).and_then(|stored| stored) {
            Ok(_) if state.is_gone => {}
            Ok(file) => {
                let ring = state.ring.get_or_insert_with(|| Ring::new(file, capacity));
                ring.stored(block.len());
            }
            Err(error) => {
                tracing::warn!(
                    %error,
                    "answers of an upload cannot be kept on disk until their client reads them: give another uploads.spool_dir"
                );
                state.has_no_file = true;
                state.back_bytes = block.len();
                state.back = vec![block];
            }
        }
        drop(state);
        self.shared.written.notify_one();
    }

    /// Says that no more comes, and waits until all that was written is taken.
    pub(crate) async fn finish(&mut self, end: Result<(), E>) -> Result<(), Ended> {
        self.shared.lock().end = Some(end);
        self.shared.written.notify_one();
        let since = Instant::now();
        loop {
            {
                let state = self.shared.lock();
                match () {
                    // Then nothing of it lies here any more.
                    () if state.has_ended || state.bytes == 0 => return Ok(()),
                    () if state.is_gone => return Err(Ended::Gone),
                    () => {}
                }
            }
            self.shared.until_taken(since, self.shared.limits.last_stall()).await?;
        }
    }

    /// Throws away what was not taken. The reader gets `last`, and then this end, if it ever comes back.
    pub(crate) fn abandon(&mut self, last: Option<Bytes>, end: Result<(), E>) {
        let mut state = self.shared.lock();
        state.clear();
        if let Some(last) = last {
            state.push(last);
        }
        state.end = Some(end);
        drop(state);
        self.shared.written.notify_one();
    }

    /// Waits until nobody reads any more.
    pub(crate) fn gone(&self) -> impl Future<Output = ()> + use<E> {
        let shared = Arc::clone(&self.shared);
        async move { shared.gone.notified().await }
    }
}

impl<E: From<Broken>> Drop for Writer<E> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if state.end.is_none() && !state.has_ended {
            state.end = Some(Err(Broken.into()));
            // A block that was on its way will not arrive.
            state.is_storing = false;
        }
        drop(state);
        self.shared.written.notify_one();
    }
}

#[cfg(test)]
impl<E: From<Broken>> Writer<E> {
    /// What lies there: in all, in memory, and how long the file is.
    pub(crate) fn lies(&self) -> (usize, usize, u64) {
        let state = self.shared.lock();
        (state.bytes, state.front_bytes + state.back_bytes, state.ring.as_ref().map_or(0, Ring::file_bytes))
    }
}
