//! `folio-sim`: one simulated history with its trace, or many with what happened in them. Exit code 1 if a promise was
//! broken, 2 if the arguments are wrong.

use std::io::IsTerminal;
use std::ops::Range;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{ArgGroup, Parser};
use folio_sim::{Counts, Run, Trace, Weakening, explain, run};

/// Simulates histories of Folio's write side: real sequencers, the real domain, every fault, all from a seed.
#[derive(Debug, Parser)]
#[command(name = "folio-sim", version, group(ArgGroup::new("what").required(true).args(["seed", "seeds"])))]
struct Arguments {
    /// Run this seed and print its trace: step, time, who, what
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Run so many seeds, or the seeds from A to B (exclusive), until one breaks a promise
    #[arg(long, value_name = "N|A..B", value_parser = seeds)]
    seeds: Option<Range<u64>>,
    /// The first of so many seeds
    #[arg(long, value_name = "A", default_value_t = 0, conflicts_with = "seed")]
    from: u64,
    /// Break a rule of the design, to see how it is found: version, window, reports, read-barrier, undecided-state,
    /// snapshot or compaction
    #[arg(long, value_name = "RULE", value_parser = weakening)]
    weaken: Option<Weakening>,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let number =
        |text: &str| text.replace('_', "").parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    let range = match text.split_once("..") {
        Some((from, to)) => number(from)?..number(to)?,
        None => 0..number(text)?,
    };
    if range.is_empty() {
        return Err("there is no seed in it: give a number above 0, or A..B with A below B".to_owned());
    }
    Ok(range)
}

fn weakening(name: &str) -> Result<Weakening, String> {
    let names = Weakening::ALL.map(Weakening::name).join(", ");
    let known = Weakening::ALL.into_iter().find(|weakening| weakening.name() == name);
    known.ok_or_else(|| format!("the rules that can be broken are {names}"))
}

fn main() -> ExitCode {
    let Arguments { seed, seeds, from, weaken } = Arguments::parse();
    // What panics inside a run is told with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    if let Some(seed) = seed {
        return one(seed, weaken);
    }
    let Range { start, end } = seeds.unwrap_or_default();
    many(start.saturating_add(from)..end.saturating_add(from), weaken)
}

#[expect(clippy::print_stdout, reason = "the trace is what was asked for")]
fn one(seed: u64, weaken: Option<Weakening>) -> ExitCode {
    let Run { counts, outcome, .. } = run(seed, weaken, Trace::Print);
    println!("\n{counts}");
    match outcome {
        Ok(()) => {
            println!("seed {seed}: every promise holds");
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("seed {seed} breaks a promise\n  {violation}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the counts are what was asked for")]
fn many(seeds: Range<u64>, weaken: Option<Weakening>) -> ExitCode {
    let mut sum = Counts::default();
    let mut progress = Progress::new(&seeds);
    for seed in seeds.clone() {
        let Run { counts, outcome, .. } = run(seed, weaken, Trace::Off);
        sum.add(&counts);
        if let Err(violation) = outcome {
            progress.report(seed + 1, true);
            println!("{}", explain(seed, weaken, &violation));
            return ExitCode::FAILURE;
        }
        progress.report(seed + 1, seed + 1 == seeds.end);
    }
    println!("{sum}\nseeds {}..{}: every promise holds", seeds.start, seeds.end);
    ExitCode::SUCCESS
}

/// Says on standard error how far the seeds are, once in a while.
struct Progress {
    first: u64,
    end: u64,
    since: Instant,
    told: Instant,
    pause: Duration,
}

impl Progress {
    fn new(seeds: &Range<u64>) -> Self {
        let pause = Duration::from_secs(if std::io::stderr().is_terminal() { 1 } else { 10 });
        Self { first: seeds.start, end: seeds.end, since: Instant::now(), told: Instant::now(), pause }
    }

    fn report(&mut self, next: u64, now: bool) {
        if now || self.told.elapsed() >= self.pause {
            self.told = Instant::now();
            let (done, all) = (next - self.first, self.end - self.first);
            let rate = done as f64 / self.since.elapsed().as_secs_f64().max(1e-9);
            eprintln!("{done} of {all} seeds, {rate:.0} a second, {:.0} s to go", (all - done) as f64 / rate);
        }
    }
}
