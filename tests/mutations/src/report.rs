//! What became of each defect: a table for people, `report.json` for programs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use crate::mutant::{Mutant, Stage};

/// What became of a defect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub(crate) enum Fate {
    Caught { stage: Stage, test: String },
    Survived,
    DoesNotCompile { problem: String },
}

/// A line of the report.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    mutant: String,
    file: String,
    defect: String,
    must_be_caught_by: Stage,
    #[serde(flatten)]
    fate: Fate,
    seconds: f64,
}

#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Row>);

impl Row {
    /// `took`: from seeding the defect to its end, builds included.
    pub(crate) fn new(mutant: &Mutant, fate: Fate, took: Duration) -> Self {
        let file = mutant.touched.first().map_or_else(String::new, |file| file.display().to_string());
        Self {
            mutant: mutant.name.clone(),
            file,
            defect: mutant.defect.clone(),
            must_be_caught_by: mutant.stage,
            fate,
            seconds: (took.as_secs_f64() * 10.0).round() / 10.0,
        }
    }

    pub(crate) fn line(&self) -> String {
        let (by, test) = match &self.fate {
            Fate::Caught { stage, test } => (stage.name(), test.as_str()),
            Fate::Survived => ("SURVIVED", self.defect.as_str()),
            Fate::DoesNotCompile { .. } => ("NO BUILD", "the patch does not compile"),
        };
        format!("{:<44} {by:<13} {:>6.1} s  {test}", self.mutant, self.seconds)
    }
}

impl Report {
    pub(crate) fn add(&mut self, row: Row) {
        self.0.push(row);
    }

    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(&self.0)?;
        fs::write(file, text).with_context(|| format!("writing {}", file.display()))
    }

    /// Whether every defect was caught, and at least `past_unit_tests` of them, if that counts, not by unit tests.
    #[expect(clippy::print_stdout, reason = "whoever reads the table must hear what it lacks")]
    pub(crate) fn is_good(&self, past_unit_tests: Option<usize>) -> bool {
        let lacking = past_unit_tests.filter(|least| self.past_unit_tests() < *least);
        if let Some(least) = lacking {
            println!(
                "at least {least} must survive the unit tests and fall only to simulation or real servers"
            );
        }
        self.not_caught() == 0 && lacking.is_none()
    }

    #[expect(clippy::print_stdout, reason = "the table is what the command is for")]
    pub(crate) fn print(&self) {
        println!("\n{:<44} {:<13} {:>8}  by the test", "defect", "caught by", "after");
        for row in &self.0 {
            println!("{}", row.line());
            if let Fate::DoesNotCompile { problem } = &row.fate {
                println!("{problem}");
            }
        }
        println!(
            "{} defects: {} not caught, {} caught only past the unit tests",
            self.0.len(),
            self.not_caught(),
            self.past_unit_tests()
        );
    }

    fn not_caught(&self) -> usize {
        self.0.iter().filter(|row| !matches!(row.fate, Fate::Caught { .. })).count()
    }

    fn past_unit_tests(&self) -> usize {
        let past = |row: &&Row| matches!(row.fate, Fate::Caught { stage, .. } if stage > Stage::UnitTests);
        self.0.iter().filter(past).count()
    }
}
