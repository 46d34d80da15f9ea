//! The processor time of a process, all its threads included (librdkafka's too), as the kernel counts it.

use std::time::Duration;

use anyhow::Context;

/// Linux tells times of `/proc` in hundredths of a second, whatever the kernel's own tick is.
const TICK: Duration = Duration::from_millis(10);

/// User and system time of `pid` so far.
pub(crate) fn of(pid: i32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    // The second field is the program's name in parentheses, which may hold anything; these count from the third.
    let fields: Vec<&str> = stat.rsplit_once(')').context("no name in stat")?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|it| it.parse::<u32>().ok()).context("a field of stat");
    Ok(TICK * (ticks(11)? + ticks(12)?))
}

/// This process.
pub(crate) fn own() -> anyhow::Result<Duration> {
    of(i32::try_from(std::process::id())?)
}

/// `spent` for each of `commands`, in microseconds.
pub(crate) fn each_us(spent: Duration, commands: usize) -> f64 {
    spent.as_secs_f64() * 1e6 / commands as f64
}
