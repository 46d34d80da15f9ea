//! Over real sockets: what metadata says, what deadlines mean, and what reflection shows.

use prost::Message;
use prost_types::FileDescriptorProto;
use tonic::transport::Channel;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::streams::{client, reason, served};
use super::*;
use edge::config::DoorConfig;

async fn channel(address: std::net::SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_means_what_the_headers_of_http_mean() {
    let (world, address) = served(DoorConfig::default()).await;
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
    let (world, address) = served(DoorConfig::default()).await;
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
    let (_world, address) = served(DoorConfig::default()).await;
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
