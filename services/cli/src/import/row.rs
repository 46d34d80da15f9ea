//! A row: cells under the names of their columns, with the line it starts on.

use std::collections::HashMap;
use std::sync::Arc;

/// What stands between the items of a JSON list in one cell: no text of the catalog can hold it.
pub(crate) const ITEMS: char = '\u{1f}';

/// The names of the columns, in the file's order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Columns {
    names: Vec<String>,
    by_name: HashMap<String, Vec<usize>>,
}

impl Columns {
    /// Columns with these names; they are compared without case and without blanks around.
    pub(crate) fn new(names: Vec<String>) -> Self {
        let names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, name) in names.iter().enumerate() {
            by_name.entry(folded(name)).or_default().push(at);
        }
        Self { names, by_name }
    }

    /// The names, in order.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Where the columns of this name are.
    pub(crate) fn places(&self, name: &str) -> &[usize] {
        self.by_name.get(&folded(name)).map(Vec::as_slice).unwrap_or_default()
    }

    /// Names that several columns have.
    pub(crate) fn repeated(&self) -> Vec<&str> {
        let mut repeated: Vec<&str> = self
            .by_name
            .values()
            .filter(|places| places.len() > 1)
            .map(|places| self.names[places[0]].as_str())
            .filter(|name| !name.is_empty())
            .collect();
        repeated.sort_unstable();
        repeated
    }
}

/// A name as it is compared.
pub(crate) fn folded(name: &str) -> String {
    name.trim().to_lowercase()
}

/// One row of a file.
#[derive(Debug, Clone)]
pub struct Row {
    /// The line it starts on, from 1.
    pub line: u64,
    /// Which row of data it is, from 1.
    pub number: u64,
    pub(crate) columns: Arc<Columns>,
    pub(crate) cells: Vec<String>,
    /// What the cells were as bytes, where they are no UTF-8.
    pub(crate) broken: Vec<(usize, Vec<u8>)>,
    /// The line of NDJSON it was.
    pub(crate) json: Option<String>,
    /// What is wrong with the row before anyone looks at what it says.
    pub(crate) fault: Option<String>,
}

impl Row {
    /// The first cell under this name that is not blank.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let cells = self.columns.places(name).iter().filter_map(|&at| self.cells.get(at));
        cells.map(|cell| cell.trim()).find(|cell| !cell.is_empty())
    }

    /// Fills a cell that is blank.
    pub(crate) fn inherit(&mut self, at: usize, value: &str) {
        if self.cells.len() <= at {
            self.cells.resize(at + 1, String::new());
        }
        if self.cells[at].trim().is_empty() {
            value.clone_into(&mut self.cells[at]);
        }
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_blank(&self) -> bool {
        self.json.is_none() && self.fault.is_none() && self.cells.iter().all(|cell| cell.trim().is_empty())
    }
}

#[cfg(test)]
impl Row {
    /// A row for tests.
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        let names = pairs.iter().map(|(name, _)| (*name).to_owned()).collect();
        Self {
            line: 2,
            number: 1,
            columns: Arc::new(Columns::new(names)),
            cells: pairs.iter().map(|(_, cell)| (*cell).to_owned()).collect(),
            broken: Vec::new(),
            json: None,
            fault: None,
        }
    }
}
