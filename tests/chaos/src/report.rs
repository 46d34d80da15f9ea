//! What was injected, what was checked, and what the run comes to.

use std::collections::BTreeMap;
use std::time::Duration;

use event_reader::Audit;
use testkit::Oracle;
use testkit::history::Verdict;
use testkit::kafka_proxy::{ApiKey, Attack, Counts};

use crate::inject::Injected;
use crate::plan::Kind;

/// What a run of five minutes must have seen at least.
const VOID_RECORDS: f64 = 100.0;
const LEADER_CHANGES: f64 = 5.0;
const LOST_ANSWERS: f64 = 20.0;

/// Everything there is to say.
pub(crate) struct Report {
    /// The share of what a run of five minutes must have seen.
    pub(crate) least: f64,
    pub(crate) injected: Vec<Injected>,
    pub(crate) leader_changes: u64,
    pub(crate) counts: Counts,
    pub(crate) oracle: Oracle,
    pub(crate) audit: Audit,
    pub(crate) verdict: Verdict,
    /// Rows of the read models that were compared, and those that differ.
    pub(crate) rows: usize,
    pub(crate) differences: Vec<String>,
}

impl Report {
    fn lost_answers(&self) -> u64 {
        let lost = [Attack::DropAnswer.name(), Attack::CutAtAnswer.name()];
        lost.iter().filter_map(|name| self.counts.get(&(ApiKey::PRODUCE, *name))).sum()
    }

    pub(crate) fn print(&self) {
        println!("\ninjected ({} faults):", self.injected.len());
        println!(
            "  {:32} {:>5}  {:>7} {:40} recovery p50, max: first  in every partition",
            "", "times", "effect", ""
        );
        for (kind, injected) in self.by_kind() {
            let effect: u64 = injected.iter().map(|it| it.effect).sum();
            let first = spread(injected.iter().map(|it| it.recovered.first));
            let everywhere = spread(injected.iter().map(|it| it.recovered.everywhere));
            println!(
                "  {:32} {:>5}  {effect:>7} {:40} {first}  {everywhere}",
                kind.name(),
                injected.len(),
                kind.unit(),
            );
        }
        let first = spread(self.injected.iter().map(|it| it.recovered.first));
        let everywhere = spread(self.injected.iter().map(|it| it.recovered.everywhere));
        println!("  recovery over all faults: {first} to the first command, {everywhere} to every partition");
        println!(
            "observed: {} void records, {} leader changes, {} lost Produce answers",
            self.oracle.void,
            self.leader_changes,
            self.lost_answers()
        );
        let Verdict { commands, attempts, unacknowledged, .. } = &self.verdict;
        println!("checked:");
        println!("  {commands} commands in {attempts} requests: {:?}", self.verdict.answers);
        println!(
            "  {} records, {} effective, {} of these never acknowledged; {} keys twice; {} garbage; {} violations of the rule",
            self.audit.records,
            self.audit.effective,
            unacknowledged,
            self.oracle.repeated_keys,
            self.audit.garbage,
            self.audit.violations
        );
        println!("  {} rows and documents against an independent fold of the log", self.rows);
    }

    /// Why the run fails; empty if it does not.
    pub(crate) fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        if self.verdict.violations > 0 {
            failures.push(format!("{} violations; the first:", self.verdict.violations));
            failures.extend(self.verdict.first.iter().cloned());
        }
        if (self.audit.violations, self.audit.garbage) != (0, 0) {
            failures.push("the ledger's reader counts garbage or violations of the rule".to_owned());
        }
        if (self.audit.effective, self.audit.void) != (self.oracle.effective(), self.oracle.void) {
            failures.push(format!(
                "the ledger's reader and the independent judge disagree: {:?}; {} effective, {} void",
                self.audit,
                self.oracle.effective(),
                self.oracle.void
            ));
        }
        if !self.differences.is_empty() {
            failures.push("the read models differ from the log:".to_owned());
            failures.extend(self.differences.iter().cloned());
        }
        for (kind, injected) in self.by_kind() {
            if injected.iter().all(|it| it.effect == 0) {
                failures.push(format!("\"{}\" had no observed effect ({} is 0)", kind.name(), kind.unit()));
            }
        }
        for (what, seen, of_five) in [
            ("void records", self.oracle.void, VOID_RECORDS),
            ("leader changes", self.leader_changes, LEADER_CHANGES),
            ("lost Produce answers", self.lost_answers(), LOST_ANSWERS),
        ] {
            let least = (of_five * self.least).ceil() as u64;
            if seen < least {
                failures.push(format!("only {seen} {what}: a run of this length must show {least}"));
            }
        }
        failures
    }

    fn by_kind(&self) -> BTreeMap<Kind, Vec<&Injected>> {
        let mut by_kind: BTreeMap<Kind, Vec<&Injected>> = BTreeMap::new();
        for one in &self.injected {
            by_kind.entry(one.kind).or_default().push(one);
        }
        by_kind
    }
}

/// Median and maximum.
fn spread(times: impl Iterator<Item = Duration>) -> String {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    let seconds = |time: Option<&Duration>| time.map_or(0.0, Duration::as_secs_f64);
    format!("{:6.2} s {:6.2} s", seconds(times.get(times.len() / 2)), seconds(times.last()))
}
