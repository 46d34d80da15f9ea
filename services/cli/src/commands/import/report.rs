//! What an import says to people.

use std::collections::BTreeMap;

use anyhow::bail;

use super::plan::Plan;
use crate::import::{Entries, Tally, some};
use crate::say::say;

/// Says how the file was understood, and what of it is not taken.
pub(super) fn begin(plan: &Plan) {
    let catalog = &plan.catalog;
    say!("reading {} ({} rows) {}", catalog.source.name(), catalog.len(), plan.understood);
    let (unknown, repeated) = catalog.unused();
    if !unknown.is_empty() {
        say!("{} columns are not taken, as nothing says what they mean: {}", unknown.len(), some(&unknown));
    }
    if !repeated.is_empty() {
        say!(
            "columns that come more than once, of which the first cell that is not blank counts: {}",
            some(&repeated)
        );
    }
}

/// Tells every problem of every row, and how many there are of each kind.
///
/// # Errors
/// If there are problems.
pub(super) fn dry_run(plan: &Plan) -> anyhow::Result<Tally> {
    let mut entries = plan.catalog.entries()?;
    let mut tally = Tally::default();
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    for entry in entries.by_ref().take(plan.options.first.unwrap_or(usize::MAX)) {
        match entry?.command {
            Ok(_) => tally.new += 1,
            Err(problems) => {
                tally.leave_out("dry run");
                for problem in problems {
                    say!("{problem}");
                    *kinds.entry(problem.kind).or_default() += 1;
                }
            }
        }
    }
    notes(&entries);
    say!("{} products can be imported, {} cannot", tally.new, tally.left_out());
    for (kind, count) in &kinds {
        say!("  {kind}: {count} problems");
    }
    if tally.left_out() > 0 {
        bail!("{} of {} products have problems; nothing was imported", tally.left_out(), tally.products());
    }
    Ok(tally)
}

/// Says what was done to rows, and which are no products.
pub(super) fn notes(entries: &Entries<'_>) {
    for (why, count) in entries.passed_over() {
        say!("{count} rows are no products: {why}");
    }
    for (field, count) in &entries.notes().cleaned {
        say!(
            "{count} times {field} had characters taken out or replaced: invisible ones, line ends, a / in a level of a category"
        );
    }
    for ((field, default), count) in &entries.notes().defaults {
        say!("{count} products have no {field}: {default:?} was put");
    }
}

/// Says what an import came to.
pub(super) fn end(tally: &Tally, seconds: f64) {
    let rate = tally.products() as f64 / seconds.max(0.001);
    let mut parts = vec![format!("{} new", tally.new), format!("{} known already", tally.known)];
    if tally.updated + tally.unchanged > 0 {
        parts.push(format!("{} updated", tally.updated));
        parts.push(format!("{} unchanged", tally.unchanged));
    }
    parts.push(format!("{} left out", tally.left_out()));
    say!(
        "imported {} products ({}) in {seconds:.1} s: {rate:.0} a second",
        tally.products(),
        parts.join(", ")
    );
    for (why, count) in &tally.left_out {
        say!("  left out, {why}: {count}");
    }
}
