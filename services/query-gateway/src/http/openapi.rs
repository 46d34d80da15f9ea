//! The door's OpenAPI document, made of its types and tables. Promises that the committed one is this one, that it names
//! every parameter a question takes and no other, and every code a question can be answered with.

use std::path::Path;

use actix_web::http::Method;
use actix_web::test::TestRequest;
use contract::code::Code;
use contract::json::{EventData, ProductView, schemas};
use domain::Product;
use edge::auth::{Access, Scope};
use edge::openapi::{Document, any, free, hold, number, of_every_request, parameter, shared, text};
use jiff::Timestamp;
use read_models::history::HistoryEntry;
use read_models::marks::Mark;
use read_models::products::CategoryItem;
use read_models::search::{
    Bucket, FacetCounts, Hit, MAX_PRICE, MAX_TEXT_BYTES, Matched, SearchResponse, Suggestion,
};
use read_models::{Page, ProductId, StoredProduct, Version};
use serde_json::{Value, json};
use toolkit::dead_letters::Kind;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{ContentBuilder, HttpMethod, OpenApi, Ref, RefOr, Required, Schema};
use uuid::Uuid;

use super::search::SORTS;
use super::tests::{EVERY_QUESTION, ask, get};
use super::views::{BatchView, CategoryView, HistoryView, ReadView, SearchView, SuggestionsView};
use crate::ask::limits::{
    MAX_BUILD_NAME, MAX_FACET_SIZE, MAX_FACETS, MAX_IDS, MAX_PAGE_SIZE, MAX_SUGGESTIONS, MAX_VALUES,
    MAX_VERSION,
};
use crate::ask::{Batch, Found, Listed, NamedEntry, Read};

const DESCRIPTION: &str = "Answers questions about products. Every answer that is not a success is a problem (RFC 9457) with a \
    code of docs/errors. A blank value is no value, of every parameter; one that nobody asked for is an error. `HEAD` is \
    answered as `GET` without a body. docs/api.md says more, and docs/search.md what a text finds. The same service over gRPC is \
    schemas/proto/catalog/v1/query.proto.";

/// What any question may be answered with.
const ANY: [Code; 12] = [
    Code::MalformedRequest,
    Code::InvalidHeader,
    Code::BadConsistencyToken,
    Code::NotFound,
    Code::BuildNotFound,
    Code::MethodNotAllowed,
    Code::Overloaded,
    Code::ReadModelBehind,
    Code::ReadModelParked,
    Code::LogMismatch,
    Code::StoreUnavailable,
    Code::Internal,
];
/// What some may be answered with beside that.
const SOME: [Code; 5] = [
    Code::BadPageToken,
    Code::ProductNotFound,
    Code::ProductGone,
    Code::VersionConflict,
    Code::ReadModelIncomplete,
];

fn query(name: &str, says: &str, schema: impl Into<RefOr<Schema>>) -> Parameter {
    parameter(ParameterIn::Query, name, says, schema)
}

/// One that must be there, with an example.
fn required(parameter: Parameter, example: impl Into<Value>) -> Parameter {
    ParameterBuilder::from(parameter).required(Required::True).example(Some(example.into())).build()
}

/// Several values: with commas between them, or the parameter repeated.
fn several(
    name: &str,
    says: &str,
    item: impl Into<RefOr<Schema>>,
    most: usize,
    with_commas: bool,
) -> Parameter {
    let list = ArrayBuilder::new().items(item.into()).max_items(Some(most));
    let parameter = ParameterBuilder::from(query(name, says, list)).style(Some(ParameterStyle::Form));
    parameter.explode(Some(!with_commas)).build()
}

fn statuses(says: &str) -> Parameter {
    several("status", says, schemas::status(), MAX_VALUES, false)
}

fn pages() -> [Parameter; 2] {
    let size = format!("How many items a page has at most. More than {MAX_PAGE_SIZE}: that.");
    let token = "`next_page_token` of the page before; left out: the first page. It belongs to its question.";
    [
        query("page_size", &size, number(0, i64::MAX as u64, 50)),
        query("page_token", token, ObjectBuilder::new().schema_type(Type::String).max_length(Some(4_096))),
    ]
}

/// One question.
struct Question {
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    parameters: Vec<Parameter>,
    /// The schema of what it is answered with.
    answer: &'static str,
    /// Which of [`SOME`] it has.
    codes: &'static [Code],
}

fn questions() -> [Question; 6] {
    let ids = several("ids", "Which products; each counts once.", schemas::product_id(), MAX_IDS, true);
    let orders = schemas::one_of(["asc", "desc"], "The oldest event first, or the newest.");
    let version = number(1, MAX_VERSION, 2);
    let time = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .examples(["2026-11-24T12:00:00Z"]);
    let typed = || free(MAX_TEXT_BYTES, "angstrom lamps").pattern(Some("\\S"));
    let category = || query("category", "The category.", schemas::category());
    [
        Question {
            path: "/v1/products/{product_id}",
            id: "getProduct",
            summary: "A product as it is, or as it was",
            parameters: vec![
                query("version", "As the event of this version left it. Not with `as_of`.", version),
                query("as_of", "As the last event appended at or before this time left it.", time),
            ],
            answer: "ReadProduct",
            codes: &[
                Code::ProductNotFound,
                Code::ProductGone,
                Code::VersionConflict,
                Code::ReadModelIncomplete,
            ],
        },
        Question {
            path: "/v1/products:batchGet",
            id: "batchGetProducts",
            summary: "Several products, in the order asked for",
            parameters: vec![required(ids, vec!["lamp-1", "lamp-2"])],
            answer: "Products",
            codes: &[],
        },
        Question {
            path: "/v1/products",
            id: "listProducts",
            summary: "The products of a category alone, page by page",
            parameters: [required(category(), "Home & Garden/Lamps")]
                .into_iter()
                .chain([statuses("Any of these; left out: all but deleted ones, which no list has.")])
                .chain(pages())
                .collect(),
            answer: "Category",
            codes: &[Code::BadPageToken, Code::ReadModelIncomplete],
        },
        Question {
            path: "/v1/products/{product_id}/history",
            id: "getHistory",
            summary: "Everything that happened to a product, page by page",
            parameters: [query("order", "The newest first, unless it is said.", orders)]
                .into_iter()
                .chain(pages())
                .collect(),
            answer: "History",
            codes: &[Code::ProductNotFound, Code::BadPageToken, Code::ReadModelIncomplete],
        },
        Question {
            path: "/v1/search",
            id: "search",
            summary: "Full text with filters and facets",
            parameters: searching(typed(), category()),
            answer: "SearchResults",
            codes: &[Code::BadPageToken, Code::ReadModelIncomplete],
        },
        Question {
            path: "/v1/suggest",
            id: "suggest",
            summary: "Completions of what someone is typing",
            parameters: vec![
                required(query("q", "The beginning of a name or a SKU.", typed()), "angstr"),
                statuses("Any of these; left out: what is listed."),
                query(
                    "size",
                    &format!("How many at most. More than {MAX_SUGGESTIONS}: that."),
                    number(0, u64::from(u32::MAX), 5),
                ),
            ],
            answer: "Suggestions",
            codes: &[],
        },
    ]
}

fn searching(typed: ObjectBuilder, category: Parameter) -> Vec<Parameter> {
    let price = || number(0, MAX_PRICE, 20_000);
    let sorts = schemas::one_of(SORTS.map(|(name, _)| name), "By relevance, unless it is said.");
    let facets = "What to count over everything found: category, brand, status, tags, currency, price, attr (the names of \
                  attributes), or attr.NAME (the values of one).";
    let attributes = ObjectBuilder::new()
        .property_names(Some(text("^attr\\..*\\S.*$", 69, "attr.color").build()))
        .additional_properties(Some(Schema::from(schemas::line(1_000, "The value.", "E"))))
        .max_properties(Some(MAX_VALUES));
    let attributes = query(
        "attributes",
        "`attr.NAME=VALUE`: the product has this attribute. Several names: all of them; one name several times: any of its \
         values.",
        attributes,
    );
    let mut all = vec![
        query("q", "Words to look for: all of them. Left out: filters only.", typed),
        category,
        statuses("Any of these; left out: all but deleted ones."),
        query("currency", "Needed where amounts are compared.", schemas::currency()),
        query("price_min", "In minor units, inclusive.", price()),
        query("price_max", "In minor units, inclusive.", price()),
        several("brand", "Any of these.", schemas::brand(), MAX_VALUES, false),
        ParameterBuilder::from(attributes).style(Some(ParameterStyle::Form)).explode(Some(true)).build(),
        several("tag", "All of these.", free(64, "LED"), MAX_VALUES, false),
        query("sort", "The order.", sorts),
        several("facets", facets, free(69, "brand"), MAX_FACETS, true),
        several("facet", "One facet, whose name may hold a comma.", free(69, "attr.Watt"), MAX_FACETS, false),
        several(
            "price_bounds",
            "Where ranges of prices begin, in minor units, growing.",
            price(),
            MAX_FACETS,
            true,
        ),
        query(
            "facet_size",
            "How many values of each facet; left out: 100.",
            number(1, MAX_FACET_SIZE as u64, 10),
        ),
    ];
    all.extend(pages());
    all
}

/// The headers of questions, the parameter that stands for one of them, and which build is asked.
fn parameters() -> Vec<Parameter> {
    let mut all = of_every_request().to_vec();
    all.push(parameter(
        ParameterIn::Header,
        "Prefer",
        "`wait=N`: how many seconds to wait at most for what the consistency token names (RFC 7240).",
        any("wait=5"),
    ));
    for name in ["If-Modified-Since", "If-Unmodified-Since"] {
        let says = "RFC 9110. One that is no date is passed over.";
        all.push(parameter(ParameterIn::Header, name, says, any("Tue, 24 Nov 2026 12:00:00 GMT")));
    }
    all.push(query(
        "consistency_token",
        "As the header `Consistency-Token`, for links.",
        schemas::consistency_token(),
    ));
    all.push(query(
        "generation",
        "The build of the read model to be answered from, by its number (`2` or `g2`) or its name; left out: the one that is read.",
        text("^[a-z0-9-]*$", MAX_BUILD_NAME, "g1"),
    ));
    all
}

fn document() -> OpenApi {
    let mut document = Document::new(parameters(), &[&ANY[..], &SOME].concat());
    document.add::<ReadView>();
    document.add::<BatchView>();
    document.add::<CategoryView<'_>>();
    document.add::<HistoryView<'_>>();
    document.add::<SearchView<'_>>();
    document.add::<SuggestionsView<'_>>();
    document.add::<EventData>();
    for Question { path, id, summary, parameters: own, answer, codes } in questions() {
        let mut operation = OperationBuilder::new().operation_id(Some(id)).summary(Some(summary));
        if path.contains("{product_id}") {
            let id = parameter(ParameterIn::Path, "product_id", "The product.", schemas::product_id());
            operation = operation.parameter(id);
        }
        let has_tag = answer == "ReadProduct";
        let is_page = own.iter().any(|parameter| parameter.name == "page_token");
        for parameter in own {
            operation = operation.parameter(parameter);
        }
        for parameter in parameters() {
            // The others are refused where an answer has no tag, or mean nothing.
            if has_tag || !parameter.name.starts_with("If-") {
                operation = operation.parameter_ref(shared("parameters", &parameter.name));
            }
        }
        operation = operation.response("200", found(answer, has_tag, is_page));
        if has_tag {
            let same = ResponseBuilder::new().description("The caller has this version already.");
            let same = same.header_ref("ETag", shared("headers", "ETag"));
            operation = operation.response("304", same.header("Folio-Generation", generation()));
        }
        let codes = [&ANY[..], codes].concat();
        document.operation((HttpMethod::Get, path), Access::Needs(Scope::Read), operation, &codes);
    }
    document.build("Folio: query gateway", DESCRIPTION)
}

/// What the examples of questions are answered with.
fn example(answer: &str) -> Value {
    let (event_id, updated_at) =
        (Uuid::from_u128(0x0199_d1f3_8a00_8000_a000_0400_0000_0000), Timestamp::UNIX_EPOCH);
    let view: ProductView = serde_json::from_value(json!({
        "product_id": "lamp-1", "sku": "LAMP 01/b", "name": "\u{c5}ngstr\u{f6}m desk lamp", "description": "",
        "category": "Home & Garden/Lamps", "brand": "Lumi\u{e8}re",
        "price": {"minor_units": 24900, "currency": "EUR"}, "attributes": {"Farbe": "wei\u{df}"}, "tags": ["LED"],
        "status": "listed", "version": 1,
    }))
    .unwrap();
    let stored = StoredProduct { product: Product::from(view), event_id, updated_at };
    let Product { id, sku, name, brand, category, price, status, version, .. } = stored.product.clone();
    let shown = match answer {
        "ReadProduct" => serde_json::to_value(ReadView::new(&stored, None)),
        "Products" => {
            let missing = Found::Missing(ProductId::parse("lamp-2").unwrap());
            let found = Batch { found: vec![Found::Here(Box::new(stored)), missing], ..Batch::default() };
            serde_json::to_value(BatchView::from(Listed { found, parked: Some(1) }))
        }
        "Category" => {
            let item = CategoryItem {
                product_id: id,
                sku,
                name,
                brand,
                price,
                status,
                version,
                event_id,
                updated_at,
            };
            serde_json::to_value(CategoryView::from(&listed(Page { items: vec![item], next: None })))
        }
        "History" => {
            let entry = HistoryEntry {
                version: Version(2),
                event_id,
                event_type: "PriceChanged".to_owned(),
                event: json!({"price": {"minor_units": 19900, "currency": "EUR"}}),
                actor: Some("ada".to_owned()),
                principal: Some("key:storefront".to_owned()),
                command_id: None,
                correlation_id: Some("checkout-4711".to_owned()),
                partition: 5,
                offset: 41,
                appended_at: updated_at,
                occurred_at: None,
            };
            let entry = NamedEntry { entry, actor_erased: false };
            let stale = Mark { first_offset: 57, since_ms: 0, kind: Kind::Undecodable, is_discarded: false };
            let read = Read { found: Page { items: vec![entry], next: None }, stale: Some(stale) };
            serde_json::to_value(HistoryView::new(&id, &read))
        }
        "SearchResults" => {
            let bucket = Bucket { value: brand.to_string(), count: 1, from: None, to: None };
            let facet = "brand".to_owned();
            serde_json::to_value(SearchView::from(&listed(SearchResponse {
                hits: vec![Hit { found: stored, score: Some(1.5) }],
                total: 1,
                matched: Matched::Exact,
                facets: vec![FacetCounts {
                    facet,
                    buckets: vec![bucket],
                    other_values: Some(0),
                    other_count: 0,
                }],
                next: None,
            })))
        }
        "Suggestions" => {
            let (sku, name) = (sku.to_string(), name.to_string());
            let suggestion = Suggestion { product_id: id, sku, name, category, status };
            serde_json::to_value(SuggestionsView::from(&listed(vec![suggestion])))
        }
        _ => panic!("say here what {answer} looks like"),
    };
    shown.unwrap()
}

/// In a build where nothing is parked.
fn listed<T>(found: T) -> Listed<T> {
    Listed { found, parked: Some(0) }
}

/// The header that says which build answered.
fn generation() -> Header {
    let says = "The build that answered, where the question named one.";
    HeaderBuilder::new().schema(Some(text("^g[0-9]+$", 11, "g2"))).description(Some(says)).build()
}

fn found(answer: &str, has_tag: bool, is_page: bool) -> ResponseBuilder {
    let header = |says: &str, example: &str| {
        HeaderBuilder::new().schema(Some(free(4_096, example))).description(Some(says)).build()
    };
    let content =
        ContentBuilder::new().schema(Some(Ref::from_schema_name(answer))).example(Some(example(answer)));
    let mut response = ResponseBuilder::new()
        .description("What was asked for.")
        .content("application/json", content.build())
        .header_ref("X-Request-Id", shared("headers", "X-Request-Id"))
        .header_ref("Consistency-Token", shared("headers", "Consistency-Token"))
        .header("Folio-Generation", generation())
        .header("Preference-Applied", header("The wait that was preferred, as far as it holds.", "wait=5"));
    if has_tag {
        let changed = header("When the product changed last.", "Tue, 24 Nov 2026 12:00:00 GMT");
        response = response.header_ref("ETag", shared("headers", "ETag")).header("Last-Modified", changed);
    }
    if is_page {
        response = response.header(
            "Link",
            header("The next page: `rel=\"next\"`.", "</v1/search?page_token=...>; rel=\"next\""),
        );
    }
    response
}

#[test]
fn the_committed_document_is_the_one_of_this_code() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/openapi/query-gateway.json");
    hold(&document(), &committed);
}

#[actix_web::test]
async fn every_question_is_documented_with_the_parameters_it_takes() {
    let document = serde_json::to_value(document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), EVERY_QUESTION.len());
    for question in EVERY_QUESTION {
        // The parameters it takes, as the door itself tells them.
        let joint = if question.contains('?') { '&' } else { '?' };
        let answer = get(&format!("{question}{joint}colour=E")).await;
        let detail = answer.body["errors"][0]["detail"].as_str().unwrap();
        let mut taken: Vec<&str> = detail.split("this question takes ").nth(1).unwrap().split(", ").collect();
        let path = question.split('?').next().unwrap().replace("p-1", "{product_id}");
        let operation = &paths[&path]["get"];
        let mut documented: Vec<&str> = parameters_of(&document, operation)
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .map(|name| if name == "attributes" { "attr.<name>" } else { name })
            .collect();
        taken.sort_unstable();
        documented.sort_unstable();
        assert_eq!(documented, taken, "{question}");
    }
}

#[actix_web::test]
async fn every_question_takes_its_examples_and_answers_as_documented() {
    let document = serde_json::to_value(document()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        let operation = &item["get"];
        let examples: Vec<String> = parameters_of(&document, operation)
            .filter(|parameter| parameter["in"] == "query" && parameter["required"] == true)
            .map(|parameter| {
                let example = match &parameter["example"] {
                    Value::Array(all) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
                    one => one.as_str().unwrap().replace(' ', "+").replace('&', "%26"),
                };
                format!("{}={example}", parameter["name"].as_str().unwrap())
            })
            .collect();
        let uri = format!("{}?{}", path.replace("{product_id}", "lamp-1"), examples.join("&"));
        // Without stores a good question is unavailable; so is any other refused before one is asked.
        for (method, uri, code) in [
            (Method::GET, uri.clone(), Code::StoreUnavailable),
            (Method::GET, uri.clone() + "&colour=E", Code::MalformedRequest),
            (Method::POST, uri, Code::MethodNotAllowed),
        ] {
            let answer = ask(TestRequest::default().method(method).uri(&uri)).await;
            answer.problem(code);
            let place = operation["responses"][code.http().to_string()]["$ref"].as_str().unwrap();
            let response = document.pointer(place.trim_start_matches('#')).unwrap();
            let example = &response["content"]["application/problem+json"]["examples"][code.name()];
            assert!(example.is_object(), "{code} is not documented for {path}");
        }
    }
}

/// The parameters of an operation, those by reference too.
fn parameters_of<'a>(document: &'a Value, operation: &'a Value) -> impl Iterator<Item = &'a Value> {
    operation["parameters"].as_array().unwrap().iter().map(|parameter| match parameter["$ref"].as_str() {
        Some(place) => document.pointer(place.trim_start_matches('#')).unwrap(),
        None => parameter,
    })
}
