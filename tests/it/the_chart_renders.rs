//! The chart (`helm/folio`): it renders, what it renders is what Kubernetes and Folio take, and its documents say what it does.
//!
//! Promises: each fault names the file or the value, and what to do. Needs no server and no cluster; what renders needs Go, once, to
//! build the tools.

mod coverage;
mod documents;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Deserialize as _;
use serde_json::Value;
use testkit::authority::Authority;
use testkit::tools::{ChartTools, of_charts};

/// The examples, each `values-<name>.yaml` beside the chart's own values.
const EXAMPLES: [&str; 5] = ["dev", "ha", "strimzi", "redpanda", "msk"];
/// Kinds of others that examples have among `extraObjects`: not the chart's, and their schemas are not here.
const NOT_THE_CHARTS: &str = "BackendTLSPolicy,ExternalSecret";
/// Where pods have certificates and keys (`folio.files`).
const MOUNTED_AT: &str = "/etc/folio-credentials";
/// What the chart is rendered for: a built Helm knows of no cluster.
const KUBERNETES: [&str; 2] = ["--kube-version", "v1.34.0"];
/// Values that a schema has to refuse, on top of the example `dev`, and what the refusal has to name.
const REFUSED: [(&str, &str); 20] = [
    ("kafka.bootstrapServer=kafka:9092", "'bootstrapServer' not allowed"),
    ("kafka.bootstrapServers=kafka", "/kafka/bootstrapServers"),
    ("commandService.settings.engine.inbx=1", "'inbx' not allowed"),
    ("commandService.settings.engine.inbox=0", "/commandService/settings/engine/inbox"),
    ("commandService.cache.size=plenty", "/commandService/cache/size"),
    ("topics.manage=hand", "/topics/manage"),
    ("image.digest=latest", "/image/digest"),
    ("search.url=http://user:secret@host:9200", "/search/url"),
    ("cql.password=secret", "'password' not allowed"),
    ("projectors.readModels.prices.replicaCount=1", "'prices' not allowed"),
    ("projectors.keda.minReplicas=0", "/projectors/keda/minReplicas"),
    ("kafka.securityProtocol=sasl_ssl", "/kafka/securityProtocol"),
    ("kafka.sasl.mechanism=GSSAPI", "/kafka/sasl/mechanism"),
    ("kafka.sasl.password=secret", "'password' not allowed"),
    (
        "kafka.sasl.serviceAccountToken.expirationSeconds=60",
        "/kafka/sasl/serviceAccountToken/expirationSeconds",
    ),
    ("kafka.tls.ca=-----BEGIN", "'ca' not allowed"),
    ("tls.doors.existingSecret=My_Secret", "/tls/doors/existingSecret"),
    ("listenAddress=localhost", "/listenAddress"),
    ("telemetry.otlpHeaders.keys.Authorization=a", "invalid propertyName 'Authorization'"),
    ("setup.ttlSecondsAfterFinished=1d", "/setup/ttlSecondsAfterFinished"),
];

/// Each service, what it is called in values, and the sections of its configuration that can be set there.
const SETTINGS: [(&str, &str, &[&str]); 3] = [
    ("command-service", "commandService", &["engine", "cache", "limits", "overload", "http", "uploads"]),
    ("query-gateway", "queryGateway", &["limits", "http", "queries"]),
    ("projector", "projectors", &["limits", "batch", "rebuild", "admin"]),
];
/// Keys of these sections that have a value of their own, or none because the chart knows.
const SET_BY_THE_CHART: [&str; 32] = [
    "cache.dir",
    "http.tls",
    "uploads.spool_dir",
    "queries.group_prefix",
    "kafka.bootstrap_servers",
    "kafka.properties",
    "kafka.security_protocol",
    "kafka.sasl",
    "kafka.tls",
    "registry.url",
    "registry.username",
    "registry.password",
    "registry.password_file",
    "registry.tls",
    "cql.contact_points",
    "cql.local_datacenter",
    "cql.keyspace",
    "cql.replication",
    "cql.username",
    "cql.password",
    "cql.password_file",
    "cql.use_tls",
    "cql.tls",
    "cql.tls_server_name",
    "search.url",
    "search.index_prefix",
    "search.username",
    "search.password",
    "search.password_file",
    "search.api_key",
    "search.api_key_file",
    "search.tls",
];

#[test]
fn every_example_renders_as_committed_and_as_kubernetes_takes_it() -> anyhow::Result<()> {
    let Some(tools) = of_charts()? else { return Ok(()) };
    for example in EXAMPLES {
        run(Command::new(&tools.helm)
            .args(["lint", "--strict"])
            .args(KUBERNETES)
            .arg(chart())
            .arg("--values")
            .arg(values(example)))?;
        let rendered = render(&tools, example, &[])?;
        let golden = golden(example);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &rendered)?;
        }
        let committed = fs::read_to_string(&golden).with_context(|| golden.display().to_string())?;
        let differs = rendered.lines().zip(committed.lines()).position(|(new, old)| new != old);
        ensure!(
            rendered == committed,
            "{} is not what the chart renders, from line {} on: look at the difference, and if it is meant, run this test with UPDATE_GOLDEN=1",
            golden.display(),
            differs.map_or(committed.lines().count(), |line| line + 1)
        );
        let kinds = format!("{}/../kinds/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json", chart().display());
        run(Command::new(&tools.kubeconform)
            .args(["-strict", "-skip", NOT_THE_CHARTS, "-schema-location", &kinds])
            .arg(&golden))?;
    }
    run(Command::new(&tools.unittest).arg(chart())).map(drop)
}

#[test]
fn values_that_cannot_be_meant_are_refused_by_name() -> anyhow::Result<()> {
    let Some(tools) = of_charts()? else { return Ok(()) };
    for (value, named) in REFUSED {
        let refusal =
            render(&tools, "dev", &["--set", value]).err().with_context(|| format!("{value} was taken"))?;
        ensure!(
            format!("{refusal:#}").contains(named),
            "{value} was refused without naming {named}: {refusal:#}"
        );
    }
    Ok(())
}

#[test]
fn folio_takes_the_configuration_that_the_chart_renders() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mounted = mount(folder.path())?;
    for example in EXAMPLES {
        let rendered = fs::read_to_string(golden(example))?;
        let mut seen = 0;
        for document in serde_yaml_ng::Deserializer::from_str(&rendered) {
            let object = Value::deserialize(document)?;
            let (Some(name), Some(config)) =
                (object["metadata"]["name"].as_str(), object["data"]["config.yaml"].as_str())
            else {
                continue;
            };
            seen += 1;
            let file = folder.path().join(format!("{example}-{name}.yaml"));
            fs::write(&file, config.replace(MOUNTED_AT, &mounted.to_string_lossy()))?;
            match name {
                "folio-setup" => {
                    let _tools: cli::config::Config = toolkit::config::load("folio", Some(&file), &[])?;
                }
                "folio-projector-cql" => {
                    printed("projector", Some(&file), &["--read-model", "products"])?;
                    printed("projector", Some(&file), &["--read-model", "history"])?;
                }
                "folio-projector-search" => {
                    printed("projector", Some(&file), &["--read-model", "search"])?;
                }
                _ => drop(printed(name.trim_start_matches("folio-"), Some(&file), &[])?),
            }
        }
        ensure!(seen == 5, "{example}: {seen} configurations, and not those of four services and the tool");
    }
    Ok(())
}

/// Certificates as the chart mounts them, for a service reads every file that its configuration names.
fn mount(folder: &Path) -> anyhow::Result<PathBuf> {
    let authority = Authority::new(folder, "authority")?;
    let signed = authority.signs("folio", &["folio"])?;
    let mounted = folder.join("mounted");
    for section in ["kafka", "registry", "cql", "search", "telemetry", "auth", "doors", "ops"] {
        let within = mounted.join(section);
        fs::create_dir_all(&within)?;
        for (from, to) in
            [(&authority.file, "ca.crt"), (&signed.certificate, "tls.crt"), (&signed.key, "tls.key")]
        {
            fs::copy(from, within.join(to))?;
        }
    }
    fs::write(mounted.join("auth/keys.yaml"), "keys: []")?;
    Ok(mounted)
}

#[test]
fn the_settings_of_the_schema_are_those_of_the_services() -> anyhow::Result<()> {
    let schema = documents::schema()?;
    let settings = |values: &str| &schema["properties"][values]["properties"]["settings"]["properties"];
    for (program, values, sections) in SETTINGS {
        let arguments: &[&str] = if program == "projector" { &["--read-model", "search"] } else { &[] };
        let config: Value = serde_yaml_ng::from_str(&printed(program, None, arguments)?)?;
        for section in sections {
            same_keys(section, &settings(values)[section]["properties"], &config[section])?;
        }
        for server in ["kafka", "registry", "cql", "search"].into_iter().filter(|it| config.get(it).is_some())
        {
            same_keys(server, settings(server), &config[server])?;
        }
    }
    Ok(())
}

/// Has the schema each key of a section that the service prints, and no other, but for what the chart sets itself?
fn same_keys(section: &str, declared: &Value, printed: &Value) -> anyhow::Result<()> {
    let keys = |value: &Value| -> anyhow::Result<BTreeSet<String>> {
        let object = value.as_object().with_context(|| format!("there is no section {section}"))?;
        let names = object.keys().map(|key| format!("{section}.{key}"));
        Ok(names.filter(|name| !SET_BY_THE_CHART.contains(&name.as_str())).collect())
    };
    let (declared, printed) = (keys(declared)?, keys(printed)?);
    ensure!(
        declared == printed,
        "settings in values.schema.json are {declared:?}, and those of the service {printed:?}"
    );
    Ok(())
}

/// What a service prints of its configuration, if it takes it.
fn printed(program: &str, config: Option<&Path>, arguments: &[&str]) -> anyhow::Result<String> {
    let built = std::env::current_exe()?
        .ancestors()
        .nth(2)
        .context("this test lies in target/<profile>/deps")?
        .join(program);
    let mut command = Command::new(built);
    command.args(arguments).arg("--print-config");
    if let Some(file) = config {
        command.arg("--config").arg(file);
        // What pods have from a Secret, and what Kafka asks for.
        if fs::read_to_string(file)?.contains("security_protocol: sasl_") {
            command
                .envs([("FOLIO__KAFKA__SASL__USERNAME", "folio"), ("FOLIO__KAFKA__SASL__PASSWORD", "word")]);
        }
    }
    run(&mut command)
}

fn render(tools: &ChartTools, example: &str, more: &[&str]) -> anyhow::Result<String> {
    let mut helm = Command::new(&tools.helm);
    helm.args(["template", "folio"])
        .arg(chart())
        .args(["--namespace", "catalog", "--values"])
        .arg(values(example));
    run(helm.args(KUBERNETES).args(more))
}

fn run(command: &mut Command) -> anyhow::Result<String> {
    let out = command.output().with_context(|| format!("{command:?}"))?;
    let told = String::from_utf8(out.stdout)?;
    ensure!(out.status.success(), "{command:?}: {told}{}", String::from_utf8_lossy(&out.stderr));
    Ok(told)
}

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../helm/folio")
}

fn values(example: &str) -> PathBuf {
    chart().join(format!("values-{example}.yaml"))
}

fn golden(example: &str) -> PathBuf {
    chart().join(format!("tests/golden/{example}.yaml"))
}
