//! The process `command-service`: configuration, then the application, until it is told to stop.

use std::process::ExitCode;

use clap::Parser;
use command_service::{Application, Config, SERVICE};
use edge::process;

/// Records are made on one thread and freed on another, by us and by librdkafka: the C library's allocator took a third of
/// the processor's time (docs/benchmarks.md). It serves C code too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Takes commands for products over HTTP and gRPC and turns them into events.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: process::Arguments,
}

#[tokio::main]
async fn main() -> ExitCode {
    let run = async |config| Box::pin(Application::build(config)).await?.process.run().await;
    process::main(SERVICE, Arguments::parse().common, Config::check, run).await
}
