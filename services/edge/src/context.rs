//! What a request is known by, over HTTP and over gRPC: its id and its trace, in its answer, in logs and in what it leads to.

use toolkit::telemetry::{Sampling, TraceContext};

use crate::fields::{Fields, visible};
use crate::problem::Problem;

/// The field that names a request, in both directions.
pub const REQUEST_ID: &str = "x-request-id";
const TRACEPARENT: &str = "traceparent";
/// The most bytes of a client's id.
const MAX_ID_BYTES: usize = 128;

/// A request's id and trace; every request has one among its extensions, over HTTP and over gRPC.
#[derive(Clone, Debug)]
pub struct Context {
    /// The client's if it can be logged and echoed, else a new one.
    pub id: String,
    is_given: bool,
    pub trace: TraceContext,
}

/// Of a request that says nothing of itself.
impl Default for Context {
    fn default() -> Self {
        Self::new(None, TraceContext::new())
    }
}

impl Context {
    fn new(given: Option<String>, trace: TraceContext) -> Self {
        let is_given = given.is_some();
        Self { id: given.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()), is_given, trace }
    }

    /// By the request's fields. What cannot be read of them starts anew, as their standards want.
    pub fn of(fields: &impl Fields) -> Self {
        let text = |name: &str| fields.all(name).next().and_then(visible);
        let visible = |id: &&str| {
            (1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let given = text(REQUEST_ID).filter(visible).map(str::to_owned);
        Self::new(given, TraceContext::incoming(text(TRACEPARENT)))
    }

    /// The id, if the client gave it: what it calls the work that the request belongs to.
    pub fn given_id(&self) -> Option<&str> {
        self.is_given.then_some(&self.id)
    }

    /// What a problem says of its request, so that a client's report leads to the logs.
    pub(crate) fn members(&self) -> [(&'static str, String); 2] {
        [("request_id", self.id.clone()), ("trace_id", self.trace.trace_id())]
    }

    /// The problem with the names of its request; what it says already stays.
    pub fn name(&self, mut problem: Problem) -> Problem {
        for (name, value) in self.members() {
            problem.extensions.entry(name).or_insert_with(|| value.into());
        }
        problem
    }
}

/// Who sees the spans of a server's requests.
#[derive(Clone, Copy, Debug)]
pub enum Spans {
    /// Traces, and lines logged while a request is answered: they name it.
    Logs,
    /// The same, but only of requests that are sampled: for a server of many requests that logs none of them, so that
    /// the others cost nothing.
    Sampled,
}

impl Spans {
    /// Whether there is one of a request in this context.
    pub(crate) fn are_of(self, trace: &TraceContext, sampling: Sampling) -> bool {
        match self {
            Self::Logs => true,
            Self::Sampled => sampling.has_spans(trace),
        }
    }
}

/// A span of these fields and of the trace's id, which is to be recorded; none if the first is not so.
macro_rules! request_span {
    ($is_seen:expr, $($fields:tt)+) => {
        if $is_seen {
            tracing::info_span!(target: toolkit::telemetry::NAMES_LINES, $($fields)+)
        } else {
            tracing::Span::none()
        }
    };
}
pub(crate) use request_span;

/// What a panic said, for the log.
pub(crate) fn said(panic: &(dyn std::any::Any + Send)) -> Option<&str> {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use contract::code::Code;
    use tonic::metadata::MetadataMap;

    use super::*;

    #[test]
    fn a_request_keeps_its_id_if_it_is_a_short_visible_text_and_its_trace_if_it_is_one() {
        let of = |id: &str, trace: &str| {
            let mut fields = MetadataMap::new();
            fields.insert(REQUEST_ID, id.parse().unwrap());
            fields.insert(TRACEPARENT, trace.parse().unwrap());
            Context::of(&fields)
        };
        let known = of("r-1", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        assert_eq!(known.given_id(), Some("r-1"));
        assert_eq!(
            (known.id.as_str(), known.trace.trace_id().as_str()),
            ("r-1", "4bf92f3577b34da6a3ce929d0e0e4736")
        );
        for unusable in ["", "two words", &"x".repeat(129)] {
            let unknown = of(unusable, "damaged");
            assert_eq!((unknown.id.len(), unknown.given_id()), (36, None), "{unusable}");
        }
        let problem = Problem::new(Code::Internal, "for a test").with("trace_id", "a");
        let named = known.name(problem).extensions;
        assert_eq!((&named["request_id"], &named["trace_id"]), (&"r-1".into(), &"a".into()));
    }
}
