//! Lines of JSON.
//!
//! Promise: a line that is logged while a request or a batch is worked on says at its top which trace that is of, however deep in
//! libraries it comes from; so do the lines of a request whose trace is not sampled, and problems quote the same id.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// The field of a span that names the lines in it, as it stands among the span's fields.
const TRACE_ID: &str = "\"trace_id\":\"";
/// Digits of an id.
const DIGITS: usize = 32;

/// The library's lines, with the trace's id.
pub(super) struct JsonLines(Format<Json>);

impl JsonLines {
    pub(super) fn new() -> Self {
        Self(Format::default().json().flatten_event(true).with_current_span(true).with_span_list(false))
    }
}

impl<S> FormatEvent<S, JsonFields> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result
    where
        JsonFields: for<'a> FormatFields<'a>,
    {
        let mut spans = ctx.event_scope().into_iter().flatten();
        let Some(id) =
            spans.find_map(|span| trace_id(span.extensions().get::<FormattedFields<JsonFields>>()?))
        else {
            return self.0.format_event(ctx, writer, event);
        };
        let mut line = String::new();
        self.0.format_event(ctx, Writer::new(&mut line), event)?;
        match line.strip_prefix('{') {
            Some(rest) => write!(writer, "{{{TRACE_ID}{id}\",{rest}"),
            None => writer.write_str(&line),
        }
    }
}

fn trace_id(fields: &FormattedFields<JsonFields>) -> Option<String> {
    let (_, rest) = fields.fields.split_once(TRACE_ID)?;
    let id = rest.get(..DIGITS)?;
    id.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::super::{NAMES_LINES, TRACES_ONLY, TraceContext, is_traced, json_lines, level};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_says_its_trace_at_its_top_whatever_is_between_and_whatever_level_is_logged() {
        use tracing_subscriber::Layer;
        let lines = Lines::default();
        let writer = lines.clone();
        let (filter, _level) = level::filter("warn,library=debug").unwrap();
        let layer = json_lines(move || writer.clone()).with_filter(filter);
        let context = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00").unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::warn!("outside");
            let request = tracing::info_span!(target: NAMES_LINES, "request", request.id = "r-1", trace_id = tracing::field::Empty);
            context.name(&request);
            let _in_request = request.entered();
            let _only_for_traces = tracing::info_span!(target: TRACES_ONLY, "query").entered();
            let _of_a_library = tracing::debug_span!(target: "library", "call").entered();
            tracing::warn!(product.id = "p", "inside");
            tracing::info!("not logged");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let [outside, inside]: [serde_json::Value; 2] = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect::<Vec<_>>()
            .try_into()
            .unwrap_or_else(|_| panic!("{text}"));
        assert_eq!(
            (&outside["message"], &outside["trace_id"]),
            (&"outside".into(), &serde_json::Value::Null)
        );
        assert_eq!(
            (&inside["message"], &inside["trace_id"], &inside["product.id"]),
            (&"inside".into(), &"4bf92f3577b34da6a3ce929d0e0e4736".into(), &"p".into())
        );
    }

    #[test]
    fn who_asks_whether_it_is_traced_loses_no_line() {
        use tracing_subscriber::Layer;
        let lines = Lines::default();
        let writer = lines.clone();
        let (filter, _level) = level::filter("info").unwrap();
        let layer = json_lines(move || writer.clone()).with_filter(filter);
        let spans: Option<tracing_subscriber::fmt::Layer<_>> = None;
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer).with(spans), || {
            for _ in 0..3 {
                assert!(!is_traced());
                tracing::error!("a line");
            }
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 3, "{text}");
    }
}
