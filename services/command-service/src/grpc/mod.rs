//! The gRPC door: `catalog.v1.CommandService`.
//!
//! Promise: a bulk stream has one result per request, in order, however many fail.

mod calls;
mod results;
mod service;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use contract::proto::catalog::v1::command_service_server::CommandServiceServer;
use edge::auth::{Access, Scope};
use edge::context::Spans;
use edge::grpc::{Call, Door, Services};
use tonic::codec::CompressionEncoding;
use toolkit::lifecycle::Lifecycle;
use toolkit::telemetry::Telemetry;

use crate::door::State;

/// Calls one connection may have in flight at once.
const MAX_STREAMS: u32 = 1_024;

/// What its calls need. Which scope it is depends on the command, and a stream's commands each need their own: the door looks again.
pub(crate) const CALLS: &[Call] = &[
    Call { method: "Execute", needs: Access::NeedsOneOf(&[Scope::Write, Scope::Delete]) },
    Call { method: "ExecuteBulk", needs: Access::Needs(Scope::Bulk) },
];

pub(crate) use service::Service;

/// Serves the door under `lifecycle`. Returns where it listens (port 0 is resolved).
pub(crate) async fn serve(
    address: SocketAddr,
    state: State,
    lifecycle: &Lifecycle,
    telemetry: &Telemetry,
) -> anyhow::Result<SocketAddr> {
    let (config, auth) = (state.config.clone(), state.auth.clone());
    let (bodies, spans) = (state.bodies.clone(), Spans::Sampled);
    let door = Door { address, config: &config, auth: &auth, bodies, max_streams: MAX_STREAMS, spans };
    let services = Services::default().and(server(state), CALLS);
    edge::grpc::serve(door, services, lifecycle, telemetry).await
}

/// What answers, behind any port.
pub(crate) fn server(state: State) -> CommandServiceServer<Service> {
    let max_bytes = state.config.max_body_bytes;
    CommandServiceServer::new(Service::new(state))
        // Also of what a compressed message becomes: tonic bounds that by the same number.
        .max_decoding_message_size(max_bytes)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip)
}
