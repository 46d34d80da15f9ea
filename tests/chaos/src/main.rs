//! `folio-chaos`: three brokers, three command services and the projectors under faults from one seed, while clients write
//! and record every answer; then everything is healed, and all they were told is checked against the log and the read
//! models. Promises to end within its minutes and three or four more, to leave no process, and to fail if anything was
//! violated or a kind of fault was never felt.

#![expect(clippy::print_stdout, reason = "a command-line program says what it does")]

mod inject;
mod plan;
mod report;
mod stage;
mod watch;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use clap::Parser;
use futures::FutureExt as _;
use testkit::history::{Catalog, check};
use testkit::scenario::caught_up;
use testkit::{OnServers, Oracle, PATIENCE, System as _, expected, rows};

use plan::{Kind, Plan};
use report::Report;
use stage::{Stage, Writing};

/// How long everything but the faults may take.
const OVERHEAD: Duration = Duration::from_mins(5);
/// How long clients may take for their last answers once everything is healed.
const LAST_ANSWERS: Duration = Duration::from_secs(90);

#[derive(Debug, Parser)]
#[command(
    about = "Faults on three real brokers and Folio's services while clients write; then every answer is checked."
)]
struct Args {
    /// What decides the faults and the commands; random without.
    #[arg(long)]
    seed: Option<u64>,
    /// How long faults come.
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// Only the kinds of fault whose description holds this text, such as "SIGSTOP of a broker".
    #[arg(long, default_value = "")]
    only: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args { seed, minutes, only } = Args::parse();
    if !Kind::ALL.iter().any(|kind| kind.name().contains(&only)) {
        eprintln!("no fault is called {only:?}: {:?}", Kind::ALL.map(Kind::name));
        return ExitCode::from(2);
    }
    let seed = seed.unwrap_or_else(|| rand::random_range(0..1_000_000));
    println!(
        "seed {seed}, {minutes} minutes of faults; the same faults again: make chaos SEED={seed} MINUTES={minutes}"
    );
    let begin = Instant::now();
    let outcome = tokio::select! {
        outcome = run(seed, minutes, &only) => outcome,
        () = tokio::time::sleep(Duration::from_secs_f64(minutes * 60.0) + OVERHEAD) => {
            Err(anyhow!("not done {OVERHEAD:?} after the time for faults"))
        }
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
    };
    let seconds = begin.elapsed().as_secs_f64();
    match outcome {
        Ok(()) => {
            println!("PASSED with seed {seed} after {seconds:.0} s");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("FAILED with seed {seed} after {seconds:.0} s: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(seed: u64, minutes: f64, only: &str) -> anyhow::Result<()> {
    println!("starting the servers, three brokers and the services ...");
    let mut stage = Stage::build().await?;
    // What waits in vain panics: that fails the run like an error, and everything is stopped.
    let acting = AssertUnwindSafe(act(&mut stage, seed, minutes, only)).catch_unwind().await;
    let outcome = acting.unwrap_or_else(|_| Err(anyhow!("it panicked, see above")));
    if outcome.is_err() {
        println!("all logs are kept in {}", stage.keep_logs()?.display());
    }
    outcome
}

async fn act(stage: &mut Stage, seed: u64, minutes: f64, only: &str) -> anyhow::Result<()> {
    let doing = Arc::new(Mutex::new(String::from("no fault yet")));
    let telling = tokio::spawn(report(Arc::clone(&stage.catalog), Arc::clone(&doing)));
    let writing = stage.write(seed);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let until = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    let mut injected = Vec::new();
    let faults = Plan::new(seed).filter(|fault| fault.kind.name().contains(only));
    for (number, fault) in (1..).zip(faults) {
        if Instant::now() + fault.lasts >= until {
            break;
        }
        *doing.lock().unwrap_or_else(PoisonError::into_inner) =
            format!("fault {number}: {} for {:.1} s", fault.kind.name(), fault.lasts.as_secs_f64());
        injected.push(stage.inject(fault).await.with_context(|| format!("fault {number}, {fault:?}"))?);
        tokio::time::sleep(fault.rest).await;
    }
    "healed: last answers, then read models catch up"
        .clone_into(&mut doing.lock().unwrap_or_else(PoisonError::into_inner));
    // What a whole run must have seen at least, its parts need not.
    let least = if only.is_empty() { (minutes / 5.0).min(1.0) } else { 0.0 };
    let report = judge(stage, writing, least, injected).await;
    telling.abort();
    let report = report?;
    report.print();
    let failures = report.failures();
    if !failures.is_empty() {
        bail!("{}", failures.join("\n- "));
    }
    Ok(())
}

/// Every few seconds, how it goes.
async fn report(catalog: Arc<Catalog>, doing: Arc<Mutex<String>>) {
    const EVERY: Duration = Duration::from_secs(5);
    let mut before = 0;
    loop {
        tokio::time::sleep(EVERY).await;
        let answered = catalog.answered();
        let rate = (answered - before) as f64 / EVERY.as_secs_f64();
        before = answered;
        let doing = doing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        println!("[{:4.0} s] {rate:5.0} commands/s, {answered} in all; {doing}", catalog.now().as_secs_f64());
    }
}

async fn judge(
    stage: &mut Stage,
    writing: Writing,
    least: f64,
    injected: Vec<inject::Injected>,
) -> anyhow::Result<Report> {
    stage.catalog.stop();
    let all = tokio::time::timeout(LAST_ANSWERS, futures::future::join_all(writing)).await;
    let mut recorded = Vec::new();
    for writer in all.context("clients still wait for answers although everything is healed")? {
        recorded.extend(writer?);
    }
    for started in stage.services.iter().chain(&stage.projectors) {
        started.service.wait_ready(PATIENCE).await?;
    }
    let system = &stage.system;
    caught_up(system, &system.planner.names.group_prefix).await?;
    let log = adapter_kafka::read_topic(&system.config.kafka, system.topic()).await?;
    let ids = cli::commands::schemas::ids(&system.config).await?;
    let oracle = Oracle::of(&log, &ids).await?;
    let audit = log.audit(|_, _, _| {}).await?;
    let verdict = check(&oracle, &recorded);
    let (rows, differences) =
        expected::differences(&oracle, &rows::rows(&system.config).await?, OnServers::NOT_GIVEN_BACK)?;
    Ok(Report {
        least,
        injected,
        leader_changes: stage.leaders.changes(),
        counts: stage.proxies.counts(),
        oracle,
        audit,
        verdict,
        rows,
        differences,
    })
}
