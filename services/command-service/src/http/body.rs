//! A request's body, bounded in size and time while it is read.

use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use contract::code::Code;
use futures::StreamExt;
use toolkit::problem::Problem;

use crate::config::HttpConfig;
use crate::door::{malformed, problem};

/// What is read of a body that nobody looks at, in bytes and time.
const SKIPPED: (usize, Duration) = (64 * 1024, Duration::from_millis(100));

/// Reads a body away that has arrived, or nearly: otherwise its connection must be closed, and whoever is turned away when
/// there is too much to do would bring another one.
pub(super) async fn skip(mut payload: web::Payload) {
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

/// Reads the whole body, or refuses it as soon as it is known to be too large.
pub(super) async fn read(
    request: &HttpRequest,
    payload: web::Payload,
    config: &HttpConfig,
) -> Result<Bytes, Problem> {
    let most = config.max_body_bytes;
    let too_large = || problem(Code::BodyTooLarge, format!("the body of a command has at most {most} bytes"));
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok()).unwrap_or(0);
    if announced > most as u64 {
        return Err(too_large());
    }
    // A client that announces a body and never sends it would keep its connection for ever.
    match tokio::time::timeout(config.body_timeout(), whole(payload, announced as usize, most)).await {
        Ok(Ok(Some(body))) => Ok(body),
        Ok(Ok(None)) => Err(too_large()),
        Ok(Err(error)) => Err(malformed(format!("the body could not be read: {error}"))),
        Err(_elapsed) => {
            let within = config.body_timeout_ms;
            Err(problem(
                Code::RequestTimeout,
                format!("the body did not arrive within {within} ms; nothing was written"),
            ))
        }
    }
}

/// None if there is more than `most`.
async fn whole(
    mut payload: web::Payload,
    announced: usize,
    most: usize,
) -> Result<Option<Bytes>, PayloadError> {
    let mut body = BytesMut::with_capacity(announced);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk?;
        if body.len() + chunk.len() > most {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.freeze()))
}
