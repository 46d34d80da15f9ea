//! gRPC servers: services of ours, health that follows readiness, reflection; their connections, and what every call
//! passes before a method sees it.
//!
//! Promises: every error is a status with a `google.rpc.ErrorInfo` whose reason is a code of `docs/errors`; at the end calls
//! in flight are answered, and streams that nobody needs (health, reflection) hold nothing up.

mod access;
mod bodies;
mod health;
mod observe;
mod statuses;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use contract::proto::described;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;
use tonic::service::RoutesBuilder;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use toolkit::lifecycle::Lifecycle;
use toolkit::memory::Memory;
use toolkit::telemetry::Telemetry;
use tower_layer::layer_fn;

use crate::auth::Auth;
use crate::config::DoorConfig;
use crate::connections;
use crate::context::Spans;
use crate::secure;
use access::{Guarded, complete};
use bodies::{Arriving, Counted};
use observe::{Calls, Observed};

pub use access::Call;
pub use statuses::explained;

/// An idle connection is asked whether it is alive this often, so that dead ones do not pile up.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long it may take to answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// The most the headers of a call may have.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// Calls a client may give up before they were looked at; more end its connection.
const MAX_RESET_STREAMS: usize = 64;
/// The most a question for health or a description of the services may have.
const MAX_QUESTION_BYTES: usize = 64 * 1024;
/// Calls of every server whose client sends a stream.
const REFLECTION: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];
/// How long the last answers may take to leave after the last call ended.
const FLUSH: Duration = Duration::from_millis(200);

/// A door over gRPC.
#[derive(Clone, Debug)]
pub struct Door<'c> {
    pub address: SocketAddr,
    pub config: &'c DoorConfig,
    /// What callers are checked by.
    pub auth: &'c Auth,
    /// What messages may take that are arriving.
    pub bodies: Memory,
    /// Calls one connection may have in flight at once.
    pub max_streams: u32,
    pub spans: Spans,
}

/// Adds a service to a server.
type Add = Box<dyn FnOnce(&mut RoutesBuilder, &Arriving, &Auth) + Send>;

/// The services behind one port.
#[derive(Default)]
pub struct Services {
    names: Vec<&'static str>,
    calls: Vec<(&'static str, &'static [Call])>,
    add: Vec<Add>,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.names).finish()
    }
}

impl Services {
    /// With one more, whose calls need what `calls` says. It bounds its messages itself (`max_decoding_message_size`); its methods are
    /// those that the contract describes, and a server with one that `calls` does not have does not start.
    #[must_use]
    pub fn and<S>(mut self, service: S, calls: &'static [Call]) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
    {
        self.names.push(S::NAME);
        self.calls.push((S::NAME, calls));
        self.add.push(Box::new(move |routes, arriving, auth| {
            routes.add_service(Guarded::new(Counted::new(service, arriving.clone()), auth.clone(), calls));
        }));
        self
    }
}

/// The methods of the service of this full name that `files` describe.
fn methods<'f>(
    service: &'static str,
    files: &'f FileDescriptorSet,
) -> impl Iterator<Item = &'f MethodDescriptorProto> {
    let its = files.file.iter().flat_map(move |file| {
        file.service.iter().filter(move |it| format!("{}.{}", file.package(), it.name()) == service)
    });
    its.flat_map(|it| &it.method)
}

/// Serves `services` under `lifecycle`. Returns where it listens (port 0 is resolved).
pub async fn serve(
    door: Door<'_>,
    services: Services,
    lifecycle: &Lifecycle,
    telemetry: &Telemetry,
) -> anyhow::Result<SocketAddr> {
    let Services { names, calls: said, add } = services;
    let Door { address, config, auth, bodies, max_streams, spans } = door;
    let why = || format!("cannot listen for gRPC on {address}; give a free address as listen.grpc");
    let incoming = TcpIncoming::bind(address).with_context(why)?.with_nodelay(Some(true));
    let bound = incoming.local_addr().with_context(why)?;
    let tls = secure::open(&config.tls, "http.tls", lifecycle)?;
    let tls = tls.as_ref().map(secure::acceptor).transpose()?;
    let incoming = connections::take(config.connections(), auth.limits().peers(), incoming);
    let incoming = secure::secured(incoming, tls, config.max_connections);
    let files = described(&names);
    for (service, calls) in said {
        complete(service, calls, &files)?;
    }
    let calls = Calls::new(telemetry, &names, &files, spans);
    let streaming: Arc<[String]> =
        calls.streaming().map(str::to_owned).chain(REFLECTION.map(str::to_owned)).collect();
    let (within, stall) = (config.body_timeout(), config.stall());
    let arriving = Arriving { memory: bodies, within, streaming, stall };
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_file_descriptor_set(files.clone())
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // The details of errors: without them a client that asks cannot read any.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let why = "cannot describe the gRPC services";
    let v1 = reflection().build_v1().context(why)?.max_decoding_message_size(MAX_QUESTION_BYTES);
    let v1alpha = reflection().build_v1alpha().context(why)?.max_decoding_message_size(MAX_QUESTION_BYTES);
    let health = health::follow(lifecycle, names).await.max_decoding_message_size(MAX_QUESTION_BYTES);
    let in_flight = calls.in_flight();
    let mut ours = RoutesBuilder::default();
    for add in add {
        add(&mut ours, &arriving, auth);
    }
    let router = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_max_pending_accept_reset_streams(Some(MAX_RESET_STREAMS))
        .max_concurrent_streams(max_streams)
        .layer(layer_fn(move |services| Observed::new(services, calls.clone())))
        .add_routes(ours.routes())
        .add_service(Counted::new(health, arriving.clone()))
        .add_service(Counted::new(v1, arriving.clone()))
        .add_service(Counted::new(v1alpha, arriving));
    let shutdown = lifecycle.shutdown();
    lifecycle.spawn("grpc", async move {
        let server = router.serve_with_incoming_shutdown(incoming, shutdown.cancelled());
        let done = async {
            shutdown.cancelled().await;
            in_flight.close();
            // A call may begin until its client has heard that none should.
            loop {
                in_flight.wait().await;
                tokio::time::sleep(FLUSH).await;
                if in_flight.is_empty() {
                    break;
                }
            }
        };
        tokio::select! {
            outcome = server => Ok(outcome?),
            () = done => Ok(()),
        }
    });
    tracing::info!(address = %bound, "the gRPC door is open");
    Ok(bound)
}
