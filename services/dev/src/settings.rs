//! What the services are told beside where they are. Promises the names that they have on servers, so that a setting is the same
//! setting here; and that one which makes no sense here is an error and is not passed over.

use command_service::{CacheConfig, EngineConfig, OverloadConfig, UploadsConfig};
use edge::auth::AuthConfig;
use edge::config::DoorConfig;
use edge::limits::LimitsConfig;
use persons::PrivacyConfig;
use projector::{BatchConfig, RebuildConfig};
use query_gateway::QueriesConfig;
use serde::{Deserialize, Serialize};
use toolkit::config::{ConfigError, ShutdownConfig, TelemetryConfig};
use toolkit::tls::ServerTlsConfig;

/// Memory of a projector for products' states, in MiB.
const STATES_MIB: usize = 32;
/// How long the gateway may take to follow a switch, in milliseconds; it is told much sooner than one on servers.
const LEASE_MS: u64 = 250;
/// It believes what it was told for 100.
const MIN_LEASE_MS: u64 = 150;
/// Memory of the command service for products, in MiB, and how many those are.
const HOT: (usize, usize) = (64, 12_000);

/// All that can be set by file and environment; the defaults suit one machine that does other things too. Of a section of which
/// something is given, the rest is as on servers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    // Of all of it.
    pub telemetry: TelemetryConfig,
    pub shutdown: ShutdownConfig,
    /// Callers are not checked, unless something is said of them.
    pub auth: AuthConfig,
    pub limits: LimitsConfig,
    /// The keys of persons lie in the data directory.
    pub privacy: PrivacyConfig,
    pub http: DoorConfig,
    /// TLS of the operators' port; that of the others is `http.tls`.
    pub ops_tls: ServerTlsConfig,
    // Of the command service. Without `cache.dir` the cache lies in the data directory.
    pub engine: EngineConfig,
    pub cache: CacheConfig,
    pub overload: OverloadConfig,
    pub uploads: UploadsConfig,
    // Of the projectors.
    /// What the ids of their groups begin with. With another one they read the log again from zero.
    pub group_prefix: String,
    pub batch: BatchConfig,
    pub rebuild: RebuildConfig,
    /// See [`projector::Config::durability_window_ms`].
    pub durability_window_ms: u64,
    /// Of the query gateway. Its `group_prefix` is the projectors', and need not be given.
    pub queries: QueriesConfig,
}

impl Default for Settings {
    fn default() -> Self {
        let commands = command_service::Config::default();
        let projectors = projector::Config::default();
        // Who copies a command that was printed says nothing of waiting, and the one they wait for is this process: a busy
        // machine makes it slow, not absent.
        let queries = QueriesConfig::default();
        let (hot_mib, hot_products) = HOT;
        Self {
            telemetry: TelemetryConfig::default(),
            shutdown: ShutdownConfig::default(),
            auth: AuthConfig::anonymous(),
            limits: LimitsConfig::default(),
            privacy: PrivacyConfig::default(),
            http: commands.http,
            ops_tls: ServerTlsConfig::default(),
            engine: commands.engine,
            cache: CacheConfig { hot_mib, hot_products, ..commands.cache },
            overload: commands.overload,
            uploads: commands.uploads,
            group_prefix: projectors.group_prefix,
            batch: BatchConfig { states_mib: STATES_MIB, ..projectors.batch },
            rebuild: RebuildConfig { lease_ms: LEASE_MS, ..projectors.rebuild },
            durability_window_ms: projectors.durability_window_ms,
            queries: QueriesConfig { default_wait_ms: queries.max_wait_ms, ..queries },
        }
    }
}

impl Settings {
    /// As the command service has them.
    pub(crate) fn commands(&self) -> command_service::Config {
        command_service::Config {
            auth: self.auth.clone(),
            limits: self.limits.clone(),
            http: self.http.clone(),
            engine: self.engine.clone(),
            cache: self.cache.clone(),
            overload: self.overload.clone(),
            uploads: self.uploads.clone(),
            ..command_service::Config::default()
        }
    }

    /// As the projector of a read model has them.
    pub(crate) fn projector(&self, read_model: read_models::ReadModel) -> projector::Config {
        projector::Config {
            read_model: read_model.to_string(),
            auth: self.auth.clone(),
            limits: self.limits.clone(),
            group_prefix: self.group_prefix.clone(),
            batch: self.batch.clone(),
            rebuild: self.rebuild.clone(),
            durability_window_ms: self.durability_window_ms,
            ..projector::Config::default()
        }
    }

    /// Refuses what makes no sense together.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let sections = [
            self.http.tls.check("http.tls"),
            self.privacy.check(),
            self.ops_tls.check("ops_tls"),
            self.auth.check(self.http.tls.client_ca_file.is_some()),
            self.limits.check(),
        ];
        toolkit::config::usable(crate::SERVICE, sections)?;
        let least = [("rebuild.lease_ms", self.rebuild.lease_ms, MIN_LEASE_MS)];
        toolkit::config::at_least(crate::SERVICE, least)?;
        let its = &self.queries.group_prefix;
        if *its == self.group_prefix || *its == QueriesConfig::default().group_prefix {
            return Ok(());
        }
        let problem = format!(
            "is {its:?}, and `group_prefix` is {:?}: a read would wait for projectors that are not here",
            self.group_prefix
        );
        let remedy = "give `group_prefix` alone";
        Err(ConfigError::invalid(crate::SERVICE, "queries.group_prefix", problem, remedy))
    }

    /// As the query gateway has them.
    pub(crate) fn queries(&self) -> query_gateway::Config {
        let http = self.http.clone();
        let queries = QueriesConfig { group_prefix: self.group_prefix.clone(), ..self.queries.clone() };
        let (auth, limits) = (self.auth.clone(), self.limits.clone());
        query_gateway::Config { auth, limits, http, queries, ..query_gateway::Config::default() }
    }
}
