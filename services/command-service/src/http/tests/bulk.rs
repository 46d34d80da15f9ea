use serde_json::{Value, json};

use super::{Door, door_of};
use crate::http::lines;
use crate::testing::{World, diamond};

async fn upload(door: &Door, body: String) -> Vec<Value> {
    let ndjson = ("content-type", "application/x-ndjson");
    let answer = door.ask("POST", "/v1/commands:bulk", &[ndjson], body.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let text = std::str::from_utf8(&answer.text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn create(id: &str) -> String {
    json!({"command": "create_product", "product_id": id, "payload": diamond()}).to_string()
}

fn price(id: &str, minor_units: u64) -> String {
    let payload = json!({"price": {"minor_units": minor_units, "currency": "USD"}});
    json!({"command": "change_price", "product_id": id, "payload": payload}).to_string()
}

#[actix_web::test]
async fn each_line_has_its_answer_in_order_and_a_bad_one_stops_nothing() {
    let mut world = World::start().await;
    world.http.max_line_bytes = 2_000;
    let door = door_of(&world).await;
    let body = [
        create("p1"),
        String::new(),
        "{\"command\": ".to_owned(),
        json!({"command": "paint"}).to_string(),
        "x".repeat(3_000),
        create("p1"),
        json!({"command": "create_product", "idempotency_key": "k", "payload": diamond()}).to_string(),
        json!({"command": "list_product", "product_id": "p1", "expected_version": 9}).to_string(),
        json!({"command": "list_product", "product_id": "p1"}).to_string(),
    ]
    .join("\n");
    let answers = upload(&door, body).await;
    let told: Vec<_> = answers
        .iter()
        .map(|it| {
            (it["line"].as_u64().unwrap(), it["status"].as_u64().unwrap(), it["problem"]["code"].as_str())
        })
        .collect();
    assert_eq!(
        told,
        [
            (1, 201, None),
            (3, 400, Some("malformed-request")),
            (4, 400, Some("malformed-request")),
            (5, 413, Some("body-too-large")),
            (6, 409, Some("product-already-exists")),
            (7, 201, None),
            (8, 412, Some("version-conflict")),
            (9, 200, None),
        ]
    );
    assert_eq!(answers[7]["version"], 2);
    assert!(answers[7]["consistency_token"].is_string() && answers[7].get("problem").is_none());
}

#[actix_web::test]
async fn each_answer_names_what_its_line_named() {
    let mut world = World::start().await;
    world.http.max_line_bytes = 2_000;
    let door = door_of(&world).await;
    let line = |command: &str, payload: Value| {
        json!({"command": command, "product_id": "p1", "idempotency_key": command, "payload": payload})
            .to_string()
    };
    let body = [
        line("create_product", diamond()),
        line("create_product", json!({"sku": 7})),
        line("paint", json!({})),
        line("list_product", json!({}))[..60].to_owned(),
        line("discontinue_product", json!({})),
        line("revise_details", json!({"description": "x".repeat(3_000)})),
        json!({"command": "list_product", "product_id": "a/b", "idempotency_key": "k k"}).to_string(),
        json!({"command": "list_product", "idempotency_key": "k"}).to_string(),
        json!({"command": "create_product", "idempotency_key": "made", "payload": diamond()}).to_string(),
        "nonsense".to_owned(),
    ];
    let answers = upload(&door, body.join("\n")).await;
    let told: Vec<_> = answers
        .iter()
        .map(|it| {
            let text = |name: &str| it[name].as_str().map(str::to_owned).unwrap_or_default();
            (
                it["line"].as_u64().unwrap(),
                it["status"].as_u64().unwrap(),
                text("product_id"),
                text("idempotency_key"),
            )
        })
        .collect();
    let made = answers[8]["product_id"].as_str().unwrap();
    let expected = [
        (1, 201, "p1", "create_product"),
        (2, 400, "p1", "create_product"),
        (3, 400, "p1", "paint"),
        (4, 400, "p1", ""),
        (5, 409, "p1", "discontinue_product"),
        (6, 413, "p1", "revise_details"),
        (7, 422, "a/b", "k k"),
        (8, 400, "", "k"),
        (9, 201, made, "made"),
        (10, 400, "", ""),
    ];
    assert_eq!(told, expected.map(|(n, status, id, key)| (n, status, id.to_owned(), key.to_owned())));
    assert!(answers.iter().all(|it| it.get("problem").is_none_or(|problem| problem["trace_id"].is_string())));
}

#[actix_web::test]
async fn commands_on_one_product_keep_their_order_in_a_long_upload() {
    let mut world = World::start().await;
    world.http.bulk_window = 64;
    let door = door_of(&world).await;
    let products: Vec<String> = (0..5).map(|n| format!("p{n}")).collect();
    let mut lines: Vec<String> = products.iter().map(|id| create(id)).collect();
    lines.extend((1..=400).flat_map(|n| products.iter().map(move |id| price(id, n))));
    let answers = upload(&door, lines.join("\r\n") + "\r\n").await;
    assert_eq!(answers.len(), 5 + 5 * 400);
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(answer["line"], n + 1);
        assert_eq!(answer["product_id"], products[n % 5], "{answer}");
        assert_eq!(answer["version"], n / 5 + 1, "{answer}");
    }
}

#[actix_web::test]
async fn the_same_upload_again_changes_nothing() {
    let world = World::start().await;
    let door = door_of(&world).await;
    let body: Vec<String> = (0..50)
        .map(|n| {
            let key = format!("key-{n}");
            json!({"command": "create_product", "idempotency_key": key, "payload": diamond()}).to_string()
        })
        .collect();
    let first = upload(&door, body.join("\n")).await;
    let second = upload(&door, body.join("\n")).await;
    for (first, second) in first.iter().zip(&second) {
        assert_eq!((&first["replayed"], &second["replayed"]), (&json!(false), &json!(true)));
        assert_eq!(first["event_id"], second["event_id"]);
    }
}

#[actix_web::test]
async fn a_full_inbox_slows_an_upload_down_and_refuses_nothing() {
    let config = crate::config::EngineConfig { inbox: 2, ..Default::default() };
    let live = crate::testing::LiveTopic::new(4, ledger_sim::Faults::NONE);
    let world = World::start_on(live, config).await;
    let door = door_of(&world).await;
    let lines: Vec<String> = (0..300).map(|n| create(&format!("p{n}"))).collect();
    let answers = upload(&door, lines.join("\n")).await;
    assert!(answers.iter().all(|answer| answer["status"] == 201));
    assert_eq!(answers.len(), 300);
}

#[actix_web::test]
async fn at_shut_down_the_rest_of_an_upload_is_given_back() {
    let world = World::start().await;
    let shutdown = world.shutdown();
    shutdown.cancel();
    let chunks = futures::StreamExt::chain(
        futures::stream::iter([Ok(bytes::Bytes::from(create("p1") + "\n"))]),
        futures::stream::pending(),
    );
    let told: Vec<_> = futures::StreamExt::collect(lines::lines(
        Box::pin(chunks),
        9_999,
        std::time::Duration::from_secs(9),
        world.http_state().bodies.empty(),
        shutdown,
    ))
    .await;
    assert!(matches!(told[..], [lines::Line::Text(1, _), lines::Line::Stopped(2)]), "{told:?}");
}
