use super::*;

#[test]
fn metrics_keep_their_names_and_durations_get_buckets_of_seconds() {
    let telemetry = Telemetry::detached("tester").unwrap();
    let meter = telemetry.meter();
    meter.u64_counter(names::COMMANDS_TOTAL).build().add(2, &[KeyValue::new("outcome", "accepted")]);
    meter.f64_histogram(names::COMMAND_SECONDS).with_unit("s").build().record(0.0004, &[]);
    meter.i64_gauge(names::PROJECTOR_LAG_RECORDS).build().record(7, &[]);
    let text = telemetry.render_metrics().unwrap();
    assert!(text.contains("folio_commands_total{outcome=\"accepted\"} 2"), "{text}");
    assert!(text.contains("folio_command_seconds_bucket{le=\"0.0005\"} 1"), "{text}");
    assert!(text.contains("folio_projector_lag_records 7"), "{text}");
    assert!(!text.contains("otel_scope"), "{text}");
}

#[test]
fn no_name_is_given_twice() {
    let mut all = names::ALL.to_vec();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), names::ALL.len());
}

#[test]
fn a_trace_context_reads_what_it_writes_and_refuses_what_is_malformed() {
    let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(TraceContext::parse(header).unwrap().to_string(), header);
    assert_eq!(TraceContext::parse(header).unwrap().trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    for malformed in [
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
    ] {
        assert_eq!(TraceContext::parse(malformed), None, "{malformed}");
    }
    assert_ne!(TraceContext::incoming(Some("nonsense")), TraceContext::incoming(None));
}

#[test]
fn without_an_exporter_the_context_passes_through() {
    let context = TraceContext::new();
    assert_eq!(context.adopt(&tracing::info_span!("request")), context);
}
