//! A request's body, bounded while it is read.

use actix_web::http::header;
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use contract::code::Code;
use futures::StreamExt;
use toolkit::problem::Problem;

use crate::door::{malformed, problem};

/// Reads the whole body, or refuses it as soon as it is known to be too large.
pub(super) async fn read(
    request: &HttpRequest,
    mut payload: web::Payload,
    most: usize,
) -> Result<Bytes, Problem> {
    let too_large = || problem(Code::BodyTooLarge, format!("the body of a command has at most {most} bytes"));
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok()).unwrap_or(0);
    if announced > most as u64 {
        return Err(too_large());
    }
    let mut body = BytesMut::with_capacity(announced as usize);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| malformed(format!("the body could not be read: {error}")))?;
        if body.len() + chunk.len() > most {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
