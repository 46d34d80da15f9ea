//! The gRPC door: `catalog.v1.CommandService`, health that follows readiness, reflection.
//!
//! Promises: every error is a status with a `google.rpc.ErrorInfo` whose reason is a code of `docs/errors`; a bulk
//! stream has one result per request, in order, however many fail; at the end, calls under way are answered and streams
//! that nobody needs (health, reflection) hold nothing up.

mod calls;
mod results;
mod service;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use contract::code::Code;
use contract::proto::catalog::v1::command_service_server::CommandServiceServer;
use contract::proto::described;
use edge::bodies::{Arriving, Counted, Refused};
use edge::calls::Calls;
use edge::connections;
use opentelemetry::metrics::Meter;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;
use tonic::codec::CompressionEncoding;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use toolkit::lifecycle::Lifecycle;

use crate::config::HttpConfig;
use crate::door::{Door, malformed, problem};
use edge::problem::Problem;
use edge::statuses::{Bare, Explained};
use toolkit::memory::Memory;
use tower_layer::layer_fn;

pub(crate) use service::Service;

/// The service's full name, as health and reflection know it.
pub(crate) const NAME: &str = "catalog.v1.CommandService";
const METHODS: &[&str] = &["Execute", "ExecuteBulk"];
/// How often health follows readiness.
const HEALTH_INTERVAL: Duration = Duration::from_millis(250);
/// An idle connection is asked whether it is alive this often, so that dead ones do not pile up.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long it may take to answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// The most the headers of a call may have.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// Calls a client may give up before they were looked at; more end its connection.
const MAX_RESET_STREAMS: usize = 64;
/// Calls one connection may have under way at once.
const MOST_STREAMS: u32 = 1_024;
/// Calls whose client sends a stream.
const STREAMING: &[&str] = &[
    "/catalog.v1.CommandService/ExecuteBulk",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];
/// The most a question for health or a description of the services may have.
const MAX_QUESTION_BYTES: usize = 64 * 1024;
/// How long the last answers may take to leave after the last call ended.
const FLUSH: Duration = Duration::from_millis(200);

/// What the service works with.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) door: Door,
    pub(crate) limits: HttpConfig,
    /// What the messages take that are arriving.
    pub(crate) bodies: Memory,
    /// What the answers of uploads take on disk.
    pub(crate) spools: Memory,
    pub(crate) shutdown: CancellationToken,
    /// Calls under way.
    pub(crate) calls: TaskTracker,
}

/// Serves the door under `lifecycle`. Returns where it listens (port 0 is resolved).
pub(crate) async fn serve(
    address: SocketAddr,
    state: State,
    lifecycle: &Lifecycle,
    meter: &Meter,
) -> anyhow::Result<SocketAddr> {
    let why = || format!("cannot listen for gRPC on {address}; give a free address as listen.grpc");
    let incoming = TcpIncoming::bind(address).with_context(why)?.with_nodelay(Some(true));
    let bound = incoming.local_addr().with_context(why)?;
    let incoming = connections::take(state.limits.connections(), incoming);
    let (reporter, health) = tonic_health::server::health_reporter();
    report(&reporter, ServingStatus::NotServing).await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_file_descriptor_set(described(NAME))
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // The details of errors: without them a client that asks cannot read any.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let (calls, max_bytes) = (state.calls.clone(), state.limits.max_body_bytes);
    let arriving = Arriving {
        memory: state.bodies.clone(),
        within: state.limits.body_timeout(),
        streaming: STREAMING,
        stall: state.limits.stall(),
        refuse: refused,
    };
    let health = health.max_decoding_message_size(MAX_QUESTION_BYTES);
    let service = CommandServiceServer::new(Service::new(state))
        // Also of what a compressed message becomes: tonic bounds that by the same number.
        .max_decoding_message_size(max_bytes)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    let why = "cannot describe the gRPC services";
    let (v1, v1alpha) = (reflection().build_v1().context(why)?, reflection().build_v1alpha().context(why)?);
    let counted = Calls::new(meter, NAME, METHODS);
    let router = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_max_pending_accept_reset_streams(Some(MAX_RESET_STREAMS))
        .max_concurrent_streams(MOST_STREAMS)
        .layer(layer_fn(move |services| Explained::new(services, explain, counted.clone())))
        .add_service(Counted::new(service, arriving.clone()))
        .add_service(Counted::new(health, arriving.clone()))
        .add_service(Counted::new(v1.max_decoding_message_size(MAX_QUESTION_BYTES), arriving.clone()))
        .add_service(Counted::new(v1alpha.max_decoding_message_size(MAX_QUESTION_BYTES), arriving));
    let shutdown = lifecycle.shutdown();
    lifecycle.spawn("grpc", async move {
        let server = router.serve_with_incoming_shutdown(incoming, shutdown.cancelled());
        let done = async {
            shutdown.cancelled().await;
            calls.close();
            calls.wait().await;
            tokio::time::sleep(FLUSH).await;
        };
        tokio::select! {
            outcome = server => Ok(outcome?),
            () = done => Ok(()),
        }
    });
    follow_readiness(reporter, lifecycle);
    tracing::info!(address = %bound, "the gRPC door is open");
    Ok(bound)
}

/// What a call is told that the library refuses.
fn explain(bare: Bare, said: &str) -> Problem {
    match bare {
        Bare::TooLarge => problem(Code::BodyTooLarge, format!("the message is too large: {said}")),
        Bare::Malformed => malformed(format!("the message cannot be read: {said}")),
        Bare::NoSuchMethod => {
            problem(Code::NotFound, format!("there is no such method here; the service is {NAME}"))
        }
        Bare::Packed => {
            problem(Code::UnsupportedMediaType, format!("the message cannot be unpacked: {said}"))
        }
        // Of health: a service nobody knows.
        Bare::Other(tonic::Code::NotFound) => problem(Code::NotFound, said),
        Bare::Other(_) => problem(Code::Internal, said),
    }
}

/// What a call is told whose messages arrive too slowly, or take too much while they do.
fn refused(why: Refused) -> Status {
    let problem = match why {
        Refused::NoMemory => problem(
            Code::Overloaded,
            "too many large messages arrive already: this one was not read, try again later",
        ),
        Refused::TooSlow => problem(
            Code::RequestTimeout,
            "the message did not arrive in time (http.body_timeout_ms, in a stream http.stall_ms); it was not read",
        ),
    };
    problem.into()
}

fn follow_readiness(reporter: HealthReporter, lifecycle: &Lifecycle) {
    let (readiness, shutdown) = (lifecycle.readiness().clone(), lifecycle.shutdown());
    lifecycle.spawn("grpc-health", async move {
        let mut told = false;
        loop {
            let ready = readiness.is_ready();
            if ready != told {
                let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
                report(&reporter, status).await;
                told = ready;
            }
            tokio::select! {
                () = tokio::time::sleep(HEALTH_INTERVAL) => {}
                () = shutdown.cancelled() => break,
            }
        }
        report(&reporter, ServingStatus::NotServing).await;
        Ok(())
    });
}

/// Tells of the whole server (the empty name) and of the service by its name.
async fn report(reporter: &HealthReporter, status: ServingStatus) {
    for name in ["", NAME] {
        reporter.set_service_status(name, status).await;
    }
}
