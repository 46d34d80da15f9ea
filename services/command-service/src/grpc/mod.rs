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
use edge::context::Spans;
use edge::grpc::{Door, Services};
use tonic::codec::CompressionEncoding;
use toolkit::lifecycle::Lifecycle;
use toolkit::telemetry::Telemetry;

use crate::door::State;

/// Calls one connection may have in flight at once.
const MAX_STREAMS: u32 = 1_024;

pub(crate) use service::Service;

/// Serves the door under `lifecycle`. Returns where it listens (port 0 is resolved).
pub(crate) async fn serve(
    address: SocketAddr,
    state: State,
    lifecycle: &Lifecycle,
    telemetry: &Telemetry,
) -> anyhow::Result<SocketAddr> {
    let config = state.config.clone();
    let (bodies, spans) = (state.bodies.clone(), Spans::TracesOnly);
    let door = Door { address, config: &config, bodies, max_streams: MAX_STREAMS, spans };
    let services = Services::default().and(server(state));
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
