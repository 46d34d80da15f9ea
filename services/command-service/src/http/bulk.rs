//! Many commands in one request: a line in, a line out, in the same order, as fast as they come.
//!
//! Promises: one answer line per line, in order; a line that cannot be read gets its own problem and the others go on;
//! commands on one product keep their order; at most `bulk_window` are under way, and then no more is read, so that an
//! upload of any length takes bounded memory.

use std::convert::Infallible;

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use contract::code::Code;
use futures::StreamExt;
use serde::Serialize;
use toolkit::problem::Problem;

use super::answer::{Success, traced};
use super::lines::{Line, lines};
use super::{State, headers};
use crate::door::{Caller, Door, Submitted, faults, malformed, problem};
use crate::engine::Transport;

const NDJSON: &str = "application/x-ndjson";
const MEDIA_TYPES: &[&str] = &[NDJSON, "application/ndjson", "application/jsonl", "application/json-lines"];
/// Answers that are ready are written together, up to this many.
const TOGETHER: usize = 256;

/// The answer to a line.
#[derive(Serialize)]
struct Answer<'a> {
    line: u64,
    status: u16,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    success: Option<Success<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<serde_json::Value>,
}

/// `POST /v1/commands:bulk`
pub(super) async fn upload(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    let caller = headers::caller(&request)?;
    headers::media_type(&request, MEDIA_TYPES)?;
    if headers::key(&request)?.is_some() {
        return Err(problem(
            Code::InvalidHeader,
            "an upload has no key of its own: give each line its idempotency_key",
        ));
    }
    let config = &state.config;
    let lines = lines(payload, config.max_line_bytes, state.shutdown.clone());
    let (door, max, callers) = (state.door.clone(), config.max_line_bytes, caller.clone());
    let answers = lines
        .then(move |line| {
            let (door, caller) = (door.clone(), callers.clone());
            // Handed over one after another, so that the order of lines is the order of commands.
            async move { handed_over(line, &door, &caller, max).await }
        })
        .map(move |(number, submitted)| told(number, submitted, caller.clone()))
        .buffered(config.bulk_window)
        .ready_chunks(TOGETHER)
        .map(|answers| Ok::<_, Infallible>(Bytes::from(answers.concat())));
    Ok(HttpResponse::Ok().content_type(NDJSON).streaming(Box::pin(answers)))
}

/// Submits a line.
async fn handed_over(
    line: Line,
    door: &Door,
    caller: &Caller,
    max_bytes: usize,
) -> (u64, Result<Submitted, Problem>) {
    match line {
        Line::Text(number, text) => (number, submit(&text, door, caller).await),
        Line::TooLong(number) => {
            let detail = format!("a line has at most {max_bytes} bytes");
            (number, Err(problem(Code::BodyTooLarge, detail)))
        }
        Line::Broken(number, why) => (number, Err(malformed(format!("the upload broke off here: {why}")))),
        Line::Stopped(number) => {
            let detail = "this instance shuts down: the lines from here on were not read, send them again";
            (number, Err(problem(Code::NotReady, detail)))
        }
    }
}

async fn submit(line: &[u8], door: &Door, caller: &Caller) -> Result<Submitted, Problem> {
    let wish = contract::json::parse_bulk_line(line).map_err(faults)?;
    door.submit_when_there_is_room(wish, caller, Transport::HttpBulk).await
}

/// Waits for a line's answer and writes it.
async fn told(line: u64, submitted: Result<Submitted, Problem>, caller: Caller) -> Vec<u8> {
    let outcome = match submitted {
        Ok(submitted) => submitted.outcome().await,
        Err(problem) => Err(problem),
    };
    let text = match &outcome {
        Ok(outcome) => {
            let success = Some(Success::of(outcome));
            serde_json::to_vec(&Answer { line, status: outcome.http_status(), success, problem: None })
        }
        Err(problem) => {
            let status = problem.status;
            let problem = Some(traced(problem.clone(), &caller).to_json());
            serde_json::to_vec(&Answer { line, status, success: None, problem })
        }
    };
    // Writing plain data into memory does not fail.
    let mut text = text.unwrap_or_default();
    text.push(b'\n');
    text
}
