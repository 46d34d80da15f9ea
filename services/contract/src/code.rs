//! The one table of error codes: what a client is told, over HTTP and gRPC alike.
//!
//! Every code has its page, `docs/errors/<code>.md`, and every rejection of the domain has its code; tests hold both.

use std::fmt;
use std::time::Duration;

use domain::Rejection;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// gRPC's status codes, by number (`tonic::Code` has the same).
mod grpc {
    pub(super) const INVALID_ARGUMENT: i32 = 3;
    pub(super) const DEADLINE_EXCEEDED: i32 = 4;
    pub(super) const NOT_FOUND: i32 = 5;
    pub(super) const ALREADY_EXISTS: i32 = 6;
    pub(super) const PERMISSION_DENIED: i32 = 7;
    pub(super) const RESOURCE_EXHAUSTED: i32 = 8;
    pub(super) const FAILED_PRECONDITION: i32 = 9;
    pub(super) const ABORTED: i32 = 10;
    pub(super) const OUT_OF_RANGE: i32 = 11;
    pub(super) const UNIMPLEMENTED: i32 = 12;
    pub(super) const INTERNAL: i32 = 13;
    pub(super) const UNAVAILABLE: i32 = 14;
    pub(super) const DATA_LOSS: i32 = 15;
    pub(super) const UNAUTHENTICATED: i32 = 16;
}

/// Whether the same request may succeed later, and after how many seconds it is worth trying.
mod retry {
    pub(super) const NO: Option<u64> = None;
    pub(super) const SOON: Option<u64> = Some(1);
    pub(super) const LATER: Option<u64> = Some(2);
}

macro_rules! codes {
    ($($variant:ident = $name:literal, $http:literal, $grpc:ident, $retry:ident, $title:literal;)*) => {
        /// An error code. Its name is stable; programs may rely on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// The code's name: `version-conflict`.
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }

            /// What it means, for people, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }

            /// The HTTP status.
            pub fn http(self) -> u16 {
                match self { $(Code::$variant => $http,)* }
            }

            /// The gRPC status, by number.
            pub fn grpc(self) -> i32 {
                match self { $(Code::$variant => grpc::$grpc,)* }
            }

            fn retry_after_seconds(self) -> Option<u64> {
                match self { $(Code::$variant => retry::$retry,)* }
            }
        }
    };
}

codes! {
    // The request.
    MalformedRequest = "malformed-request", 400, INVALID_ARGUMENT, NO, "The request does not have the form asked for";
    InvalidValue = "invalid-value", 422, INVALID_ARGUMENT, NO, "A field of the request has a value that is not allowed";
    InvalidHeader = "invalid-header", 400, INVALID_ARGUMENT, NO, "A header of the request cannot be understood";
    BodyTooLarge = "body-too-large", 413, OUT_OF_RANGE, NO, "The request body is too large";
    CommandTooLarge = "command-too-large", 413, INVALID_ARGUMENT, NO, "The command would make a record that is too large";
    UnsupportedMediaType = "unsupported-media-type", 415, INVALID_ARGUMENT, NO, "The request has a content type that is not taken here";
    RequestTimeout = "request-timeout", 408, DEADLINE_EXCEEDED, SOON, "The request did not arrive in time";
    NotFound = "not-found", 404, UNIMPLEMENTED, NO, "There is nothing at this path";
    MethodNotAllowed = "method-not-allowed", 405, UNIMPLEMENTED, NO, "This path does not take this method";
    // The caller.
    Unauthenticated = "unauthenticated", 401, UNAUTHENTICATED, NO, "Who calls is not known";
    Forbidden = "forbidden", 403, PERMISSION_DENIED, NO, "The caller may not do this";
    CrossSiteRequest = "cross-site-request", 403, PERMISSION_DENIED, NO, "The request comes from a page of another site";
    TooManyRequests = "too-many-requests", 429, RESOURCE_EXHAUSTED, SOON, "The caller asks for more than it may have at once";
    AuthUnavailable = "auth-unavailable", 503, UNAVAILABLE, LATER, "Callers cannot be checked at the moment";
    // What the domain says.
    ProductNotFound = "product-not-found", 404, NOT_FOUND, NO, "The product does not exist";
    ProductAlreadyExists = "product-already-exists", 409, ALREADY_EXISTS, NO, "The product exists already";
    ProductDeleted = "product-deleted", 409, FAILED_PRECONDITION, NO, "The product is deleted and takes no changes";
    ProductGone = "product-gone", 410, NOT_FOUND, NO, "The product was deleted";
    ProductNotDeleted = "product-not-deleted", 409, FAILED_PRECONDITION, NO, "The product is not deleted";
    ProductNotListed = "product-not-listed", 409, FAILED_PRECONDITION, NO, "The product was never listed";
    PriceRequired = "price-required", 409, FAILED_PRECONDITION, NO, "A listed product needs a price above zero";
    CurrencyMismatch = "currency-mismatch", 409, FAILED_PRECONDITION, NO, "The product is priced in another currency";
    // Concurrency and repetition.
    VersionConflict = "version-conflict", 412, ABORTED, NO, "The product does not have the version the request expects";
    IdempotencyKeyRequired = "idempotency-key-required", 400, INVALID_ARGUMENT, NO, "The request needs an idempotency key";
    IdempotencyKeyReused = "idempotency-key-reused", 422, INVALID_ARGUMENT, NO, "The idempotency key was used for another command";
    Contended = "contended", 409, ABORTED, SOON, "Too many writers change this product at once";
    OutcomeUnknown = "outcome-unknown", 504, DEADLINE_EXCEEDED, SOON, "Whether the command was accepted is not known";
    // The service.
    DeadlineExceeded = "deadline-exceeded", 503, UNAVAILABLE, SOON, "The command was not decided in time; nothing was written";
    Overloaded = "overloaded", 429, RESOURCE_EXHAUSTED, SOON, "The service takes no more requests at the moment";
    NotReady = "not-ready", 503, UNAVAILABLE, LATER, "The service has not caught up yet";
    ProductUnreadable = "product-unreadable", 500, DATA_LOSS, NO, "A record of this product cannot be read";
    ProductQuarantined = "product-quarantined", 500, DATA_LOSS, NO, "The log of this product breaks the ledger's rule";
    // Reading.
    BadConsistencyToken = "bad-consistency-token", 400, INVALID_ARGUMENT, NO, "The consistency token cannot be understood";
    BadPageToken = "bad-page-token", 400, INVALID_ARGUMENT, NO, "The page token cannot be understood";
    BuildNotFound = "build-not-found", 404, NOT_FOUND, NO, "The read model has no such build";
    ReadModelBehind = "read-model-behind", 503, UNAVAILABLE, SOON, "The read model has not come as far as the consistency token";
    LogMismatch = "log-mismatch", 409, FAILED_PRECONDITION, NO, "The read model is built from another log than the consistency token is of";
    ReadModelIncomplete = "read-model-incomplete", 503, UNAVAILABLE, SOON, "Rows of the read model are missing and are being built again";
    ReadModelParked = "read-model-parked", 503, FAILED_PRECONDITION, NO, "What the read asks for is parked: the read model could not apply it";
    StoreUnavailable = "store-unavailable", 503, UNAVAILABLE, LATER, "The store behind this read does not answer";
    // Operating.
    DecisionRefused = "decision-refused", 409, FAILED_PRECONDITION, NO, "What was asked for cannot be decided as things stand";
    Internal = "internal", 500, INTERNAL, NO, "Something went wrong inside";
}

impl Code {
    /// The code with this name.
    pub fn from_name(name: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.name() == name)
    }

    /// Whether the same request, unchanged and with the same idempotency key, may succeed later.
    pub fn retryable(self) -> bool {
        self.retry_after_seconds().is_some()
    }

    /// How long to wait before the same request is sent again: every retryable code says so.
    pub fn retry_after(self) -> Option<Duration> {
        self.retry_after_seconds().map(Duration::from_secs)
    }
}

impl PartialSchema for Code {
    fn schema() -> RefOr<Schema> {
        let names = Code::ALL.iter().map(|code| code.name());
        let description = "What went wrong, for programs. Each has its page in docs/errors.";
        let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names));
        schema.description(Some(description)).into()
    }
}

impl ToSchema for Code {}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<&Rejection> for Code {
    fn from(rejection: &Rejection) -> Self {
        match rejection {
            Rejection::ProductAlreadyExists => Code::ProductAlreadyExists,
            Rejection::ProductNotFound => Code::ProductNotFound,
            Rejection::ProductDeleted => Code::ProductDeleted,
            Rejection::ProductNotDeleted => Code::ProductNotDeleted,
            Rejection::PriceRequired => Code::PriceRequired,
            Rejection::ProductNotListed => Code::ProductNotListed,
            Rejection::CurrencyMismatch { .. } => Code::CurrencyMismatch,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_rejection_of_the_domain_has_its_code() {
        for name in Rejection::CODES {
            assert!(Code::from_name(name).is_some(), "{name} is not in the table");
        }
        assert_eq!(Code::from(&Rejection::ProductDeleted).name(), Rejection::ProductDeleted.code());
    }

    #[test]
    fn every_code_has_its_page_and_every_page_its_code() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
        let pages: BTreeSet<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "README.md")
            .collect();
        let expected: BTreeSet<String> = Code::ALL.iter().map(|code| format!("{code}.md")).collect();
        assert_eq!(pages, expected);
        for code in Code::ALL {
            let page = fs::read_to_string(folder.join(format!("{code}.md"))).unwrap();
            assert!(page.starts_with(&format!("# {code}\n\n{}.", code.title())), "{code}: heading and title");
            let status = format!("HTTP {}, gRPC {:?}", code.http(), tonic::Code::from(code.grpc()));
            assert!(page.contains(&status), "{code}: the page should say `{status}`");
            let retry = if code.retryable() { "retryable" } else { "not retryable" };
            assert!(page.contains(&format!(", {retry}.")), "{code}: the page should say that it is {retry}");
            let lines = page.lines().filter(|line| !line.is_empty()).count();
            assert!((5..=15).contains(&lines), "{code}: {lines} lines");
        }
    }

    #[test]
    fn names_are_unique_and_statuses_exist() {
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!((400..600).contains(&code.http()), "{code}");
            assert_ne!(tonic::Code::from(code.grpc()), tonic::Code::Unknown, "{code}");
        }
    }

    #[test]
    fn what_may_be_retried_has_a_status_that_says_so() {
        for code in Code::ALL.iter().filter(|code| code.retryable()) {
            assert!(matches!(code.http(), 408 | 409 | 429 | 503 | 504), "{code}");
            assert!(code.retry_after().is_some_and(|after| !after.is_zero()), "{code}");
        }
        assert!(Code::ALL.iter().all(|code| code.retryable() == code.retry_after().is_some()));
    }
}
