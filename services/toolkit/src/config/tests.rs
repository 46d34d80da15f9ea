use std::ffi::OsString;
use std::io::Write;

use std::collections::BTreeMap;

use super::*;

/// Sections as the adapters' are made.
#[derive(Debug, Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct KafkaSection {
    bootstrap_servers: String,
    linger_ms: u64,
    message_timeout_ms: u64,
    #[serde(deserialize_with = "properties")]
    properties: BTreeMap<String, String>,
}

impl Default for KafkaSection {
    fn default() -> Self {
        Self {
            bootstrap_servers: "localhost:9092".to_owned(),
            linger_ms: 0,
            message_timeout_ms: 5_000,
            properties: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Default, Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CqlSection {
    keyspace: String,
    #[serde(deserialize_with = "list")]
    contact_points: Vec<String>,
    password: Option<Secret>,
}

#[derive(Debug, Default, Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Service {
    kafka: KafkaSection,
    cql: CqlSection,
    telemetry: TelemetryConfig,
    listen: ListenConfig,
}

fn load_with(
    file: Option<&Path>,
    env: &[(&str, &str)],
    set: &[(&str, &str)],
) -> Result<Service, ConfigError> {
    let env = env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let set: Vec<_> = set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    load_from("tester", file, env, &set)
}

fn yaml(text: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("folio-config-{}.yaml", uuid::Uuid::new_v4()));
    std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    path
}

#[test]
fn later_sources_win_over_earlier_ones() {
    let file =
        yaml("kafka: {bootstrap_servers: 'file:1', linger_ms: 3, properties: {security.protocol: SSL}}\n");
    let env = [("FOLIO__KAFKA__LINGER_MS", "4"), ("FOLIO__CQL__KEYSPACE", "env"), ("OTHER", "x")];
    let config = load_with(Some(&file), &env, &[("cql.keyspace", "flag")]).unwrap();
    assert_eq!(config.kafka.bootstrap_servers, "file:1");
    assert_eq!(config.kafka.linger_ms, 4);
    assert_eq!(config.cql.keyspace, "flag");
    assert_eq!(config.kafka.properties["security.protocol"], "SSL");
    assert_eq!(config.kafka.message_timeout_ms, 5_000);
}

#[test]
fn variables_keep_their_text_until_a_field_says_what_it_wants() {
    let env = [
        ("FOLIO__CQL__PASSWORD", "0123"),
        ("FOLIO__CQL__CONTACT_POINTS", "a:1, b:2"),
        ("FOLIO__KAFKA__PROPERTIES__SASL_USERNAME", "42"),
        ("FOLIO__LISTEN__HTTP", "127.0.0.1:0"),
        ("FOLIO__TELEMETRY__LOG", "json"),
    ];
    let config = load_with(None, &env, &[]).unwrap();
    assert_eq!(config.cql.password.unwrap().expose(), "0123");
    assert_eq!(config.cql.contact_points, ["a:1", "b:2"]);
    assert_eq!(config.kafka.properties["sasl.username"], "42");
    assert_eq!(config.listen.http.port(), 0);
    assert_eq!(config.telemetry.log, LogFormat::Json);
}

#[test]
fn an_unknown_key_is_an_error_that_names_key_source_and_choices() {
    let error = load_with(None, &[("FOLIO__KAFKA__BOOTSTRAP", "x")], &[]).unwrap_err().to_string();
    assert!(error.contains("kafka.bootstrap (from the variable FOLIO__KAFKA__BOOTSTRAP)"), "{error}");
    assert!(error.contains("bootstrap_servers"), "{error}");
}

#[test]
fn a_wrong_value_is_an_error_that_names_key_and_source() {
    let file = yaml("kafka: {linger_ms: soon}\n");
    let error = load_with(Some(&file), &[], &[]).unwrap_err().to_string();
    assert!(error.contains("kafka.linger_ms (from the file /"), "{error}");
    let error = load_with(None, &[], &[("listen.ops", "nowhere")]).unwrap_err().to_string();
    assert!(error.contains("listen.ops (from the command line)"), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_an_error_with_exit_code_64() {
    let error = load_with(Some(Path::new("/nowhere.yaml")), &[], &[]).unwrap_err();
    assert!(error.to_string().contains("/nowhere.yaml"), "{error}");
    let code = exit_code(&anyhow::Error::from(error).context("cannot start"));
    assert_eq!(format!("{code:?}"), format!("{:?}", std::process::ExitCode::from(64)));
}

#[test]
fn printing_redacts_secrets_and_can_be_loaded_again() {
    let env = [("FOLIO__CQL__PASSWORD", "hunter2")];
    let printed = print(&load_with(None, &env, &[]).unwrap()).unwrap();
    assert!(!printed.contains("hunter2"), "{printed}");
    load_with(Some(&yaml(&printed)), &[], &[]).unwrap();
}

#[test]
fn no_error_quotes_a_secret_and_none_is_taken_from_the_command_line() {
    // A secret where its section belongs, in the wrong shape, under a wrong name, and after what cannot be read.
    for text in [
        "cql: hunter2\n",
        "cql: {password: {value: hunter2}}\n",
        "cql: {password: [hunter2]}\n",
        "cql: {pasword: hunter2}\n",
        "telemetry: {otlp_headers: hunter2}\n",
        "kafka: {properties: hunter2}\n",
        "cql: {password: *hunter2}\n",
        "cql: {password: 'hunter2}\n",
        "cql: {password: %hunter2}\n",
        "cql:\n  password: hunter2\n keyspace: x\n",
        "cql: {password: hunter2, password: hunter2}\n",
        "telemetry: {otlp_endpoint: 'https://folio:hunter2@collector:4317'}\n",
    ] {
        // Some of it YAML takes as it is; whatever becomes of it, it is not shown.
        let shown = match load_with(Some(&yaml(text)), &[], &[]) {
            Ok(config) => format!("{config:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!shown.contains("hunter2"), "{text}: {shown}");
    }
    for key in [
        "cql.password",
        "telemetry.otlp_headers.api-key",
        "kafka.properties.sasl.password",
        "kafka.properties.sasl_oauthbearer_config",
    ] {
        let error = load_with(None, &[], &[(key, "hunter2")]).unwrap_err().to_string();
        assert!(error.contains("list of processes") && !error.contains("hunter2"), "{error}");
    }
    load_with(None, &[], &[("kafka.properties.ssl_key_location", "key.pem")]).unwrap();
    for key in ["kafka.sasl.token_file", "kafka.sasl.token_url", "cql.username", "engine.remembered_commands"]
    {
        assert!(!is_secret(key), "{key}");
    }
}
