//! The read side over gRPC: the same questions as over HTTP, with the same codes.

mod asked;
mod service;
#[cfg(test)]
mod tests;
mod views;

use std::net::SocketAddr;

use contract::proto::catalog::v1::query_service_server::QueryServiceServer;
use edge::auth::{Access, Auth, Scope};
use edge::config::DoorConfig;
use edge::context::Spans;
use edge::grpc::{Call, Door, Services};
use tonic::codec::CompressionEncoding;
use toolkit::lifecycle::Lifecycle;
use toolkit::telemetry::Telemetry;

use crate::ask::Queries;
use crate::config::Config;
use service::Service;

/// Calls one connection may have in flight at once.
const MAX_STREAMS: u32 = 256;
/// The most a question may have, packed or not, whatever the configuration allows.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;

const fn read(method: &'static str) -> Call {
    Call { method, needs: Access::Needs(Scope::Read) }
}

/// What its calls need.
pub(crate) const CALLS: &[Call] = &[
    read("GetProduct"),
    read("BatchGetProducts"),
    read("ListProducts"),
    read("GetHistory"),
    read("Search"),
    read("Suggest"),
];

/// Serves under `lifecycle`. Returns where it listens.
pub(crate) async fn serve(
    config: &Config,
    questions: Queries,
    auth: &Auth,
    lifecycle: &Lifecycle,
    telemetry: &Telemetry,
) -> anyhow::Result<SocketAddr> {
    let (address, config) = (config.listen.grpc, &config.http);
    let (bodies, spans) = (config.bodies(), Spans::Logs);
    let door = Door { address, config, auth, bodies, max_streams: MAX_STREAMS, spans };
    let services = Services::default().and(server(config, questions), CALLS);
    edge::grpc::serve(door, services, lifecycle, telemetry).await
}

/// What answers, behind any port.
pub(crate) fn server(config: &DoorConfig, questions: Queries) -> QueryServiceServer<Service> {
    QueryServiceServer::new(Service::new(questions))
        // Also of what a compressed message becomes: tonic bounds that by the same number.
        .max_decoding_message_size(config.max_body_bytes.min(MAX_MESSAGE_BYTES))
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip)
}
