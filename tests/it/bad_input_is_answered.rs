//! P6 Bad input gets a clear answer and stops nothing else.

use std::process::Command;

use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};
use testkit::client::product;
use testkit::{Client, System, promised};

promised! {
    every_bad_command_gets_its_code_and_pointer,
    a_bad_line_of_an_upload_stops_no_other,
    every_bad_query_gets_its_code,
}

const JSON: (&str, &str) = ("content-type", "application/json");
const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");

/// A request to the command service, and the status, code and pointers of its answer.
struct Case {
    what: &'static str,
    method: Method,
    path: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: String,
    expect: Expected,
}

/// Status, code, and the pointers that have to be named.
type Expected = (u16, &'static str, &'static [&'static str]);

fn case(what: &'static str, path: &'static str, body: impl Into<Body>, expect: Expected) -> Case {
    Case { what, method: Method::POST, path, headers: vec![JSON], body: body.into().0, expect }
}

/// A request body, given as text or as JSON.
struct Body(String);

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<Value> for Body {
    fn from(json: Value) -> Self {
        Self(json.to_string())
    }
}

/// A valid `CreateProduct` with one field replaced.
fn with(field: &str, value: Value) -> Value {
    let mut body = product("bad");
    body["product_id"] = json!("bad");
    body[field] = value;
    body
}

fn price(minor_units: impl Serialize, currency: &str) -> Value {
    json!({ "price": { "minor_units": minor_units, "currency": currency } })
}

fn cases() -> Vec<Case> {
    let create = "/v1/products";
    let change = "/v1/products/there:change-price";
    let mut without_name = with("sku", json!("SKU-1"));
    without_name.as_object_mut().expect("an object").remove("name");
    let mut many = with("sku", json!("two\nlines"));
    many["name"] = json!("");
    many["price"]["currency"] = json!("XXX1");
    many["category"] = json!("Rings//Gold");
    let mut all = vec![
        case("no JSON", create, "{\"sku\": ", (400, "malformed-request", &[])),
        case("not an object", create, "[1, 2]", (400, "malformed-request", &[])),
        case("an empty body", create, "", (400, "malformed-request", &[])),
        case(
            "an unknown field",
            create,
            with("colour", json!("red")),
            (400, "malformed-request", &["/colour"]),
        ),
        case("a wrong type", create, with("name", json!(7)), (400, "malformed-request", &["/name"])),
        case("a missing field", create, without_name, (400, "malformed-request", &["/name"])),
        case("a bad SKU", create, with("sku", json!("two\nlines")), (422, "invalid-value", &["/sku"])),
        case(
            "a name that shows nothing",
            create,
            with("name", json!("\u{200b}\u{feff}")),
            (422, "invalid-value", &["/name"]),
        ),
        case(
            "a blank attribute",
            create,
            with("attributes", json!({ "Ring/size": "" })),
            (422, "invalid-value", &["/attributes/Ring~1size"]),
        ),
        case(
            "several bad values",
            create,
            many,
            (422, "invalid-value", &["/sku", "/name", "/price/currency", "/category"]),
        ),
        case(
            "a name of 100,000 letters",
            create,
            with("name", json!("x".repeat(100_000))),
            (422, "invalid-value", &["/name"]),
        ),
        case(
            "a body of 2 MiB",
            create,
            with("description", json!("x".repeat(2 << 20))),
            (413, "body-too-large", &[]),
        ),
        case("a negative price", change, price(-1, "USD"), (422, "invalid-value", &["/price/minor_units"])),
        case(
            "a fractional price",
            change,
            price(1.5, "USD"),
            (422, "invalid-value", &["/price/minor_units"]),
        ),
        case(
            "an absurd price",
            change,
            price(u64::MAX, "USD"),
            (422, "invalid-value", &["/price/minor_units"]),
        ),
        case("no such currency", change, price(1, "DOLLARS"), (422, "invalid-value", &["/price/currency"])),
        case("another currency", change, price(1, "EUR"), (409, "currency-mismatch", &[])),
        case(
            "an unknown product",
            "/v1/products/nowhere:change-price",
            price(1, "USD"),
            (404, "product-not-found", &[]),
        ),
        case("an unknown verb", "/v1/products/there:explode", "{}", (404, "not-found", &[])),
        case("an unknown path", "/v2/anything", "{}", (404, "not-found", &[])),
        case(
            "a product id that is none",
            "/v1/products/%20:change-price",
            price(1, "USD"),
            (422, "invalid-value", &[]),
        ),
    ];
    let headers: [(&'static str, Vec<_>, Expected); 4] = [
        ("a stale version", vec![JSON, ("if-match", "\"7\"")], (412, "version-conflict", &[])),
        ("a version that is none", vec![JSON, ("if-match", "seven")], (400, "invalid-header", &[])),
        ("an empty key", vec![JSON, ("idempotency-key", "")], (400, "invalid-header", &[])),
        ("another content type", vec![("content-type", "text/plain")], (415, "unsupported-media-type", &[])),
    ];
    all.extend(headers.into_iter().map(|(what, headers, expect)| {
        let body = price(5_000, "USD").to_string();
        Case { what, method: Method::POST, path: change, headers, body, expect }
    }));
    all.push(Case {
        what: "another method",
        method: Method::PATCH,
        path: create,
        headers: vec![JSON],
        body: "{}".to_owned(),
        expect: (405, "method-not-allowed", &[]),
    });
    all
}

/// A method that a path of the API does not take is told which it takes: on a port of its own each service those of its own, on
/// one port those of both.
async fn other_methods<S: System>(
    client: &Client,
    cases: &[(Method, &str, &[&str], &[&str])],
) -> anyhow::Result<()> {
    for (method, path, own, on_one_port) in cases {
        let reply = client.send(method.clone(), path, &[JSON], "{}").await?;
        assert_eq!((reply.status.as_u16(), reply.code()), (405, "method-not-allowed"), "{method} {path}");
        let mut allowed: Vec<&str> = reply.header("allow").split(',').map(str::trim).collect();
        allowed.sort_unstable();
        let expected = if S::IS_IN_PARTS { own } else { on_one_port };
        assert_eq!(allowed, *expected, "{method} {path}");
    }
    Ok(())
}

async fn every_bad_command_gets_its_code_and_pointer<S: System>() -> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let service = system.command_service().await?;
    let client = Client::new(&service.url());
    assert_eq!(client.create("there").await?.status, 201);
    for case in cases() {
        let reply = client.send(case.method, case.path, &case.headers, case.body).await?;
        let (status, code, pointers) = case.expect;
        assert_eq!((reply.status.as_u16(), reply.code()), (status, code), "{}: {}", case.what, reply.body);
        assert_eq!(reply.header("content-type"), "application/problem+json", "{}", case.what);
        for pointer in pointers {
            assert!(reply.pointers().contains(pointer), "{} names {pointer}: {}", case.what, reply.body);
        }
        for field in ["type", "title", "detail", "trace_id"] {
            assert!(
                !reply.body[field].as_str().unwrap_or_default().is_empty(),
                "{}: {field}: {}",
                case.what,
                reply.body
            );
        }
    }
    other_methods::<S>(
        &client,
        &[
            (Method::PATCH, "/v1/products", &["POST"], &["GET", "HEAD", "POST"]),
            (Method::DELETE, "/v1/products/there", &["PUT"], &["GET", "HEAD", "PUT"]),
            (Method::GET, "/v1/commands:bulk", &["POST"], &["POST"]),
        ],
    )
    .await?;
    // Nothing of it was applied, and the service goes on.
    let reply = client.change_price("there", 5_000, &[("if-match", "\"1\"")]).await?;
    assert_eq!((reply.status.as_u16(), &reply.body["version"]), (200, &json!(2)), "{}", reply.body);
    Ok(())
}

async fn a_bad_line_of_an_upload_stops_no_other<S: System>() -> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let service = system.command_service().await?;
    let client = Client::new(&service.url());
    let good = |id: &str| {
        json!({ "command": "create_product", "product_id": id, "payload": product(id) }).to_string()
    };
    let lines = [
        good("first"),
        "{\"command\": ".to_owned(),
        json!({ "command": "explode", "product_id": "first" }).to_string(),
        json!({ "command": "create_product", "product_id": "bad", "payload": { "sku": 7 } }).to_string(),
        json!({ "command": "list_product" }).to_string(),
        "x".repeat(600 * 1024),
        String::from("\u{fffd}\u{0}"),
        good("last"),
    ];
    let reply = client.send(Method::POST, "/v1/commands:bulk", &[NDJSON], lines.join("\n")).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let answers: Vec<Value> = reply
        .body
        .as_str()
        .unwrap_or_default()
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let seen: Vec<(u64, &str)> = answers
        .iter()
        .map(|it| {
            (it["status"].as_u64().unwrap_or_default(), it["problem"]["code"].as_str().unwrap_or_default())
        })
        .collect();
    let malformed = (400, "malformed-request");
    let expected = [
        (201, ""),
        malformed,
        malformed,
        malformed,
        malformed,
        (413, "body-too-large"),
        malformed,
        (201, ""),
    ];
    assert_eq!(seen, expected, "{}", reply.body);
    Ok(())
}

async fn every_bad_query_gets_its_code<S: System>() -> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let gateway = system.query_gateway().await?;
    let client = Client::new(&gateway.url());
    for (path, headers, status, code) in [
        ("/v1/products/nowhere", vec![], 404, "product-not-found"),
        ("/v1/products/%20", vec![], 422, "invalid-value"),
        ("/v1/products/x", vec![("consistency-token", "garbage")], 400, "bad-consistency-token"),
        ("/v1/products/x", vec![("prefer", "wait=soon")], 400, "invalid-header"),
        ("/v1/products?category=a//b", vec![], 422, "invalid-value"),
        ("/v1/products?category=a&page_size=-1", vec![], 422, "invalid-value"),
        ("/v1/products?category=a&page_token=garbage", vec![], 400, "bad-page-token"),
        ("/v1/products?colour=red", vec![], 400, "malformed-request"),
        ("/v1/search?price_min=cheap", vec![], 422, "invalid-value"),
        ("/v1/search?status=lost", vec![], 422, "invalid-value"),
        ("/v1/search?page_token=garbage", vec![], 400, "bad-page-token"),
        ("/v1/anything", vec![], 404, "not-found"),
    ] {
        let reply = client.get_with(path, &headers).await?;
        let is_other_form =
            |want: u16| want == 422 && reply.status == 400 && reply.code() == "malformed-request";
        assert!(
            (reply.status.as_u16(), reply.code()) == (status, code) || is_other_form(status),
            "{path} {headers:?}: {} {}",
            reply.status,
            reply.body
        );
        assert_eq!(reply.header("content-type"), "application/problem+json", "{path}");
    }
    let reads = &["GET", "HEAD"];
    other_methods::<S>(
        &client,
        &[
            (Method::POST, "/v1/search", reads, reads),
            (Method::PATCH, "/v1/products", reads, &["GET", "HEAD", "POST"]),
            (Method::DELETE, "/v1/products/there", reads, &["GET", "HEAD", "PUT"]),
        ],
    )
    .await?;
    assert_eq!(client.get("/v1/search?q=x").await?.status, 200);
    Ok(())
}

/// Each binary, told nonsense, says what is wrong and ends with 64 (configuration) or 2 (command line).
#[test]
fn bad_configuration_is_refused_with_the_key_and_its_source() -> anyhow::Result<()> {
    let binaries = cli::system::binaries()?;
    let run = |binary: &str, arguments: &[&str], variable: Option<(&str, &str)>| {
        let mut command = Command::new(binaries.join(binary));
        command.args(arguments).envs(variable);
        command.output()
    };
    for (binary, arguments) in [
        ("command-service", &[][..]),
        ("query-gateway", &[]),
        ("projector", &["--read-model", "products"]),
        ("folio", &["verify"]),
        ("folio", &["dev", "--no-seed"]),
    ] {
        let out = run(binary, arguments, Some(("FOLIO__TELEMETRY__LEVLE", "debug")))?;
        let said = String::from_utf8_lossy(&out.stderr).to_lowercase();
        assert_eq!(out.status.code(), Some(64), "{binary}: {said}");
        assert!(
            said.contains("levle") && said.contains("folio__telemetry__levle"),
            "{binary} names key and source: {said}"
        );
    }
    // Nobody is let in unchecked by leaving something out.
    for (binary, arguments) in
        [("command-service", &[][..]), ("query-gateway", &[]), ("projector", &["--read-model", "products"])]
    {
        let out = run(binary, arguments, None)?;
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(64), "{binary}: {said}");
        assert!(said.contains("auth.allow_anonymous: true"), "{binary} says what to do: {said}");
    }
    let out = run("projector", &["--read-model", "nonsense"], None)?;
    let said = String::from_utf8_lossy(&out.stderr).to_lowercase();
    assert!(
        !out.status.success() && said.contains("products") && said.contains("history"),
        "it lists the models: {said}"
    );
    let out = run("folio", &["explode"], None)?;
    assert_eq!(out.status.code(), Some(2), "{}", String::from_utf8_lossy(&out.stderr));
    Ok(())
}
