//! Over real sockets: what the library answers by itself, what metadata says, and what reflection shows.

use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use prost_types::FileDescriptorProto;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Response, Streaming};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::streams::{client, reason, served};
use super::*;
use crate::config::HttpConfig;

/// Sends and takes bytes as they are.
#[derive(Clone, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

async fn channel(address: std::net::SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// What a call with this message is answered that goes wrong.
async fn failed(channel: &Channel, path: &'static str, message: impl Into<Bytes>) -> Status {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let mut request = Request::new(message.into());
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request.metadata_mut().insert("traceparent", trace.parse().unwrap());
    let path = PathAndQuery::from_static(path);
    if path.path().ends_with("Bulk") {
        let stream = request.map(|message| futures::stream::iter([message]));
        let answers: Result<Response<Streaming<Bytes>>, Status> = grpc.streaming(stream, path, Raw).await;
        return match answers {
            Ok(mut answers) => answers.get_mut().message().await.unwrap_err(),
            Err(status) => status,
        };
    }
    grpc.unary(request, path, Raw).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_library_refuses_has_its_code_and_its_trace_too() {
    const EXECUTE: &str = "/catalog.v1.CommandService/Execute";
    const BULK: &str = "/catalog.v1.CommandService/ExecuteBulk";
    let (world, address) = served(HttpConfig { max_body_bytes: 10_000, ..HttpConfig::default() }).await;
    let channel = channel(address).await;
    let large =
        CommandRequest { product_id: "p".repeat(10_001), ..CommandRequest::default() }.encode_to_vec();
    for (path, message, code, why) in [
        (EXECUTE, large.clone(), Code::OutOfRange, "BODY_TOO_LARGE"),
        (BULK, large, Code::OutOfRange, "BODY_TOO_LARGE"),
        (EXECUTE, vec![0xff; 100], Code::InvalidArgument, "MALFORMED_REQUEST"),
        (BULK, vec![0xff; 100], Code::InvalidArgument, "MALFORMED_REQUEST"),
        // A field of another type, a text that is not UTF-8, a length beyond the end.
        (EXECUTE, vec![0x08, 1], Code::InvalidArgument, "MALFORMED_REQUEST"),
        (EXECUTE, vec![0x0a, 1, 0xff], Code::InvalidArgument, "MALFORMED_REQUEST"),
        (EXECUTE, vec![0x0a, 9, b'p'], Code::InvalidArgument, "MALFORMED_REQUEST"),
        ("/catalog.v1.CommandService/Paint", vec![], Code::Unimplemented, "NOT_FOUND"),
        ("/catalog.v1.QueryService/GetProduct", vec![], Code::Unimplemented, "NOT_FOUND"),
        ("/nobody/Knows", vec![], Code::Unimplemented, "NOT_FOUND"),
        (EXECUTE, vec![], Code::InvalidArgument, "MALFORMED_REQUEST"),
    ] {
        let status = failed(&channel, path, message).await;
        assert_eq!((status.code(), reason(&status).as_str()), (code, why), "{path}: {status:?}");
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.metadata["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736", "{path}");
        assert!(!status.message().is_empty(), "{path}");
    }
    let told = world.telemetry.render_metrics().unwrap();
    for series in [
        "code=\"InvalidArgument\",method=\"Execute\"} 5",
        "code=\"OutOfRange\",method=\"Execute\"} 1",
        "code=\"Unimplemented\",method=\"none\"} 3",
    ] {
        assert!(told.contains(&format!("folio_grpc_requests_total{{{series}")), "{series}: {told}");
    }
    assert!(!told.contains("Paint"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_means_what_the_headers_of_http_mean() {
    let (world, address) = served(HttpConfig::default()).await;
    let mut client = client(address).await;
    let request = |pairs: &[(&'static str, &str)], message: &CommandRequest| {
        let mut request = Request::new(message.clone());
        for (name, value) in pairs {
            request.metadata_mut().append(*name, value.parse().unwrap());
        }
        request
    };
    let message = CommandRequest::from(&create("p1"));
    let status = client.execute(request(&[("if-match", "*")], &message)).await.unwrap_err();
    assert_eq!(reason(&status), "VERSION_CONFLICT");
    let named = [("x-folio-actor", "ann"), ("idempotency-key", "k"), ("if-none-match", "*")];
    let first = client.execute(request(&named, &message)).await.unwrap().into_inner();
    let records = world.live.topic.records(ledger::partition_of("p1", 4));
    assert_eq!(contract::envelope::read_meta(&records[0].headers).actor, Some("ann"));
    let again = client.execute(request(&named, &message)).await.unwrap().into_inner();
    assert_eq!((again.replayed, again.event_id), (true, first.event_id));
    for (pairs, why) in [
        (&[("if-match", "\"2\", \"3\"")][..], "VERSION_CONFLICT"),
        (&[("if-match", "2")], "INVALID_HEADER"),
        (&[("expected-version", "1")], "INVALID_HEADER"),
        (&[("x-idempotency-key", "k")], "INVALID_HEADER"),
        (&[("consistency-token", "abc")], "BAD_CONSISTENCY_TOKEN"),
    ] {
        let status = client.execute(request(pairs, &list("p1"))).await.unwrap_err();
        assert_eq!(reason(&status), why, "{pairs:?}");
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.metadata["trace_id"].len(), 32);
        assert_eq!(info.metadata.contains_key("metadata_key"), why != "VERSION_CONFLICT", "{pairs:?}");
    }
    let listed =
        request(&[("if-match", "\"1\""), ("consistency-token", &first.consistency_token)], &list("p1"));
    assert_eq!(client.execute(listed).await.unwrap().into_inner().version, 2);
    for name in ["idempotency-key", "if-match", "if-none-match"] {
        let mut stream = Request::new(futures::stream::iter([list("p1")]));
        stream.metadata_mut().insert(name, "k".parse().unwrap());
        let status = client.execute_bulk(stream).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_HEADER"));
        assert!(status.message().contains(name), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_answer_comes_before_the_callers_deadline() {
    let (world, address) = served(HttpConfig::default()).await;
    let mut client = client(address).await;
    world.live.stand_still(true);
    let mut request = Request::new(CommandRequest::from(&create("p1")));
    request.set_timeout(std::time::Duration::from_secs(2));
    let status = client.execute(request).await.unwrap_err();
    assert!(["OUTCOME_UNKNOWN", "DEADLINE_EXCEEDED"].contains(&reason(&status).as_str()), "{status:?}");
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
async fn reflection_shows_this_service_and_the_details_of_errors() {
    let (_world, address) = served(HttpConfig::default()).await;
    let channel = channel(address).await;
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
