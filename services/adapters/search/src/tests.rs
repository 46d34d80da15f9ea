use std::net::TcpListener;

use super::bulk::{body, first_request, keep};
use super::*;

fn document(id: &str, version: u64) -> Document {
    Document { id: id.to_owned(), version, source: Bytes::from_static(br#"{"a":1}"#) }
}

#[test]
fn a_bulk_request_names_ids_and_external_versions() {
    let text = String::from_utf8(body(&[document("p-1", 3), document("q\"2", 9)]).to_vec()).unwrap();
    assert_eq!(
        text,
        "{\"index\":{\"_id\":\"p-1\",\"version\":3,\"version_type\":\"external\"}}\n{\"a\":1}\n\
         {\"index\":{\"_id\":\"q\\\"2\",\"version\":9,\"version_type\":\"external\"}}\n{\"a\":1}\n"
    );
}

#[test]
fn only_rejected_documents_are_kept_and_in_their_order() {
    let mut pending: Vec<_> = (1..=6).map(|v| document(&format!("p-{v}"), v)).collect();
    keep(&mut pending, 4, &[1, 3]);
    assert_eq!(pending.iter().map(|d| d.version).collect::<Vec<_>>(), [2, 4, 5, 6]);
}

#[test]
fn a_request_is_bounded_and_never_empty() {
    let small = vec![document("p", 1); 5_000];
    assert_eq!((first_request(&small, 1), first_request(&small, 10)), (1_000, 100));
    let big = Document { id: "p".to_owned(), version: 1, source: Bytes::from(vec![b' '; 6 << 20]) };
    assert_eq!(first_request(&[big.clone(), big], 1), 1);
}

#[tokio::test]
async fn a_server_that_is_away_is_named_and_transient() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config =
        SearchConfig { url: format!("http://{address}"), timeout_ms: 500, ..SearchConfig::default() };
    let error = Search::connect(&config).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("GET /"), "{error}");
}

/// Answers each request with the next of `answers`, whatever it asks for: how a server that starts answers cannot be
/// called up at will.
async fn answering(answers: Vec<(u16, String)>) -> Search {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for (status, body) in std::iter::once((200, "{}".to_owned())).chain(answers) {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 8_192];
            let _read = stream.read(&mut request).await.unwrap();
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        }
    });
    Search::connect(&SearchConfig { url, timeout_ms: 2_000, ..SearchConfig::default() }).await.unwrap()
}

fn cause(kind: &str) -> Value {
    json!({ "type": kind, "reason": "r", "root_cause": [{ "type": kind, "reason": "r" }] })
}

#[tokio::test]
async fn a_document_that_a_recovering_shard_cannot_give_is_asked_for_again() {
    for (kind, passes) in [
        ("illegal_index_shard_state_exception", true),
        ("no_shard_available_action_exception", true),
        ("index_not_found_exception", false),
        ("never_heard_of_exception", true),
    ] {
        let body = json!({ "docs": [{ "error": cause(kind) }] }).to_string();
        let search = answering(vec![(200, body)]).await;
        let error = search.mget::<Value>("i", &["p"]).await.unwrap_err();
        assert_eq!(error.is_transient(), passes, "{error}");
        assert_eq!(error.is_missing(), kind == "index_not_found_exception", "{error}");
    }
}

#[tokio::test]
async fn a_request_is_judged_by_the_type_of_its_error_before_its_status() {
    for (status, kind, passes) in [
        (404, "illegal_index_shard_state_exception", true),
        (400, "illegal_index_shard_state_exception", true),
        (401, "security_exception", true),
        (403, "security_exception", true),
        (503, "search_phase_execution_exception", true),
        (400, "parsing_exception", false),
        (404, "resource_not_found_exception", false),
    ] {
        let body = json!({ "error": cause(kind), "status": status }).to_string();
        let search = answering(vec![(status, body)]).await;
        let error = search.search::<Value>("i", json!({})).await.unwrap_err();
        assert_eq!(error.is_transient(), passes, "{status} {kind}: {error}");
    }
    let search = answering(vec![(502, "<html>a proxy's page</html>".to_owned())]).await;
    assert!(search.search::<Value>("i", json!({})).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn a_refresh_or_a_count_that_no_shard_took_part_in_is_an_error() {
    for (shards, whole) in [
        (json!({ "total": 2, "successful": 1, "failed": 0 }), true),
        (json!({ "total": 2, "successful": 0, "failed": 0 }), false),
        (json!({ "total": 2, "successful": 1, "failed": 1 }), false),
    ] {
        let body = json!({ "_shards": shards, "count": 3 }).to_string();
        let search = answering(vec![(200, body.clone()), (200, body)]).await;
        let (refreshed, counted) = (search.refresh("i").await, search.count("i").await);
        assert_eq!((refreshed.is_ok(), counted.is_ok()), (whole, whole), "{shards}");
        assert!(whole || refreshed.is_err_and(|error| error.is_transient()));
    }
}
