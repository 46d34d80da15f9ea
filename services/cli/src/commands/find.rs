//! Where the servers are that a command works on. Promises: what was given wins, all of it or nothing (a command never works
//! on servers of two systems); without anything given the local system is taken, if there is one; and it is said which.

use std::path::Path;

use anyhow::bail;

use super::up;
use crate::config::Config;

/// What names servers, or a catalog on them: any of these given, and the local system is not looked for.
const NAMES: [&str; 8] = [
    "kafka.bootstrap_servers",
    "registry.url",
    "cql.contact_points",
    "search.url",
    "topic",
    "control_topic",
    "cql.keyspace",
    "search.index_prefix",
];

/// The servers to work on.
pub(super) struct Servers {
    pub(super) config: Config,
    /// Whether they are the local system's.
    pub(super) are_local: bool,
}

/// The servers that were given, else those of the local system in `dir`, else those at the usual ports.
///
/// # Errors
/// If the local system's state cannot be read.
pub(super) fn servers(
    config: Config,
    file: Option<&Path>,
    settings: &[(String, String)],
    dir: &Path,
) -> anyhow::Result<Servers> {
    if NAMES.iter().any(|name| toolkit::config::is_given(file, settings, name)) {
        return Ok(Servers { config, are_local: false });
    }
    let Some(system) = up::load(dir)? else {
        note(format_args!(
            "no address was given, and nothing was started in {}: trying Kafka at {}, the registry at {}, CQL at {} and \
             Elasticsearch at {}",
            dir.display(),
            config.kafka.bootstrap_servers,
            config.registry.url,
            config.cql.contact_points.join(","),
            config.search.url
        ));
        return Ok(Servers { config, are_local: false });
    };
    note(format_args!(
        "taking the local system in {} (Kafka {})",
        dir.display(),
        system.addresses.kafka_bootstrap
    ));
    Ok(Servers { config: config.at(&system.addresses, &system.names), are_local: true })
}

/// The command services that were given, else that of the local system in `dir`.
///
/// # Errors
/// If there is neither.
pub(super) fn commands(given: Vec<String>, dir: &Path) -> anyhow::Result<Vec<String>> {
    if !given.is_empty() {
        return Ok(given);
    }
    let Some(system) = up::load(dir)? else {
        bail!(
            "no command service was given, and nothing was started in {}: give its address with --url \
             http://127.0.0.1:8080, or run `folio up`",
            dir.display()
        );
    };
    note(format_args!("taking the local system in {} ({})", dir.display(), system.commands()));
    Ok(vec![system.commands()])
}

/// A line on standard error: standard output is for what a program reads.
fn note(line: std::fmt::Arguments<'_>) {
    eprintln!("folio: {line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::up::tests::started_in;

    fn given(settings: &[(&str, &str)], dir: &Path) -> anyhow::Result<Servers> {
        let settings: Vec<_> =
            settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let config = toolkit::config::load("folio", None, &settings)?;
        servers(config, None, &settings, dir)
    }

    #[test]
    fn what_is_given_wins_as_a_whole_and_else_the_local_system_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let nowhere = given(&[], dir.path()).unwrap();
        assert!(!nowhere.are_local);
        assert_eq!(nowhere.config.kafka.bootstrap_servers, Config::default().kafka.bootstrap_servers);
        started_in(dir.path());
        let local = given(&[("telemetry.level", "info")], dir.path()).unwrap();
        assert!(local.are_local);
        assert_eq!(local.config.kafka.bootstrap_servers, "127.0.0.1:1");
        assert_eq!(local.config.telemetry.level, "info");
        // Also if it is what would be taken anyhow.
        let usual = Config::default().kafka.bootstrap_servers;
        let explicit = given(&[("kafka.bootstrap_servers", &usual)], dir.path()).unwrap();
        assert!(!explicit.are_local);
        assert_eq!(explicit.config.registry.url, Config::default().registry.url);
    }

    #[test]
    fn command_services_are_found_likewise() {
        let dir = tempfile::tempdir().unwrap();
        let error = commands(Vec::new(), dir.path()).unwrap_err();
        assert!(error.to_string().contains("--url"), "{error}");
        started_in(dir.path());
        assert_eq!(commands(Vec::new(), dir.path()).unwrap(), ["http://127.0.0.1:5"]);
        assert_eq!(commands(vec!["http://a".to_owned()], dir.path()).unwrap(), ["http://a"]);
        std::fs::write(dir.path().join("system.json"), "{").unwrap();
        let error = commands(Vec::new(), dir.path()).unwrap_err();
        assert!(format!("{error:#}").contains("system.json"), "{error:#}");
    }
}
