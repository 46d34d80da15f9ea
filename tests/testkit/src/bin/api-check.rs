//! Holds both doors to their OpenAPI documents with schemathesis: `api-check` starts a system of its own on the real servers,
//! `api-check COMMANDS QUERIES` takes one that runs (`make up` prints its addresses).
//!
//! Promises: where Python or the package is absent it says so loudly, and is no failure; otherwise a failure of
//! schemathesis is one. It is not part of `make test`: its cases are random.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail, ensure};
use reqwest::Method;
use serde_json::Value;
use testkit::{Client, OnServers, System};

/// The product of the documents' examples; what its creation returns is the token of the examples.
const PRODUCT: &str = "lamp-1";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("api-check: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    let root = local_servers::project_root()?;
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python).args(["-m", "schemathesis.cli", "--version"]).output();
    if !found.is_ok_and(|found| found.status.success()) {
        let line = "=".repeat(100);
        eprintln!(
            "{line}\nSKIPPED, NOTHING WAS CHECKED: {python} has no schemathesis.\n\
             pip install -r tests/api/requirements.txt (in a virtual environment: PYTHON=venv/bin/python make api-check)\n{line}"
        );
        return Ok(());
    }
    let given: Vec<String> = std::env::args().skip(1).collect();
    match given.as_slice() {
        [] => {
            let mut system = OnServers::prepare().await?;
            let commands = system.command_service().await?.url();
            system.projectors().await?;
            let queries = system.query_gateway().await?.url();
            check(&root, &python, &commands, &queries).await
        }
        [commands, queries] => check(&root, &python, commands, queries).await,
        _ => bail!("usage: api-check [COMMANDS QUERIES]"),
    }
}

async fn check(root: &Path, python: &str, commands: &str, queries: &str) -> anyhow::Result<()> {
    let document = std::fs::read_to_string(root.join("schemas/openapi/command-service.json"))?;
    let document: Value = serde_json::from_str(&document)?;
    let create = &document["paths"]["/v1/products/{id}"]["put"]["requestBody"]["content"]["application/json"];
    let (path, json) = (format!("/v1/products/{PRODUCT}"), ("content-type", "application/json"));
    let created =
        Client::new(commands).send(Method::PUT, &path, &[json], create["example"].to_string()).await?;
    let token = created.header("consistency-token").to_owned();
    ensure!([201, 409].contains(&created.status.as_u16()), "{}: {}", created.status, created.body);
    let wanted = [("consistency-token", &token[..]), ("prefer", "wait=30")];
    let read = Client::new(queries).get_with(&path, &wanted).await?;
    ensure!(read.status == 200, "{}: {}", read.status, read.body);
    let mut failed = Vec::new();
    // Questions first: commands change what they are about.
    for (door, url) in [("query-gateway", queries), ("command-service", commands)] {
        let mut schemathesis = Command::new(python);
        schemathesis
            .current_dir(root)
            .env("SCHEMATHESIS_HOOKS", "tests/api/hooks.py")
            .args(["-m", "schemathesis.cli", "--config-file", "tests/api/schemathesis.toml", "run"])
            .arg(format!("schemas/openapi/{door}.json"))
            .args(["--url", url, "--workers", "2", "--continue-on-failure"]);
        if let Ok(seed) = std::env::var("SEED") {
            schemathesis.args(["--seed", &seed]);
        }
        if !schemathesis.status().with_context(|| format!("cannot run {python}"))?.success() {
            failed.push(door);
        }
    }
    ensure!(failed.is_empty(), "schemathesis found failures: {}", failed.join(", "));
    Ok(())
}
