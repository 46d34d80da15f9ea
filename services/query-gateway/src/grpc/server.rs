//! The gRPC server: its port, its services, health that follows readiness, and its end.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use contract::code::Code;
use contract::proto::catalog::v1::query_service_server::QueryServiceServer;
use contract::proto::described;
use edge::bodies::{Arriving, Counted, Refused};
use edge::calls::Calls;
use edge::connections::{self, Limits};
use edge::problem::Problem;
use edge::statuses::{Bare, Explained};
use opentelemetry::metrics::Meter;
use tonic::Status;
use tonic::codec::CompressionEncoding;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use toolkit::lifecycle::Lifecycle;
use toolkit::memory::Memory;
use tower_layer::layer_fn;

use super::service::Service;
use super::{METHODS, NAME};
use crate::ask::Questions;
use crate::config::Config;

/// How often health follows readiness.
const HEALTH_INTERVAL: Duration = Duration::from_millis(250);
/// An idle connection is asked whether it is alive this often, so that dead ones do not pile up.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long it may take to answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// The most the headers of a question may have, and the question itself.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
const MAX_REQUEST_BYTES: usize = 256 * 1024;
/// What all questions that are arriving may take together, and how long one may take to arrive.
const ARRIVING_BYTES: usize = 64 * 1024 * 1024;
const ARRIVE_WITHIN: Duration = Duration::from_secs(10);
/// How long a stream may pause in the middle of a message.
const STALL: Duration = Duration::from_mins(1);
/// Calls whose client sends a stream.
const STREAMING: &[&str] = &[
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];
/// The most a question for health or a description of the services may have.
const MAX_SMALL_BYTES: usize = 64 * 1024;
/// Questions a client may give up before they were looked at; more end its connection.
const MAX_RESET_STREAMS: usize = 64;
/// Questions one connection may have open at once.
const MOST_STREAMS: u32 = 256;

/// Serves under `lifecycle`. Returns where it listens.
pub(crate) async fn serve(
    config: &Config,
    questions: Questions,
    meter: &Meter,
    lifecycle: &Lifecycle,
) -> anyhow::Result<SocketAddr> {
    let address = config.listen.grpc;
    let why = || format!("cannot listen for gRPC on {address}; give a free address as listen.grpc");
    let incoming = TcpIncoming::bind(address).with_context(why)?.with_nodelay(Some(true));
    let bound = incoming.local_addr().with_context(why)?;
    let incoming = connections::take(Limits::of(config.queries.max_connections), incoming);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_file_descriptor_set(described(NAME))
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // The details of errors: without them a client that asks cannot read any.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let (reporter, health) = tonic_health::server::health_reporter();
    report(&reporter, ServingStatus::NotServing).await;
    let service = QueryServiceServer::new(Service::new(questions))
        // Also of what a compressed message becomes: tonic bounds that by the same number.
        .max_decoding_message_size(MAX_REQUEST_BYTES)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    let arriving = Arriving {
        memory: Memory::new(ARRIVING_BYTES),
        within: ARRIVE_WITHIN,
        streaming: STREAMING,
        stall: STALL,
        refuse: refused,
    };
    let health = health.max_decoding_message_size(MAX_SMALL_BYTES);
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
        .add_service(Counted::new(v1.max_decoding_message_size(MAX_SMALL_BYTES), arriving.clone()))
        .add_service(Counted::new(v1alpha.max_decoding_message_size(MAX_SMALL_BYTES), arriving));
    let shutdown = lifecycle.shutdown();
    lifecycle.spawn("grpc server", async move {
        router.serve_with_incoming_shutdown(incoming, shutdown.cancelled()).await?;
        Ok(())
    });
    let (readiness, shutdown) = (lifecycle.readiness().clone(), lifecycle.shutdown());
    lifecycle.spawn("grpc health", async move {
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
    Ok(bound)
}

/// What a call is told whose question arrives too slowly, or takes too much while it does.
fn refused(why: Refused) -> Status {
    let (code, detail) = match why {
        Refused::NoMemory => (Code::Overloaded, "too many large questions arrive already, try again later"),
        Refused::TooSlow => (Code::RequestTimeout, "the question did not arrive in time"),
    };
    problem(code, detail).into()
}

/// What a call is told that the library refuses.
fn explain(bare: Bare, said: &str) -> Problem {
    match bare {
        Bare::TooLarge => problem(Code::BodyTooLarge, format!("the question is too large: {said}")),
        Bare::Malformed => problem(Code::MalformedRequest, format!("the question cannot be read: {said}")),
        Bare::NoSuchMethod => {
            problem(Code::NotFound, format!("there is no such method here; the service is {NAME}"))
        }
        Bare::Packed => {
            problem(Code::UnsupportedMediaType, format!("the question cannot be unpacked: {said}"))
        }
        // Of health: a service nobody knows.
        Bare::Other(tonic::Code::NotFound) => problem(Code::NotFound, said),
        // The deadline that the caller gave.
        Bare::Other(tonic::Code::Cancelled | tonic::Code::DeadlineExceeded) => {
            problem(Code::RequestTimeout, said)
        }
        Bare::Other(_) => problem(Code::Internal, said),
    }
}

fn problem(code: Code, detail: impl Into<String>) -> Problem {
    let problem = Problem::new(code.name(), code.title(), code.http(), code.grpc(), detail);
    match code.retry_after() {
        Some(after) => problem.retry_after(after),
        None => problem,
    }
}

/// Tells of the whole server (the empty name) and of the service by its name.
async fn report(reporter: &HealthReporter, status: ServingStatus) {
    for name in ["", NAME] {
        reporter.set_service_status(name, status).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use crate::{Application, Config};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn connections_that_say_nothing_are_closed_on_both_ports() {
        let mut config = Config::default();
        let free = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        (config.listen.http, config.listen.grpc, config.listen.ops) = (free, free, free);
        "off".clone_into(&mut config.telemetry.level);
        let addresses = Application::build(config).await.unwrap().addresses();
        let mut half = TcpStream::connect(addresses.http).await.unwrap();
        half.write_all(b"GET /v1/products HTTP/1.1\r\nhos").await.unwrap();
        let silent = [addresses.http, addresses.grpc].map(TcpStream::connect);
        let mut open = vec![half];
        for connecting in silent {
            open.push(connecting.await.unwrap());
        }
        for connection in &mut open {
            let mut all = Vec::new();
            let ended =
                tokio::time::timeout(std::time::Duration::from_secs(20), connection.read_to_end(&mut all));
            // Closed or reset, but in time.
            assert!(ended.await.is_ok(), "closed in bounded time");
        }
    }
}
