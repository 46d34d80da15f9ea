use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// What was asked of a server that answers as a whole Folio would, but for what `broken` says: each request's first line.
type Asked = Arc<Mutex<Vec<String>>>;
/// The status and body for the first line of a request, instead of the right ones.
type Broken = fn(&str, bool) -> Option<(u16, Value)>;

/// The address of such a server, for as long as the test runs.
async fn folio(broken: Broken) -> (Options, Asked) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let asked = Asked::default();
    let lines = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut deleted = false;
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = Vec::new();
            let head = loop {
                if connection.read_buf(&mut request).await.unwrap() == 0 {
                    return;
                }
                let text = String::from_utf8(request.clone()).unwrap();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let head = head.to_lowercase();
                let length =
                    head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    break text.lines().next().unwrap().to_owned();
                }
            };
            let (status, answer) = broken(&head, deleted).unwrap_or_else(|| right(&head, deleted));
            deleted |= head.contains(":delete") && status == 200;
            lines.lock().unwrap().push(head);
            let answer = answer.to_string();
            let length = answer.len();
            let text = format!(
                "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{answer}"
            );
            connection.write_all(text.as_bytes()).await.unwrap();
        }
    });
    (Options { commands: url.clone(), queries: url, patience: 1, tls: DoorTls::default() }, asked)
}

fn right(head: &str, deleted: bool) -> (u16, Value) {
    let path = head.split(' ').nth(1).unwrap();
    let id = path.rsplit(['-', '=']).next().unwrap().split(['/', ':']).next().unwrap().to_lowercase();
    let accepted = |version: u64| json!({ "version": version, "consistency_token": "t" });
    if head.starts_with("PUT") {
        (201, accepted(1))
    } else if head.starts_with("POST") {
        (200, accepted(2))
    } else if path.contains("/history") {
        (200, json!({ "items": vec![json!({}); 1 + usize::from(deleted)] }))
    } else if path.contains("/search") && deleted {
        (200, json!({ "total": 0, "items": [] }))
    } else if path.contains("/search") {
        (200, json!({ "total": 1, "items": [{ "product_id": format!("folio-probe-{id}") }] }))
    } else if deleted {
        (410, json!({ "code": "product-gone" }))
    } else {
        (200, json!({ "sku": format!("PROBE-{}", id.to_uppercase()), "version": 1 }))
    }
}

#[tokio::test]
async fn a_whole_folio_passes_and_nothing_is_left() {
    let (options, asked) = folio(|_, _| None).await;
    run(&options).await.unwrap();
    let asked = asked.lock().unwrap();
    let methods: Vec<_> = asked.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(methods, ["PUT", "GET", "GET", "GET", "POST", "GET", "GET", "GET"], "{asked:?}");
}

#[tokio::test]
async fn a_read_model_that_is_behind_is_named_and_the_product_deleted_all_the_same() {
    let (options, asked) =
        folio(|line, _| line.contains("/history").then(|| (503, json!({ "code": "read-model-behind" }))))
            .await;
    let error = format!("{:#}", run(&options).await.unwrap_err());
    assert!(error.starts_with("history: GET http://") && error.contains("read-model-behind"), "{error}");
    assert!(error.contains("projector of history"), "{error}");
    assert!(asked.lock().unwrap().last().unwrap().contains(":delete"));
}

#[tokio::test]
async fn a_deleted_product_that_is_still_found_is_a_fault() {
    let found = |line: &str, deleted: bool| {
        (deleted && line.contains("/search")).then(|| (200, json!({ "total": 1, "items": [] })))
    };
    let error = format!("{:#}", run(&folio(found).await.0).await.unwrap_err());
    assert!(error.starts_with("search: "), "{error}");
}

#[tokio::test]
async fn a_command_that_is_refused_is_told_as_it_was_answered() {
    let refused = |line: &str, _| {
        line.starts_with("PUT").then(|| (429, json!({ "code": "overloaded", "retryable": true })))
    };
    let error = format!("{:#}", run(&folio(refused).await.0).await.unwrap_err());
    assert!(
        error.starts_with("PUT http://") && error.contains("429") && error.contains("overloaded"),
        "{error}"
    );
}

#[tokio::test]
async fn a_product_that_cannot_be_deleted_is_named() {
    let kept = |line: &str, _| line.contains(":delete").then(|| (504, json!("no JSON object")));
    let error = format!("{:#}", run(&folio(kept).await.0).await.unwrap_err());
    assert!(
        error.starts_with("folio-probe-") && error.contains("by hand") && error.contains("504"),
        "{error}"
    );
}

#[tokio::test]
async fn a_service_that_is_not_there_is_told_with_what_to_look_at() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let options = Options { commands: url.clone(), queries: url, patience: 1, tls: DoorTls::default() };
    let error = format!("{:#}", run(&options).await.unwrap_err());
    assert!(error.contains("was not answered") && error.contains("/readyz"), "{error}");
}
