//! The side that reads. Promises frames in the order they were written, and nothing after an end.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::ring::Ring;
use super::{Broken, Shared};

pub(crate) struct Reader<E> {
    shared: Arc<Shared<E>>,
}

impl<E: From<Broken>> Reader<E> {
    pub(super) fn new(shared: Arc<Shared<E>>) -> Self {
        Self { shared }
    }

    /// The next frames, several in one where they lie together; `None` after the end.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, E>> {
        loop {
            let stored = {
                let mut state = self.shared.lock();
                let ring = state.ring.as_ref().and_then(Ring::first);
                if let Some(frame) = state.front.pop_front() {
                    state.front_bytes -= frame.len();
                    let frame = state.took(frame);
                    drop(state);
                    self.shared.taken.notify_one();
                    return Some(Ok(frame));
                } else if ring.is_some() {
                    ring
                } else if !state.back.is_empty() {
                    let frame = state.take_back();
                    let frame = state.took(frame);
                    drop(state);
                    self.shared.taken.notify_one();
                    return Some(Ok(frame));
                } else if state.has_ended {
                    return None;
                } else if !state.is_storing
                    && let Some(end) = state.end.take()
                {
                    state.has_ended = true;
                    drop(state);
                    self.shared.taken.notify_one();
                    return end.err().map(Err);
                } else {
                    None
                }
            };
            let Some(stored) = stored else {
                self.shared.written.notified().await;
                continue;
            };
            let loaded = tokio::task::spawn_blocking(move || stored.load()).await;
            let loaded = loaded.map_err(std::io::Error::other).and_then(|loaded| loaded);
            let mut state = self.shared.lock();
            let Some(ring) = &mut state.ring else { continue };
            ring.taken();
            let frame = match loaded {
                Ok(frame) => state.took(frame),
                Err(error) => {
                    tracing::warn!(%error, "answers of an upload cannot be read from disk");
                    state.clear();
                    state.has_ended = true;
                    drop(state);
                    self.shared.taken.notify_one();
                    return Some(Err(Broken.into()));
                }
            };
            drop(state);
            self.shared.taken.notify_one();
            return Some(Ok(frame));
        }
    }

    /// What was taken is still being handed on, piece by piece.
    pub(crate) fn is_alive(&self) {
        self.shared.lock().waits_since = Instant::now();
    }
}

impl<E> Drop for Reader<E> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_gone = true;
        state.clear();
        drop(state);
        self.shared.gone.notify_one();
        self.shared.taken.notify_one();
    }
}
