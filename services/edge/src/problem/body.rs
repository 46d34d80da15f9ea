//! A problem as JSON: the members of RFC 9457, those every problem of ours has, and those a code adds.

use contract::code::Code;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::{FieldError, Problem};

/// The members that a code may add: their names, their types, and what they say.
pub const EXTENSIONS: [(&str, Type, &str); 24] = [
    ("product_id", Type::String, "The product it is about."),
    ("current_version", Type::Integer, "The version the product has; 0: it does not exist."),
    ("expected_version", Type::Integer, "The only version that the request expected."),
    ("version", Type::Integer, "The version that the command with the same key made."),
    ("event_id", Type::String, "The event of that version."),
    ("consistency_token", Type::String, "Give it to a read to see what this answer rests on."),
    ("read_model", Type::String, "Which read model it is about."),
    ("generation", Type::String, "The build of it that was asked for."),
    ("current_position", Type::Integer, "The position to which it has come."),
    ("asked_position", Type::Integer, "The position that the token asks for."),
    ("asked_version", Type::Integer, "The version that the token asks for."),
    ("partition", Type::Integer, "The partition of the log that it is about."),
    ("current_log", Type::String, "The log that the read model was made of."),
    ("asked_log", Type::String, "The log that the token is of."),
    ("since", Type::String, "When the first record of the product that could not be applied failed first."),
    ("kind", Type::String, "Why that could not be applied."),
    ("is_discarded", Type::Boolean, "Whether the product was given up."),
    ("store", Type::String, "Which store does not answer, or lost rows."),
    ("reason", Type::String, "Why the caller is not known: `no-credentials`, `invalid` or `expired`."),
    (
        "missing_scope",
        Type::String,
        "The scope that the caller lacks; of several, with blanks between, one is enough.",
    ),
    ("limit", Type::String, "Which limit of the caller's it is beyond: `rate`, `in-flight`, `bytes`."),
    ("metadata_key", Type::String, "Over gRPC: which metadata is at fault."),
    ("request_id", Type::String, "The request's `X-Request-Id`: logs name it."),
    ("trace_id", Type::String, "The trace of the request, where traces are exported."),
];

/// An answer that is not the one asked for (RFC 9457).
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Body<'a> {
    /// The address of the document that explains the code.
    #[serde(rename = "type")]
    #[schema(example = "https://folio.dev/errors/version-conflict")]
    type_uri: String,
    /// What the code means, for people.
    title: &'a str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What happened this time, and what to do.
    detail: &'a str,
    #[schema(value_type = Code)]
    code: &'a str,
    /// Whether the same request, unchanged and with the same idempotency key, may succeed later.
    retryable: bool,
    // Over HTTP it is also a header, which the answers inside a bulk answer do not have.
    /// After how many seconds; there exactly if it is retryable.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    retry_after: Option<u64>,
    /// What is wrong where in the request.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [FieldError],
    #[serde(flatten)]
    extensions: Extensions<'a>,
}

/// What a code adds.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
struct Extensions<'a>(&'a Map<String, Value>);

impl PartialSchema for Extensions<'_> {
    fn schema() -> RefOr<Schema> {
        let members = EXTENSIONS.into_iter().fold(ObjectBuilder::new(), |object, (name, kind, says)| {
            object.property(name, ObjectBuilder::new().schema_type(kind).description(Some(says)))
        });
        members.description(Some("What a code adds.")).into()
    }
}

impl ToSchema for Extensions<'_> {
    fn name() -> std::borrow::Cow<'static, str> {
        "ProblemExtensions".into()
    }
}

impl Problem {
    /// The body over HTTP.
    pub fn body(&self) -> Body<'_> {
        Body {
            type_uri: self.type_uri(),
            title: self.title,
            status: self.status,
            detail: &self.detail,
            code: self.code,
            retryable: self.retryable,
            retry_after: self.retry_after_seconds(),
            errors: &self.errors,
            extensions: Extensions(&self.extensions),
        }
    }
}
