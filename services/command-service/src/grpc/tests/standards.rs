//! Over real sockets: what metadata says, and what deadlines mean.

use super::streams::{client, reason, served};
use super::*;
use edge::config::DoorConfig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_means_what_the_headers_of_http_mean() {
    let (world, address) = served(DoorConfig::default()).await;
    let mut client = client(address).await;
    let request = |pairs: &[(&'static str, &str)], message: &CommandRequest| {
        let mut request = asked(message.clone());
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
        let mut stream = asked(futures::stream::iter([list("p1")]));
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
    let mut request = asked(CommandRequest::from(&create("p1")));
    request.set_timeout(std::time::Duration::from_secs(2));
    let status = client.execute(request).await.unwrap_err();
    assert!(["OUTCOME_UNKNOWN", "DEADLINE_EXCEEDED"].contains(&reason(&status).as_str()), "{status:?}");
}
