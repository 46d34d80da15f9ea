//! OpenAPI 3.1: what the documents of all doors share, and where the ops port shows them.
//!
//! Promises: a document names every code its door can answer with, by status; what is served is what is committed in
//! `schemas/openapi`, and a test of each door makes it again from the code; its page needs nothing of the internet.

use std::collections::BTreeMap;
use std::path::Path;

use actix_web::{HttpResponse, web};
use contract::code::Code;
use contract::json::schemas;
use utoipa::ToSchema;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{Components, KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, HttpMethod, InfoBuilder, License, OpenApi, OpenApiBuilder, Ref, RefOr, Required, Schema,
};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::auth::{Access, Auth, Scope};
use crate::http::Taken;
use crate::problem::{Body, FieldError, MEDIA_TYPE, Problem};

/// Where a service shows its document: what stands in this repository too.
pub const DOCUMENT: Taken = document_at("/openapi.json");

/// The same at another path.
pub const fn document_at(path: &'static str) -> Taken {
    Taken { path, methods: &["GET"], needs: Access::Anyone }
}

/// Serves a door's document at `/openapi.json`, and a page to read it with at `/docs/`. It sends no requests: the door is
/// another origin.
pub fn show(app: &mut web::ServiceConfig, auth: &Auth, document: &'static str) {
    show_at(app, auth, &[(DOCUMENT, document)]);
}

/// The same for several doors of one process: each document at a path of its own, and one page for all.
pub fn show_at(app: &mut web::ServiceConfig, auth: &Auth, documents: &[(Taken, &'static str)]) {
    let paths = documents.iter().map(|(taken, _)| taken.path);
    let config = Config::new(paths).validator_url("none").supported_submit_methods([""; 0]);
    for (taken, document) in documents.iter().copied() {
        let send = move || async move { HttpResponse::Ok().content_type("application/json").body(document) };
        app.service(taken.resource(auth).to(send));
    }
    // The page is the same for everyone, and holds nothing.
    app.service(web::redirect("/docs", "/docs/")).service(SwaggerUi::new("/docs/{_:.*}").config(config));
}

/// What every operation may be answered with that needs something of its callers.
const OF_CALLERS: [Code; 4] =
    [Code::Unauthenticated, Code::Forbidden, Code::TooManyRequests, Code::AuthUnavailable];
/// What a write may be answered with besides.
const OF_WRITES: Code = Code::CrossSiteRequest;
/// How callers show who they are, where they are checked.
const BEARER_NAME: &str = "bearer";
const BEARER: &str = "A token (JWT) of the issuer that the installation believes, or an API key. A certificate of the connection will do where the \
    door asks for one. An operation's scopes are those of docs/security.md. Where callers are not checked it is passed over.";

/// A door's document while it is made.
#[derive(Default)]
#[expect(missing_debug_implementations, reason = "the types of utoipa are not Debug")]
pub struct Document {
    paths: Paths,
    components: Components,
}

impl Document {
    /// One whose requests may have these parameters by reference (see [`shared`]), and whose problems have these codes.
    pub fn new(parameters: impl IntoIterator<Item = Parameter>, codes: &[Code]) -> Self {
        let mut document = Self::default();
        let components = &mut document.components;
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(BEARER)).build();
        components.add_security_scheme(BEARER_NAME, SecurityScheme::Http(bearer));
        let codes = &[codes, &OF_CALLERS, &[OF_WRITES]].concat();
        components.parameters =
            parameters.into_iter().map(|it| (it.name.replace(['-', '.'], ""), RefOr::T(it))).collect();
        components.headers =
            answered().into_iter().map(|(name, header)| (name.replace('-', ""), RefOr::T(header))).collect();
        components.responses = by_status(codes)
            .into_iter()
            .map(|(status, codes)| (format!("Problem{status}"), RefOr::T(refusal(status, &codes))))
            .collect();
        document.add::<Body<'_>>();
        document.add::<Code>();
        document.add::<FieldError>();
        document
    }

    /// Adds the schema of a type, and those it refers to.
    pub fn add<T: ToSchema>(&mut self) {
        let mut schemas = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut schemas);
        self.components.schemas.extend(schemas);
    }

    /// Adds an operation that needs this of its callers, and may be answered with these codes beside those of callers.
    pub fn operation(
        &mut self,
        (method, path): (HttpMethod, &str),
        needs: Access,
        operation: OperationBuilder,
        codes: &[Code],
    ) {
        let (scopes, of_callers): (&[Scope], &[Code]) = match &needs {
            Access::Anyone => (&[], &[]),
            Access::Needs(scope) => (std::slice::from_ref(scope), &OF_CALLERS),
            Access::NeedsOneOf(scopes) => (scopes, &OF_CALLERS),
        };
        let is_write = !matches!(method, HttpMethod::Get | HttpMethod::Head);
        let of_writes: &[Code] = if is_write { &[OF_WRITES] } else { &[] };
        let statuses = by_status(&[codes, of_callers, of_writes].concat()).into_keys();
        let problem = |status| Ref::from_response_name(format!("Problem{status}"));
        let operation = statuses
            .fold(operation, |operation, status| operation.response(status.to_string(), problem(status)));
        // One of several requirements is enough.
        let operation = scopes.iter().fold(operation, |operation, scope| {
            operation.security(SecurityRequirement::new(BEARER_NAME, [scope.name()]))
        });
        let operation: Operation = operation.build();
        self.paths.add_path_operation(path, vec![method], operation);
    }

    /// The whole, for a door of this name.
    pub fn build(self, title: &str, description: &str) -> OpenApi {
        let mut license = License::new("Apache-2.0");
        license.identifier = Some("Apache-2.0".to_owned());
        let info = InfoBuilder::new()
            .title(title)
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some(description))
            .license(Some(license));
        OpenApiBuilder::new().info(info).paths(self.paths).components(Some(self.components)).build()
    }
}

/// A parameter that may be left out; those of a path never are.
pub fn parameter(
    place: ParameterIn,
    name: &str,
    description: &str,
    schema: impl Into<RefOr<Schema>>,
) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(Required::False);
    parameter.description(Some(description)).schema(Some(schema)).build()
}

/// The place of a parameter or header of [`Document::new`], by its name.
pub fn shared(kind: &str, name: &str) -> Ref {
    Ref::new(format!("#/components/{kind}/{}", name.replace(['-', '.'], "")))
}

/// A text without a form of its own.
pub fn free(longest: usize, example: &str) -> ObjectBuilder {
    any(example).max_length(Some(longest))
}

/// A text that is passed over where it makes no sense, however long it is.
pub fn any(example: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).examples([example])
}

/// A text of this form.
pub fn text(pattern: &str, longest: usize, example: &str) -> ObjectBuilder {
    free(longest, example).pattern(Some(pattern))
}

/// A whole number.
pub fn number(least: u64, most: u64, example: u64) -> ObjectBuilder {
    let schema = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least));
    schema.format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64))).maximum(Some(most)).examples([example])
}

/// The headers that requests to every door may have.
pub fn of_every_request() -> [Parameter; 4] {
    let header = |name, says, schema: RefOr<Schema>| parameter(ParameterIn::Header, name, says, schema);
    [
        header(
            "Consistency-Token",
            "What a write returned. A read shows that write, or is `read-model-behind`; a command is decided on it \
             anyway. As a link's parameter `consistency_token` too, where a door has it.",
            schemas::consistency_token().into(),
        ),
        header(
            "If-Match",
            "RFC 9110: the answer or the change only if the product has one of these versions, by the strong comparison.",
            text(ENTITY_TAGS, 4_096, "\"3\"").into(),
        ),
        header(
            "If-None-Match",
            "RFC 9110: not if the product has one of these versions; `*`: not if it was ever created.",
            text(ENTITY_TAGS, 4_096, "\"3\"").into(),
        ),
        header(
            "X-Request-Id",
            "Comes back with the answer, and stands in the logs. One that is not 1 to 128 visible ASCII characters is replaced.",
            any("checkout-4711").into(),
        ),
    ]
}

/// `*`, or a list of entity tags.
const ENTITY_TAGS: &str = r#"^(\*|(W/)?"[!#-~]*"(, (W/)?"[!#-~]*")*)$"#;

/// The headers that answers have.
fn answered() -> Vec<(&'static str, Header)> {
    let header = |name, says: &str, schema: RefOr<Schema>| {
        (name, HeaderBuilder::new().schema(Some(schema)).description(Some(says)).build())
    };
    vec![
        header("ETag", "The version of the product.", text("^\"[^\"]*\"$", 64, "\"3\"").into()),
        header(
            "Consistency-Token",
            "What the answer rests on: give it to a read to see that.",
            schemas::consistency_token().into(),
        ),
        header("X-Request-Id", "The request's, or a new one.", text("^[!-~]+$", 128, "checkout-4711").into()),
        header(
            "Retry-After",
            "After how many seconds the same request may succeed.",
            number(1, 3_600, 1).into(),
        ),
        header(
            "WWW-Authenticate",
            "What is wrong with what the caller showed, or which scope it lacks (RFC 6750).",
            free(400, "Bearer realm=\"folio\"").into(),
        ),
        header("Allow", "The methods of this path.", text("^[A-Z, ]+$", 64, "POST").into()),
    ]
}

fn by_status(codes: &[Code]) -> BTreeMap<u16, Vec<Code>> {
    let mut found: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        found.entry(code.http()).or_default().push(*code);
    }
    found
}

/// The answer of this status: one of these codes, each with an example.
fn refusal(status: u16, codes: &[Code]) -> Response {
    let says = codes.iter().map(|code| format!("`{code}`: {}.", code.title())).collect::<Vec<_>>().join(" ");
    let examples = codes.iter().map(|code| {
        let problem = Problem::new(*code, code.title());
        let problem = problem.with("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736");
        let example =
            ExampleBuilder::new().summary(code.title()).value(serde_json::to_value(problem.body()).ok());
        (code.name(), example)
    });
    let content =
        ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).examples_from_iter(examples);
    let mut response = ResponseBuilder::new()
        .description(says)
        .content(MEDIA_TYPE, content.build())
        .header_ref("X-Request-Id", shared("headers", "X-Request-Id"));
    if codes.iter().any(|code| code.retryable()) {
        response = response.header_ref("Retry-After", shared("headers", "Retry-After"));
    }
    if [Code::Unauthenticated.http(), Code::Forbidden.http()].contains(&status) {
        response = response.header_ref("WWW-Authenticate", shared("headers", "WWW-Authenticate"));
    }
    if status == Code::MethodNotAllowed.http() {
        response = response.header_ref("Allow", shared("headers", "Allow"));
    }
    if matches!(status, 404 | 409 | 412 | 422) {
        response = response.header_ref("Consistency-Token", shared("headers", "Consistency-Token"));
    }
    response.build()
}

/// Holds a committed document to the one that the code makes; `UPDATE_GOLDEN=1` writes it.
///
/// # Panics
/// If they differ: this is for tests.
pub fn hold(document: &OpenApi, committed: &Path) {
    let made = document.to_pretty_json().unwrap_or_default() + "\n";
    let shown = committed.display();
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        assert!(std::fs::write(committed, &made).is_ok(), "cannot write {shown}");
    }
    let there = std::fs::read_to_string(committed).unwrap_or_default();
    let differ = || (1..).zip(there.lines().zip(made.lines())).find(|(_, (there, made))| there != made);
    assert!(
        there == made,
        "{shown} is not what the code says, from line {:?} on. If clients may see that change, renew it with \
         UPDATE_GOLDEN=1 and this test, and read the difference before it is committed",
        differ()
    );
}
