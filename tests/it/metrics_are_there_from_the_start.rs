//! Every metric that `docs/operating.md` names is shown by the services from their start, with help and as zero.

use std::collections::{BTreeMap, BTreeSet};

use read_models::ReadModel;
use testkit::{Client, OnServers, PATIENCE, System, eventually};
use toolkit::telemetry::names;

/// The names in the tables and texts of the page.
fn documented() -> BTreeSet<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operating.md");
    let page = std::fs::read_to_string(page).expect("docs/operating.md can be read");
    let words = page.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let is_metric =
        |word: &&str| ["folio_", "ledger_", "process_"].iter().any(|start| word.starts_with(start));
    words.filter(is_metric).map(str::to_owned).collect()
}

async fn metrics(ops: &str) -> String {
    let reply = Client::new(ops).get("/metrics").await.expect("the operators' port answers");
    reply.body.as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_is_there_with_help_before_anything_happened() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let command_service = system.command_service().await?;
    let gateway = system.query_gateway().await?;
    let projectors = system.projectors().await?;
    let mut by_service = BTreeMap::new();
    by_service.insert("command service", metrics(&command_service.ops()).await);
    by_service.insert("query gateway", metrics(&gateway.ops()).await);
    for (read_model, projector) in ReadModel::ALL.iter().zip(&projectors) {
        by_service.insert(read_model.name(), metrics(&projector.ops()).await);
    }
    let all: String = by_service.values().cloned().collect();
    let documented = documented();
    assert!(documented.len() > 15, "{documented:?}");
    for name in &documented {
        let metric =
            names::find(name).unwrap_or_else(|| panic!("docs/operating.md names {name}, which is no metric"));
        assert!(all.contains(&format!("# HELP {name} {}", metric.help)), "{name} has no help: {all}");
        assert!(
            all.lines().any(|line| line
                .strip_prefix(name.as_str())
                .is_some_and(|it| it.starts_with(['{', ' ', '_']))),
            "{name} is not shown: {all}"
        );
    }
    for (service, dependencies) in [
        ("command service", vec!["kafka", "registry", "events"]),
        ("query gateway", vec!["cql", "search"]),
        ("products", vec!["kafka", "registry", "cql", "partitions"]),
        ("history", vec!["kafka", "registry", "cql"]),
        ("search", vec!["kafka", "registry", "search"]),
    ] {
        for dependency in dependencies {
            let line = format!("folio_dependency_up{{dependency=\"{dependency}\"}} 1");
            assert!(by_service[service].contains(&line), "{service}: {line}: {}", by_service[service]);
        }
    }
    for line in [
        "folio_commands_total{command=\"create_product\",outcome=\"accepted\",transport=\"http\"} 0",
        "folio_commands_total{command=\"delete_product\",outcome=\"overloaded\",transport=\"grpc_bulk\"} 0",
        "folio_command_seconds_count{command=\"create_product\",outcome=\"accepted\"} 0",
        "ledger_violations_total 0",
        "ledger_unreadable_records_total 0",
        "folio_uploads_stalled_total{reason=\"sending\",transport=\"http_bulk\"} 0",
    ] {
        assert!(by_service["command service"].lines().any(|it| it == line), "{line}");
    }
    assert!(by_service["search"].contains("folio_projector_stopped_partitions{model=\"search\"} 0"));

    // A measured series takes the place of its zero; a method that a caller invents is no label.
    let commands = Client::new(&command_service.url());
    assert_eq!(commands.create("p1").await?.status, 201);
    for url in [command_service.url(), gateway.url()] {
        let method = reqwest::Method::from_bytes(b"FOO")?;
        assert!(Client::new(&url).send(method, "/v1/products", &[], "").await?.status.is_client_error());
    }
    let accepted = "folio_commands_total{command=\"create_product\",outcome=\"accepted\",transport=\"http\"}";
    let counted = async || metrics(&command_service.ops()).await;
    let is_one = |text: &String| text.lines().any(|line| line == format!("{accepted} 1"));
    let text = eventually("the command is counted", counted, is_one).await;
    assert_eq!(text.matches(accepted).count(), 1);
    let text = format!("{text}{}", metrics(&gateway.ops()).await);
    assert!(!text.contains("FOO") && text.matches("method=\"other\"").count() >= 2, "{text}");
    for one in projectors.iter().chain([&gateway, &command_service]) {
        assert!(one.service.stop(PATIENCE).await);
    }
    Ok(())
}
