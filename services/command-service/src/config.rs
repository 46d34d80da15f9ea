//! The command service's configuration: its own keys beside the sections all services share.

#[cfg(test)]
mod tests;
mod uploads;

use std::path::PathBuf;
use std::time::Duration;

use adapter_kafka::KafkaConfig;
use adapter_person_keys::CqlConfig;
use adapter_registry::RegistryConfig;
use edge::auth::AuthConfig;
use edge::config::DoorConfig;
use edge::limits::LimitsConfig;
use persons::PrivacyConfig;
use serde::{Deserialize, Serialize};
use toolkit::config::{ConfigError, ListenConfig, ShutdownConfig, TelemetryConfig};

pub use uploads::UploadsConfig;

/// The service's name in configuration errors, logs, metrics and traces.
pub const SERVICE: &str = "command-service";

/// All that can be set; the defaults suit one machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub listen: ListenConfig,
    pub kafka: KafkaConfig,
    pub registry: RegistryConfig,
    /// The topic that holds the events.
    pub topic: String,
    pub expected_topic: TopicConfig,
    pub engine: EngineConfig,
    pub cache: CacheConfig,
    pub overload: OverloadConfig,
    pub auth: AuthConfig,
    pub limits: LimitsConfig,
    pub privacy: PrivacyConfig,
    /// Where the keys of persons are; not connected to unless `privacy.enabled` is true.
    pub cql: CqlConfig,
    pub http: DoorConfig,
    pub uploads: UploadsConfig,
    pub telemetry: TelemetryConfig,
    pub shutdown: ShutdownConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: ListenConfig::default(),
            kafka: KafkaConfig::default(),
            registry: RegistryConfig::default(),
            topic: contract::topics::EVENTS.to_owned(),
            expected_topic: TopicConfig::default(),
            engine: EngineConfig::default(),
            cache: CacheConfig::default(),
            overload: OverloadConfig::default(),
            auth: AuthConfig::default(),
            limits: LimitsConfig::default(),
            privacy: PrivacyConfig::default(),
            cql: CqlConfig::default(),
            http: DoorConfig::default(),
            uploads: UploadsConfig::default(),
            telemetry: TelemetryConfig::default(),
            shutdown: ShutdownConfig::default(),
        }
    }
}

/// The longest a record may be in flight.
const MAX_MESSAGE_TIMEOUT_MS: u64 = 120_000;

/// What the topic has to be beyond what the design relies on anyway.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicConfig {
    /// How many partitions it has to have; none: as many as it has.
    pub partitions: Option<i32>,
    /// How many replicas each partition has to have; none: any number.
    pub replication: Option<i32>,
}

/// Where products lie that are not in use. Without a directory all are in memory, and a start replays the topic.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// A directory on local disk for this instance alone. It may be deleted while the instance is down.
    pub dir: Option<PathBuf>,
    /// Products kept in memory, about.
    pub hot_products: usize,
    /// Memory for them, about, in MiB: fewer are kept if they are large.
    pub hot_mib: usize,
    /// Changed products are saved this often, in milliseconds, or sooner if there are many.
    pub save_ms: u64,
    /// Memory for what was read from disk, in MiB.
    pub memory_mib: u64,
    /// Whether the topic may be of another log than the one that the directory was used with before. To be set for one start
    /// after the topic was replaced on purpose: else that start is refused.
    pub take_new_log: bool,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            dir: None,
            hot_products: 24_000,
            hot_mib: 128,
            save_ms: 5_000,
            memory_mib: 16,
            take_new_log: false,
        }
    }
}

/// How commands are decided.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// Threads that decide; each owns its share of the partitions.
    pub threads: usize,
    /// Commands that may lie in one thread's inbox, not yet seen by a sequencer. More are answered `overloaded`.
    pub inbox: usize,
    /// Commands that may wait for their answer in one partition. More are answered `overloaded`.
    pub max_waiting: usize,
    /// Memory for commands from their arrival to their answer, about, in MiB. More are answered `overloaded`.
    pub commands_mib: usize,
    /// How many commands of each product are remembered: a repetition of an older one is a new command. All instances
    /// should have the same value.
    pub remembered_commands: usize,
    /// Races a command may lose before it is answered `contended`.
    pub max_attempts: u32,
    /// A command is answered within this time, in milliseconds, whatever happens.
    pub deadline_ms: u64,
    /// Largest encoded event, in bytes. Larger ones are refused before anything is written.
    pub max_record_bytes: usize,
    /// Records of the tail that may lie in one thread's inbox; the log's reader waits beyond that.
    pub tail_records: usize,
    /// Memory for them, about, in MiB. As much may be held per partition that waits for a schema.
    pub tail_mib: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            threads: 1,
            inbox: 16_384,
            max_waiting: 10_000,
            commands_mib: 128,
            remembered_commands: ledger::Limits::default().remembered,
            max_attempts: 8,
            deadline_ms: 10_000,
            max_record_bytes: 256 * 1024,
            tail_records: 5_000,
            tail_mib: 32,
        }
    }
}

impl EngineConfig {
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    pub(crate) fn tail_bytes(&self) -> usize {
        mib(self.tail_mib)
    }

    pub(crate) fn command_bytes(&self) -> usize {
        mib(self.commands_mib)
    }
}

/// So many MiB in bytes.
pub(crate) fn mib(mib: usize) -> usize {
    mib.saturating_mul(1024 * 1024)
}

/// How much is taken at once.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OverloadConfig {
    /// Single commands (HTTP and gRPC) that may be in flight at once, at most. More are answered `overloaded`.
    pub max_in_flight: usize,
    /// However slow the answers are, so many may be in flight.
    pub min_in_flight: usize,
    /// Answers slower than this lower the limit, in milliseconds. Give several times what an answer takes without load.
    pub target_ms: u64,
    /// Commands of all uploads together (HTTP and gRPC) that may be in flight at once. More wait in their connection.
    pub bulk_in_flight: usize,
}

impl Default for OverloadConfig {
    fn default() -> Self {
        Self { max_in_flight: 4_096, min_in_flight: 256, target_ms: 100, bulk_in_flight: 4_096 }
    }
}

impl OverloadConfig {
    pub(crate) fn target(&self) -> Duration {
        Duration::from_millis(self.target_ms)
    }
}

impl Config {
    /// Finds what parses and yet cannot serve.
    pub fn check(&self) -> Result<(), ConfigError> {
        let (engine, overload) = (&self.engine, &self.overload);
        let (cache, uploads) = (&self.cache, &self.uploads);
        let least = [
            ("engine.threads", engine.threads, 1),
            ("engine.inbox", engine.inbox, 1),
            ("engine.max_waiting", engine.max_waiting, 1),
            ("engine.commands_mib", engine.commands_mib, 1),
            ("engine.remembered_commands", engine.remembered_commands, 1),
            ("engine.max_attempts", engine.max_attempts as usize, 1),
            ("engine.deadline_ms", engine.deadline_ms as usize, 10),
            ("engine.max_record_bytes", engine.max_record_bytes, 1_024),
            ("engine.tail_records", engine.tail_records, 1),
            ("engine.tail_mib", engine.tail_mib, 1),
            ("overload.max_in_flight", overload.max_in_flight, overload.min_in_flight.max(1)),
            ("overload.min_in_flight", overload.min_in_flight, 1),
            ("overload.target_ms", overload.target_ms as usize, 1),
            ("overload.bulk_in_flight", overload.bulk_in_flight, 1),
            ("cache.hot_products", cache.hot_products, 1),
            ("cache.hot_mib", cache.hot_mib, 1),
            ("cache.save_ms", cache.save_ms as usize, 10),
            ("uploads.max_line_bytes", uploads.max_line_bytes, 1),
            ("uploads.window", uploads.window, 1),
            ("uploads.spool_mib", uploads.spool_mib, 1),
            ("uploads.spools_mib", uploads.spools_mib, 1),
        ];
        let least = least.map(|(key, value, least)| (key, value as u64, least as u64));
        toolkit::config::at_least(SERVICE, least.into_iter().chain(self.http.least()))?;
        let sections = [
            self.kafka.check(),
            self.registry.check(),
            self.privacy.check(),
            self.cql.check(),
            self.http.tls.check("http.tls"),
            self.auth.check(self.http.tls.client_ca_file.is_some()),
            self.limits.check(),
            self.listen.ops_tls.check("listen.ops_tls"),
        ];
        toolkit::config::usable(SERVICE, sections)?;
        let most = [
            // Else librdkafka, which waits 300 s at most before it sends again what a former leader refused, could append
            // a record twice.
            ("kafka.message_timeout_ms", self.kafka.message_timeout_ms, MAX_MESSAGE_TIMEOUT_MS),
            (
                "engine.remembered_commands",
                self.engine.remembered_commands as u64,
                ledger::Limits::MAX_REMEMBERED as u64,
            ),
        ];
        for (key, value, most) in most {
            if value > most {
                let problem = format!("it is {value}");
                return Err(ConfigError::invalid(SERVICE, key, problem, format!("give at most {most}")));
            }
        }
        Ok(())
    }
}
