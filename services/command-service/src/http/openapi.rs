//! The door's OpenAPI document, made of its types and tables. Promises that the committed one is this one, that each of its
//! operations takes its example and answers as it says, and that it names every header that is read.

use std::path::Path;

use contract::Named;
use contract::code::Code;
use contract::json::{BulkLine, CommandPayload, expected_version, schemas};
use domain::ProductId;
use edge::auth::{Access, Scope};
use edge::openapi::{Document, any, hold, of_every_request, parameter, shared, text};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, HttpMethod, OpenApi, Ref, RefOr, Required, Schema};

use super::BULK;
use super::answer::Success;
use super::bulk::{self, BulkAnswer, BulkProblem, BulkSuccess, NDJSON};
use super::products::{ACTIONS, CREATE};
use super::tests::{Answer, door_of};
use crate::door::Wire;
use crate::door::{Caller, Kind, Outcome};
use crate::testing::World;

const DESCRIPTION: &str = "Changes products. Every answer that is not a success is a problem (RFC 9457) with a code of docs/errors. \
    Texts are trimmed and brought to Unicode's form NFC, and characters that show nothing or deceive are refused: docs/api.md \
    says all of it. The same service over gRPC is schemas/proto/catalog/v1/command.proto.";

/// What any request may be answered with.
const ANY: [Code; 9] = [
    Code::MalformedRequest,
    Code::InvalidHeader,
    Code::BadConsistencyToken,
    Code::UnsupportedMediaType,
    Code::NotFound,
    Code::MethodNotAllowed,
    Code::Overloaded,
    Code::NotReady,
    Code::Internal,
];
/// What any command may be answered with beside that.
const COMMAND: [Code; 12] = [
    Code::InvalidValue,
    Code::BodyTooLarge,
    Code::CommandTooLarge,
    Code::RequestTimeout,
    Code::VersionConflict,
    Code::IdempotencyKeyReused,
    Code::Contended,
    Code::OutcomeUnknown,
    Code::DeadlineExceeded,
    Code::ProductDeleted,
    Code::ProductUnreadable,
    Code::ProductQuarantined,
];
/// What some commands may be answered with beside that.
const SOME: [Code; 7] = [
    Code::IdempotencyKeyRequired,
    Code::ProductAlreadyExists,
    Code::ProductNotFound,
    Code::ProductNotDeleted,
    Code::ProductNotListed,
    Code::PriceRequired,
    Code::CurrencyMismatch,
];

/// What an operation is called, what it says, an example of its body, and which codes of [`SOME`] it has.
fn about(command: &str) -> (&'static str, Value, &'static [Code]) {
    match command {
        "create_product" => (
            "Create a product",
            json!({
                "sku": "LAMP 01/b", "name": "\u{c5}ngstr\u{f6}m desk lamp", "brand": "Lumi\u{e8}re",
                "category": "Home & Garden/Lamps", "price": {"minor_units": 24900, "currency": "EUR"},
                "attributes": {"Farbe": "wei\u{df}", "Watt": "7.5"}, "tags": ["B\u{fc}ro", "LED"], "status": "listed",
            }),
            &[Code::ProductAlreadyExists, Code::PriceRequired],
        ),
        "revise_details" => (
            "Change describing fields",
            json!({"name": "\u{c5}ngstr\u{f6}m lamp", "tags": ["LED"]}),
            &[Code::ProductNotFound],
        ),
        "change_price" => (
            "Set another price",
            json!({"price": {"minor_units": 19900, "currency": "EUR"}}),
            &[Code::ProductNotFound, Code::PriceRequired, Code::CurrencyMismatch],
        ),
        "move_to_category" => (
            "Move to another category",
            json!({"category": "Home & Garden/Lamps/Desk"}),
            &[Code::ProductNotFound],
        ),
        "list_product" => ("Put on sale", json!({}), &[Code::ProductNotFound, Code::PriceRequired]),
        "discontinue_product" => {
            ("Take off sale", json!({"reason": "sold out"}), &[Code::ProductNotFound, Code::ProductNotListed])
        }
        "delete_product" => {
            ("Delete; the history stays", json!({"reason": "sold out"}), &[Code::ProductNotFound])
        }
        "restore_product" => {
            ("Bring a deleted product back", json!({}), &[Code::ProductNotFound, Code::ProductNotDeleted])
        }
        _ => panic!("say here what {command} does"),
    }
}

fn header(name: &str, says: &str, schema: impl Into<RefOr<Schema>>) -> Parameter {
    parameter(ParameterIn::Header, name, says, schema)
}

fn parameters() -> Vec<Parameter> {
    let key = "Makes a repetition recognisable: the same key and command again get the first answer. A quoted string, or \
               bare text of visible ASCII.";
    let mut all = of_every_request().to_vec();
    all.extend([
        header("Idempotency-Key", key, text(r#"^([!#-~][!-~]{0,254}|"[!#-\[\]-~]{1,253}")$"#, 255, "sale-7")),
        header(
            "X-Folio-Actor",
            "Who did it: goes into the event and the history. Where callers are checked it is the caller, and another one needs the scope act-on-behalf.",
            text("^[ -~]*$", 200, "ada"),
        ),
        header(
            "traceparent",
            "W3C trace context: passed on into the event. One that is none starts a new trace.",
            any("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ),
    ]);
    all
}

fn document() -> OpenApi {
    let codes: Vec<Code> = [&ANY[..], &COMMAND, &SOME].concat();
    let mut document = Document::new(parameters(), &codes);
    document.add::<Success<'_>>();
    document.add::<BulkLine<'_>>();
    document.add::<BulkAnswer<'_>>();
    document.add::<BulkSuccess<'_>>();
    document.add::<BulkProblem<'_>>();
    let mut command = |method: HttpMethod, path: &str, id: &str, name: &str, some: &[Code]| {
        let (summary, example, rejections) = about(name);
        let body = ContentBuilder::new().schema(Some(body_of(name))).example(Some(example));
        let body = RequestBodyBuilder::new()
            .content("application/json", body.build())
            .required(Some(Required::True));
        let mut operation = OperationBuilder::new()
            .operation_id(Some(id))
            .summary(Some(summary))
            .request_body(Some(body.build()))
            .response("200", done("What the command asks for is so now."));
        if name == CREATE {
            let created = done("The product was created.").header(
                "Location",
                HeaderBuilder::new()
                    .schema(Some(text("^/v1/products/", 128, "/v1/products/lamp-1")))
                    .description(Some("Where the query gateway has the product."))
                    .build(),
            );
            operation = operation.response("201", created);
        }
        if path.contains("{id}") {
            operation = operation.parameter(parameter(
                ParameterIn::Path,
                "id",
                "The product.",
                schemas::product_id(),
            ));
        }
        for parameter in parameters() {
            operation = operation.parameter_ref(shared("parameters", &parameter.name));
        }
        let deletes = ["delete_product", "restore_product"].contains(&name);
        let needs = Access::Needs(if deletes { Scope::Delete } else { Scope::Write });
        let codes = [&ANY[..], &COMMAND, rejections, some].concat();
        document.operation((method, path), needs, operation, &codes);
    };
    command(HttpMethod::Post, "/v1/products", "createProduct", CREATE, &[Code::IdempotencyKeyRequired]);
    command(HttpMethod::Put, "/v1/products/{id}", "createProductWithId", CREATE, &[]);
    for (action, name) in ACTIONS {
        command(HttpMethod::Post, &format!("/v1/products/{{id}}:{action}"), &camel(name), name, &[]);
    }
    upload(&mut document);
    document.build("Folio: command service", DESCRIPTION)
}

/// `revise_details` as `reviseDetails`.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |all, word| all + &word[..1].to_uppercase() + &word[1..])
}

/// The command's fields and, beside them, its product and what is expected of it.
fn body_of(command: &str) -> RefOr<Schema> {
    let schema = CommandPayload::schema_of(command).unwrap();
    let RefOr::T(Schema::Object(mut object)) = schema else {
        panic!("the fields of {command} are no object")
    };
    object.properties.insert("product_id".to_owned(), schemas::product_id().into());
    object.properties.insert("expected_version".to_owned(), expected_version().into());
    RefOr::T(Schema::Object(object))
}

fn done(says: &str) -> ResponseBuilder {
    let outcome = outcome();
    let example = serde_json::to_value(Success::of(&outcome)).ok();
    let answer = ContentBuilder::new().schema(Some(Ref::from_schema_name(Success::name()))).example(example);
    let response = ResponseBuilder::new().description(says).content("application/json", answer.build());
    let replayed = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["true"]));
    let replayed = HeaderBuilder::new()
        .schema(Some(replayed))
        .description(Some("There if this is the first answer to this key, given again."))
        .build();
    ["ETag", "Consistency-Token", "X-Request-Id"]
        .into_iter()
        .fold(response, |response, name| response.header_ref(name, shared("headers", name)))
        .header("Idempotency-Replayed", replayed)
}

/// What the examples are answered with.
fn outcome() -> Outcome {
    let Some(Value::String(token)) = schemas::consistency_token().examples.pop() else {
        panic!("no example")
    };
    Outcome {
        kind: Kind::Accepted,
        product: ProductId::parse("lamp-1").unwrap(),
        version: 1,
        event_id: Some(uuid::Uuid::from_u128(0x0199_d1f3_8a00_8000_a000_0400_0000_0000)),
        token,
        replayed: false,
        creates: true,
    }
}

fn upload(document: &mut Document) {
    let example = "{\"command\":\"list_product\",\"product_id\":\"lamp-1\",\"idempotency_key\":\"i-1\"}\n";
    let lines =
        ContentBuilder::new().schema(Some(Ref::from_schema_name("BulkLine"))).example(Some(example.into()));
    let body = RequestBodyBuilder::new()
        .description(Some("A command a line, each of this schema. Any number of lines."))
        .content(NDJSON, lines.build())
        .required(Some(Required::True));
    let (outcome, caller) = (outcome(), Caller::default());
    let answered = bulk::answer(1, &Named::default(), &Ok(outcome), &caller);
    let answered = String::from_utf8(answered).unwrap();
    let answers = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("BulkAnswer")))
        .example(Some(answered.into()));
    let answers = ResponseBuilder::new()
        .description("An answer a line, each of this schema, in the order of the lines. A line that is wrong stops no other.")
        .content(NDJSON, answers.build())
        .header_ref("X-Request-Id", shared("headers", "X-Request-Id"));
    let operation = OperationBuilder::new()
        .operation_id(Some("upload"))
        .summary(Some("Many commands in one request"))
        .request_body(Some(body.build()))
        .response("200", answers);
    let of_the_whole = ["Consistency-Token", "X-Request-Id", "X-Folio-Actor", "traceparent"];
    let operation = of_the_whole
        .into_iter()
        .fold(operation, |operation, name| operation.parameter_ref(shared("parameters", name)));
    document.operation((HttpMethod::Post, "/v1/commands:bulk"), BULK.needs, operation, &ANY);
}

#[test]
fn the_committed_document_is_the_one_of_this_code() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/openapi/command-service.json");
    hold(&document(), &committed);
}

#[test]
fn every_header_that_is_read_is_documented() {
    let document = serde_json::to_value(document()).unwrap();
    let all = document["components"]["parameters"].as_object().unwrap();
    let all: Vec<String> = all.values().map(|it| it["name"].as_str().unwrap().to_lowercase()).collect();
    // These are read only so that they can be passed over or refused, as the standard wants.
    let unkept = ["if-modified-since", "if-unmodified-since", "prefer"];
    for name in Wire::Http.read().iter().filter(|name| !unkept.contains(name)) {
        assert!(all.iter().any(|known| known == name), "{name} is not in the document");
    }
}

/// What one field of a command is asked to be, as the door itself tells it.
#[actix_web::test]
async fn the_document_knows_the_fields_that_are_read() {
    let world = World::start().await;
    let door = door_of(&world).await;
    for (action, name) in ACTIONS.into_iter().chain([("", CREATE)]) {
        let path =
            if action.is_empty() { "/v1/products".to_owned() } else { format!("/v1/products/p:{action}") };
        let answer = door.send("POST", &path, &[], &json!({"no such field": 1})).await;
        let errors = answer.body["errors"].as_array().unwrap();
        let unknown = errors.iter().find(|error| error["pointer"] == "/no such field").unwrap();
        let unknown = unknown["detail"].as_str().unwrap();
        let known = unknown.split("the fields are ").nth(1).unwrap_or_default();
        let mut known: Vec<&str> = known.split(", ").filter(|name| !name.is_empty()).collect();
        known.extend(["product_id", "expected_version"]);
        let RefOr::T(Schema::Object(body)) = body_of(name) else { panic!() };
        let mut documented: Vec<&str> = body.properties.keys().map(String::as_str).collect();
        known.sort_unstable();
        documented.sort_unstable();
        assert_eq!(documented, known, "{name}");
    }
}

#[actix_web::test]
async fn every_operation_takes_its_example_and_answers_as_documented() {
    let world = World::start().await;
    let door = door_of(&world).await;
    let document = serde_json::to_value(document()).unwrap();
    // A creation comes first: what exists can be changed.
    let mut operations = operations(&document);
    operations.sort_by_key(|(path, method, _)| {
        (*method != "put", path.contains(":restore"), path.contains(":delete"))
    });
    let mut documented = 0;
    for (path, method, operation) in operations {
        let (method, path) = (method.to_uppercase(), path.replace("{id}", "lamp-1"));
        let (kind, content) = operation["requestBody"]["content"].as_object().unwrap().iter().next().unwrap();
        let example = &content["example"];
        let body = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
        let key = path.replace('/', "-");
        let headers = [("content-type", kind.as_str()), ("idempotency-key", &key[..])];
        let headers = &headers[..if path.contains("bulk") { 1 } else { 2 }];
        let answer = door.ask(&method, &path, headers, body.as_bytes()).await;
        assert!(answer.status < 300, "{method} {path}: {} {}", answer.status, answer.body);
        is_documented(&document, operation, &answer);
        // Another method, no body and no type: three documented refusals.
        for (method, headers) in [("DELETE", headers), (&method[..], &[])] {
            let answer = door.ask(method, &path, headers, b"").await;
            assert!([405, 415].contains(&answer.status), "{method} {path}: {}", answer.status);
            is_documented(&document, operation, &answer);
        }
        documented += 1;
    }
    assert_eq!(documented, ACTIONS.len() + 3);
}

/// Every operation of a document with its path and its method.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let all = paths.flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| (&path[..], &method[..], operation))
    });
    all.collect()
}

/// Checks the answer's status, media type, headers and code against the operation.
fn is_documented(document: &Value, operation: &Value, answer: &Answer) {
    let response = &operation["responses"][answer.status.to_string()];
    let response = match response["$ref"].as_str() {
        Some(place) => document.pointer(place.trim_start_matches('#')).unwrap(),
        None => response,
    };
    let kind = answer.header("content-type").unwrap();
    let content = &response["content"][kind];
    assert!(content.is_object(), "{} {kind} is not documented: {response}", answer.status);
    if answer.status >= 400 {
        let code = answer.code();
        assert!(
            content["examples"][code].is_object(),
            "{code} is not among the examples of {}",
            answer.status
        );
    }
    for name in response["headers"].as_object().unwrap().keys() {
        let is_optional =
            ["Idempotency-Replayed", "Retry-After", "Consistency-Token"].contains(&name.as_str());
        assert!(
            is_optional || answer.header(&name.to_lowercase()).is_some(),
            "no {name} with {}",
            answer.status
        );
    }
}
