//! The process `projector`: configuration, then the application, until it is told to stop.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use projector::{Application, Config, SERVICE};
use toolkit::lifecycle::Lifecycle;

/// Reads the log of events and builds one read model.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Which read model to build: products, history or search.
    #[arg(long)]
    read_model: Option<String>,
    /// A YAML file; variables such as `FOLIO__KAFKA__BOOTSTRAP_SERVERS` and `--set` win over it.
    #[arg(long, env = "FOLIO_CONFIG")]
    config: Option<PathBuf>,
    /// Sets one key, as in `--set listen.ops=127.0.0.1:9464`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = toolkit::config::setting)]
    set: Vec<(String, String)>,
    /// Prints the configuration, secrets redacted, and ends.
    #[arg(long)]
    print_config: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    toolkit::config::ended(SERVICE, run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut settings = arguments.set;
    settings.extend(arguments.read_model.map(|name| ("read_model".to_owned(), name)));
    let config: Config = toolkit::config::load(SERVICE, arguments.config.as_deref(), &settings)?;
    config.check()?;
    if arguments.print_config {
        std::io::stdout().write_all(toolkit::config::print(&config)?.as_bytes())?;
        return Ok(());
    }
    let lifecycle = Lifecycle::with_timing(config.shutdown.clone());
    Application::build(config, lifecycle)?.run().await
}
