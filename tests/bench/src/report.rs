//! What a run says: `target/bench/report.json` for programs, a table on standard output for people.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use crate::pairs::{self, Summary};

/// Which values are good.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// One measured number.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub name: String,
    /// What the system did.
    pub value: f64,
    pub unit: &'static str,
    /// What bare clients did; none where the target is absolute.
    pub ceiling: Option<f64>,
    /// What is held against the target: value by ceiling, or the measured value if the target is absolute.
    pub ratio: f64,
    /// None: reported only.
    pub target: Option<f64>,
    pub better: Better,
    /// The smallest and largest of the pairs.
    pub spread: (f64, f64),
    /// What else a reader should know.
    pub note: String,
}

/// Ceilings that lie further apart than this make a number doubtful.
const STEADY: f64 = 0.15;

impl Row {
    /// A rate held against the ceiling's rate.
    pub(crate) fn rate(name: &str, unit: &'static str, summary: &Summary, target: f64) -> Self {
        Self {
            name: name.to_owned(),
            value: summary.system,
            unit,
            ceiling: Some(summary.ceiling),
            ratio: summary.middle,
            target: Some(target),
            better: Better::Higher,
            spread: summary.spread,
            note: unsteady(summary),
        }
    }

    /// A time held against the ceiling's time: the shorter the better.
    pub(crate) fn times(name: &str, unit: &'static str, summary: &Summary, target: f64) -> Self {
        Self { better: Better::Lower, ..Self::rate(name, unit, summary, target) }
    }

    /// A cost with an absolute target.
    pub(crate) fn cost(name: &str, unit: &'static str, summary: &Summary, target: Option<f64>) -> Self {
        Self {
            name: name.to_owned(),
            value: summary.middle,
            unit,
            ceiling: None,
            ratio: summary.middle,
            target,
            better: Better::Lower,
            spread: summary.spread,
            note: String::new(),
        }
    }

    /// A rate that nothing is held against: reported only.
    pub(crate) fn speed(name: &str, unit: &'static str, summary: &Summary) -> Self {
        Self { better: Better::Higher, ..Self::cost(name, unit, summary, None) }
    }

    /// A size: reported only.
    pub(crate) fn bytes(name: &str, bytes: f64) -> Self {
        Self::cost(name, "bytes", &pairs::alone(&[bytes]), None)
    }

    pub(crate) fn noting(mut self, note: impl AsRef<str>) -> Self {
        if !self.note.is_empty() {
            self.note.push_str("; ");
        }
        self.note.push_str(note.as_ref());
        self
    }

    fn verdict(&self) -> &'static str {
        let Some(target) = self.target else { return "" };
        let holds = match self.better {
            Better::Higher => self.ratio >= target,
            Better::Lower => self.ratio <= target,
        };
        if holds { "yes" } else { "NO" }
    }
}

fn unsteady(summary: &Summary) -> String {
    if summary.ceiling_varied > STEADY {
        format!("the ceiling varied by {:.0} %", summary.ceiling_varied * 100.0)
    } else {
        String::new()
    }
}

/// Writes the rows as JSON under the project's `target`.
pub(crate) fn write(rows: &[Row], project: &Path) -> anyhow::Result<()> {
    let path = project.join("target/bench/report.json");
    std::fs::create_dir_all(path.parent().unwrap_or(project))?;
    std::fs::write(&path, serde_json::to_vec_pretty(rows)?)
        .with_context(|| format!("writing {}", path.display()))?;
    eprintln!("written: {}", path.display());
    Ok(())
}

/// Prints the rows as a Markdown table.
pub(crate) fn print(rows: &[Row]) {
    println!("| measure | value | ceiling | ratio (spread) | target | met | note |");
    println!("| --- | ---: | ---: | ---: | ---: | --- | --- |");
    for row in rows {
        let value = format!("{} {}", short(row.value), row.unit);
        let ceiling = row.ceiling.map(short).unwrap_or_default();
        let spread = format!("{} ({}..{})", short(row.ratio), short(row.spread.0), short(row.spread.1));
        let target = row.target.map(short).unwrap_or_default();
        println!(
            "| {} | {value} | {ceiling} | {spread} | {target} | {} | {} |",
            row.name,
            row.verdict(),
            row.note
        );
    }
}

fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 1_000.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
