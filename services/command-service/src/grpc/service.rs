//! `catalog.v1.CommandService`.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use contract::Named;
use contract::code::Code as FolioCode;
use contract::proto::catalog::v1::command_service_server::CommandService;
use contract::proto::catalog::v1::{CommandRequest, CommandResponse, CommandResult};
use contract::proto::parse_request;
use edge::grpc::explained;
use edge::problem::Problem;
use futures::{Stream, StreamExt};
use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use super::{State, calls, results};
use crate::door::{Caller, CommandHandler, Stalled, Submitted, traced};
use crate::engine::Transport;
use crate::spool::{Broken, Ended, Writer, discard, spool};

/// Results that are ready are written together, up to this many.
const TOGETHER: usize = 256;
/// How often a response says that its client still takes results.
const ALIVE_EVERY: u32 = 64;

/// The service. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    state: State,
}

type Results = Pin<Box<dyn Stream<Item = Result<CommandResult, Status>> + Send>>;

impl Service {
    pub(crate) fn new(state: State) -> Self {
        Self { state }
    }
}

#[tonic::async_trait]
impl CommandService for Service {
    type ExecuteBulkStream = Results;

    async fn execute(&self, request: Request<CommandRequest>) -> Result<Response<CommandResponse>, Status> {
        let caller = calls::caller(&request)?;
        let command = parse_request(request.get_ref()).map_err(results::faults)?;
        let requested = calls::fields(&request).requested(command)?;
        let caller = self.state.door.sealed(caller).await?;
        let outcome = self.state.door.submit(requested, &caller, Transport::Grpc)?.outcome().await?;
        Ok(Response::new(results::response(outcome)))
    }

    async fn execute_bulk(
        &self,
        request: Request<Streaming<CommandRequest>>,
    ) -> Result<Response<Results>, Status> {
        let caller = calls::caller(&request)?;
        calls::fields(&request).each_has_its_own()?;
        let caller = self.state.door.sealed(caller).await?;
        // A deadline of the call is one of the whole stream: each command has the service's own.
        let caller = Caller { deadline: None, ..caller };
        Ok(Response::new(Box::pin(bulk(&self.state, caller, request.into_inner()))))
    }
}

/// One result per request, in order, at most a window of them in flight. When the service shuts down, one last result
/// says from which request on nothing was read. Requests are read whether their results are or not, up to `uploads.spool_mib` of
/// results; a stream whose client does nothing ends in bounded time, and its status says why.
pub(super) fn bulk<S>(
    state: &State,
    caller: Caller,
    requests: S,
) -> impl Stream<Item = Result<CommandResult, Status>> + Send + 'static
where
    S: Stream<Item = Result<CommandRequest, Status>> + Send + Unpin + 'static,
{
    let (writer, reader) = spool(state.spool_limits());
    // On its own, so that it goes on while the response waits for its client.
    tokio::spawn(answer_all(state.clone(), caller, requests, writer));
    futures::stream::unfold((reader, Bytes::new(), 0_u32), async |(mut reader, mut rest, n)| {
        if rest.is_empty() {
            match reader.next().await? {
                Ok(more) => rest = more,
                Err(status) => return Some((Err(status), (reader, rest, n))),
            }
        } else if n.is_multiple_of(ALIVE_EVERY) {
            reader.is_alive();
        }
        let result = CommandResult::decode_length_delimited(&mut rest);
        let result = result.map_err(|error| Status::internal(format!("a result was damaged: {error}")));
        Some((result, (reader, rest, n.wrapping_add(1))))
    })
}

/// Reads the stream to its end, submits its requests and writes their results.
async fn answer_all<S>(state: State, caller: Caller, mut requests: S, mut writer: Writer<Status>)
where
    S: Stream<Item = Result<CommandRequest, Status>> + Send + Unpin + 'static,
{
    let (state, caller) = (Arc::new(state), Arc::new(caller));
    let next_index = Arc::new(AtomicU64::new(0));
    let mut gone = std::pin::pin!(writer.gone());
    let written = {
        let results = numbered(&mut requests, Arc::clone(&state), Arc::clone(&next_index))
            .then(|(index, request)| {
                let (state, caller) = (Arc::clone(&state), Arc::clone(&caller));
                // Handed over one after another, so that the order of requests is the order of commands.
                async move { handed_over(index, request, &state.door, &caller).await }
            })
            .map(|handed_over| {
                let caller = Arc::clone(&caller);
                async move {
                    let (index, named, submitted) = handed_over?;
                    Ok(told(index, named, submitted, &caller).await)
                }
            })
            .buffered(state.uploads.window)
            .ready_chunks(TOGETHER);
        let mut results = std::pin::pin!(results);
        loop {
            let results = tokio::select! {
                biased;
                results = results.next() => results,
                // Commands that were submitted stay submitted.
                () = &mut gone => return,
            };
            let Some(results) = results else { break Ok(Ok(())) };
            let (block, end) = encoded(results);
            let written = if block.is_empty() { Ok(()) } else { writer.write(block).await };
            match (written, end) {
                (Ok(()), None) => {}
                (Ok(()), Some(status)) => break Ok(Err(status)),
                (Err(ended), _) => break Err(ended),
            }
        }
    };
    let written = match written {
        Ok(end) => {
            if state.shutdown.is_cancelled() {
                discard(&mut requests, state.spool_limits().last_stall()).await;
            }
            // What has come of a message that will not be whole is let go of.
            drop(requests);
            writer.finish(end).await
        }
        Err(ended) => Err(ended),
    };
    if written == Err(Ended::Stalled) {
        let index = next_index.load(Ordering::Relaxed);
        let status = stalled(&state, Stalled::Reading, index);
        writer.abandon(None, Err(explained(status, &caller.context)));
    }
}

/// The requests of a stream with their numbers. `None` says that the service shuts down.
#[expect(clippy::elidable_lifetime_names, reason = "what is captured names it")]
fn numbered<'a, S>(
    requests: &'a mut S,
    state: Arc<State>,
    next_index: Arc<AtomicU64>,
) -> impl Stream<Item = (u64, Option<Result<CommandRequest, Status>>)> + Send + use<'a, S>
where
    S: Stream<Item = Result<CommandRequest, Status>> + Send + Unpin,
{
    futures::stream::unfold((requests, 0_u64, false), move |(requests, index, ended)| {
        let state = Arc::clone(&state);
        next_index.store(index, Ordering::Relaxed);
        async move {
            if ended {
                return None;
            }
            tokio::select! {
                biased;
                request = tokio::time::timeout(state.config.stall(), requests.next()) => {
                    let stalled = |_| Some(Err(stalled(&state, Stalled::Sending, index)));
                    let request = request.unwrap_or_else(stalled);
                    let ended = request.as_ref()?.is_err();
                    Some(((index, request), (requests, index + 1, ended)))
                }
                () = state.shutdown.cancelled() => Some(((index, None), (requests, index, true))),
            }
        }
    })
}

fn stalled(state: &State, side: Stalled, index: u64) -> Status {
    state.door.stalled(side, Transport::GrpcBulk, index, state.config.stall()).into()
}

/// Results as bytes, each with its length before it, and the status that ends them.
fn encoded(results: Vec<Result<CommandResult, Status>>) -> (Bytes, Option<Status>) {
    let mut block = BytesMut::new();
    for result in results {
        match result {
            Ok(result) => {
                block.reserve(result.encoded_len() + 10);
                if let Err(error) = result.encode_length_delimited(&mut block) {
                    // There is room for it: it cannot fail.
                    return (block.freeze(), Some(Status::internal(error.to_string())));
                }
            }
            Err(status) => return (block.freeze(), Some(status)),
        }
    }
    (block.freeze(), None)
}

impl From<Broken> for Status {
    fn from(broken: Broken) -> Self {
        Problem::new(FolioCode::Internal, broken.to_string()).into()
    }
}

/// Submits a request of a stream. A stream that broke off ends the results, after those of what was read.
async fn handed_over(
    index: u64,
    request: Option<Result<CommandRequest, Status>>,
    door: &CommandHandler,
    caller: &Caller,
) -> Result<(u64, Named, Result<Submitted, Problem>), Status> {
    // A message that cannot be read ends the stream: of the next one nobody knows where it begins.
    let request = request.transpose().map_err(|status| explained(status, &caller.context))?;
    let Some(request) = request else {
        let detail = "this instance shuts down: the requests from here on were not read, send them again";
        return Ok((index, Named::default(), Err(Problem::new(FolioCode::NotReady, detail))));
    };
    let named = Named::by_fields(&request.product_id, &request.idempotency_key);
    let submitted = match parse_request(&request).map_err(results::faults) {
        Ok(requested) => door.submit_when_there_is_room(requested, caller, Transport::GrpcBulk).await,
        Err(problem) => Err(problem),
    };
    Ok((index, named, submitted))
}

async fn told(
    index: u64,
    named: Named,
    submitted: Result<Submitted, Problem>,
    caller: &Caller,
) -> CommandResult {
    let outcome = match submitted {
        Ok(submitted) => submitted.outcome().await,
        Err(problem) => Err(problem),
    };
    results::result(index, named, outcome.map_err(|problem| traced(problem, caller)))
}
