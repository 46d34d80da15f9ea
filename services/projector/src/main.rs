//! The process `projector`: configuration, then the application, until it is told to stop.

use std::process::ExitCode;

use clap::Parser;
use edge::process;
use projector::{Application, Config, SERVICE};
use toolkit::lifecycle::Lifecycle;

/// Reads the log of events and builds one read model.
#[derive(Debug, Parser)]
#[command(version)]
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
        Application::build(config, lifecycle)?.process.run().await
    };
    process::main(SERVICE, common, Config::check, run).await
}
