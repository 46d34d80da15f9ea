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
    let all: std::collections::BTreeSet<_> = names::ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(all.len(), names::ALL.len());
}

#[test]
fn every_metric_says_what_it_counts_and_its_kind_fits_its_name() {
    let telemetry = Telemetry::detached("tester").unwrap();
    let meter = telemetry.meter();
    for metric in names::ALL {
        assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
        assert!(!metric.name.ends_with("_seconds") || metric.help.contains("econds"), "{}", metric.name);
        // There from the start.
        if metric.name.starts_with("process_") {
            continue;
        }
        match metric.kind {
            Kind::Counter => meter.u64_counter(metric.name).build().add(1, &[]),
            Kind::Gauge => meter.u64_gauge(metric.name).build().record(1, &[]),
            Kind::Histogram(_) => meter.f64_histogram(metric.name).build().record(1.0, &[]),
        }
    }
    let text = telemetry.render_metrics().unwrap();
    for metric in names::ALL {
        assert!(text.contains(&format!("# HELP {} {}", metric.name, metric.help)), "{}: {text}", metric.name);
    }
}

#[test]
fn a_declared_series_is_zero_until_something_is_measured() {
    let telemetry = Telemetry::detached("tester").unwrap();
    telemetry.shows(names::COMMANDS_TOTAL, &[("outcome", "accepted"), ("transport", "http")]);
    telemetry.shows(names::COMMANDS_TOTAL, &[("outcome", "no_effect")]);
    telemetry.shows(names::COMMAND_SECONDS, &[]);
    telemetry.shows(names::PROJECTOR_LAG_RECORDS, &[("model", "search")]);
    let text = telemetry.render_metrics().unwrap();
    for line in [
        "# TYPE folio_commands_total counter",
        "folio_commands_total{outcome=\"accepted\",transport=\"http\"} 0",
        "folio_commands_total{outcome=\"no_effect\"} 0",
        "# TYPE folio_command_seconds histogram",
        "folio_command_seconds_bucket{le=\"0.005\"} 0",
        "folio_command_seconds_bucket{le=\"+Inf\"} 0",
        "folio_command_seconds_count 0",
        "folio_projector_lag_records{model=\"search\"} 0",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}: {text}");
    }
    let labels = [KeyValue::new("outcome", "no_effect"), KeyValue::new("transport", "grpc")];
    telemetry.meter().u64_counter(names::COMMANDS_TOTAL).build().add(3, &labels);
    telemetry.meter().f64_histogram(names::COMMAND_SECONDS).build().record(0.1, &[]);
    let text = telemetry.render_metrics().unwrap();
    assert!(text.contains("folio_commands_total{outcome=\"no_effect\",transport=\"grpc\"} 3"), "{text}");
    assert!(text.contains("folio_commands_total{outcome=\"accepted\",transport=\"http\"} 0"), "{text}");
    assert!(!text.contains("folio_commands_total{outcome=\"no_effect\"} 0"), "{text}");
    assert!(!text.lines().any(|it| it == "folio_command_seconds_count 0"), "{text}");
    assert_eq!(text.matches("# TYPE folio_commands_total").count(), 1);
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
