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
    assert_eq!(first_request(&small), 1_000);
    let big = Document { id: "p".to_owned(), version: 1, source: Bytes::from(vec![b' '; 6 << 20]) };
    assert_eq!(first_request(&[big.clone(), big]), 1);
}

#[tokio::test]
async fn a_server_that_is_away_is_named_and_transient() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config =
        SearchConfig { url: format!("http://{address}"), timeout_ms: 500, ..SearchConfig::default() };
    let error = Search::connect(&config).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("GET /"), "{error}");
}
