//! The resident memory of a process, in bytes, as the kernel counts it.

use anyhow::Context;

/// Now.
///
/// # Errors
/// If there is no such process.
pub fn resident(pid: i32) -> anyhow::Result<u64> {
    field(pid, "VmRSS:")
}

/// The most it ever was.
///
/// # Errors
/// If there is no such process.
pub fn peak(pid: i32) -> anyhow::Result<u64> {
    field(pid, "VmHWM:")
}

fn field(pid: i32, name: &str) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let line = status.lines().find(|line| line.starts_with(name)).context("no such field")?;
    let kib: u64 = line.split_whitespace().nth(1).unwrap_or_default().parse()?;
    Ok(kib * 1_024)
}
