//! `folio`, the tool. Exit codes: 0 done, 1 failed, 2 wrong command line, 64 wrong configuration.

use std::process::ExitCode;

use clap::Parser as _;

/// `folio dev` is the services, whose records are made on one thread and freed on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = cli::args::Args::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error).context("starting the runtime")),
    };
    match runtime.block_on(cli::commands::run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    use std::io::Write as _;
    // Nobody is left to tell if standard error is gone.
    writeln!(std::io::stderr(), "folio: {}", toolkit::causes(error.as_ref()))
        .map_or(ExitCode::FAILURE, |()| toolkit::config::exit_code(error))
}
