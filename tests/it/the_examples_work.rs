//! P22 The clients in `examples/` do what they say.
//!
//! Each line that `examples/README.md` shows is run as it stands, by a shell, against services of this test's own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use testkit::tools::{grpcurl, require};
use testkit::{OnServers, System};

const PAGE: &str = include_str!("../../examples/README.md");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_client_is_run_as_the_page_shows() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let commands = system.command_service().await?;
    system.projectors().await?;
    let queries = system.query_gateway().await?;
    let variables = [
        ("COMMANDS", commands.url()),
        ("QUERIES", queries.url()),
        ("COMMANDS_GRPC", commands.listens.grpc),
        ("QUERIES_GRPC", queries.listens.grpc),
        ("KAFKA", system.config.kafka.bootstrap_servers.clone()),
        ("TOPIC", system.topic().to_owned()),
    ];
    let run_all = move || shown_lines().map(|line| run(line, &variables)).collect::<anyhow::Result<Vec<_>>>();
    let told = tokio::task::spawn_blocking(run_all).await??;
    let [clients @ .., topic] = &told[..] else { anyhow::bail!("the page shows nothing") };
    assert_eq!(clients.len(), 3, "{clients:?}");

    // What each says it did is what the topic says.
    let mut versions = BTreeMap::<String, Vec<String>>::new();
    for line in topic.lines() {
        let record: Value = serde_json::from_str(line)?;
        let mut key = record["key"].as_str().context("a key")?.split('/').map(str::to_owned);
        versions.entry(key.next().context("a product")?).or_default().extend(key.next());
    }
    assert_eq!(versions.len(), 3, "{topic}");
    for client in clients {
        let (product, did) = client.trim().split_once(": ").with_context(|| client.clone())?;
        assert_eq!(did, "version 2, found 1, history 1 2");
        assert_eq!(versions.get(product).map(Vec::as_slice), Some(&["1".to_owned(), "2".to_owned()][..]));
    }
    Ok(())
}

/// The lines of the page's blocks, without those that say where the services are.
fn shown_lines() -> impl Iterator<Item = &'static str> {
    let blocks = PAGE.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("sh\n"));
    blocks.flat_map(str::lines).filter(|line| !line.starts_with("COMMANDS"))
}

fn run(line: &str, variables: &[(&str, String)]) -> anyhow::Result<String> {
    require(&["bash", "python3", "curl", "jq", "kcat"])?;
    let found = std::env::var_os("PATH").unwrap_or_default();
    let folders = [grpcurl()?].into_iter().chain(std::env::split_paths(&found));
    let path: OsString = std::env::join_paths(folders)?;
    let out = Command::new("bash")
        .args(["-o", "pipefail", "-ec", line])
        .current_dir(local_servers::project_root()?)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .env("PATH", path)
        .output()?;
    let (told, complaints) = (String::from_utf8(out.stdout)?, String::from_utf8_lossy(&out.stderr));
    ensure!(out.status.success(), "{line}: {told}{complaints}");
    Ok(told)
}
