//! A file as a catalog: its products in the file's order, each as a command or with what is wrong with it. Reading it twice
//! gives the same. Memory holds one product, the parents others refer to, and a few bytes for each id.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use contract::AddressedCommand;

use super::map::{Map, RowRules};
use super::problem::{Problem, quoted};
use super::product::{self, Notes, Requested};
use super::row::{Columns, Row, folded};
use super::source::{Format, Source};
use super::table::Rows;

/// How the rows of a file become products.
#[derive(Clone, Debug)]
pub enum Shape {
    /// By a map.
    Mapped(Box<Map>),
    /// The lines are bodies of `POST /v1/products` already.
    Own,
}

/// A file and what it means.
#[derive(Clone, Debug)]
pub struct Catalog {
    pub source: Source,
    pub format: Format,
    pub shape: Shape,
    pub requested: Requested,
    index: Arc<Index>,
}

/// What is known of a file after it was read once.
#[derive(Debug, Default)]
struct Index {
    rows: u64,
    parents: HashMap<String, Arc<Row>>,
    columns: Arc<Columns>,
    separator: u8,
    fingerprint: u64,
}

/// One product of a file, or what should be one.
#[derive(Debug)]
pub struct Entry {
    pub row: Row,
    /// What it takes from.
    pub parent: Option<Arc<Row>>,
    /// Whether others may take from it.
    pub(crate) is_parent: bool,
    pub command: Result<AddressedCommand, Vec<Problem>>,
}

impl Catalog {
    /// Reads the file once: that it can be read, how many rows it has, what others refer to.
    ///
    /// # Errors
    /// If it cannot be read at all; a row that is wrong is no error here.
    pub fn open(source: Source, format: Format, shape: Shape, requested: Requested) -> anyhow::Result<Self> {
        let mut catalog = Self { source, format, shape, requested, index: Arc::default() };
        let mut index = Index::default();
        let mut hash = DefaultHasher::new();
        let rows = catalog.rows()?;
        rows.columns().names().hash(&mut hash);
        let is_table = rows.is_table();
        index.separator = rows.separator();
        if is_table {
            index.columns = Arc::clone(rows.shared_columns());
        }
        for row in rows {
            let row = row.with_context(|| format!("reading {}", catalog.source.name()))?;
            index.rows += 1;
            if let Shape::Mapped(map) = &catalog.shape
                && map.numbers_rows()
                && row.get(super::rejected::ADDED[0]).is_some()
            {
                bail!(
                    "{} holds what was left out of another file, and the map makes names of the numbers of rows, which are others \
                     here: mend the rows in the file they are from, and import that again (what is in already stays as it is)",
                    catalog.source.name()
                );
            }
            (row.line, &row.cells, &row.json).hash(&mut hash);
            if let Shape::Mapped(map) = &catalog.shape
                && let Some(parents) = map.rows.parents.as_ref().filter(|parents| parents.are.are_in(&row))
            {
                let row = Arc::new(row);
                for name in parents.called.iter().filter_map(|it| it.filled(&row, |_| false)) {
                    index.parents.entry(folded(&name.text)).or_insert_with(|| Arc::clone(&row));
                }
            }
        }
        index.fingerprint = hash.finish();
        catalog.index = Arc::new(index);
        Ok(catalog)
    }

    fn rows(&self) -> anyhow::Result<Rows> {
        let text = self.source.open()?;
        let format = match (&self.shape, self.format) {
            (Shape::Mapped(map), Format::Csv(None)) => Format::Csv(map.separator.map(|it| it as u8)),
            (_, format) => format,
        };
        Rows::open(text, format).with_context(|| format!("reading {}", self.source.name()))
    }

    /// How many rows the file has.
    pub fn len(&self) -> u64 {
        self.index.rows
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.index.rows == 0
    }

    /// Tells this content from another.
    pub fn fingerprint(&self) -> u64 {
        self.index.fingerprint
    }

    /// The columns of a table.
    pub(crate) fn columns(&self) -> &Columns {
        &self.index.columns
    }

    /// What stands between the cells of a table.
    pub(crate) fn separator(&self) -> u8 {
        self.index.separator
    }

    /// Columns that are not taken, and names that several columns have.
    pub fn unused(&self) -> (Vec<&str>, Vec<&str>) {
        let unknown = match &self.shape {
            Shape::Mapped(map) => map.unknown(&self.index.columns),
            Shape::Own => Vec::new(),
        };
        (unknown, self.index.columns.repeated())
    }

    /// The products, in the file's order.
    ///
    /// # Errors
    /// If the file cannot be opened again.
    pub fn entries(&self) -> anyhow::Result<Entries<'_>> {
        Ok(Entries {
            catalog: self,
            rows: self.rows()?,
            read: 0,
            head: None,
            ids: HashMap::new(),
            notes: Notes::default(),
            passed_over: BTreeMap::new(),
        })
    }
}

/// The products of a file, one after another.
#[derive(Debug)]
pub struct Entries<'a> {
    catalog: &'a Catalog,
    rows: Rows,
    /// How many rows were read.
    read: u64,
    /// The first row of the group the last row was in.
    head: Option<Arc<Row>>,
    /// Where each product id was first: by its hash, so that it costs little.
    ids: HashMap<u64, u64>,
    notes: Notes,
    /// Rows that are no products, by why.
    passed_over: BTreeMap<String, u64>,
}

impl Entries<'_> {
    /// What was done to the rows so far.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Rows so far that are no products, by why.
    pub fn passed_over(&self) -> &BTreeMap<String, u64> {
        &self.passed_over
    }

    fn entry(&mut self, mut row: Row) -> Option<Entry> {
        let catalog = self.catalog;
        let Shape::Mapped(map) = &catalog.shape else {
            let command = match &row.fault {
                Some(fault) => Err(vec![Problem::of_row(row.line, "json", fault.clone())]),
                None => product::own(&row),
            };
            let command = self.once(&row, command);
            return Some(Entry { row, parent: None, is_parent: false, command });
        };
        // Of a row that cannot be read it is not known whether it is a product: it is told.
        let passed_over = self.is_passed_over(&map.rows, &row);
        let is_parent = map.rows.parents.as_ref().is_some_and(|parents| parents.are.are_in(&row));
        if let Some(why) = passed_over.filter(|_| !row.is_broken()) {
            *self.passed_over.entry(why).or_default() += 1;
            return None;
        }
        let (parent, mut problems) = match self.parent(&map.rows, &row) {
            Ok(parent) => (parent, Vec::new()),
            Err(problem) => (None, vec![problem]),
        };
        let from = self.head.clone().or_else(|| parent.clone()).filter(|head| head.line != row.line);
        match from {
            Some(from) if from.is_broken() => {
                let detail = format!("takes from line {}, which cannot be read: mend that first", from.line);
                problems.push(Problem::of_row(row.line, "row", detail));
            }
            Some(from) if row.fault.is_none() => inherit(&mut row, &from, &map.rows),
            _ => {}
        }
        let command = if problems.is_empty() || row.is_broken() {
            product::command(&row, parent.as_deref(), map, &catalog.requested, &mut self.notes)
        } else {
            // What else it lacks is what it would have taken.
            Err(problems)
        };
        let command = self.once(&row, command);
        Some(Entry { row, parent, is_parent, command })
    }

    /// Remembers the group the row is in, and says why it is no product.
    fn is_passed_over(&mut self, rules: &RowRules, row: &Row) -> Option<String> {
        let key = |row: &Row| rules.group_by.iter().find_map(|column| row.get(column)).map(str::to_owned);
        let is_first = match (key(row), &self.head) {
            (None, _) => {
                self.head = None;
                rules.group_by.is_empty()
            }
            (Some(it), Some(head)) if key(head).as_ref() == Some(&it) => false,
            (Some(_), _) => {
                self.head = Some(Arc::new(row.clone()));
                true
            }
        };
        if let Some(parents) = rules.parents.as_ref().filter(|parents| parents.are.are_in(row)) {
            return Some(format!(
                "{} is {}: what others refer to",
                parents.are.column,
                parents.are.holds.join(" or ")
            ));
        }
        if let Some(skip) = rules.skip.as_ref().filter(|skip| skip.are_in(row)) {
            return Some(format!("{} is {}", skip.column, skip.holds.join(" or ")));
        }
        let has_none =
            !rules.product_has.is_empty() && rules.product_has.iter().all(|it| row.get(it).is_none());
        (has_none && !is_first).then(|| "further images and the like of the product above".to_owned())
    }

    /// The row that this one says it takes from.
    fn parent(&self, rules: &RowRules, row: &Row) -> Result<Option<Arc<Row>>, Problem> {
        let Some(by) = rules.parents.as_ref().map(|parents| &parents.by) else { return Ok(None) };
        let Some(called) = row.get(by).filter(|_| row.fault.is_none()) else { return Ok(None) };
        let parent = self.catalog.index.parents.get(&folded(called));
        parent.map(|parent| Some(Arc::clone(parent))).ok_or_else(|| {
            let detail = format!("{} is not in this file: export it too", quoted(called));
            Problem::of_cell(row.line, by, "parent", detail)
        })
    }

    /// A product may be in a file once.
    fn once(
        &mut self,
        row: &Row,
        command: Result<AddressedCommand, Vec<Problem>>,
    ) -> Result<AddressedCommand, Vec<Problem>> {
        let addressed = command?;
        let mut hash = DefaultHasher::new();
        addressed.product_id.as_ref().map(AsRef::<str>::as_ref).hash(&mut hash);
        match self.ids.insert(hash.finish(), row.line) {
            None => Ok(addressed),
            Some(line) => {
                self.ids.insert(hash.finish(), line);
                let id = addressed.product_id.map(|id| id.to_string()).unwrap_or_default();
                let detail =
                    format!("is product {id}, and so is line {line}: a product may come once in a file");
                Err(vec![Problem::of_row(row.line, "product_id", detail)])
            }
        }
    }
}

impl Iterator for Entries<'_> {
    type Item = anyhow::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.rows.next() {
                // It was read before: what it has now must be what was counted then.
                None if self.read != self.catalog.len() => {
                    let (name, counted) = (self.catalog.source.name(), self.catalog.len());
                    let read = std::mem::replace(&mut self.read, counted);
                    return Some(Err(anyhow!(
                        "{name} changed while it was read: it had {counted} rows, and then {read}; import it again"
                    )));
                }
                None => return None,
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok(row)) => {
                    self.read += 1;
                    if let Some(entry) = self.entry(row) {
                        return Some(Ok(entry));
                    }
                }
            }
        }
    }
}

/// Fills the blank cells that are taken from the group's first row or from the parent.
fn inherit(row: &mut Row, from: &Row, rules: &RowRules) {
    let taken =
        |name: &str| rules.inherit.is_empty() || rules.inherit.iter().any(|it| it.matches(name).is_some());
    row.inherit(from, taken);
}

#[cfg(test)]
mod tests;
