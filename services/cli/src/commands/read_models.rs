//! `folio read-models`: which builds there are, which are read, and how far each has come.

use adapter_kafka::read_topic;
use event_reader::LogReader;
use read_models::ReadModel;
use read_models::builds::Build;

use crate::commands::stores::servers;
use crate::config::Config;
use crate::say::say;

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub read_model: ReadModel,
    pub build: Build,
    /// Whether gateways read it.
    pub is_read: bool,
    /// Of each group: records of the log that it has still to apply.
    pub behind: Vec<(String, i64)>,
}

/// Prints every build of every read model.
///
/// # Errors
/// If a server cannot be reached.
pub async fn list(config: &Config) -> anyhow::Result<()> {
    say!("{:<12} {:<6} {:<14} {:>10}  group", "read model", "build", "", "behind");
    for line in lines(config).await? {
        let Line { read_model, build, is_read, behind } = line;
        let told = if is_read { "gateways read" } else { "" };
        let generation = build.generation.to_string();
        if behind.is_empty() {
            say!("{read_model:<12} {generation:<6} {told:<14} {:>10}  no projector has begun", "all");
        }
        for (group, records) in behind {
            say!("{read_model:<12} {generation:<6} {told:<14} {records:>10}  {group}");
        }
    }
    Ok(())
}

/// Every build of every read model.
///
/// # Errors
/// If a server cannot be reached.
pub async fn lines(config: &Config) -> anyhow::Result<Vec<Line>> {
    let servers = servers(config);
    let log: LogReader = read_topic(&config.kafka, &config.topic).await?;
    let mut lines = Vec::new();
    for read_model in ReadModel::ALL {
        let read = match servers.publication(*read_model).generation().await {
            Ok(read) => Some(read),
            Err(error) if error.is_missing() => None,
            Err(error) => return Err(error.into()),
        };
        for build in servers.builds(*read_model).await? {
            // After the positions: what is behind is at least so much.
            let ends = log.ends.of_all(log.partitions).await?;
            let behind = build.groups.iter().map(|(group, applied)| {
                let left =
                    |(partition, end): (i32, &i64)| (end - applied.get(&partition).unwrap_or(&0)).max(0);
                (group.clone(), (0..).zip(&ends).map(left).sum())
            });
            let behind = behind.collect();
            lines.push(Line {
                read_model: *read_model,
                is_read: Some(build.generation) == read,
                build,
                behind,
            });
        }
    }
    Ok(lines)
}
