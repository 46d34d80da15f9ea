//! Over real sockets: a service that does little, and what the server does around it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::{Buf, BufMut};
use contract::proto::catalog::v1::command_service_client::CommandServiceClient;
use contract::proto::catalog::v1::command_service_server::{CommandService, CommandServiceServer};
use contract::proto::catalog::v1::{CommandRequest, CommandResponse, CommandResult};
use futures::StreamExt;
use prost::Message;
use prost::encoding::{DecodeContext, WireType};
use prost_types::FileDescriptorProto;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_types::StatusExt;
use toolkit::config::ShutdownConfig;

use super::*;
use crate::auth::{Access, Scope};
use crate::context::Context as Known;

/// Answers with the call's id. Of a product `panics` it panics; a stream's answers never end.
#[derive(Clone, Debug)]
struct Echo;

#[tonic::async_trait]
impl CommandService for Echo {
    type ExecuteBulkStream = futures::stream::BoxStream<'static, Result<CommandResult, Status>>;

    async fn execute(&self, request: Request<CommandRequest>) -> Result<Response<CommandResponse>, Status> {
        let id = request.extensions().get::<Known>().unwrap().id.clone();
        assert_ne!(request.get_ref().product_id, "panics");
        Ok(Response::new(CommandResponse { event_id: id, ..CommandResponse::default() }))
    }

    async fn execute_bulk(
        &self,
        request: Request<Streaming<CommandRequest>>,
    ) -> Result<Response<Self::ExecuteBulkStream>, Status> {
        let results = request.into_inner().map(|request| request.map(|_| CommandResult::default()));
        Ok(Response::new(results.chain(futures::stream::pending()).boxed()))
    }
}

/// Sends bytes as they are.
#[derive(Clone, Debug, Default)]
struct Raw(Vec<u8>);

impl Message for Raw {
    fn encode_raw(&self, into: &mut impl BufMut) {
        into.put_slice(&self.0);
    }

    fn merge_field(
        &mut self,
        _: u32,
        _: WireType,
        _: &mut impl Buf,
        _: DecodeContext,
    ) -> Result<(), prost::DecodeError> {
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {}
}

struct Served {
    lifecycle: Lifecycle,
    telemetry: Telemetry,
    address: SocketAddr,
}

async fn served() -> Served {
    let timing = ShutdownConfig { drain_delay_ms: 0, grace_ms: 10_000 };
    let lifecycle = Lifecycle::with_timing(timing).without_signals();
    let telemetry = Telemetry::detached("tester").unwrap();
    let config = DoorConfig::default();
    let services = Services::default().and(service(), CALLS);
    let auth = Auth::off();
    let address = serve(door(&config, &auth), services, &lifecycle, &telemetry).await.unwrap();
    Served { lifecycle, telemetry, address }
}

const CALLS: &[Call] = &[
    Call { method: "Execute", needs: Access::Needs(Scope::Write) },
    Call { method: "ExecuteBulk", needs: Access::Needs(Scope::Bulk) },
];

fn service() -> CommandServiceServer<Echo> {
    CommandServiceServer::new(Echo).max_decoding_message_size(10_000)
}

fn door<'c>(config: &'c DoorConfig, auth: &'c Auth) -> Door<'c> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Door { address, config, auth, bodies: config.bodies(), max_streams: 64, spans: Spans::Logs }
}

#[tokio::test]
async fn a_server_with_a_method_that_does_not_say_what_it_needs_does_not_start() {
    let (config, auth, lifecycle) = (DoorConfig::default(), Auth::off(), Lifecycle::new().without_signals());
    let telemetry = Telemetry::detached("tester").unwrap();
    for calls in [&[][..], &CALLS[..1], &CALLS[1..]] {
        let services = Services::default().and(service(), calls);
        let error = serve(door(&config, &auth), services, &lifecycle, &telemetry).await.unwrap_err();
        assert!(error.to_string().contains("does not say what it needs"), "{error}");
    }
}

async fn channel(address: SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// What a call with this message is answered that goes wrong.
async fn failed(channel: &Channel, path: &'static str, message: Vec<u8>) -> Status {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let mut request = Request::new(Raw(message));
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request.metadata_mut().insert("traceparent", trace.parse().unwrap());
    request.metadata_mut().insert("x-request-id", "r-1".parse().unwrap());
    let codec = ProstCodec::<Raw, ()>::default();
    grpc.unary(request, PathAndQuery::from_static(path), codec).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_has_its_code_and_its_names_and_is_counted() {
    const EXECUTE: &str = "/catalog.v1.CommandService/Execute";
    let served = served().await;
    let channel = channel(served.address).await;
    let message = |id: &str| CommandRequest { product_id: id.to_owned(), ..CommandRequest::default() };
    let large = message(&"p".repeat(10_001)).encode_to_vec();
    for (path, message, code, reason) in [
        (EXECUTE, large, Code::OutOfRange, "BODY_TOO_LARGE"),
        (EXECUTE, vec![0xff; 100], Code::InvalidArgument, "MALFORMED_REQUEST"),
        // A field of another type, a text that is not UTF-8, a length beyond the end.
        (EXECUTE, vec![0x08, 1], Code::InvalidArgument, "MALFORMED_REQUEST"),
        (EXECUTE, vec![0x0a, 1, 0xff], Code::InvalidArgument, "MALFORMED_REQUEST"),
        (EXECUTE, vec![0x0a, 9, b'p'], Code::InvalidArgument, "MALFORMED_REQUEST"),
        (EXECUTE, message("panics").encode_to_vec(), Code::Internal, "INTERNAL"),
        ("/catalog.v1.CommandService/Paint", vec![], Code::Unimplemented, "NOT_FOUND"),
        ("/catalog.v1.QueryService/GetProduct", vec![], Code::Unimplemented, "NOT_FOUND"),
        ("/nobody/Knows", vec![], Code::Unimplemented, "NOT_FOUND"),
        ("/grpc.health.v1.Health/Check", vec![0x0a, 1, b'x'], Code::NotFound, "NOT_FOUND"),
    ] {
        let status = failed(&channel, path, message).await;
        let info = status.get_details_error_info().unwrap();
        assert_eq!((status.code(), info.reason.as_str()), (code, reason), "{path}: {status:?}");
        assert_eq!(info.metadata["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736", "{path}");
        assert_eq!(info.metadata["request_id"], "r-1", "{path}");
        assert!(!status.message().is_empty(), "{path}");
    }
    let mut client = CommandServiceClient::new(channel);
    let mut request = Request::new(message("p"));
    request.metadata_mut().insert("x-request-id", "r-2".parse().unwrap());
    assert_eq!(client.execute(request).await.unwrap().into_inner().event_id, "r-2");
    let told = served.telemetry.render_metrics().unwrap();
    for series in [
        "code=\"InvalidArgument\",method=\"Execute\"} 4",
        "code=\"OutOfRange\",method=\"Execute\"} 1",
        "code=\"Internal\",method=\"Execute\"} 1",
        "code=\"Ok\",method=\"Execute\"} 1",
        "code=\"Unimplemented\",method=\"none\"} 3",
        "code=\"NotFound\",method=\"none\"} 1",
    ] {
        assert!(told.contains(&format!("folio_grpc_requests_total{{{series}")), "{series}: {told}");
    }
    let series = told.lines().filter(|line| line.starts_with("folio_grpc_requests_total{")).count();
    assert_eq!(series, 6, "no label holds what a caller made up: {told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_follows_readiness_and_who_watches_it_holds_up_no_end() {
    let served = served().await;
    let kafka = served.lifecycle.readiness().dependency("kafka");
    let mut health = HealthClient::new(channel(served.address).await);
    for service in ["", "catalog.v1.CommandService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        kafka.down("for a test");
        let mut watched = health.watch(request).await.unwrap().into_inner();
        let mut is = async |status| {
            while watched.message().await.unwrap().unwrap().status() != status {}
        };
        is(ServingStatus::NotServing).await;
        kafka.up();
        is(ServingStatus::Serving).await;
    }
    let _watching = health.watch(HealthCheckRequest::default()).await.unwrap();
    served.lifecycle.shutdown().cancel();
    tokio::time::timeout(Duration::from_secs(5), served.lifecycle.run()).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_the_service_is_in_flight_until_its_last_answer_is_taken() {
    let served = served().await;
    let mut client = CommandServiceClient::new(channel(served.address).await);
    let requests = futures::stream::iter([CommandRequest::default()]);
    let mut results = client.execute_bulk(requests).await.unwrap().into_inner();
    results.message().await.unwrap().unwrap();
    served.lifecycle.shutdown().cancel();
    let mut ended = tokio::spawn(served.lifecycle.run());
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut ended).await.is_err());
    drop(results);
    tokio::time::timeout(Duration::from_secs(5), ended).await.unwrap().unwrap().unwrap();
}

/// What reflection says; of what it does not know, that.
async fn asked(channel: &Channel, question: MessageRequest) -> Result<MessageResponse, Status> {
    let request = ServerReflectionRequest { message_request: Some(question), ..Default::default() };
    let answers = ServerReflectionClient::new(channel.clone())
        .server_reflection_info(futures::stream::iter([request]))
        .await;
    answers?.get_mut().message().await.map(|answer| answer.unwrap().message_response.unwrap())
}

async fn described(channel: &Channel, question: MessageRequest) -> MessageResponse {
    asked(channel, question).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reflection_shows_its_service_and_the_details_of_errors() {
    let channel = channel(served().await.address).await;
    let services = described(&channel, MessageRequest::ListServices(String::new())).await;
    let MessageResponse::ListServicesResponse(services) = services else { panic!("{services:?}") };
    let mut names: Vec<_> = services.service.into_iter().map(|service| service.name).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["catalog.v1.CommandService", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"]
    );
    let symbol = |name: &str| MessageRequest::FileContainingSymbol(name.to_owned());
    for name in [
        "catalog.v1.CommandService",
        "catalog.v1.CommandResult",
        "catalog.v1.Money",
        "google.rpc.Status",
        "google.rpc.ErrorInfo",
        "google.rpc.BadRequest",
        "google.rpc.RetryInfo",
    ] {
        let answer = described(&channel, symbol(name)).await;
        let MessageResponse::FileDescriptorResponse(files) = answer else { panic!("{name}: {answer:?}") };
        for file in files.file_descriptor_proto {
            let file = FileDescriptorProto::decode(file.as_slice()).unwrap();
            for needed in file.dependency {
                let answer = described(&channel, MessageRequest::FileByFilename(needed.clone())).await;
                assert!(
                    matches!(answer, MessageResponse::FileDescriptorResponse(_)),
                    "{name} needs {needed}"
                );
            }
        }
    }
    for other in ["catalog.v1.QueryService", "catalog.v1.SearchRequest"] {
        assert_eq!(asked(&channel, symbol(other)).await.unwrap_err().code(), Code::NotFound, "{other}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_say_nothing_are_closed() {
    let served = served().await;
    let mut silent = TcpStream::connect(served.address).await.unwrap();
    let mut half = TcpStream::connect(served.address).await.unwrap();
    half.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
    // Closed or reset.
    let closed = async { drop(silent.read_to_end(&mut Vec::new()).await) };
    tokio::time::timeout(Duration::from_secs(20), closed).await.expect("closed in bounded time");
}
