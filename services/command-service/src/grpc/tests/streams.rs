//! Streams over real sockets, with clients that read late or never, or stop in the middle.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use contract::proto::catalog::v1::command_service_client::CommandServiceClient;
use edge::config::DoorConfig;
use futures::stream;
use tokio::sync::oneshot;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;

use super::*;
use crate::config::UploadsConfig;
use crate::testing::eventually;

pub(super) async fn served(http: DoorConfig) -> (World, SocketAddr) {
    served_with(http, UploadsConfig::default()).await
}

async fn served_with(http: DoorConfig, uploads: UploadsConfig) -> (World, SocketAddr) {
    let mut world = World::start().await;
    (world.http, world.uploads) = (http, uploads);
    let (local, state) = (([127, 0, 0, 1], 0).into(), world.state());
    let address = crate::grpc::serve(local, state, &world.lifecycle, &world.telemetry).await.unwrap();
    (world, address)
}

pub(super) async fn client(address: SocketAddr) -> CommandServiceClient<Channel> {
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    CommandServiceClient::new(channel.connect().await.unwrap())
}

fn stalled(world: &World, reason: &str) -> bool {
    let text = world.telemetry.render_metrics().unwrap();
    let counted = |line: &&str| line.starts_with("folio_uploads_stalled_total") && line.contains(reason);
    text.lines().find(counted).is_some_and(|line| line.ends_with(" 1"))
}

pub(super) fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_may_send_everything_before_it_reads_anything() {
    const REQUESTS: usize = 40_000;
    let (_world, address) = served(DoorConfig::default()).await;
    let (sent, all_sent) = oneshot::channel();
    let mut sent = Some(sent);
    let requests = (0..REQUESTS).map(move |n| {
        if n == REQUESTS - 1 {
            sent.take().unwrap().send(()).unwrap();
        }
        CommandRequest { product_id: format!("p{n:0>900}"), ..CommandRequest::default() }
    });
    let mut client = client(address).await;
    let mut results = client.execute_bulk(stream::iter(requests)).await.unwrap().into_inner();
    tokio::time::timeout(Duration::from_mins(1), all_sent).await.expect("all is sent").unwrap();
    for n in 0..REQUESTS {
        let result = results.message().await.unwrap().unwrap();
        assert_eq!(result.index, n as u64);
        assert!(matches!(result.result, Some(Told::Error(_))));
    }
    assert!(results.message().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_sending_gets_its_results_and_then_the_reason() {
    let (world, address) = served(DoorConfig { stall_ms: 300, ..DoorConfig::default() }).await;
    let requests =
        stream::iter([CommandRequest::from(&create("p0")), list("nobody")]).chain(stream::pending());
    let since = Instant::now();
    let mut client = client(address).await;
    let mut results = client.execute_bulk(requests).await.unwrap().into_inner();
    assert!(matches!(results.message().await.unwrap().unwrap().result, Some(Told::Response(_))));
    let Some(Told::Error(error)) = results.message().await.unwrap().unwrap().result else {
        panic!("it is refused")
    };
    assert!(!error.consistency_token.is_empty() && error.retry_after_seconds.is_none(), "{error:?}");
    let status = results.message().await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "REQUEST_TIMEOUT"));
    assert!(status.get_details_error_info().unwrap().metadata.contains_key("trace_id"), "{status:?}");
    assert!(status.message().contains("number 2 on"), "{status}");
    assert!(since.elapsed() < Duration::from_secs(20) && stalled(&world, "sending"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_whose_results_nobody_reads_ends_in_bounded_time() {
    let uploads = UploadsConfig { spool_mib: 1, ..UploadsConfig::default() };
    let (world, address) = served_with(DoorConfig { stall_ms: 300, ..DoorConfig::default() }, uploads).await;
    let mut client = client(address).await;
    let endless = stream::repeat(CommandRequest { product_id: "p".repeat(500), ..CommandRequest::default() });
    let mut results = client.execute_bulk(endless).await.unwrap().into_inner();
    eventually("the stream has ended", || stalled(&world, "reading")).await;
    // Whoever comes back gets what was on its way, and then the reason.
    let status = loop {
        match results.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ends with a status"),
            Err(status) => break status,
        }
    };
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::DeadlineExceeded, "REQUEST_TIMEOUT"),
        "{status}"
    );
    assert!(status.get_details_retry_info().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_compressed_message_becomes_is_bounded_too() {
    let (_world, address) = served(DoorConfig::default()).await;
    let mut client = client(address).await.send_compressed(CompressionEncoding::Gzip);
    let bomb = CommandRequest { product_id: "p".repeat(64 * 1024 * 1024), ..CommandRequest::default() };
    let status = client.execute(bomb).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::OutOfRange, "BODY_TOO_LARGE"), "{status}");
    assert_eq!(client.execute(CommandRequest::from(&create("p1"))).await.unwrap().into_inner().version, 1);
}
