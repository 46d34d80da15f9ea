//! The section `limits` of a service's configuration: how much one caller may have.

use serde::{Deserialize, Serialize};
use toolkit::config::Unusable;

/// What one caller may have of this process. 0 of any of them: as much as there is. The defaults are generous: they keep one caller from
/// taking everything, and no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Requests and calls in a second, in the long run. More are answered `too-many-requests`.
    pub requests_per_second: u32,
    /// How many may come at once after a while without any.
    pub burst: u32,
    /// Commands of uploads and streams in a second. More are not refused: they are read no faster.
    pub upload_commands_per_second: u32,
    /// Requests and calls in flight at once: those that wait for a read model, uploads and streams among them. More are answered
    /// `too-many-requests`.
    pub in_flight: usize,
    /// Memory for what its requests hold that arrive or are being answered, in MiB. More are answered `too-many-requests`.
    pub bytes_mib: usize,
    /// Connections that one address may have at once, over HTTP and over gRPC each. The next ones are closed.
    pub connections_per_peer: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            requests_per_second: 20_000,
            burst: 20_000,
            upload_commands_per_second: 0,
            in_flight: 4_096,
            bytes_mib: 64,
            connections_per_peer: 5_000,
        }
    }
}

impl LimitsConfig {
    /// Finds what parses and makes no sense.
    ///
    /// # Errors
    /// Which key it is.
    pub fn check(&self) -> Result<(), Unusable> {
        if self.requests_per_second > 0 && self.burst == 0 {
            return Err(Unusable::new(
                "limits.burst",
                "it is 0: no request at all would be let in",
                "give at least 1, or 0 as limits.requests_per_second for any number",
            ));
        }
        Ok(())
    }
}
