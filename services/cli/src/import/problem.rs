//! What is wrong with a row, said so that a person finds the cell and knows what to do.

use std::fmt;

/// One fault of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line of the file in which the row starts, from 1.
    pub line: u64,
    /// The column it is in, if it is in one.
    pub column: Option<String>,
    /// What the summary counts it as: `price`, `sku`, `encoding`, ...
    pub kind: String,
    /// What is wrong and what would be right.
    pub detail: String,
}

impl Problem {
    /// A fault of a whole row.
    pub(crate) fn of_row(line: u64, kind: &str, detail: impl Into<String>) -> Self {
        Self { line, column: None, kind: kind.to_owned(), detail: detail.into() }
    }

    /// A fault of one cell.
    pub(crate) fn of_cell(
        line: u64,
        column: impl Into<String>,
        kind: &str,
        detail: impl Into<String>,
    ) -> Self {
        Self { line, column: Some(column.into()), kind: kind.to_owned(), detail: detail.into() }
    }

    /// Without the line: what the file of left-out rows says beside the line.
    pub fn reason(&self) -> String {
        match &self.column {
            Some(column) => format!("column \"{column}\": {}", self.detail),
            None => self.detail.clone(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(column) = &self.column {
            write!(f, ", column \"{column}\"")?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// A cell's text as an error quotes it: short, and with nothing in it that shows as nothing.
pub(crate) fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() {
        short.push_str("...");
    }
    format!("\"{short}\"")
}
