use serde_json::{Value, json};

use super::{JSON, door_of};
use crate::testing::{World, diamond};

/// A bad request, and what it is answered.
struct Bad {
    what: &'static str,
    method: &'static str,
    path: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
    /// A place that must be among the errors.
    pointer: Option<&'static str>,
}

fn bad(what: &'static str, body: impl AsRef<[u8]>, status: u16, code: &'static str) -> Bad {
    let headers = vec![(JSON.0, JSON.1.to_owned())];
    let body = body.as_ref().to_vec();
    Bad { what, method: "PUT", path: "/v1/products/p9", headers, body, status, code, pointer: None }
}

impl Bad {
    fn at(mut self, pointer: &'static str) -> Self {
        self.pointer = Some(pointer);
        self
    }

    fn to(mut self, method: &'static str, path: &'static str) -> Self {
        (self.method, self.path) = (method, path);
        self
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn untyped(mut self) -> Self {
        self.headers.clear();
        self
    }
}

/// The body of a good creation with one field replaced.
fn changed(field: &str, value: Value) -> String {
    let mut body = diamond();
    body[field] = value;
    body.to_string()
}

fn good() -> String {
    diamond().to_string()
}

fn bodies() -> Vec<Bad> {
    let without = |field: &str| {
        let mut body = diamond();
        body.as_object_mut().unwrap().remove(field);
        body.to_string()
    };
    vec![
        bad("no JSON", "{\"sku\": ", 400, "malformed-request"),
        bad("not UTF-8", b"{\"sku\": \"\xff\"}", 400, "malformed-request"),
        bad("another type", "[1]", 400, "malformed-request"),
        bad("deep nesting", "[".repeat(100_000), 400, "malformed-request"),
        bad("a field twice", "{\"sku\": \"A\", \"sku\": \"B\"}", 400, "malformed-request"),
        bad("an unknown field", changed("colour", json!("red")), 400, "malformed-request").at("/colour"),
        bad("a missing field", without("brand"), 400, "malformed-request").at("/brand"),
        bad("a wrong type", changed("name", json!(7)), 400, "malformed-request").at("/name"),
        bad("money as text", changed("price", json!("3.26")), 400, "malformed-request").at("/price"),
        bad(
            "a broken amount",
            changed("price", json!({"minor_units": 1.5, "currency": "USD"})),
            422,
            "invalid-value",
        )
        .at("/price/minor_units"),
        bad(
            "a negative amount",
            changed("price", json!({"minor_units": -1, "currency": "USD"})),
            422,
            "invalid-value",
        )
        .at("/price/minor_units"),
        bad(
            "no such currency",
            changed("price", json!({"minor_units": 1, "currency": "XQQ"})),
            422,
            "invalid-value",
        )
        .at("/price/currency"),
        bad("a SKU on two lines", changed("sku", json!("dia\n1")), 422, "invalid-value").at("/sku"),
        bad("a name that shows nothing", changed("name", json!("\u{200b}")), 422, "invalid-value")
            .at("/name"),
        bad("a name written backwards", changed("name", json!("\u{202e}gnir")), 422, "invalid-value")
            .at("/name"),
        bad("a blank attribute", changed("attributes", json!({"Ring/size~": " "})), 422, "invalid-value")
            .at("/attributes/Ring~1size~0"),
        bad(
            "an attribute in two spellings",
            changed("attributes", json!({"caf\u{e9}": "1", "cafe\u{301}": "2"})),
            422,
            "invalid-value",
        )
        .at("/attributes/cafe\u{301}"),
        bad("an empty name", changed("name", json!("  ")), 422, "invalid-value").at("/name"),
        bad("an absurd name", changed("name", json!("x".repeat(500_000))), 422, "invalid-value").at("/name"),
        bad("a wrong category", changed("category", json!("Jewelry//x")), 422, "invalid-value")
            .at("/category"),
        bad("a version as text", changed("expected_version", json!("1")), 400, "malformed-request")
            .at("/expected_version"),
        bad("another product", changed("product_id", json!("p8")), 400, "malformed-request")
            .at("/product_id"),
        bad("too large", " ".repeat(1_048_577), 413, "body-too-large"),
        bad(
            "too many attributes",
            changed(
                "attributes",
                (0..65).map(|n| (format!("a{n}"), json!("v"))).collect::<serde_json::Map<_, _>>().into(),
            ),
            422,
            "invalid-value",
        )
        .at("/attributes"),
        bad(
            "a hundred thousand unknown fields",
            format!("{{{}}}", (0..100_000).map(|n| format!("\"{n}\":1")).collect::<Vec<_>>().join(",")),
            400,
            "malformed-request",
        ),
        bad(
            "fifty thousand wrong attributes",
            changed(
                "attributes",
                (0..50_000).map(|n| (format!("!{n}"), json!(7))).collect::<serde_json::Map<_, _>>().into(),
            ),
            422,
            "invalid-value",
        )
        .at("/attributes"),
        bad("nothing to revise", "{}", 422, "invalid-value").to("POST", "/v1/products/p1:revise-details"),
        bad("a field of another command", "{\"reason\": \"x\"}", 400, "malformed-request")
            .to("POST", "/v1/products/p1:list")
            .at("/reason"),
        bad("no id and no key", good(), 400, "idempotency-key-required").to("POST", "/v1/products"),
    ]
}

fn headers_and_paths() -> Vec<Bad> {
    vec![
        bad("no media type", good(), 415, "unsupported-media-type").untyped(),
        bad("a form", "a=b", 415, "unsupported-media-type")
            .untyped()
            .with("content-type", "application/x-www-form-urlencoded"),
        bad("another charset", good(), 415, "unsupported-media-type")
            .untyped()
            .with("content-type", "application/json; charset=latin1"),
        bad("a compressed body", good(), 415, "unsupported-media-type").with("content-encoding", "gzip"),
        bad("a bare version", good(), 400, "invalid-header").with("if-match", "1"),
        bad("two tags without a comma", good(), 400, "invalid-header").with("if-match", "\"1\" \"2\""),
        bad("a bare tag that must not match", good(), 400, "invalid-header").with("if-none-match", "1"),
        bad("a date", good(), 400, "invalid-header")
            .with("if-unmodified-since", "Sat, 29 Oct 1994 19:43:31 GMT"),
        bad("a part", good(), 400, "invalid-header").with("content-range", "bytes 0-1/2"),
        bad("a key of an old name", good(), 400, "invalid-header").with("x-idempotency-key", "k"),
        bad("a field as a header", good(), 400, "invalid-header").with("expected-version", "1"),
        bad("an actor by half its name", good(), 400, "invalid-header").with("folio-actor", "ann"),
        bad("an actor by the other half", good(), 400, "invalid-header").with("x-actor", "ann"),
        bad("a token that is none", good(), 400, "bad-consistency-token").with("consistency-token", "abc"),
        bad("two versions", changed("expected_version", json!(2)), 400, "malformed-request")
            .with("if-match", "\"1\"")
            .at("/expected_version"),
        bad("a long key", good(), 400, "invalid-header").with("idempotency-key", "k".repeat(256)),
        bad("a broken key", good(), 400, "invalid-header").with("idempotency-key", "\"k"),
        bad("two keys", good(), 400, "invalid-header")
            .with("idempotency-key", "a")
            .with("idempotency-key", "b"),
        bad("a long actor", good(), 400, "invalid-header").with("x-folio-actor", "a".repeat(201)),
        bad("a wrong id", good(), 422, "invalid-value").to("PUT", "/v1/products/-p"),
        bad("a long id", good(), 422, "invalid-value")
            .to("PUT", "/v1/products/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
        bad("no such action", "{}", 404, "not-found").to("POST", "/v1/products/p1:paint"),
        bad("no such path", "{}", 404, "not-found").to("POST", "/v2/products"),
        bad("another method", "", 405, "method-not-allowed").to("GET", "/v1/products"),
        bad("another method", "", 405, "method-not-allowed").to("DELETE", "/v1/products/p1"),
        bad("another method", "", 405, "method-not-allowed").to("GET", "/v1/products/p1:list"),
        bad("a stale version", good(), 412, "version-conflict").with("if-match", "\"5\""),
        bad("a bulk body of JSON", "{}", 415, "unsupported-media-type").to("POST", "/v1/commands:bulk"),
        for_an_upload("idempotency-key", "k"),
        for_an_upload("if-match", "*"),
        for_an_upload("if-match", "\"1\""),
        for_an_upload("if-none-match", "*"),
        for_an_upload("if-unmodified-since", "Sat, 29 Oct 1994 19:43:31 GMT"),
    ]
}

/// What an upload cannot have as a whole.
fn for_an_upload(name: &'static str, value: &'static str) -> Bad {
    let ndjson = ("content-type", "application/x-ndjson");
    let upload = bad("for an upload", "{}", 400, "invalid-header").to("POST", "/v1/commands:bulk");
    upload.untyped().with(ndjson.0, ndjson.1).with(name, value)
}

#[actix_web::test]
async fn bad_input_gets_its_code_and_its_place() {
    let world = World::start().await;
    let door = door_of(&world).await;
    let mut faults = Vec::new();
    for bad in bodies().into_iter().chain(headers_and_paths()) {
        let headers: Vec<_> = bad.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = door.ask(bad.method, bad.path, &headers, &bad.body).await;
        let what = format!("{}: {}", bad.what, answer.body);
        if (answer.status, answer.code()) != (bad.status, bad.code) {
            faults.push(what);
            continue;
        }
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
        assert_eq!(answer.body["status"], bad.status, "{what}");
        assert!(!answer.body["detail"].as_str().unwrap().is_empty(), "{what}");
        assert_eq!(answer.body["trace_id"].as_str().map(str::len), Some(32), "{what}");
        assert!(answer.header("x-request-id").is_some(), "{what}");
        if bad.status == 405 {
            assert!(matches!(answer.header("allow"), Some("POST" | "PUT")), "{what}");
        }
        assert!(answer.text.len() < 20_000, "{what}: an answer is bounded whatever was sent");
        if let Some(pointer) = bad.pointer {
            let errors = answer.body["errors"].as_array().unwrap_or_else(|| panic!("{what}"));
            assert!(errors.iter().any(|error| error["pointer"] == pointer), "{what}");
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    // None of it left anything behind, and the door still works.
    let total: i64 = (0..4).map(|partition| world.live.topic.end(ledger::Partition(partition))).sum();
    assert_eq!(total, 0);
    assert_eq!(door.ask("PUT", "/v1/products/p9", &[JSON], good().as_bytes()).await.status, 201);
}

#[actix_web::test]
async fn no_metric_holds_what_a_caller_invents() {
    let world = World::start().await;
    let door = door_of(&world).await;
    for path in ["/v1/products/invented", "/v1/invented", "/v1/products/invented:invented"] {
        let answer = door.ask("FOO", path, &[JSON], good().as_bytes()).await;
        assert!(matches!(answer.status, 404 | 405), "{path}: {}", answer.body);
    }
    let metrics = world.telemetry.render_metrics().unwrap();
    assert!(metrics.contains("method=\"other\"") && metrics.contains("route=\"none\""), "{metrics}");
    assert!(!metrics.contains("FOO") && !metrics.contains("invented"), "{metrics}");
}

#[actix_web::test]
async fn broken_json_is_shown_where_it_breaks() {
    let world = World::start().await;
    let door = door_of(&world).await;
    let answer = door.ask("PUT", "/v1/products/p", &[JSON], b"{\n  \"sku\": nope\n}").await;
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("line 2") && detail.contains("column"), "{detail}");
}

#[actix_web::test]
async fn all_faults_are_told_at_once() {
    let world = World::start().await;
    let door = door_of(&world).await;
    let mut body = diamond();
    body["sku"] = json!("two\nlines");
    body["name"] = json!("");
    body["price"]["currency"] = json!("usd");
    let answer = door.ask("PUT", "/v1/products/p", &[JSON], body.to_string().as_bytes()).await;
    let pointers: Vec<_> =
        answer.body["errors"].as_array().unwrap().iter().map(|e| e["pointer"].clone()).collect();
    assert_eq!(pointers, ["/sku", "/name", "/price/currency"]);
}

#[actix_web::test]
async fn a_line_and_a_message_full_of_faults_get_bounded_answers() {
    let world = World::start().await;
    let door = door_of(&world).await;
    let fields: Vec<_> = (0..30_000).map(|n| format!("\"{n}\":1")).collect();
    let line =
        format!("{{\"command\":\"list_product\",\"product_id\":\"p\",\"payload\":{{{}}}}}", fields.join(","));
    let ndjson = ("content-type", "application/x-ndjson");
    let answer = door.ask("POST", "/v1/commands:bulk", &[ndjson], line.as_bytes()).await;
    assert_eq!(answer.body["problem"]["code"], "malformed-request", "{}", answer.body);
    assert_eq!(answer.body["problem"]["errors"].as_array().unwrap().len(), 33);
    assert!(answer.text.len() < 20_000);
    let detail = answer.body["problem"]["detail"].as_str().unwrap();
    assert!(detail.ends_with("(and 29999 more faults)"), "{detail}");
}

#[actix_web::test]
async fn an_instance_that_is_not_ready_says_so() {
    let live = crate::testing::LiveTopic::new(1, ledger_sim::Faults::NONE);
    live.stand_still(true);
    let world = World::start_unready(live, crate::config::EngineConfig::default());
    let door = door_of(&world).await;
    let answer = door.ask("PUT", "/v1/products/p", &[JSON], good().as_bytes()).await;
    assert_eq!((answer.status, answer.code()), (503, "not-ready"));
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.body["retryable"], true);
}
