//! What a service tells about itself: logs, metrics and traces.
//!
//! Promises: metrics have exactly the names of [`names`], whatever library counts them; they cost no network; traces
//! leave the process only if an endpoint is configured; a trace context is passed on even then when it does not. What is not
//! sampled has no spans: whether it is, is decided once, where its trace begins, before anything is made for it.

mod level;
mod lines;
pub mod names;
mod otlp;
mod process;
mod sampling;
mod store;
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
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use prometheus::{Encoder, Registry, TextEncoder};
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, TelemetryConfig};

pub use level::LogLevel;
pub use sampling::Sampling;
pub use store::{StoreCall, failed, traced};
pub use trace::{TraceContext, is_traced};

use lines::JsonLines;
use names::Kind;
use zeros::Zeros;

/// The target of spans that only traces need: without an exporter they are off, and cost nothing.
pub const TRACES_ONLY: &str = "folio::traces";
/// The target of spans that traces show and that name the lines logged in them, whatever level is logged.
pub const NAMES_LINES: &str = "folio::work";

/// Why telemetry could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "cannot use telemetry.level `{level}`: {problem}; write a level such as info, or target=level pairs"
    )]
    Level { level: String, problem: String },
    #[error("cannot use telemetry.trace_ratio {0}: give a number from 0 (none) to 1 (all)")]
    Ratio(f64),
    #[error("another part of the process logs: it says at which level")]
    NotOurLogs,
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
    sampling: Sampling,
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
    let (filter, level) = level::filter(&config.level)?;
    global::set_text_map_propagator(TraceContextPropagator::new());
    global::set_meter_provider(telemetry.meters.clone());
    let started = match &telemetry.tracers {
        // A filter of its own for each layer is for two of them: with one it would cost more, and lose lines (see `is_traced`).
        None => tracing_subscriber::registry().with(filter).with(lines(config.log)).try_init(),
        Some(tracers) => {
            let lines = lines(config.log).with_filter(filter);
            tracing_subscriber::registry()
                .with(lines)
                .with(spans(tracers.tracer(service.to_owned())))
                .try_init()
        }
    };
    if started.is_ok() {
        level.of_the_process();
    } else {
        tracing::debug!(service, "the process's logs were started before: they stay as they are");
    }
    Ok(telemetry)
}

/// What writes the lines of the process.
fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    match format {
        LogFormat::Text => tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .boxed(),
        LogFormat::Json => json_lines(std::io::stderr).boxed(),
    }
}

/// What makes traces of spans, however little is logged: a trace is whole, or there is none. Of libraries it has lines, not spans.
fn spans<S>(tracer: SdkTracer) -> impl Layer<S>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    let is_ours = filter_fn(|it| {
        let is_wanted = !it.is_span() || [TRACES_ONLY, NAMES_LINES].contains(&it.target());
        // Whatever is logged beside it.
        is_wanted && *it.level() <= Level::INFO
    });
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        // What each of these would add costs time at every turn of a future, and says nothing of Folio.
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(is_ours.with_max_level_hint(LevelFilter::INFO))
}

/// Logs lines of JSON to `writer`.
fn json_lines<S, W>(writer: W) -> tracing_subscriber::fmt::Layer<S, JsonFields, JsonLines, W>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(JsonLines::new())
        .with_writer(writer)
}

impl Telemetry {
    /// Metrics alone, for a test or a tool.
    pub fn detached(service: &str) -> Result<Self, Error> {
        let resource = Resource::builder().with_service_name(service.to_owned()).build();
        Self::start(resource, &TelemetryConfig::default())
    }

    fn start(resource: Resource, config: &TelemetryConfig) -> Result<Self, Error> {
        let sampling = Sampling::new(config)?;
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
                        // What has a span is sampled, unless it is part of a trace that is not: see `Sampling`.
                        .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
                        .with_batch_exporter(exporter)
                        .build(),
                )
            }
        };
        let telemetry = Self { registry, meters, tracers, sampling, zeros: Zeros::default() };
        process::show(&telemetry.meter());
        Ok(telemetry)
    }

    /// Which traces are sampled, for who begins some.
    pub fn sampling(&self) -> Sampling {
        self.sampling
    }

    /// What decides which lines the process logs; none if another part of it does.
    pub fn log_level(&self) -> Option<&'static LogLevel> {
        LogLevel::get()
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
