//! The process `query-gateway`: configuration, then the application, until it is told to stop.

use std::process::ExitCode;

use clap::Parser;
use edge::process;
use query_gateway::{Application, Config, SERVICE};

/// The same as in the other two services (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Answers questions about products from the read models, over HTTP and gRPC.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: process::Arguments,
}

#[tokio::main]
async fn main() -> ExitCode {
    let run = async |config| Application::build(config).await?.process.run().await;
    process::main(SERVICE, Arguments::parse().common, Config::check, run).await
}
