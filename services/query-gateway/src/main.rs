//! The process `query-gateway`: configuration, then the application, until it is told to stop.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use query_gateway::{Application, Config, SERVICE};

/// Answers questions about products from the read models, over HTTP and gRPC.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// A YAML file; variables such as `FOLIO__CQL__CONTACT_POINTS` and --set win over it.
    #[arg(long, env = "FOLIO_CONFIG")]
    config: Option<PathBuf>,
    /// Sets one key, as in `--set listen.http=127.0.0.1:8080`; may be repeated.
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
    let config: Config = toolkit::config::load(SERVICE, arguments.config.as_deref(), &arguments.set)?;
    config.check()?;
    if arguments.print_config {
        std::io::stdout().write_all(toolkit::config::print(&config)?.as_bytes())?;
        return Ok(());
    }
    Application::build(config).await?.run().await
}
