//! The resident memory of a process, in megabytes (of 1,000,000 bytes), as the kernel counts it.

use anyhow::Context;

/// Now.
pub(crate) fn resident(pid: i32) -> anyhow::Result<f64> {
    field(pid, "VmRSS:")
}

/// The most it ever was.
pub(crate) fn peak(pid: i32) -> anyhow::Result<f64> {
    field(pid, "VmHWM:")
}

fn field(pid: i32, name: &str) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let line = status.lines().find(|line| line.starts_with(name)).context("no such field")?;
    let kib: f64 = line.split_whitespace().nth(1).unwrap_or_default().parse()?;
    Ok(kib * 1_024.0 / 1e6)
}
