use serde_json::json;

use super::{Answer, JSON, door_of};
use crate::http::products::ACTIONS;
use crate::testing::{World, diamond};

#[actix_web::test]
async fn a_life_of_a_product() {
    let world = World::start().await;
    let door = door_of(&world).await;
    let created = door.send("PUT", "/v1/products/p1", &[("if-none-match", "*")], &diamond()).await;
    assert_eq!(created.status, 201, "{}", created.body);
    assert_eq!(created.header("etag"), Some("\"1\""));
    assert_eq!(created.header("location"), Some("/v1/products/p1"));
    let token = created.body["consistency_token"].as_str().unwrap();
    assert_eq!(created.header("consistency-token"), Some(token));
    assert_eq!(created.body["outcome"], "accepted");
    assert_eq!(created.body["replayed"], false);
    let steps = [
        ("revise-details", json!({"name": "Big diamond", "expected_version": 1})),
        ("change-price", json!({"price": {"minor_units": 5, "currency": "USD"}})),
        ("move-to-category", json!({"category": "jewelry"})),
        ("list", json!({})),
        ("discontinue", json!({"reason": "sold"})),
        ("delete", json!({"product_id": "p1"})),
        ("restore", json!({})),
    ];
    for (version, (action, body)) in (2..).zip(steps) {
        let if_match = format!("\"{}\"", version - 1);
        let path = format!("/v1/products/p1:{action}");
        let answer = door.send("POST", &path, &[("if-match", &if_match)], &body).await;
        assert_eq!(
            (answer.status, &answer.body["version"]),
            (200, &json!(version)),
            "{action}: {}",
            answer.body
        );
        assert_eq!(answer.header("location"), None);
    }
    assert_eq!(ACTIONS.len(), 7);
    // Commands without fields need no body.
    assert_eq!(door.ask("POST", "/v1/products/p1:list", &[JSON], b"").await.status, 200);
    let nothing = door.ask("POST", "/v1/products/p1:list", &[JSON], b"").await;
    assert_eq!((nothing.status, &nothing.body["outcome"]), (200, &json!("no_effect")));
    assert_eq!(nothing.body["event_id"], json!(null));
}

#[actix_web::test]
async fn a_repeated_command_gets_the_first_answer_and_another_one_is_refused() {
    let world = World::start().await;
    let door = door_of(&world).await;
    let key = ("idempotency-key", "\"k1\"");
    let first = door.send("POST", "/v1/products", &[key], &diamond()).await;
    assert_eq!(first.status, 201, "{}", first.body);
    let again = door.send("POST", "/v1/products", &[("idempotency-key", "k1")], &diamond()).await;
    assert_eq!(again.status, 201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.body["event_id"], first.body["event_id"]);
    assert_eq!(again.body["product_id"], first.body["product_id"]);
    assert_eq!(again.body["consistency_token"], first.body["consistency_token"]);
    let mut other = diamond();
    other["name"] = "Another".into();
    let refused = door.send("POST", "/v1/products", &[key], &other).await;
    assert_eq!((refused.status, refused.code()), (422, "idempotency-key-reused"));
    assert_eq!(refused.header("consistency-token"), refused.body["consistency_token"].as_str());
    assert!(refused.header("consistency-token").is_some());
}

#[actix_web::test]
async fn what_the_catalog_says_no_to_comes_with_its_version() {
    let world = World::start().await;
    let door = door_of(&world).await;
    door.send("PUT", "/v1/products/p1", &[], &diamond()).await;
    let refused: [(Answer, u16, &str); 4] = [
        (door.send("PUT", "/v1/products/p1", &[], &diamond()).await, 409, "product-already-exists"),
        (door.send("POST", "/v1/products/p1:discontinue", &[], &json!({})).await, 409, "product-not-listed"),
        (door.send("POST", "/v1/products/p1:restore", &[], &json!({})).await, 409, "product-not-deleted"),
        (
            door.send("POST", "/v1/products/p1:list", &[("if-match", "\"7\"")], &json!({})).await,
            412,
            "version-conflict",
        ),
    ];
    for (answer, status, code) in refused {
        assert_eq!((answer.status, answer.code()), (status, code), "{}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.body["current_version"], 1);
        assert_eq!(answer.body["type"], format!("https://folio.dev/errors/{code}"));
        assert!(answer.body["trace_id"].is_string() && answer.body["consistency_token"].is_string());
        assert_eq!(answer.header("consistency-token"), answer.body["consistency_token"].as_str());
    }
    let unknown = door.send("POST", "/v1/products/nobody:list", &[], &json!({})).await;
    assert_eq!((unknown.status, unknown.code()), (404, "product-not-found"));
}

#[actix_web::test]
async fn the_trace_and_the_request_id_go_through() {
    let world = World::start().await;
    let door = door_of(&world).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("traceparent", trace), ("x-request-id", "req-7"), ("x-folio-actor", "ann")];
    let answer = door.send("PUT", "/v1/products/p1", &headers, &diamond()).await;
    assert_eq!(answer.header("x-request-id"), Some("req-7"));
    let records = world.live.topic.records(ledger::partition_of("p1", 4));
    let meta = contract::envelope::read_meta(&records[0].headers);
    assert_eq!(meta.traceparent, Some(trace));
    assert_eq!((meta.correlation_id, meta.actor), (Some("req-7"), Some("ann")));
    let refused = door.send("PUT", "/v1/products/p1", &headers, &diamond()).await;
    assert_eq!(refused.body["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    let fresh = door.ask("GET", "/nothing", &[("x-request-id", "not visible")], b"").await;
    assert_eq!(fresh.header("x-request-id").unwrap().len(), 36);
}

#[actix_web::test]
async fn what_a_browser_sends_to_any_origin_is_no_command() {
    let world = World::start().await;
    let door = door_of(&world).await;
    door.send("PUT", "/v1/products/p1", &[], &diamond()).await;
    let safelisted = [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "text/plain;charset=UTF-8",
    ];
    for media_type in safelisted {
        for (path, body) in [
            ("/v1/products/p1:delete", &b""[..]),
            ("/v1/products/p1:list", b"{}"),
            ("/v1/commands:bulk", b""),
        ] {
            let answer = door.ask("POST", path, &[("content-type", media_type)], body).await;
            assert_eq!(
                (answer.status, answer.code()),
                (415, "unsupported-media-type"),
                "{path} {media_type}"
            );
        }
    }
    let bare = door.ask("POST", "/v1/products/p1:delete", &[], b"").await;
    assert_eq!((bare.status, bare.code()), (415, "unsupported-media-type"));
    assert!(bare.body["detail"].as_str().unwrap().contains("send application/json"), "{}", bare.body);
    assert_eq!(door.ask("POST", "/v1/products/p1:delete", &[JSON], b"").await.body["version"], 2);
}
