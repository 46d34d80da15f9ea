//! A row: cells under the names of their columns, with the line it starts on.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map as Json, Value};

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
    pub(crate) fn new(names: &[String]) -> Self {
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
#[derive(Debug, Clone, Default)]
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
    /// What it was as bytes, if its cells cannot be relied on.
    pub(crate) raw: Option<Vec<u8>>,
    /// Which cells were JSON numbers.
    pub(crate) numbers: Vec<usize>,
}

impl Row {
    /// The first cell under this name that is not blank.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let cells = self.columns.places(name).iter().filter_map(|&at| self.cells.get(at));
        cells.map(|cell| cell.trim()).find(|cell| !cell.is_empty())
    }

    /// Whether the cell of this name was a JSON number.
    pub(crate) fn is_number(&self, name: &str) -> bool {
        self.columns.places(name).iter().any(|at| self.numbers.contains(at))
    }

    /// Whether it cannot be known what the row says.
    pub(crate) fn is_broken(&self) -> bool {
        self.fault.is_some() || !self.broken.is_empty()
    }

    /// Fills blank cells with those of the same name in `from`, where `taken` says so. A JSON object gets the fields.
    pub(crate) fn inherit(&mut self, from: &Self, taken: impl Fn(&str) -> bool) {
        let object = |row: &Self| match row.json.as_deref().map(serde_json::from_str) {
            Some(Ok(Value::Object(fields))) => Some(fields),
            _ => None,
        };
        if let Some((mut fields, from)) = object(self).zip(object(from)) {
            let is_wanted = |name: &str| taken(name) && self.get(name).is_none();
            merge("", &mut fields, &from, &is_wanted);
            self.take_fields(&fields);
            self.json = Some(Value::Object(fields).to_string());
            return;
        }
        for name in from.columns.names().iter().filter(|name| taken(name)) {
            let Some((cell, &at)) = from.get(name).zip(self.columns.places(name).first()) else { continue };
            if self.get(name).is_none() {
                self.cells.resize(self.cells.len().max(at + 1), String::new());
                cell.clone_into(&mut self.cells[at]);
            }
        }
    }

    /// Its cells are those of a JSON object.
    pub(crate) fn take_fields(&mut self, fields: &Json<String, Value>) {
        let mut names = Vec::new();
        (self.cells, self.numbers) = (Vec::new(), Vec::new());
        for (name, value) in fields {
            self.flatten(name, value, &mut names);
        }
        self.columns = Arc::new(Columns::new(&names));
    }

    fn flatten(&mut self, name: &str, value: &Value, names: &mut Vec<String>) {
        let cell = match value {
            Value::Null => return,
            Value::Object(fields) => {
                for (below, value) in fields {
                    self.flatten(&format!("{name}.{below}"), value, names);
                }
                return;
            }
            Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
                for (at, item) in items.iter().enumerate() {
                    self.flatten(&format!("{name}.{at}"), item, names);
                }
                return;
            }
            Value::Array(items) => items.iter().map(scalar).collect::<Vec<_>>().join(&ITEMS.to_string()),
            Value::String(_) | Value::Number(_) | Value::Bool(_) => scalar(value),
        };
        if value.is_number() {
            self.numbers.push(names.len());
        }
        names.push(name.to_owned());
        self.cells.push(cell);
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_blank(&self) -> bool {
        self.json.is_none() && self.fault.is_none() && self.cells.iter().all(|cell| cell.trim().is_empty())
    }
}

/// Adds what is wanted of `from` and not in `fields`.
fn merge(
    path: &str,
    fields: &mut Json<String, Value>,
    from: &Json<String, Value>,
    is_wanted: &impl Fn(&str) -> bool,
) {
    for (name, value) in from {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let own = fields.get_mut(name).filter(|own| !own.is_null());
        match (own, value) {
            (Some(Value::Object(own)), Value::Object(from)) => merge(&path, own, from, is_wanted),
            (None, Value::Object(from)) => {
                let mut new = Json::new();
                merge(&path, &mut new, from, is_wanted);
                if !new.is_empty() {
                    fields.insert(name.clone(), Value::Object(new));
                }
            }
            (Some(Value::Object(_)), _) | (_, Value::Null) => {}
            (Some(Value::Array(own)), _) if !own.is_empty() => {}
            _ if is_wanted(&path) => drop(fields.insert(name.clone(), value.clone())),
            _ => {}
        }
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // JSON may write a large number with an exponent; people do not.
        Value::Number(number) => match (number.to_string(), number.as_f64()) {
            (text, Some(number)) if text.contains('e') => number.to_string(),
            (text, _) => text,
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
impl Row {
    /// A row for tests.
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        let names: Vec<String> = pairs.iter().map(|(name, _)| (*name).to_owned()).collect();
        Self {
            line: 2,
            number: 1,
            columns: Arc::new(Columns::new(&names)),
            cells: pairs.iter().map(|(_, cell)| (*cell).to_owned()).collect(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_json(json: &str) -> Row {
        let mut row = Row { json: Some(json.to_owned()), ..Row::default() };
        row.take_fields(serde_json::from_str::<Value>(json).unwrap().as_object().unwrap());
        row
    }

    #[test]
    fn what_is_blank_is_taken_by_name() {
        let head = Row::of(&[("title", "Tee"), ("vendor", "Acme"), ("sku", "a")]);
        let mut row = Row::of(&[("Vendor", " "), ("SKU", ""), ("Title", "Cap")]);
        row.inherit(&head, |name| name != "sku");
        assert_eq!((row.get("vendor"), row.get("title"), row.get("sku")), (Some("Acme"), Some("Cap"), None));
    }

    #[test]
    fn the_fields_of_json_lines_need_no_order() {
        let head = of_json(
            r#"{"title": "Tee", "maker": {"name": "Acme", "city": "Ulm"}, "tags": ["x"], "price": 1}"#,
        );
        let mut row = of_json(r#"{"price": 2, "maker": {"city": "Bonn"}, "h": "tee", "tags": null}"#);
        row.inherit(&head, |name| name != "price");
        assert_eq!(
            row.json.as_deref(),
            Some(r#"{"price":2,"maker":{"city":"Bonn","name":"Acme"},"h":"tee","tags":["x"],"title":"Tee"}"#)
        );
        assert_eq!((row.get("maker.name"), row.get("h")), (Some("Acme"), Some("tee")));
        assert!(row.is_number("price") && !row.is_number("title"));
    }

    #[test]
    fn a_large_number_has_no_exponent() {
        assert_eq!(of_json(r#"{"n": 1e25, "m": 12.50}"#).get("n"), Some("10000000000000000000000000"));
    }
}
