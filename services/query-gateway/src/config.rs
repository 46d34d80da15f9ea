//! The gateway's configuration: where it listens, where the stores are, how long a read may wait.

use std::time::Duration;

use adapter_cql::CqlConfig;
use adapter_search::SearchConfig;
use edge::auth::AuthConfig;
use edge::config::DoorConfig;
use edge::limits::LimitsConfig;
use persons::PrivacyConfig;
use serde::{Deserialize, Serialize};
use toolkit::config::{ConfigError, ListenConfig, ShutdownConfig, TelemetryConfig};

/// The service's name in configuration errors, logs, metrics and traces.
pub const SERVICE: &str = "query-gateway";

/// All that can be set; the defaults suit one machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub listen: ListenConfig,
    pub auth: AuthConfig,
    pub limits: LimitsConfig,
    pub privacy: PrivacyConfig,
    pub http: DoorConfig,
    pub cql: CqlConfig,
    pub search: SearchConfig,
    pub queries: QueriesConfig,
    pub telemetry: TelemetryConfig,
    pub shutdown: ShutdownConfig,
}

/// How queries are answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueriesConfig {
    /// What the names of the projectors' consumer groups begin with: whose positions tell how far a read model is.
    pub group_prefix: String,
    /// How long a read with a consistency token waits if the caller prefers nothing, in milliseconds.
    pub default_wait_ms: u64,
    /// The longest wait a caller can have, in milliseconds.
    pub max_wait_ms: u64,
    /// How long a store may take to answer one question, in milliseconds.
    pub store_timeout_ms: u64,
    /// How often a store is asked whether it is there, in milliseconds.
    pub probe_interval_ms: u64,
    /// Queries in flight at once, without those that wait for a read model. More are answered `overloaded`.
    pub max_in_flight: usize,
    /// Queries that wait for a read model at once. More are answered `overloaded`.
    pub max_waiting: usize,
}

impl Default for QueriesConfig {
    fn default() -> Self {
        Self {
            group_prefix: "folio".to_owned(),
            default_wait_ms: 2_000,
            max_wait_ms: 30_000,
            store_timeout_ms: 3_000,
            probe_interval_ms: 1_000,
            max_in_flight: 4_096,
            max_waiting: 2_048,
        }
    }
}

impl QueriesConfig {
    pub(crate) fn default_wait(&self) -> Duration {
        Duration::from_millis(self.default_wait_ms)
    }

    pub(crate) fn max_wait(&self) -> Duration {
        Duration::from_millis(self.max_wait_ms)
    }

    pub(crate) fn store_timeout(&self) -> Duration {
        Duration::from_millis(self.store_timeout_ms)
    }

    pub(crate) fn probe_interval(&self) -> Duration {
        Duration::from_millis(self.probe_interval_ms)
    }
}

impl Config {
    /// Finds what parses and yet cannot serve.
    pub fn check(&self) -> Result<(), ConfigError> {
        let queries = &self.queries;
        let positive = [
            ("queries.store_timeout_ms", queries.store_timeout_ms),
            ("queries.probe_interval_ms", queries.probe_interval_ms),
            ("queries.max_in_flight", queries.max_in_flight as u64),
            ("queries.max_waiting", queries.max_waiting as u64),
        ];
        let least = positive.map(|(key, value)| (key, value, 1));
        toolkit::config::at_least(SERVICE, least.into_iter().chain(self.http.least()))?;
        let sections = [
            self.cql.check(),
            self.search.check(),
            self.privacy.check(),
            self.http.tls.check("http.tls"),
            self.auth.check(self.http.tls.client_ca_file.is_some()),
            self.limits.check(),
            self.listen.ops_tls.check("listen.ops_tls"),
        ];
        toolkit::config::usable(SERVICE, sections)?;
        if queries.default_wait_ms > queries.max_wait_ms {
            return Err(ConfigError::invalid(
                SERVICE,
                "queries.default_wait_ms",
                format!("{} is more than queries.max_wait_ms", queries.default_wait_ms),
                format!("give at most {}", queries.max_wait_ms),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_serve() {
        Config::default().check().unwrap();
    }

    #[test]
    fn what_cannot_serve_is_named() {
        let mut config = Config::default();
        config.queries.store_timeout_ms = 0;
        assert!(config.check().unwrap_err().to_string().contains("queries.store_timeout_ms"));
        let mut config = Config::default();
        config.http.workers = 0;
        assert!(config.check().unwrap_err().to_string().contains("http.workers"));
        let mut config = Config::default();
        config.queries.default_wait_ms = 60_000;
        assert!(config.check().unwrap_err().to_string().contains("at most 30000"));
    }
}
