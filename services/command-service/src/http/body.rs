//! A request's body, bounded in size and time while it is read.

use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use contract::code::Code;
use edge::limits::{Account, Load};
use edge::problem::Problem;
use futures::StreamExt;

use super::State;
use super::lines::without_mark;
use crate::door::malformed;
use toolkit::memory::Share;

/// The most that is reserved for a body before it has come.
const RESERVED: usize = 16 * 1024;
/// Reads the whole body, or refuses it as soon as it is known to be too large. With what it goes on to take of what its caller may.
pub(super) async fn read(
    request: &HttpRequest,
    payload: web::Payload,
    state: &State,
    account: &Account,
) -> Result<(Bytes, Option<Share>), Problem> {
    let config = &state.config;
    let most = config.max_body_bytes;
    let too_large =
        || Problem::new(Code::BodyTooLarge, format!("the body of a command has at most {most} bytes"));
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok()).unwrap_or(0);
    if announced > most as u64 {
        return Err(too_large());
    }
    // A client that announces a body and never sends it would keep its connection for ever.
    let mut share = account.load(state.bodies.empty());
    let reading = whole(payload, announced as usize, most, &mut share);
    match tokio::time::timeout(config.body_timeout(), reading).await {
        Ok(Ok(body)) => Ok((without_mark(body), share.arrived())),
        Ok(Err(Unread::TooLarge)) => Err(too_large()),
        Ok(Err(Unread::NoMemory)) => Err(Problem::new(
            share.refused_as(),
            "too many large bodies arrive already; nothing was written, try again later",
        )),
        Ok(Err(Unread::Broken(error))) => Err(malformed(format!("the body could not be read: {error}"))),
        Err(_elapsed) => {
            let within = config.body_timeout_ms;
            Err(Problem::new(
                Code::RequestTimeout,
                format!("the body did not arrive within {within} ms; nothing was written"),
            ))
        }
    }
}

/// Why a body was not read to its end.
enum Unread {
    TooLarge,
    /// Other bodies take the memory there is.
    NoMemory,
    Broken(PayloadError),
}

/// The body, if it has at most `most` bytes. What it takes while it arrives goes into `share`: how much is announced says
/// nothing about how much comes.
async fn whole(
    mut payload: web::Payload,
    announced: usize,
    most: usize,
    share: &mut Load,
) -> Result<Bytes, Unread> {
    let mut body = BytesMut::with_capacity(announced.min(RESERVED));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(Unread::Broken)?;
        if body.len() + chunk.len() > most {
            return Err(Unread::TooLarge);
        }
        if !share.grow(chunk.len()) {
            return Err(Unread::NoMemory);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
