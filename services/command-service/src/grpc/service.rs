//! `catalog.v1.CommandService`.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Instant;

use contract::code::Code as FolioCode;
use contract::proto::catalog::v1::command_service_server::CommandService;
use contract::proto::catalog::v1::{CommandRequest, CommandResponse, CommandResult};
use contract::proto::parse_request;
use futures::{FutureExt, Stream, StreamExt};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use tonic::{Request, Response, Status, Streaming};
use toolkit::problem::Problem;
use toolkit::telemetry::names;

use super::{State, calls, results};
use crate::door::{Caller, Door, Outcome, Submitted, problem};
use crate::engine::Transport;

/// The service. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    state: State,
    requests: Counter<u64>,
    seconds: Histogram<f64>,
}

type Results = Pin<Box<dyn Stream<Item = Result<CommandResult, Status>> + Send>>;

impl Service {
    pub(crate) fn new(state: State, meter: &Meter) -> Self {
        Self {
            state,
            requests: meter.u64_counter(names::GRPC_REQUESTS_TOTAL).build(),
            seconds: meter.f64_histogram(names::GRPC_REQUEST_SECONDS).build(),
        }
    }

    fn answered(&self, method: &'static str, code: tonic::Code, since: Instant) {
        let labels = [KeyValue::new("method", method), KeyValue::new("code", format!("{code:?}"))];
        self.requests.add(1, &labels);
        self.seconds.record(since.elapsed().as_secs_f64(), &labels[..1]);
    }
}

#[tonic::async_trait]
impl CommandService for Service {
    type ExecuteBulkStream = Results;

    async fn execute(&self, request: Request<CommandRequest>) -> Result<Response<CommandResponse>, Status> {
        let since = Instant::now();
        let _under_way = self.state.calls.token();
        let outcome = AssertUnwindSafe(execute(&self.state, &request)).catch_unwind().await;
        let outcome = outcome.unwrap_or_else(|_panic| Err(defect()));
        let answer = outcome.map(|outcome| Response::new(results::response(outcome))).map_err(Status::from);
        self.answered("Execute", answer.as_ref().err().map_or(tonic::Code::Ok, Status::code), since);
        answer
    }

    async fn execute_bulk(
        &self,
        request: Request<Streaming<CommandRequest>>,
    ) -> Result<Response<Results>, Status> {
        let since = Instant::now();
        let caller = calls::caller(request.metadata())?;
        // A deadline of the call is one of the whole stream: each command has the service's own.
        let caller = Caller { deadline: None, ..caller };
        let under_way = self.state.calls.token();
        let results = bulk(&self.state, caller, request.into_inner()).map(move |result| {
            let _under_way = &under_way;
            result
        });
        self.answered("ExecuteBulk", tonic::Code::Ok, since);
        Ok(Response::new(Box::pin(results)))
    }
}

async fn execute(state: &State, request: &Request<CommandRequest>) -> Result<Outcome, Problem> {
    let caller = calls::caller(request.metadata())?;
    let outcome = async {
        let wish = parse_request(request.get_ref()).map_err(results::faults)?;
        state.door.submit(wish, &caller, Transport::Grpc)?.outcome().await
    };
    outcome.await.map_err(|problem| results::traced(problem, &caller))
}

fn defect() -> Problem {
    problem(FolioCode::Internal, "the command could not be answered because of a defect")
}

/// One result per request, in order, at most a window of them under way. When the service shuts down, one last result
/// says from which request on nothing was read.
pub(super) fn bulk<S>(
    state: &State,
    caller: Caller,
    requests: S,
) -> impl Stream<Item = Result<CommandResult, Status>> + Send + 'static
where
    S: Stream<Item = Result<CommandRequest, Status>> + Send + Unpin + 'static,
{
    let door = state.door.clone();
    let shutdown = state.shutdown.clone();
    let numbered = futures::stream::unfold((requests, 0_u64, false), move |(mut requests, index, ended)| {
        let shutdown = shutdown.clone();
        async move {
            if ended {
                return None;
            }
            tokio::select! {
                biased;
                request = requests.next() => {
                    let ended = request.as_ref()?.is_err();
                    Some(((index, request), (requests, index + 1, ended)))
                }
                () = shutdown.cancelled() => Some(((index, None), (requests, index, true))),
            }
        }
    });
    numbered
        .then(move |(index, request)| {
            let (door, caller) = (door.clone(), caller.clone());
            // Handed over one after another, so that the order of requests is the order of commands.
            async move { handed_over(index, request, &door, &caller).await }
        })
        .map(async |handed_over| {
            let (index, submitted) = handed_over?;
            Ok(told(index, submitted).await)
        })
        .buffered(state.limits.bulk_window)
}

/// Submits a request of a stream. A stream that broke off ends the results, after those of what was read.
async fn handed_over(
    index: u64,
    request: Option<Result<CommandRequest, Status>>,
    door: &Door,
    caller: &Caller,
) -> Result<(u64, Result<Submitted, Problem>), Status> {
    let submitted = match request.transpose()? {
        Some(request) => match parse_request(&request).map_err(results::faults) {
            Ok(wish) => door.submit_when_there_is_room(wish, caller, Transport::GrpcBulk).await,
            Err(problem) => Err(problem),
        },
        None => Err(problem(
            FolioCode::NotReady,
            "this instance shuts down: the requests from here on were not read, send them again",
        )),
    };
    Ok((index, submitted))
}

async fn told(index: u64, submitted: Result<Submitted, Problem>) -> CommandResult {
    let outcome = match submitted {
        Ok(submitted) => submitted.outcome().await,
        Err(problem) => Err(problem),
    };
    results::result(index, outcome)
}
