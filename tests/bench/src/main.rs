//! `folio-bench`: what Folio costs, each measure in turn with its ceiling in the same run: bare librdkafka for the write side, bare
//! writes of the same rows for the read side.
//!
//! Promises: a measure whose log does not hold exactly what was acknowledged, or whose stores not exactly what the log says, has no
//! number, and the run fails; servers and services that were started end with the run, however it ends.

mod audit;
mod bare;
mod bench;
mod client;
mod cpu;
mod guard;
mod measures;
mod moving;
mod pairs;
mod reached;
mod read_side;
mod report;
mod servers;
mod stores;
mod workload;

use std::process::ExitCode;

use clap::Parser;

/// The service's, for ceiling and system alike.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Folio against what Kafka and the stores need without it; starts the servers it needs itself.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only these measures, with commas between.
    #[arg(long, value_delimiter = ',', value_parser = measures::names())]
    only: Vec<String>,
    /// How often ceiling and system are measured in turn; by default 5 times, and twice where a pair takes minutes.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=50))]
    pairs: Option<u32>,
    /// Commands of one throughput measurement, and events of one rebuild, in thousands.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(4..=10_000))]
    thousands: u32,
    /// A setting of librdkafka to try, for the ceiling and for the system: `max.in.flight=4`; may be repeated.
    #[arg(long = "kafka", value_name = "NAME=VALUE", value_parser = toolkit::config::setting)]
    kafka: Vec<(String, String)>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (pairs, commands) = (arguments.pairs.map(|it| it as usize), arguments.thousands as usize * 1_000);
    match bench::run(&arguments.only, pairs, commands, arguments.kafka) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("folio-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
