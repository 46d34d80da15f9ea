//! The process `command-service`: configuration, then the application, until it is told to stop.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use command_service::{Application, Config, KafkaBackend, SERVICE};
use toolkit::lifecycle::Lifecycle;

/// Records are made on one thread and freed on another, by us and by librdkafka: the C library's allocator took a third of
/// the processor's time (docs/benchmarks.md). It serves C code too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Takes commands for products over HTTP and gRPC and turns them into events.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// A YAML file; variables such as `FOLIO__KAFKA__BOOTSTRAP_SERVERS` and `--set` win over it.
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
    let backend = Arc::new(KafkaBackend::new(&config)?);
    let lifecycle = Lifecycle::with_timing(config.shutdown.clone());
    Application::build_on(config, backend, lifecycle).await?.run().await
}
