//! Pages of memory, as the kernel gives them.

/// Takes no huge pages from now on: the allocator asks for them, and where a process has had much in use for a moment, or mostly waits,
/// most of each is empty. Costs nothing that was measured (docs/benchmarks.md).
pub fn take_small() {
    if let Err(error) = nix::sys::prctl::set_thp_disable(true) {
        tracing::debug!(%error, "this kernel has no huge pages to do without");
    }
}
