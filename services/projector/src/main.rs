//! The process `projector`: configuration, then the application, until it is told to stop.

use std::process::ExitCode;

use clap::Parser;
use edge::process;
use projector::{Application, Config, SERVICE};
use toolkit::lifecycle::Lifecycle;

/// Records are made on librdkafka's threads and freed on others, and what a batch made is freed at once: the C library's allocator kept
/// several times of what was in use (docs/benchmarks.md). It serves C code too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    toolkit::pages::take_small();
    let Arguments { read_model, mut common } = Arguments::parse();
    common.set.extend(read_model.map(|name| ("read_model".to_owned(), name)));
    let run = async |config: Config| {
        let lifecycle = Lifecycle::with_timing(config.shutdown.clone());
        Application::build(config, lifecycle)?.process.run().await
    };
    process::main(SERVICE, common, Config::check, run).await
}
