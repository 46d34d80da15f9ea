//! The count of a gRPC server's calls. Promises that every call is counted once, also one that no method saw, and that no
//! label holds what a caller made up.

use std::time::Instant;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use tonic::Code;

use toolkit::telemetry::names;

/// Counts the calls of a service, by its methods. Of what else is called (health, reflection, what does not exist) only
/// failures count, as method `none`: probes would outnumber everything.
#[derive(Clone, Debug)]
pub struct Calls {
    requests: Counter<u64>,
    seconds: Histogram<f64>,
    service: &'static str,
    methods: &'static [&'static str],
}

impl Calls {
    /// Of the service of this full name.
    pub fn new(meter: &Meter, service: &'static str, methods: &'static [&'static str]) -> Self {
        let requests = meter.u64_counter(names::GRPC_REQUESTS_TOTAL).build();
        let seconds = meter.f64_histogram(names::GRPC_REQUEST_SECONDS).build();
        Self { requests, seconds, service, methods }
    }

    /// The method a path names.
    pub(crate) fn method(&self, path: &str) -> Option<&'static str> {
        let name = path.strip_prefix('/')?.strip_prefix(self.service)?.strip_prefix('/')?;
        self.methods.iter().find(|method| **method == name).copied()
    }

    /// A call was answered, or its stream of answers began.
    pub(crate) fn answered(&self, method: Option<&'static str>, code: Code, since: Instant) {
        let method = match method {
            Some(method) => method,
            None if code == Code::Ok => return,
            None => "none",
        };
        let labels = [KeyValue::new("method", method), KeyValue::new("code", format!("{code:?}"))];
        self.requests.add(1, &labels);
        self.seconds.record(since.elapsed().as_secs_f64(), &labels[..1]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toolkit::telemetry::Telemetry;

    #[test]
    fn only_methods_that_are_known_are_labels() {
        let telemetry = Telemetry::detached("tester").unwrap();
        let calls = Calls::new(&telemetry.meter(), "shop.v1.Orders", &["Take", "Drop"]);
        let since = Instant::now();
        for (path, code) in [
            ("/shop.v1.Orders/Take", Code::Ok),
            ("/shop.v1.Orders/Take", Code::InvalidArgument),
            ("/shop.v1.Orders/Invented1", Code::Unimplemented),
            ("/Invented2/Take", Code::Unimplemented),
            ("/grpc.health.v1.Health/Check", Code::Ok),
            ("", Code::Ok),
        ] {
            calls.answered(calls.method(path), code, since);
        }
        let told = telemetry.render_metrics().unwrap();
        assert!(!told.contains("Invented"), "{told}");
        for series in [
            "code=\"Ok\",method=\"Take\"} 1",
            "code=\"InvalidArgument\",method=\"Take\"} 1",
            "code=\"Unimplemented\",method=\"none\"} 2",
        ] {
            assert!(told.contains(&format!("folio_grpc_requests_total{{{series}")), "{series}: {told}");
        }
        let series = told.lines().filter(|line| line.starts_with("folio_grpc_requests_total{")).count();
        assert_eq!(series, 3, "{told}");
    }
}
