//! `later-projector`: the projector of a later release, whose rows of `products` are of another format (`testkit::later_release`).
//!
//! Promises: it takes the arguments and the configuration of `projector`, so that it can stand in the place of that in an image.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use edge::process;
use projector::{Application, Config, Parts, SERVICE};
use read_models::Servers;
use testkit::later_release::Later;
use toolkit::lifecycle::Lifecycle;

/// Reads the log of events and builds one read model, as a later release does it.
#[derive(Debug, Parser)]
#[command(name = "later-projector", version)]
struct Arguments {
    /// Which read model to build: products, history or search.
    #[arg(long)]
    read_model: Option<String>,
    #[command(flatten)]
    common: process::Arguments,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { read_model, mut common } = Arguments::parse();
    common.set.extend(read_model.map(|name| ("read_model".to_owned(), name)));
    let run = async |config: Config| {
        let lifecycle = Lifecycle::with_timing(config.shutdown.clone());
        let servers = Servers::new(&config.cql, &config.search);
        let parts = Parts::on_servers(&config, Later::after_another(servers.clone()), Arc::new(servers))?;
        Application::build_on(config, parts, lifecycle)?.process.run().await
    };
    process::main(SERVICE, common, Config::check, run).await
}
