//! The import itself. Promises that memory holds a few thousand products however many the file has, that the state file
//! never says more than what was acknowledged, and that rows are told in the file's order.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use contract::AddressedCommand;
use contract::json::bulk_line;
use futures::StreamExt as _;
use futures::stream::FuturesOrdered;
use indicatif::ProgressBar;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::plan::Plan;
use super::{bar, file, report};
use crate::import::{
    Answer, Created, Entries, Entry, Problem, Rejected, State, Tally, Upload, Uploading, updates,
};
use crate::say::say;

/// Lines per request: large enough that requests cost nothing, small enough that a killed service costs little.
const CHUNK: usize = 1_000;
/// Requests at a time.
const PARALLEL: usize = 4;
/// How often a log is told how far the import is.
const TELL: Duration = Duration::from_secs(10);

/// What became of a product.
enum Verdict {
    New,
    Known,
    Updated,
    Unchanged,
    LeftOut { why: String, reason: String },
}

/// Imports what was planned, through the command services at `urls`.
///
/// # Errors
/// If rows were left out, or the import stopped: why, and how to go on.
pub async fn import(plan: &Plan, urls: Vec<String>) -> anyhow::Result<Tally> {
    let upload = Upload {
        urls,
        chunk: CHUNK,
        parallel: PARALLEL,
        patience: plan.options.patience(),
        tls: plan.options.tls.clone(),
    };
    let uploading = upload.begin()?;
    let mut progress = Progress::begin(plan, &upload.urls)?;
    let began = Instant::now();
    let mut entries = plan.catalog.entries()?;
    let outcome = progress.through(&mut entries, plan, &uploading).await;
    progress.bar.finish_and_clear();
    report::notes(&entries);
    if let Err(error) = outcome {
        let State { tally, line, .. } = &progress.state;
        report::end(tally, began.elapsed().as_secs_f64());
        let how = if file(&plan.options).is_some() {
            "the same command with --resume goes on there"
        } else {
            "import again"
        };
        return Err(error.context(format!("the import stopped after line {line}; {how}")));
    }
    progress.end(began)
}

/// How far the import is.
struct Progress {
    state: State,
    state_path: Option<std::path::PathBuf>,
    rejected: Option<Rejected>,
    bar: ProgressBar,
}

impl Progress {
    fn begin(plan: &Plan, target: &[String]) -> anyhow::Result<Self> {
        let bar = bar("importing", plan.catalog.len());
        let fingerprint = plan.fingerprint();
        let Some(input) = file(&plan.options) else {
            if plan.options.resume {
                bail!("the sample catalog is imported as a whole: import it without --resume");
            }
            let state = State::new(fingerprint, target.to_vec());
            return Ok(Self { state, state_path: None, rejected: None, bar });
        };
        let path = State::path_beside(input);
        let state = if plan.options.resume {
            let state = State::resume(&path, &fingerprint, target)?;
            say!("going on after line {}, where {} products are done", state.line, state.done);
            state
        } else {
            if path.exists() {
                say!(
                    "an earlier import of this file did not end; this one begins anew (--resume would go on)"
                );
            }
            State::new(fingerprint, target.to_vec())
        };
        let rejected = Rejected::open(Rejected::path_beside(input), &plan.catalog, state.rejected_bytes)?;
        let progress = Self { state, state_path: Some(path), rejected: Some(rejected), bar };
        progress.save()?;
        Ok(progress)
    }

    async fn through(
        &mut self,
        entries: &mut Entries<'_>,
        plan: &Plan,
        uploading: &Uploading<'_>,
    ) -> anyhow::Result<()> {
        let (update, run) = (plan.options.update, self.state.run);
        let first = plan.options.first.unwrap_or(usize::MAX);
        let mut left = entries.by_ref().take(first).skip(self.state.done as usize);
        let mut under_way = FuturesOrdered::new();
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + TELL, TELL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while under_way.len() < PARALLEL {
                let batch = left.by_ref().take(CHUNK).collect::<anyhow::Result<Vec<Entry>>>()?;
                if batch.is_empty() {
                    break;
                }
                under_way.push_back(send(uploading, batch, update, run));
            }
            tokio::select! {
                done = under_way.next() => match done {
                    Some(done) => self.settle(done?)?,
                    None => return Ok(()),
                },
                _ = ticks.tick() => self.report(),
            }
        }
    }

    /// Writes down what became of a batch.
    fn settle(&mut self, done: Vec<(Entry, Verdict)>) -> anyhow::Result<()> {
        self.rejected.as_mut().map_or(Ok(()), Rejected::set_aside)?;
        for (entry, verdict) in done {
            let tally = &mut self.state.tally;
            match verdict {
                Verdict::New => tally.new += 1,
                Verdict::Known => tally.known += 1,
                Verdict::Updated => tally.updated += 1,
                Verdict::Unchanged => tally.unchanged += 1,
                Verdict::LeftOut { why, reason } => {
                    tally.leave_out(&why);
                    if let Some(rejected) = &mut self.rejected {
                        rejected.add(&entry, &reason)?;
                    }
                }
            }
            self.state.done += 1;
            self.state.line = entry.row.line;
            self.bar.set_position(entry.row.number);
        }
        self.state.rejected_bytes = self.rejected.as_ref().map_or(0, Rejected::bytes);
        self.save()
    }

    /// How far it is, for logs: a terminal has the bar.
    fn report(&self) {
        let mut stderr = std::io::stderr();
        if stderr.is_terminal() {
            return;
        }
        let (done, row, rows) = (self.state.done, self.bar.position(), self.bar.length().unwrap_or_default());
        // Nobody is left to tell if standard error is gone.
        drop(writeln!(stderr, "folio: {done} products are done, row {row} of {rows}"));
    }

    fn save(&self) -> anyhow::Result<()> {
        self.state_path.as_ref().map_or(Ok(()), |path| self.state.save(path))
    }

    fn end(self, began: Instant) -> anyhow::Result<Tally> {
        let tally = self.state.tally;
        report::end(&tally, began.elapsed().as_secs_f64());
        if let Some(path) = &self.state_path {
            State::remove(path)?;
        }
        if tally.left_out() == 0 {
            return Ok(tally);
        }
        let told = match self.rejected.as_ref().and_then(Rejected::path) {
            Some(path) => format!("{} says why: mend it and import it", path.display()),
            None => "see above why".to_owned(),
        };
        bail!("{} of {} products were left out; {told}", tally.left_out(), tally.products())
    }
}

/// Sends the products of a batch, and says what became of each.
async fn send(
    uploading: &Uploading<'_>,
    batch: Vec<Entry>,
    update: bool,
    run: Uuid,
) -> anyhow::Result<Vec<(Entry, Verdict)>> {
    let commands: Vec<&AddressedCommand> =
        batch.iter().filter_map(|entry| entry.command.as_ref().ok()).collect();
    let lines: Vec<String> = commands.iter().map(|command| bulk_line(command)).collect();
    let mut verdicts: Vec<Option<Verdict>> = Vec::new();
    verdicts.resize_with(lines.len(), || None);
    let mut existing = Vec::new();
    uploading
        .send(&lines, |line, answer| {
            verdicts[line] = match Created::of(answer) {
                Created::New => Some(Verdict::New),
                Created::Known | Created::Exists if update => {
                    existing.push(line);
                    None
                }
                Created::Known => Some(Verdict::Known),
                Created::Exists => Some(Verdict::LeftOut {
                    why: "it exists already".to_owned(),
                    reason: "exists already, and not by this very row: import with --update to change it"
                        .to_owned(),
                }),
                Created::Refused { code, told } => Some(Verdict::LeftOut { why: code, reason: told }),
            };
        })
        .await?;
    existing.sort_unstable();
    for (line, verdict) in updated(uploading, &commands, existing, run).await? {
        verdicts[line] = Some(verdict);
    }
    let mut verdicts = verdicts.into_iter();
    let verdict = |entry: Entry| -> anyhow::Result<(Entry, Verdict)> {
        let verdict = match &entry.command {
            Err(problems) => Verdict::LeftOut { why: kinds(problems), reason: reasons(problems) },
            Ok(_) => verdicts.next().flatten().context("a line has no answer")?,
        };
        Ok((entry, verdict))
    };
    batch.into_iter().map(verdict).collect()
}

/// Brings the products of these lines to what the file says.
async fn updated(
    uploading: &Uploading<'_>,
    commands: &[&AddressedCommand],
    existing: Vec<usize>,
    run: Uuid,
) -> anyhow::Result<Vec<(usize, Verdict)>> {
    let (mut lines, mut of) = (Vec::new(), Vec::new());
    for line in existing {
        for update in updates(commands[line], run) {
            lines.push(update);
            of.push(line);
        }
    }
    let mut answers: Vec<Option<Answer>> = vec![None; lines.len()];
    uploading.send(&lines, |line, answer| answers[line] = Some(answer.clone())).await?;
    let mut verdicts: Vec<(usize, Verdict)> = Vec::new();
    for (line, answer) in of.into_iter().zip(answers.into_iter().flatten()) {
        let verdict = match (answer.code(), answer.outcome.as_deref()) {
            (Some(code), _) => Verdict::LeftOut { why: code.to_owned(), reason: answer.told() },
            (None, Some("no_effect")) => Verdict::Unchanged,
            (None, _) => Verdict::Updated,
        };
        match verdicts.last_mut().filter(|(last, _)| *last == line) {
            None => verdicts.push((line, verdict)),
            // What was refused counts more than what was done, and that more than what was there.
            Some((_, known)) => match (&known, verdict) {
                (Verdict::LeftOut { .. }, _) | (Verdict::Updated, Verdict::Unchanged) => {}
                (_, verdict) => *known = verdict,
            },
        }
    }
    Ok(verdicts)
}

fn kinds(problems: &[Problem]) -> String {
    let mut kinds: Vec<&str> = problems.iter().map(|problem| problem.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds.join(" and ")
}

fn reasons(problems: &[Problem]) -> String {
    problems.iter().map(Problem::reason).collect::<Vec<_>>().join("; ")
}
