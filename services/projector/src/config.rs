//! The projector's configuration: its own keys beside the sections all services share.

use adapter_cql::CqlConfig;
use adapter_kafka::KafkaConfig;
use adapter_registry::RegistryConfig;
use adapter_search::SearchConfig;
use edge::auth::AuthConfig;
use edge::limits::LimitsConfig;
use read_models::{Generation, ReadModel, Unknown};
use serde::{Deserialize, Serialize};
use toolkit::config::{ConfigError, ListenConfig, ShutdownConfig, TelemetryConfig};

/// The service's name in configuration errors, logs, metrics and traces.
pub const SERVICE: &str = "projector";

/// All that can be set; the defaults suit one machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which read model to build: one of [`ReadModel::ALL`].
    pub read_model: String,
    /// What the consumer groups' ids begin with: `<prefix>.<read model>.g<generation>`.
    pub group_prefix: String,
    /// The topic that holds the events.
    pub topic: String,
    /// The topic that holds the decisions about builds: which are made, and which is read.
    pub control_topic: String,
    pub batch: BatchConfig,
    pub rebuild: RebuildConfig,
    pub admin: AdminConfig,
    /// Of the operators' port.
    pub auth: AuthConfig,
    /// Of the admin API.
    pub limits: LimitsConfig,
    /// How long after a store acknowledged a write it may still lose it if its processes die, in milliseconds: longer than the
    /// time in which it writes to disk (`commitlog_sync_period`, 10 s by default). So much is applied again at every take-over.
    pub durability_window_ms: u64,
    /// Only `listen.ops` is used.
    pub listen: ListenConfig,
    pub kafka: KafkaConfig,
    pub registry: RegistryConfig,
    pub cql: CqlConfig,
    pub search: SearchConfig,
    pub telemetry: TelemetryConfig,
    pub shutdown: ShutdownConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            read_model: String::new(),
            group_prefix: "folio".to_owned(),
            topic: contract::topics::EVENTS.to_owned(),
            control_topic: contract::topics::CONTROL.to_owned(),
            batch: BatchConfig::default(),
            rebuild: RebuildConfig::default(),
            admin: AdminConfig::default(),
            auth: AuthConfig::default(),
            limits: LimitsConfig::default(),
            durability_window_ms: 15_000,
            listen: ListenConfig::default(),
            kafka: KafkaConfig::default(),
            registry: RegistryConfig::default(),
            cql: CqlConfig::default(),
            search: SearchConfig::default(),
            telemetry: TelemetryConfig::default(),
            shutdown: ShutdownConfig::default(),
        }
    }
}

/// How much is done at once.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchConfig {
    /// Records of one partition per batch at most. A batch never waits to become full.
    pub max_records: usize,
    /// The same in MiB of keys and values.
    pub max_mib: usize,
    /// States of products kept per partition, so that they need not be loaded.
    pub states: usize,
    /// The same in MiB, of all partitions together, about.
    pub states_mib: usize,
    /// How long a partition that goes to another member may take to finish its batch, in milliseconds.
    pub revoke_timeout_ms: u64,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { max_records: 2_000, max_mib: 8, states: 20_000, states_mib: 32, revoke_timeout_ms: 10_000 }
    }
}

/// The admin API on the operators' port.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Whether it is there. Where callers are not checked (`auth.allow_anonymous`), whoever reaches the port may rebuild, switch and drop builds.
    pub enabled: bool,
}

/// How one build takes the place of another.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RebuildConfig {
    /// How long what is read may stand still for a switch before that is given up, in milliseconds.
    pub hold_ms: u64,
    /// How long gateways may take to follow, in milliseconds: longer than they trust what they were told, which is a second.
    pub lease_ms: u64,
    /// How long a build is kept that was read before, as a way back, in hours.
    pub keep_previous_hours: u64,
    /// How much a build that is not read may put off writing, in MiB, of all partitions together, about: what changes again
    /// meanwhile is written once.
    pub unwritten_mib: usize,
}

impl Default for RebuildConfig {
    fn default() -> Self {
        Self { hold_ms: 10_000, lease_ms: 1_500, keep_previous_hours: 24, unwritten_mib: 48 }
    }
}

impl Config {
    /// Finds what parses and yet cannot serve.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.read_model()?;
        let sections = [
            self.kafka.check(),
            self.registry.check(),
            self.cql.check(),
            self.search.check(),
            self.limits.check(),
            self.listen.ops_tls.check("listen.ops_tls"),
        ];
        toolkit::config::usable(SERVICE, sections)?;
        let batch = &self.batch;
        let least = [
            ("batch.max_records", batch.max_records),
            ("batch.max_mib", batch.max_mib),
            ("batch.states", batch.states),
            ("batch.states_mib", batch.states_mib),
        ];
        toolkit::config::at_least(SERVICE, least.map(|(key, value)| (key, value as u64, 1)))?;
        let rebuild = &self.rebuild;
        toolkit::config::at_least(SERVICE, [("rebuild.hold_ms", rebuild.hold_ms, 1_000)])
    }

    /// The same for a projector of its own, which gateways elsewhere follow.
    pub(crate) fn check_on_servers(&self) -> Result<(), ConfigError> {
        self.check()?;
        // They believe what they were told for a second.
        toolkit::config::at_least(SERVICE, [("rebuild.lease_ms", self.rebuild.lease_ms, 1_200)])
    }

    /// The read model to build.
    pub fn read_model(&self) -> Result<ReadModel, ConfigError> {
        self.read_model.parse().map_err(|unknown: Unknown| {
            let all: Vec<&str> = ReadModel::ALL.iter().map(|it| it.name()).collect();
            let remedy = format!("give one of {} with --read-model", all.join(", "));
            ConfigError::invalid(SERVICE, "read_model", unknown, remedy)
        })
    }

    /// The id of the consumer group that makes a build.
    pub fn group(&self, generation: Generation) -> Result<String, ConfigError> {
        Ok(self.read_model()?.group_id(&self.group_prefix, generation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_read_model_can_be_built_and_nothing_else() {
        for read_model in ReadModel::ALL {
            let config = Config { read_model: read_model.to_string(), ..Config::default() };
            config.check().unwrap();
            assert_eq!(config.group(Generation::FIRST).unwrap(), format!("folio.{read_model}.g1"));
        }
        let refused = Config::default().check().unwrap_err().to_string();
        assert!(refused.contains("--read-model") && refused.contains("history"), "{refused}");
    }

    #[test]
    fn a_batch_of_nothing_is_refused() {
        let batch = BatchConfig { max_records: 0, ..BatchConfig::default() };
        let config = Config { read_model: "search".to_owned(), batch, ..Config::default() };
        assert!(config.check().unwrap_err().to_string().contains("batch.max_records"));
    }
}
