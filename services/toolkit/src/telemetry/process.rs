//! What the process takes of its machine, under the names that every exporter of Prometheus gives it.
//!
//! Promises: it is read when metrics are, and only then; where the system does not tell it (Linux does, in `/proc`), it is not shown.

use std::fs;

use opentelemetry::metrics::Meter;

use super::names;

/// Ticks per second in `/proc`. The kernel counts otherwise inside, and tells 100 to everyone.
const TICKS: f64 = 100.0;

/// Reads what there is now.
type Read = fn() -> Option<u64>;

/// Shows it from now on.
pub(super) fn show(meter: &Meter) {
    let cpu = meter.f64_observable_counter(names::PROCESS_CPU_SECONDS_TOTAL);
    let cpu = cpu.with_callback(|it| stat(CPU).into_iter().for_each(|seconds| it.observe(seconds, &[])));
    let start = meter.f64_observable_gauge(names::PROCESS_START_TIME_SECONDS);
    let start = start.with_callback(|it| start_time().into_iter().for_each(|at| it.observe(at, &[])));
    // The provider keeps the callbacks; the handles have no further use.
    let _both = (cpu.build(), start.build());
    let gauges: [(&str, Read); 5] = [
        (names::PROCESS_RESIDENT_MEMORY_BYTES, || status("VmRSS:").map(|kib| kib * 1_024)),
        (names::PROCESS_VIRTUAL_MEMORY_BYTES, || status("VmSize:").map(|kib| kib * 1_024)),
        (names::PROCESS_THREADS, || status("Threads:")),
        // Without the one that reads them.
        (names::PROCESS_OPEN_FDS, || {
            Some((fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1))
        }),
        (names::PROCESS_MAX_FDS, max_fds),
    ];
    for (name, read) in gauges {
        let gauge = meter.u64_observable_gauge(name);
        let _gauge =
            gauge.with_callback(move |it| read().into_iter().for_each(|now| it.observe(now, &[]))).build();
    }
}

/// A line of `/proc/self/status`.
fn status(line: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|it| it.strip_prefix(line))?;
    value.split_whitespace().next()?.parse().ok()
}

/// Of the fields of `/proc/self/stat` behind the program's name: time in user mode and in the kernel,
const CPU: &[usize] = &[11, 12];
/// and when it was started, after the machine.
const STARTED: &[usize] = &[19];

/// The sum of some fields, in seconds.
fn stat(fields: &[usize]) -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name stands in parentheses, and may hold anything.
    let behind: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.iter().map(|field| behind.get(*field)?.parse::<f64>().ok());
    Some(ticks.sum::<Option<f64>>()? / TICKS)
}

fn start_time() -> Option<f64> {
    let machine = fs::read_to_string("/proc/stat").ok()?;
    let since = machine.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse::<f64>().ok()?;
    Some(since + stat(STARTED)?)
}

fn max_fds() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    limit.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::super::Telemetry;
    use super::*;

    #[test]
    fn the_process_tells_what_it_takes_and_it_is_plausible() {
        let text = Telemetry::detached("tester").unwrap().render_metrics().unwrap();
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
            line.unwrap_or_else(|| panic!("{name}: {text}")).parse::<f64>().unwrap()
        };
        assert!((1e6..1e12).contains(&value(names::PROCESS_RESIDENT_MEMORY_BYTES)));
        assert!(value(names::PROCESS_VIRTUAL_MEMORY_BYTES) >= value(names::PROCESS_RESIDENT_MEMORY_BYTES));
        assert!((1.0..10_000.0).contains(&value(names::PROCESS_THREADS)));
        assert!((3.0..value(names::PROCESS_MAX_FDS)).contains(&value(names::PROCESS_OPEN_FDS)));
        assert!((0.0..1e6).contains(&value(names::PROCESS_CPU_SECONDS_TOTAL)));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let age = now - value(names::PROCESS_START_TIME_SECONDS);
        assert!((-2.0..86_400.0).contains(&age), "{age}");
        assert!(text.contains("# TYPE process_cpu_seconds_total counter"), "{text}");
    }
}
