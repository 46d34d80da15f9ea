//! `folio-bench`: what the write side costs, each measure in turn with its ceiling (bare librdkafka) in the same run.
//!
//! Promises: a measure whose log does not hold exactly what was acknowledged has no number, and the run fails; servers
//! and services that were started end with the run, however it ends.

mod audit;
mod bench;
mod client;
mod cpu;
mod measures;
mod pairs;
mod report;
mod servers;
mod workload;

use std::process::ExitCode;

use clap::Parser;

/// The service's, for ceiling and system alike.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Folio's write side against bare librdkafka; starts the servers it needs itself.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only these measures, with commas between.
    #[arg(long, value_delimiter = ',', value_parser = measures::names())]
    only: Vec<String>,
    /// How often ceiling and system are measured in turn.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    pairs: u32,
    /// Commands of one throughput measurement, in thousands.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(4..=10_000))]
    thousands: u32,
    /// A setting of librdkafka to try, for the ceiling and for the system: `max.in.flight=4`; may be repeated.
    #[arg(long = "kafka", value_name = "NAME=VALUE", value_parser = toolkit::config::setting)]
    kafka: Vec<(String, String)>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (pairs, commands) = (arguments.pairs as usize, arguments.thousands as usize * 1_000);
    match bench::run(&arguments.only, pairs, commands, arguments.kafka) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("folio-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
