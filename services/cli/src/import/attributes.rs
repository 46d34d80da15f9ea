//! The attributes of a row: from columns of their own, or from pairs of columns with name and value.

use domain::clean_line;
use serde_json::{Map as Json, Value as JsonValue};

use super::map::{Attribute, PairAttribute};
use super::problem::{Problem, quoted};
use super::reading::{Reading, plain};
use super::row::{ITEMS, Row};

impl Reading<'_> {
    /// Adds the attributes of `row` whose names are not there yet; blank values are none.
    pub(super) fn attributes(&mut self, row: &Row, attributes: &mut Json<String, JsonValue>) {
        for rule in &self.map.attributes {
            match rule {
                Attribute::Column(pattern) => {
                    for (column, cell) in row.columns.names().iter().zip(&row.cells) {
                        if let Some(name) = pattern.matches(column) {
                            self.attribute(attributes, name, cell, column);
                        }
                    }
                }
                Attribute::Named(named) => {
                    let cell = row.get(&named.column).unwrap_or_default();
                    self.attribute(attributes, &named.name, cell, &named.column);
                }
                Attribute::Pair(pair) => self.pairs(row, pair, attributes),
            }
        }
    }

    fn pairs(&mut self, row: &Row, pair: &PairAttribute, attributes: &mut Json<String, JsonValue>) {
        for (column, value) in row.columns.names().iter().zip(&row.cells) {
            let Some(caught) = pair.values.matches(column) else { continue };
            let name = row.get(&pair.names.with(caught)).unwrap_or_default();
            let (name, value) = (plain(name, pair.html), plain(value, pair.html));
            self.attribute(attributes, &name, &value, column);
        }
    }

    fn attribute(&mut self, attributes: &mut Json<String, JsonValue>, name: &str, value: &str, column: &str) {
        let value = value.split(ITEMS).collect::<Vec<_>>().join(", ");
        let (name, value) =
            (self.cleaned("attributes", name, clean_line), self.cleaned("attributes", &value, clean_line));
        if value.is_empty() || Self::is_blank(self.map, &value) || attributes.contains_key(&name) {
            return;
        }
        if name.is_empty() {
            let detail = format!("the value {} has no name", quoted(&value));
            self.problems.push(Problem::of_cell(self.row.line, column, "attributes", detail));
            return;
        }
        self.columns
            .insert(format!("/attributes/{}", name.replace('~', "~0").replace('/', "~1")), column.to_owned());
        attributes.insert(name, value.into());
    }
}
