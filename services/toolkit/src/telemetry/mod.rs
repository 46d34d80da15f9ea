//! What a service tells about itself: logs, metrics and traces.
//!
//! Promises: metrics have exactly the names of [`names`], whatever library counts them; they cost no network; traces
//! leave the process only if an endpoint is configured; a trace context is passed on even then when it does not.

pub mod names;
mod otlp;
#[cfg(test)]
mod tests;
mod trace;
mod zeros;

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::trace::TracerProvider;
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, SdkMeterProvider, Stream};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::{Encoder, Registry, TextEncoder};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::{LogFormat, TelemetryConfig};

pub use trace::TraceContext;

use names::Kind;
use zeros::Zeros;

/// The target of spans that only traces need: without an exporter they are off, and cost nothing.
pub const TRACES_ONLY: &str = "folio::traces";

/// Why telemetry could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "cannot use telemetry.level `{level}`: {problem}; write a level such as info, or target=level pairs"
    )]
    Level { level: String, problem: String },
    #[error("cannot export traces to telemetry.otlp_endpoint `{endpoint}`: {problem}")]
    Endpoint { endpoint: String, problem: String },
    #[error("cannot collect metrics: {0}")]
    Metrics(String),
}

/// The running telemetry of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Telemetry {
    registry: Registry,
    meters: SdkMeterProvider,
    tracers: Option<SdkTracerProvider>,
    zeros: Zeros,
}

/// Starts logs, metrics and, if an endpoint is configured, traces, for the process.
///
/// Call it once, inside a tokio runtime if traces are exported. A second call (tests, several services in one process)
/// gets its own metrics and keeps the first call's logs.
pub fn init(service: &str, config: &TelemetryConfig) -> Result<Telemetry, Error> {
    let resource = Resource::builder()
        .with_service_name(service.to_owned())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let telemetry = Telemetry::start(resource, config)?;
    let traces = if config.otlp_endpoint.is_some() { "info" } else { "off" };
    let filter = EnvFilter::try_new(format!("{},{TRACES_ONLY}={traces}", config.level))
        .map_err(|error| Error::Level { level: config.level.clone(), problem: error.to_string() })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match config.log {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
        }
    };
    let spans = telemetry
        .tracers
        .as_ref()
        // However little is logged: a trace is whole, or there is none.
        .map(|tracers| {
            tracing_opentelemetry::layer()
                .with_tracer(tracers.tracer(service.to_owned()))
                .with_filter(LevelFilter::INFO)
        });
    global::set_text_map_propagator(TraceContextPropagator::new());
    global::set_meter_provider(telemetry.meters.clone());
    if tracing_subscriber::registry().with(lines.with_filter(filter)).with(spans).try_init().is_err() {
        tracing::debug!(service, "the process's logs were started before: they stay as they are");
    }
    Ok(telemetry)
}

impl Telemetry {
    /// Metrics alone, for a test or a tool.
    pub fn detached(service: &str) -> Result<Self, Error> {
        let resource = Resource::builder().with_service_name(service.to_owned()).build();
        Self::start(resource, &TelemetryConfig::default())
    }

    fn start(resource: Resource, config: &TelemetryConfig) -> Result<Self, Error> {
        let registry = Registry::new();
        // The names in `names` are whole: nothing may be added to them.
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_units()
            .without_counter_suffixes()
            .scope_info_enabled(false)
            .build()
            .map_err(|error| Error::Metrics(error.to_string()))?;
        let meters = SdkMeterProvider::builder()
            .with_resource(resource.clone())
            .with_reader(exporter)
            .with_view(described)
            .build();
        let tracers = match &config.otlp_endpoint {
            None => None,
            Some(endpoint) => {
                let exporter = otlp::exporter(endpoint, config)
                    .map_err(|problem| Error::Endpoint { endpoint: endpoint.clone(), problem })?;
                Some(
                    SdkTracerProvider::builder()
                        .with_resource(resource)
                        .with_batch_exporter(exporter)
                        .build(),
                )
            }
        };
        Ok(Self { registry, meters, tracers, zeros: Zeros::default() })
    }

    /// Where instruments are made; each shows up in [`Telemetry::render_metrics`].
    pub fn meter(&self) -> Meter {
        self.meters.meter("folio")
    }

    /// Shows a series from now on, as zero until something with its labels is measured: its rate is then right from the first
    /// event on, and an alert can tell "none" from "unknown".
    pub fn shows(&self, name: &str, labels: &[(&str, &str)]) {
        self.zeros.declare(name, labels);
    }

    /// Shows such a series of each of these metrics.
    pub fn show_all(&self, names: &[&str], labels: &[(&str, &str)]) {
        for name in names {
            self.shows(name, labels);
        }
    }

    /// All metrics in Prometheus' text format.
    pub fn render_metrics(&self) -> Result<String, Error> {
        let mut text = Vec::new();
        let mut families = self.registry.gather();
        self.zeros.add_to(&mut families);
        TextEncoder::new().encode(&families, &mut text).map_err(|error| Error::Metrics(error.to_string()))?;
        String::from_utf8(text).map_err(|error| Error::Metrics(error.to_string()))
    }

    /// Hands over the last traces. Blocks up to some seconds: not for a tokio worker.
    pub fn shutdown(&self) {
        if let Some(tracers) = &self.tracers
            && let Err(error) = tracers.shutdown()
        {
            tracing::warn!(%error, "the last traces could not be exported");
        }
    }
}

/// What [`names`] says of a metric goes with it, whoever made the instrument.
fn described(instrument: &Instrument) -> Option<Stream> {
    let metric = names::find(instrument.name())?;
    let stream = Stream::builder().with_description(metric.help);
    let stream = match metric.kind {
        Kind::Counter | Kind::Gauge => stream,
        Kind::Histogram(bounds) => stream.with_aggregation(Aggregation::ExplicitBucketHistogram {
            boundaries: bounds.to_vec(),
            record_min_max: false,
        }),
    };
    stream.build().ok()
}
