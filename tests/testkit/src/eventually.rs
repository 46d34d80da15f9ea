//! Waiting for a state, never for a time.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use crate::system::PATIENCE;

/// Waits until `look` gives a value that `is` true; the last one seen is in the panic.
///
/// # Panics
/// After [`PATIENCE`].
pub async fn eventually<T: Debug>(
    what: &str,
    mut look: impl AsyncFnMut() -> T,
    is: impl Fn(&T) -> bool,
) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        let seen = look().await;
        if is(&seen) {
            return seen;
        }
        assert!(Instant::now() < until, "{what}: not after {PATIENCE:?}; last seen: {seen:?}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
