//! Free ports on loopback. Promises not to hand one out twice in a process, and to stay out of the range from which the
//! kernel takes ports for outgoing connections: a client that reconnects in a loop to a dead server in that range can
//! connect to itself, and the server never gets its port back.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::bail;

const FIRST: u32 = 12_000;
const PORTS: u32 = 18_000;

/// A port that nothing listens on now, below the kernel's range for outgoing connections.
///
/// # Errors
/// If all of them are taken.
pub fn free_port() -> anyhow::Result<u16> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    static START: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    let start = START.get_or_init(random);
    for _ in 0..PORTS {
        let step = u64::from(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + (start.wrapping_add(step) % u64::from(PORTS)) as u32;
        let port = port as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port on 127.0.0.1 from {FIRST} to {}", FIRST + PORTS)
}

/// A number that differs from process to process and from call to call; not for secrets.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
