//! Many commands in one request: a line in, a line out, in the same order, as fast as they come.
//!
//! Promises: one answer line per line, in order; a line that cannot be read gets its own problem and the others go on;
//! commands on one product keep their order; at most `uploads.window` are in flight, and then no more is read, so that an
//! upload of any length takes bounded memory. Lines are read whether the client reads their answers meanwhile or not, up to
//! `uploads.spool_mib` of answers: most clients send everything before they read anything. One that stands still ends in bounded
//! time: the last answer says why, and from which line on nothing was read; if that is not taken either, the connection is
//! closed.

use std::cell::Cell;
use std::sync::{Arc, Weak};

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use contract::Named;
use contract::code::Code;
use edge::connections::Handle;
use edge::problem::{Body, Problem};
use futures::{Stream, StreamExt};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::Success;
use super::lines::{Line, lines};
use super::{State, headers};
use crate::door::{Caller, Outcome, Stalled, Submitted, faults, malformed, traced};
use crate::engine::Transport;
use crate::spool::{Ended, Reader, Writer, discard, spool};

pub(super) const NDJSON: &str = "application/x-ndjson";
const MEDIA_TYPES: &[&str] = &[NDJSON, "application/ndjson", "application/jsonl", "application/json-lines"];
/// Answers that are ready are written together, up to this many.
const TOGETHER: usize = 256;
/// A response takes at most so much of what lies there at once.
const PIECE: usize = 64 * 1024;

/// The answer to a line. It names the key the line had, and the product, also if nothing came of it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum BulkAnswer<'a> {
    Success(BulkSuccess<'a>),
    Problem(BulkProblem<'a>),
}

#[derive(Serialize, ToSchema)]
pub(super) struct BulkSuccess<'a> {
    /// Which line of the upload this answers, from 1.
    #[schema(minimum = 1)]
    line: u64,
    /// What the command alone would have been answered with.
    #[schema(example = 201)]
    status: u16,
    /// The key the line had.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    idempotency_key: Option<&'a str>,
    #[serde(flatten)]
    success: Success<'a>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct BulkProblem<'a> {
    /// Which line of the upload this answers, from 1.
    #[schema(minimum = 1)]
    line: u64,
    /// What the command alone would have been answered with.
    #[schema(example = 422)]
    status: u16,
    /// The key the line had, as far as it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    idempotency_key: Option<&'a str>,
    /// The product the line named, as far as it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    product_id: Option<&'a str>,
    problem: Body<'a>,
}

/// `POST /v1/commands:bulk`
pub(super) async fn upload(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    let caller = headers::caller(&request)?;
    headers::media_type(&request, MEDIA_TYPES)?;
    headers::each_line_has_its_own(&request)?;
    headers::unkept(&request)?;
    let caller = state.door.sealed(caller).await?;
    let (writer, reader) = spool(state.spool_limits());
    let connection = request.conn_data::<Arc<Handle>>().map(Arc::downgrade).unwrap_or_default();
    // On its own, so that it goes on while the response waits for its client.
    actix_web::rt::spawn(async move {
        let turn = connection.upgrade().map(|connection| connection.be_patient());
        let last_stall = state.spool_limits().last_stall();
        answer_all(payload, state.into_inner(), caller, writer, &connection).await;
        // What is in flight to the client now will have had time to arrive.
        if let Some((connection, turn)) = connection.upgrade().zip(turn) {
            connection.hurry(turn, last_stall);
        }
    });
    Ok(HttpResponse::Ok().content_type(NDJSON).streaming(Box::pin(pieces(reader))))
}

/// What lies in the spool, in pieces: whoever takes a small piece now and then has not gone away.
fn pieces(reader: Reader<std::io::Error>) -> impl Stream<Item = std::io::Result<Bytes>> {
    futures::stream::unfold((reader, Bytes::new()), async |(mut reader, mut rest)| {
        if rest.is_empty() {
            match reader.next().await? {
                Ok(more) => rest = more,
                Err(error) => return Some((Err(error), (reader, rest))),
            }
        } else {
            reader.is_alive();
        }
        let piece = rest.split_to(rest.len().min(PIECE));
        Some((Ok(piece), (reader, rest)))
    })
}

/// Reads the upload to its end, submits its lines and writes their answers.
async fn answer_all(
    mut payload: web::Payload,
    state: Arc<State>,
    caller: Caller,
    mut writer: Writer<std::io::Error>,
    connection: &Weak<Handle>,
) {
    let config = &state.config;
    let (next_line, ends_early) = (Cell::new(1), Cell::new(false));
    let mut gone = std::pin::pin!(writer.gone());
    let written = {
        let (share, shutdown) = (caller.account.load(state.bodies.empty()), state.shutdown.clone());
        let lines = lines(&mut payload, state.uploads.max_line_bytes, config.stall(), share, shutdown);
        let answers = lines
            .then(|line| {
                next_line.set(line.number() + 1);
                ends_early.set(matches!(line, Line::Stopped(_) | Line::NoMemory(_)));
                // Handed over one after another, so that the order of lines is the order of commands.
                handed_over(line, &state, &caller)
            })
            .map(|(number, named, submitted)| told(number, named, submitted, &caller))
            .buffered(state.uploads.window)
            .ready_chunks(TOGETHER);
        let mut answers = std::pin::pin!(answers);
        loop {
            let answers = tokio::select! {
                biased;
                answers = answers.next() => answers,
                // Commands that were submitted stay submitted.
                () = &mut gone => return,
            };
            let Some(answers) = answers else { break Ok(()) };
            if let Err(ended) = writer.write(answers.concat().into()).await {
                break Err(ended);
            }
        }
    };
    let last_stall = state.spool_limits().last_stall();
    let written = match written {
        Ok(()) => {
            if ends_early.get() {
                discard(&mut payload, last_stall).await;
            }
            writer.finish(Ok(())).await
        }
        Err(ended) => Err(ended),
    };
    if written == Err(Ended::Stalled) {
        let line = next_line.get();
        let stalled = state.door.stalled(Stalled::Reading, Transport::HttpBulk, line, config.stall());
        let last = answer(line, &Named::default(), &Err(stalled), &caller);
        writer.abandon(Some(last.into()), Ok(()));
        let taken = async {
            discard(&mut payload, last_stall).await;
            gone.await;
        };
        if tokio::time::timeout(last_stall, taken).await.is_err()
            && let Some(connection) = connection.upgrade()
        {
            connection.close();
        }
    }
}

/// Submits a line.
async fn handed_over(line: Line, state: &State, caller: &Caller) -> (u64, Named, Result<Submitted, Problem>) {
    let config = &state.config;
    let number = line.number();
    let mut named = Named::default();
    let submitted = match line {
        Line::Text(_, text) => match contract::json::parse_bulk_line(&text).map_err(faults) {
            Ok(requested) => {
                named = Named::by(&requested);
                state.door.submit_when_there_is_room(requested, caller, Transport::HttpBulk).await
            }
            Err(problem) => {
                named = Named::by_line(&text);
                Err(problem)
            }
        },
        Line::TooLong(_, beginning) => {
            named = Named::by_line(&beginning);
            let detail = format!("a line has at most {} bytes", state.uploads.max_line_bytes);
            Err(Problem::new(Code::BodyTooLarge, detail))
        }
        Line::Broken(_, why) => Err(malformed(format!("the upload broke off here: {why}"))),
        Line::Stopped(_) => {
            let detail = "this instance shuts down: the lines from here on were not read, send them again";
            Err(Problem::new(Code::NotReady, detail))
        }
        Line::NoMemory(_) => {
            let detail = "too many long lines arrive already: the lines from here on were not read, send them again later";
            Err(Problem::new(Code::Overloaded, detail))
        }
        Line::Stalled(_) => {
            Err(state.door.stalled(Stalled::Sending, Transport::HttpBulk, number, config.stall()))
        }
    };
    (number, named, submitted)
}

/// Waits for a line's answer and writes it.
async fn told(line: u64, named: Named, submitted: Result<Submitted, Problem>, caller: &Caller) -> Vec<u8> {
    let outcome = match submitted {
        Ok(submitted) => submitted.outcome().await,
        Err(problem) => Err(problem),
    };
    answer(line, &named, &outcome, caller)
}

pub(super) fn answer(
    line: u64,
    named: &Named,
    outcome: &Result<Outcome, Problem>,
    caller: &Caller,
) -> Vec<u8> {
    let idempotency_key = named.idempotency_key.as_deref();
    let text = match outcome {
        Ok(outcome) => serde_json::to_vec(&BulkAnswer::Success(BulkSuccess {
            line,
            status: outcome.http_status(),
            idempotency_key,
            success: Success::of(outcome),
        })),
        Err(problem) => {
            let problem = traced(problem.clone(), caller);
            serde_json::to_vec(&BulkAnswer::Problem(BulkProblem {
                line,
                status: problem.status,
                idempotency_key,
                product_id: named.product_id.as_deref(),
                problem: problem.body(),
            }))
        }
    };
    // Writing plain data into memory does not fail.
    let mut text = text.unwrap_or_default();
    text.push(b'\n');
    text
}
