//! A collector of traces of the test's own. Promise: it keeps every span it is sent, as it is sent, and judges none.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1 as wire;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// A span, with its ids as headers write them.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub trace: String,
    pub id: String,
    /// Empty: it is the first of its trace.
    pub parent: String,
    pub name: String,
    pub kind: SpanKind,
    /// Which service it is of.
    pub service: String,
    /// As texts.
    pub attributes: BTreeMap<String, String>,
    /// Trace and span that it belongs to beside.
    pub links: Vec<(String, String)>,
    pub is_error: bool,
}

impl Span {
    /// An attribute; empty if it has none of this name.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// Takes spans from whoever sends some. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    endpoint: String,
}

impl Collector {
    /// Listens until the runtime ends.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let collector = Self { spans: Arc::default(), endpoint };
        let server =
            tonic::transport::Server::builder().add_service(TraceServiceServer::new(collector.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Ok(collector)
    }

    /// Where it listens: `telemetry.otlp_endpoint`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What was sent so far.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same of one trace.
    pub fn of_trace(&self, trace: &str) -> Vec<Span> {
        self.spans().into_iter().filter(|span| span.trace == trace).collect()
    }
}

/// Spans of one trace as lines: each below the one it is in, further in, as `describe` writes it, in the order of the texts.
/// What is below nothing but `root`'s is not among them.
pub fn tree(spans: &[Span], root: &str, describe: impl Fn(&Span) -> String) -> Vec<String> {
    let mut lines = Vec::new();
    below(spans, root, 0, &describe, &mut lines);
    lines
}

fn below(
    spans: &[Span],
    parent: &str,
    depth: usize,
    describe: &impl Fn(&Span) -> String,
    lines: &mut Vec<String>,
) {
    let mut children: Vec<&Span> = spans.iter().filter(|span| span.parent == parent).collect();
    children.sort_by_key(|span| describe(span));
    for child in children {
        lines.push(format!("{}{}", "  ".repeat(depth), describe(child)));
        below(spans, &child.id, depth + 1, describe, lines);
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut taken = Vec::new();
        for resource in request.into_inner().resource_spans {
            let attributes = texts(resource.resource.map(|it| it.attributes).unwrap_or_default());
            let service = attributes.get("service.name").cloned().unwrap_or_default();
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            taken.extend(spans.map(|span| read(span, &service)));
        }
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).extend(taken);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn read(span: wire::Span, service: &str) -> Span {
    Span {
        kind: span.kind(),
        is_error: span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        name: span.name,
        service: service.to_owned(),
        attributes: texts(span.attributes),
        links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a String takes everything");
    }
    text
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes.into_iter().map(|it| (it.key, text(it.value.and_then(|AnyValue { value }| value)))).collect()
}

fn text(value: Option<Value>) -> String {
    match value {
        None => String::new(),
        Some(Value::StringValue(text)) => text,
        Some(Value::BoolValue(is)) => is.to_string(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(other) => format!("{other:?}"),
    }
}
