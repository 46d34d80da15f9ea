//! Bodies that nobody looks at.

use std::time::Duration;

use actix_web::error::PayloadError;
use bytes::Bytes;
use futures::{Stream, StreamExt};

/// What is read of one, in bytes and time.
const SKIPPED: (usize, Duration) = (64 * 1024, Duration::from_millis(100));

/// Reads a body away that has arrived, or nearly: otherwise its connection must be closed, and whoever is turned away when
/// there is too much to do would bring another one.
pub async fn skip(mut payload: impl Stream<Item = Result<Bytes, PayloadError>> + Unpin) {
    let (most, within) = SKIPPED;
    let all = async {
        let mut read = 0;
        while let Some(Ok(chunk)) = payload.next().await
            && read <= most
        {
            read += chunk.len();
        }
    };
    // What is left closes the connection.
    drop(tokio::time::timeout(within, all).await);
}
