//! The ports: commands and queries behind one of HTTP and one of gRPC, as an API gateway would put them there.
//!
//! Promises: a request goes to the service that takes its path by its method, and meets there what it would meet at that
//! service's own port; what neither takes is answered with what both take.

use std::net::{SocketAddr, TcpListener};

use actix_web::{HttpRequest, web};
use command_service::Core as Commands;
use contract::code::Code;
use edge::auth::Auth;
use edge::config::DoorConfig;
use edge::context::Spans;
use edge::http::{Paths, Requests};
use edge::openapi::document_at;
use edge::problem::Problem;
use edge::process::{Addresses, Process};
use edge::{grpc, http};
use query_gateway::Core as Queries;

use crate::{Error, Options, Port};

/// Calls one connection of gRPC may have in flight at once.
const MAX_STREAMS: u32 = 1_024;
/// The most characters of a client's path that an answer repeats.
const SHOWN: usize = 200;

/// Refuses ports that others have, before anything else is begun.
pub(crate) fn check(options: &Options) -> Result<(), Error> {
    let mut taken = Vec::new();
    for (port, address) in [(Port::Http, options.http), (Port::Grpc, options.grpc), (Port::Ops, options.ops)]
    {
        // Held until all are tried, so that two of them are not one; then closed: whoever takes one in between is told of by the one
        // who binds it for good.
        taken.push(TcpListener::bind(address).map_err(|problem| Error::Port { port, address, problem })?);
    }
    Ok(())
}

/// Opens the doors under the process's lifecycle. Returns where they are.
pub(crate) async fn open(
    options: &Options,
    commands: &Commands,
    queries: &Queries,
    config: &DoorConfig,
    process: &Process,
) -> anyhow::Result<Addresses> {
    let Process { lifecycle, telemetry, auth, ops, .. } = process;
    let door = http::Door { address: options.http, config, auth, grace: queries.grace(), handles: true };
    let http = {
        let (commands, queries) = (commands.clone(), queries.clone());
        let requests = Requests::new(telemetry, Spans::Logs).draining_with(lifecycle);
        let otherwise = Paths::of(&[Commands::PATHS, Queries::PATHS]).otherwise(refuse);
        http::serve(door, lifecycle, move || {
            queries.app(&requests, &|app: &mut web::ServiceConfig| {
                commands.routes(app);
                otherwise(app);
            })
        })?
    };
    let bodies = commands.bodies().clone();
    let (address, spans) = (options.grpc, Spans::Logs);
    let door = grpc::Door { address, config, auth, bodies, max_streams: MAX_STREAMS, spans };
    let services = queries.grpc(commands.grpc(grpc::Services::default()));
    let grpc: SocketAddr = grpc::serve(door, services, lifecycle, telemetry).await?;
    Ok(Addresses { http, grpc, ops: *ops })
}

/// What is said to whom neither service answers.
fn refuse(request: &HttpRequest, methods: Option<&str>) -> Problem {
    let path: String = request.path().chars().take(SHOWN).collect();
    if let Some(methods) = methods {
        let method = request.method();
        return Problem::new(Code::MethodNotAllowed, format!("{path} takes {methods}, and not {method}"));
    }
    let detail = format!(
        "there is nothing at {path}; commands go to /v1/products, /v1/products/{{id}}:<action> and /v1/commands:bulk; \
         /v1/products/{{id}}, /v1/products/{{id}}/history, /v1/products?category=, /v1/products:batchGet, /v1/search and \
         /v1/suggest can be read"
    );
    Problem::new(Code::NotFound, detail)
}

/// Shows the documents of both on the operators' port.
pub(crate) fn document(app: &mut web::ServiceConfig, auth: &Auth) {
    let documents = [
        (document_at("/openapi/command-service.json"), Commands::OPENAPI),
        (document_at("/openapi/query-gateway.json"), Queries::OPENAPI),
    ];
    edge::openapi::show_at(app, auth, &documents);
}
