//! The rest of an upload that nobody will look at. Promises to read it only as long as its client keeps sending, and not
//! for ever: a client that sends everything before it reads anything comes to its answers so.

use std::time::Duration;

use futures::{Stream, StreamExt};

/// Who sends nothing for so long waits for its answers.
const PAUSE: Duration = Duration::from_secs(1);

/// Reads `sent` away until it ends or pauses, for `at_most` so long.
pub(crate) async fn discard<S: Stream + Unpin>(sent: &mut S, at_most: Duration) {
    let all = async { while let Ok(Some(_)) = tokio::time::timeout(PAUSE, sent.next()).await {} };
    // How it ended makes no difference.
    drop(tokio::time::timeout(at_most, all).await);
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn what_is_sent_is_read_until_it_pauses_or_takes_too_long() {
        let since = Instant::now();
        discard(&mut futures::stream::iter(0..100), Duration::from_mins(1)).await;
        discard(&mut futures::stream::iter(0..100).chain(futures::stream::pending()), PAUSE / 10).await;
        discard(&mut futures::stream::pending::<u8>(), Duration::from_mins(1)).await;
        assert!(since.elapsed() >= PAUSE && since.elapsed() < 20 * PAUSE);
    }
}
