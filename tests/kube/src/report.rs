//! What was done, how long it took, and what the client counted.

use std::time::Duration;

use crate::control::{Counts, Verdict};

/// Everything there is to say.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Steps that were done.
    steps: u64,
    /// From `helm install` until everything was ready: the first, and the one on the topic that was there.
    pub(crate) installs: Vec<Duration>,
    /// Pods killed by force, and asked to end.
    pub(crate) forced: u64,
    pub(crate) ended: u64,
    /// Records that were there after the release was gone.
    pub(crate) stayed: Option<u64>,
    /// What was not done, and why.
    skipped: Vec<&'static str>,
    pub(crate) counts: Counts,
    pub(crate) verdict: Option<Verdict>,
}

impl Report {
    /// A step is done: what the client saw in it.
    pub(crate) fn step(&mut self, name: &str, took: Duration, counts: Counts) {
        let failures = |counts: &Counts| counts.failures.values().sum::<u64>();
        println!(
            "{name:52} {:6.1} s  {:5} commands, {:5} reads, {:3} of their requests failed",
            took.as_secs_f64(),
            counts.commands - self.counts.commands,
            counts.reads - self.counts.reads,
            failures(&counts) - failures(&self.counts)
        );
        self.steps += 1;
        self.counts = counts;
    }

    /// A step cannot be done here: told at once, and in the report.
    pub(crate) fn skip(&mut self, what: &'static str) {
        say_loudly(what);
        self.skipped.push(what);
    }

    pub(crate) fn print(&self) {
        if self.steps == 0 {
            return;
        }
        let seconds: Vec<String> =
            self.installs.iter().map(|it| format!("{:.1} s", it.as_secs_f64())).collect();
        println!("\ninstall to ready: {}", seconds.join(", and on the topic that was there: "));
        println!("pods killed: {} by force, {} asked to end", self.forced, self.ended);
        if let Some(stayed) = self.stayed {
            println!("after uninstalling: {stayed} records are still in the topic");
        }
        for what in &self.skipped {
            say_loudly(what);
        }
        let Counts { of_this, of_later, .. } = &self.counts;
        println!("products shown: {of_this} of this release's rows, {of_later} of a later release's");
        let Counts { reads, with_token, cured, longest_cure, not_cured, wrong, failures, .. } = &self.counts;
        println!(
            "reads: {reads}, {with_token} of them with a consistency token; {} failed at first, {cured} cured by asking again \
             (within {:.1} s), {not_cured} not cured; {wrong} wrong; failed requests: {failures:?}",
            cured + not_cured,
            longest_cure.as_secs_f64()
        );
        let Some(verdict) = &self.verdict else {
            return println!("commands: {} so far", self.counts.commands);
        };
        let Verdict { commands, acknowledged, retried, requests, answers, imported, .. } = verdict;
        println!(
            "commands: {commands} sent in {requests} requests, {retried} of them more than once, {acknowledged} acknowledged with a \
             record; {answers:?}; and {imported} lines imported"
        );
        let Verdict { records, effective, void, unacknowledged, rows, read_back, faults, .. } = verdict;
        println!(
            "checked: {records} records, {effective} effective, {void} void, {unacknowledged} that nobody was told of; {rows} rows \
             of the stores; {read_back} products read back; {} faults",
            faults.len()
        );
    }

    /// Why the run fails; empty if it does not.
    pub(crate) fn failures(&self) -> Vec<String> {
        let mut failures = self.verdict.as_ref().map(|it| it.faults.clone()).unwrap_or_default();
        let Counts { reads, with_token, not_cured, wrong, .. } = self.counts;
        if not_cured > 0 {
            failures.push(format!("{not_cured} reads failed, and asking again did not cure it"));
        }
        if wrong > 0 {
            failures.push(format!("{wrong} reads were answered as nobody should be"));
        }
        let commands = self.verdict.as_ref().map_or(0, |it| it.acknowledged);
        if with_token < 100 || reads < 200 || commands < 300 {
            failures.push(format!(
                "only {reads} reads, {with_token} with a token, and {commands} commands: too few to say anything"
            ));
        }
        let retried = self.verdict.as_ref().map_or(0, |it| it.retried);
        if self.counts.cured + not_cured == 0 || retried == 0 {
            failures
                .push("nobody felt that pods were killed: the run shows nothing of trying again".to_owned());
        }
        failures
    }
}

fn say_loudly(what: &str) {
    let line = "=".repeat(100);
    println!("{line}\nSKIPPED, NOT TESTED: {what}\n{line}");
}
