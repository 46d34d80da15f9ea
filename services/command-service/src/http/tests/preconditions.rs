//! RFC 9110's preconditions, on every method and door.

use serde_json::{Value, json};

use super::{Answer, Door, door_of};
use crate::testing::{World, diamond};

const LIST: &str = "/v1/products/p:list";

/// What a command is answered, and that it did as much as that says.
async fn asked(
    world: &World,
    door: &Door,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> (u16, bool) {
    let records = || world.live.topic.records(ledger::partition_of("p", 4)).len();
    let before = records();
    let body = match method {
        "PUT" => diamond(),
        _ if path == "/v1/products" => {
            let mut body = diamond();
            body["product_id"] = json!("p");
            body
        }
        _ => json!({}),
    };
    let answer = door.send(method, path, headers, &body).await;
    if answer.status == 412 {
        told(&answer);
    }
    (answer.status, records() > before)
}

fn told(answer: &Answer) {
    assert_eq!(answer.code(), "version-conflict", "{}", answer.body);
    assert!(answer.body["current_version"].is_u64() && answer.body["consistency_token"].is_string());
}

#[actix_web::test]
async fn a_creation_that_needs_a_product_is_not_performed() {
    let world = World::start().await;
    let door = door_of(&world).await;
    for (method, path) in [("PUT", "/v1/products/p"), ("POST", "/v1/products"), ("POST", LIST)] {
        for if_match in
            ["*", "\"0\"", "\"1\"", "\"1\", \"2\"", "W/\"1\"", "\"abc\"", "\"99999999999999999999\""]
        {
            let answer = asked(&world, &door, method, path, &[("if-match", if_match)]).await;
            assert_eq!(answer, (412, false), "{method} {path} If-Match: {if_match}");
        }
    }
    let answer = asked(&world, &door, "PUT", "/v1/products/p", &[("if-none-match", "\"1\", W/\"2\"")]).await;
    assert_eq!(answer, (201, true));
}

#[actix_web::test]
async fn what_is_asked_of_a_product_decides_whether_its_command_counts() {
    for (headers, expected) in [
        (&[("if-match", "*")][..], 200),
        (&[("if-match", "\"1\"")], 200),
        (&[("if-match", "\"7\", \"1\"")], 200),
        (&[("if-match", "\"7\""), ("if-match", "\"1\"")], 200),
        (&[("if-match", "\"1-gzip\"")], 200),
        (&[("if-none-match", "\"2\"")], 200),
        (&[("if-match", "*"), ("if-none-match", "\"2\"")], 200),
        (&[("if-match", "\"2\"")], 412),
        (&[("if-match", "W/\"1\"")], 412),
        (&[("if-match", "\"1\""), ("if-none-match", "\"1\"")], 412),
        (&[("if-none-match", "*")], 412),
        (&[("if-none-match", "W/\"1\"")], 412),
        (&[("if-none-match", "\"2\", \"1\"")], 412),
        (&[("if-unmodified-since", "Sat, 29 Oct 1994 19:43:31 GMT")], 400),
        // With If-Match beside it, the standard wants it ignored.
        (&[("if-match", "\"1\""), ("if-unmodified-since", "Sat, 29 Oct 1994 19:43:31 GMT")], 200),
        (&[("if-match", "\"2\""), ("if-unmodified-since", "Sat, 29 Oct 2044 19:43:31 GMT")], 412),
        // For reading only: the standard wants them ignored with a command.
        (
            &[
                ("if-modified-since", "Sat, 29 Oct 2044 19:43:31 GMT"),
                ("range", "bytes=0-1"),
                ("if-range", "\"7\""),
            ],
            200,
        ),
    ] {
        let world = World::start().await;
        let door = door_of(&world).await;
        assert_eq!(
            asked(&world, &door, "PUT", "/v1/products/p", &[("if-none-match", "*")]).await,
            (201, true)
        );
        let answer = asked(&world, &door, "POST", LIST, headers).await;
        assert_eq!(answer, (expected, expected == 200), "{headers:?}");
    }
}

#[actix_web::test]
async fn a_creation_of_what_exists_is_refused_by_what_it_asked() {
    let world = World::start().await;
    let door = door_of(&world).await;
    for (method, path) in [("PUT", "/v1/products/p"), ("POST", "/v1/products")] {
        asked(&world, &door, method, path, &[]).await;
        for (headers, status) in [
            (&[("if-none-match", "*")][..], 412),
            (&[("if-none-match", "\"1\"")], 412),
            (&[("if-match", "\"2\"")], 412),
            // What it asks for is so; the catalog says no all the same.
            (&[("if-match", "*")], 409),
            (&[("if-none-match", "\"2\"")], 409),
        ] {
            assert_eq!(
                asked(&world, &door, method, path, headers).await,
                (status, false),
                "{path} {headers:?}"
            );
        }
    }
    // A deleted product has a version still, and can be asked for it.
    assert_eq!(
        door.send("POST", "/v1/products/p:delete", &[("if-match", "\"1\"")], &json!({})).await.status,
        200
    );
    assert_eq!(asked(&world, &door, "PUT", "/v1/products/p", &[("if-none-match", "*")]).await, (412, false));
    assert_eq!(
        door.send("POST", "/v1/products/p:restore", &[("if-match", "*")], &json!({})).await.status,
        200
    );
}

#[actix_web::test]
async fn a_retry_gets_its_first_answer_whatever_it_asks_now() {
    let world = World::start().await;
    let door = door_of(&world).await;
    let headers = [("idempotency-key", "k"), ("if-none-match", "*")];
    let first = door.send("PUT", "/v1/products/p", &headers, &diamond()).await;
    let again = door.send("PUT", "/v1/products/p", &headers, &diamond()).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!((&again.body["event_id"], &again.body["replayed"]), (&first.body["event_id"], &json!(true)));
}

#[actix_web::test]
async fn a_token_that_comes_with_a_command_holds_already() {
    let world = World::start().await;
    let door = door_of(&world).await;
    let created = door.send("PUT", "/v1/products/p", &[], &diamond()).await;
    let token = created.body["consistency_token"].as_str().unwrap();
    let listed = door.send("POST", LIST, &[("consistency-token", token)], &json!({})).await;
    assert_eq!((listed.status, &listed.body["version"]), (200, &json!(2)));
}

#[actix_web::test]
async fn of_two_that_expect_the_same_version_one_counts() {
    let world = World::start().await;
    let door = door_of(&world).await;
    door.send("PUT", "/v1/products/p", &[], &diamond()).await;
    let price = |units: u64| json!({"price": {"minor_units": units, "currency": "USD"}});
    let path = "/v1/products/p:change-price";
    let (bodies, headers) = ([price(1), price(2), price(3)], [("if-match", "\"1\", \"9\"")]);
    let answers =
        futures::future::join_all(bodies.iter().map(|body| door.send("POST", path, &headers, body))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412]);
    let conflict = answers.iter().find(|answer| answer.status == 412).unwrap();
    assert_eq!(conflict.body["current_version"], 2);
    assert_eq!(conflict.body.get("expected_version"), None::<&Value>, "it is a list");
}
