//! The W3C trace context: taken from a request, passed on in a record or a call, with or without an exporter.

use std::fmt;

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Where in which trace something happens: the header `traceparent` as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    sampled: bool,
    /// Whether someone but this process knows the trace: who sent it, or where it is exported to.
    known_elsewhere: bool,
}

impl TraceContext {
    /// The context of an incoming request: its header if that is well formed, else a new trace.
    pub fn incoming(traceparent: Option<&str>) -> Self {
        traceparent.and_then(Self::parse).unwrap_or_default()
    }

    /// A new trace of random id, which is not sampled unless [`super::Sampling`] says so.
    pub fn new() -> Self {
        Self {
            trace_id: rand::random::<u128>().max(1),
            span_id: rand::random::<u64>().max(1),
            sampled: false,
            known_elsewhere: false,
        }
    }

    /// Reads a `traceparent` header; none if it is malformed, as the standard wants it.
    pub fn parse(traceparent: &str) -> Option<Self> {
        let mut parts = traceparent.trim().split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |text: &str, len| {
            text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        // A later version may add parts; version 00 has four; ff is forbidden.
        let known = hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
        if !(known && hex(trace, 32) && hex(span, 16) && hex(flags, 2)) {
            return None;
        }
        let context = Self {
            trace_id: u128::from_str_radix(trace, 16).ok()?,
            span_id: u64::from_str_radix(span, 16).ok()?,
            sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1,
            known_elsewhere: true,
        };
        (context.trace_id != 0 && context.span_id != 0).then_some(context)
    }

    /// The context of `span`, if traces are exported.
    pub fn of(span: &Span) -> Option<Self> {
        let context = span.context();
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| Self {
            trace_id: u128::from_be_bytes(span.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(span.span_id().to_bytes()),
            sampled: span.is_sampled(),
            known_elsewhere: true,
        })
    }

    /// The context, with what `decide` says of its trace's id, if the trace began here.
    pub(super) fn begun_here(self, decide: impl FnOnce(u128) -> bool) -> Self {
        if self.known_elsewhere { self } else { Self { sampled: decide(self.trace_id), ..self } }
    }

    /// Whether the spans of its trace are kept.
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// Makes `span` a child of this context, or the first of its trace if that begins here; without an exporter this does
    /// nothing. Returns what to pass on: the span's own context if it is sampled, else this one.
    #[must_use = "what to pass on"]
    pub fn adopt(self, span: &Span) -> Self {
        if span.is_disabled() {
            return self;
        }
        // Of a trace that begins here and is sampled nobody has seen a span yet: it begins with this one. (One that is not sampled
        // gets a parent, so that what is inside is not sampled either.)
        if self.known_elsewhere || !self.sampled {
            let context = opentelemetry::Context::new().with_remote_span_context(self.remote());
            if span.set_parent(context).is_err() {
                return self;
            }
        }
        Self::of(span).filter(|its| its.sampled).unwrap_or(self)
    }

    /// Says in `span` that what it shows belongs to this context too.
    pub fn link_to(self, span: &Span) {
        span.add_link(self.remote());
    }

    fn remote(self) -> SpanContext {
        SpanContext::new(
            TraceId::from_bytes(self.trace_id.to_be_bytes()),
            SpanId::from_bytes(self.span_id.to_be_bytes()),
            if self.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() },
            true,
            TraceState::default(),
        )
    }

    /// Says in `span`, which has a field `trace_id`, which trace it is of: for the lines that it names.
    pub fn name(&self, span: &Span) {
        if !span.is_disabled() {
            span.record("trace_id", tracing::field::display(format_args!("{:032x}", self.trace_id)));
        }
    }

    /// This context, unless it was made here and nobody else knows of it: then there is nothing to pass on.
    pub fn if_known_elsewhere(self) -> Option<Self> {
        self.known_elsewhere.then_some(self)
    }

    /// The trace's id as 32 hexadecimal digits, as problems and logs quote it.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }
}

/// Whether the span that is entered is of a sampled trace, which is exported. (Not with `span_enabled!`: where layers have filters of their
/// own, to ask and then not make the span loses the thread's next line.)
pub fn is_traced() -> bool {
    TraceContext::of(&Span::current()).is_some_and(|context| context.sampled)
}

impl Default for TraceContext {
    fn default() -> Self {
        Self::new()
    }
}

/// The header `traceparent`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}
