//! `folio-kube`: the chart's life on a real cluster. `run` starts the servers on this machine, installs, tests, kills, scales,
//! upgrades, rolls back, does both with a release that changes a read model, uninstalls and installs again, while a `client` in
//! the cluster writes, reads and counts.
//!
//! Promises: the run fails if anything acknowledged is lost, or if a read failed that trying again did not cure; however it
//! ends, its namespace, servers and files are gone, and a cluster that it started is down again.

#![expect(clippy::print_stdout, reason = "a command-line program says what it does")]

mod acts;
mod client;
mod cluster;
mod control;
mod images;
mod report;
mod stage;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::Parser;
use futures::FutureExt as _;
use tokio::signal::unix::{SignalKind, signal};

use cluster::{Cluster, Given};
use report::Report;
use stage::Stage;

/// How long all may take, once the cluster is there.
const ALL: Duration = Duration::from_mins(20);

#[derive(Debug, Parser)]
#[command(about = "The chart's life on a real cluster, and whether anything acknowledged is lost in it.")]
enum Args {
    /// On this machine: does everything, and leaves nothing.
    Run(Given),
    /// In the cluster: writes, reads and counts. `run` starts it.
    Client(client::Options),
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let begin = Instant::now();
    let outcome = match Args::parse() {
        Args::Client(options) => client::run(options).await,
        Args::Run(given) => tested(&given).await,
    };
    let seconds = begin.elapsed().as_secs_f64();
    match outcome {
        Ok(()) => {
            println!("PASSED after {seconds:.0} s");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("FAILED after {seconds:.0} s: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn tested(given: &Given) -> anyhow::Result<()> {
    // The cluster may have to be built first, which no time bounds; what ends that by a signal leaves what was built.
    let cluster = Cluster::find(given).await?;
    let tested = on(&cluster, given).await;
    let left = cluster.leave().await;
    tested.and(left)
}

async fn on(cluster: &Cluster, given: &Given) -> anyhow::Result<()> {
    let mut stage = Stage::new(cluster)?;
    let mut report = Report::default();
    let acting = AssertUnwindSafe(acts::act(&mut stage, &mut report, given)).catch_unwind();
    let outcome = tokio::select! {
        // What waits in vain panics: that fails the run like an error.
        outcome = acting => outcome.unwrap_or_else(|_| Err(anyhow!("it panicked, see above"))),
        () = tokio::time::sleep(ALL) => Err(anyhow!("not done after {ALL:?}")),
        () = interrupted() => Err(anyhow!("interrupted")),
    };
    if outcome.is_err() {
        stage.show_what_matters().await;
    }
    report.print();
    let ended = stage.end().await;
    outcome.and(ended)
}

/// Ctrl-C, or SIGTERM. From now on neither ends the process: it has to clean up.
async fn interrupted() {
    let mut terminated = signal(SignalKind::terminate()).ok();
    let terminated = async {
        match &mut terminated {
            Some(signal) => signal.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
