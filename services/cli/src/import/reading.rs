//! The cells of a row as the fields of a product, by the map; remembers which column each field is from.

use std::collections::BTreeMap;

use contract::AddressedCommand;
use domain::{Currency, clean_line, clean_lines};
use serde_json::{Map as Json, Value as JsonValue, json};

use super::html;
use super::ids;
use super::map::{Field, Map, OneOrMany, Unit};
use super::price::{self, DecimalMark};
use super::problem::{Problem, quoted};
use super::product::{Notes, Requested, addressed, kind_of};
use super::row::{ITEMS, Row, folded};
use super::template::{Template, Value};

/// Makes a text one that the catalog takes, and says how many characters that changed.
type Clean = fn(&str) -> (String, usize);

/// A row that is being read.
pub(super) struct Reading<'a> {
    pub(super) row: &'a Row,
    pub(super) map: &'a Map,
    notes: &'a mut Notes,
    pub(super) problems: Vec<Problem>,
    /// Which column a JSON pointer into the payload is from.
    pub(super) columns: BTreeMap<String, String>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(row: &'a Row, map: &'a Map, notes: &'a mut Notes) -> Self {
        Self { row, map, notes, problems: Vec::new(), columns: BTreeMap::new() }
    }
}

impl Reading<'_> {
    /// What is wrong with the row before anyone looks at what it says.
    pub(super) fn bytes(&mut self) {
        if let Some(fault) = &self.row.fault {
            self.problems.push(Problem::of_row(self.row.line, "row", fault.clone()));
        }
        for (at, _) in &self.row.broken {
            let column = self.row.columns.names().get(*at).cloned().unwrap_or_default();
            let detail = "is not UTF-8: save the file as UTF-8 (in a spreadsheet: \"CSV UTF-8\")";
            self.problems.push(Problem::of_cell(self.row.line, column, "encoding", detail));
        }
    }

    pub(super) fn is_blank(map: &Map, cell: &str) -> bool {
        map.blank.iter().any(|blank| folded(blank) == folded(cell))
    }

    fn values(&self, from: &OneOrMany) -> Vec<Value> {
        let mut values =
            from.as_slice().iter().map(|it| it.values(self.row, |cell| Self::is_blank(self.map, cell)));
        values.find(|values| !values.is_empty()).unwrap_or_default()
    }

    fn first(&self, from: &[Template]) -> Option<Value> {
        from.iter()
            .find_map(|it| it.values(self.row, |cell| Self::is_blank(self.map, cell)).into_iter().next())
    }

    pub(super) fn id(&mut self) -> Option<String> {
        let is_blank = |cell: &str| Self::is_blank(self.map, cell);
        let value = self.map.product_id.from.iter().find_map(|it| it.identity(self.row, is_blank));
        let id = value.as_ref().and_then(|value| ids::product_id(&value.text));
        self.columns.insert(
            "/product_id".to_owned(),
            value.map_or_else(|| wanted(&self.map.product_id), |it| it.column),
        );
        if id.is_none() {
            self.blank("/product_id", "product_id");
        }
        id
    }

    fn blank(&mut self, pointer: &str, kind: &str) {
        let column = self.columns.get(pointer).cloned().unwrap_or_default();
        self.problems.push(Problem::of_cell(self.row.line, column, kind, "is blank"));
    }

    /// The text of a field, cleaned, or its default.
    fn text(&mut self, name: &'static str, field: &Field, clean: Clean) -> Option<String> {
        let value = self.first(&field.from);
        let column = value.as_ref().map_or_else(|| wanted(field), |value| value.column.clone());
        self.columns.insert(format!("/{name}"), column);
        let text = value.map(|value| {
            let text = if field.escaped { value.text.replace("\\n", "\n") } else { value.text };
            self.cleaned(name, &plain(&text, field.html), clean)
        });
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            return Some(text);
        }
        let default = field.default.clone()?;
        if !field.from.is_empty() {
            *self.notes.defaults.entry((name, default.clone())).or_default() += 1;
        }
        Some(default)
    }

    pub(super) fn cleaned(&mut self, name: &'static str, text: &str, clean: Clean) -> String {
        let (text, changes) = clean(text);
        if changes > 0 {
            *self.notes.cleaned.entry(name).or_default() += 1;
        }
        text
    }

    pub(super) fn payload(
        &mut self,
        id: Option<&str>,
        parent: Option<&Row>,
        requested: &Requested,
    ) -> JsonValue {
        let map = self.map;
        let mut payload = Json::new();
        let sku = self.text("sku", &map.sku, clean_line).or_else(|| id.map(str::to_owned));
        let name = self.text("name", &map.name, clean_line);
        let brand = self.text("brand", &map.brand, clean_line);
        let category = self.category();
        for (field, text) in [("sku", sku), ("name", name), ("category", category), ("brand", brand)] {
            match text {
                Some(text) => drop(payload.insert(field.to_owned(), text.into())),
                None => self.blank(&format!("/{field}"), field),
            }
        }
        if let Some(text) = self.text("description", &map.description, clean_lines) {
            payload.insert("description".to_owned(), text.into());
        }
        if let Some(price) = self.price(requested) {
            let price = json!({ "minor_units": price.minor_units(), "currency": price.currency().as_str() });
            payload.insert("price".to_owned(), price);
        }
        if let Some(status) = self.status() {
            payload.insert("status".to_owned(), status.into());
        }
        let tags = self.tags();
        payload.insert("tags".to_owned(), tags.into());
        let mut attributes = Json::new();
        self.attributes(self.row, &mut attributes);
        if let Some(parent) = parent {
            self.attributes(parent, &mut attributes);
        }
        payload.insert("attributes".to_owned(), attributes.into());
        JsonValue::Object(payload)
    }

    /// The deepest of the row's categories, its levels joined as the catalog joins them.
    fn category(&mut self) -> Option<String> {
        let rule = &self.map.category;
        let values = self.values(&rule.from);
        let column = values.first().map_or_else(|| wanted_of(&rule.from), |value| value.column.clone());
        self.columns.insert("/category".to_owned(), column);
        let mut paths: Vec<Vec<String>> = Vec::new();
        for value in &values {
            for path in items(&value.text, rule.list.as_deref()) {
                let levels = path.split(rule.levels.trim()).map(|level| plain(level, rule.html));
                let levels: Vec<String> =
                    levels.map(|level| self.level(&level)).filter(|it| !it.is_empty()).collect();
                paths.push(levels);
            }
        }
        let deepest = paths.into_iter().rev().max_by_key(Vec::len).filter(|path| !path.is_empty());
        match (deepest, &rule.default) {
            (Some(path), _) => Some(path.join("/")),
            (None, Some(default)) => {
                *self.notes.defaults.entry(("category", default.clone())).or_default() += 1;
                Some(default.clone())
            }
            (None, None) => None,
        }
    }

    /// A level of a category: `/` divides levels in the catalog, and cannot stand in one.
    fn level(&mut self, level: &str) -> String {
        let level = self.cleaned("category", level, clean_line);
        if self.map.category.levels.trim() != "/" && level.contains('/') {
            *self.notes.cleaned.entry("category").or_default() += 1;
            return level.replace('/', "-");
        }
        level
    }

    fn price(&mut self, requested: &Requested) -> Option<domain::Money> {
        let rule = &self.map.price;
        let mark = requested.decimal.or_else(|| DecimalMark::parse(&self.map.decimal?.to_string()).ok());
        let values = self.values(&rule.from);
        self.columns.insert("/price".to_owned(), wanted_of(&rule.from));
        let currencies: Vec<_> = values.iter().map(|value| self.currency(value, requested)).collect();
        // Of several prices (one per channel) that in the wished currency, else the first.
        let chosen =
            currencies.iter().position(|it| it.is_ok() && *it == Ok(requested.currency)).unwrap_or(0);
        let Some((value, currency)) = values.get(chosen).zip(currencies.get(chosen)) else {
            self.blank("/price", "price");
            return None;
        };
        self.columns.insert("/price".to_owned(), value.column.clone());
        let read = currency.clone().and_then(|currency| match rule.unit {
            Unit::Decimal if self.row.is_number(&value.column) => {
                price::read(&value.text, currency, Some(DecimalMark::Point))
            }
            Unit::Decimal => price::read(&value.text, currency, mark),
            Unit::Minor => price::read_minor(&value.text, currency),
        });
        match read {
            Ok(price) => Some(price),
            Err(detail) => {
                self.problems.push(Problem::of_cell(self.row.line, &value.column, "price", detail));
                None
            }
        }
    }

    /// The currency of a price: its own column's, else the wished, else the map's.
    fn currency(&self, price: &Value, requested: &Requested) -> Result<Option<Currency>, String> {
        let columns = self.map.price.currency.iter().filter_map(|template| match &price.caught {
            Some(caught) => template.with(caught),
            None => template.with(""),
        });
        let mut cells = columns.filter_map(|column| self.row.get(&column));
        let parse = |code: &str| {
            Currency::parse(&code.to_uppercase()).map_err(|error| {
                format!("its currency is {}, but a currency {}", quoted(code), error.problem)
            })
        };
        match cells.next() {
            Some(code) => parse(code).map(Some),
            None if requested.currency.is_some() => Ok(requested.currency),
            None => self.map.currency.as_deref().map(parse).transpose(),
        }
    }

    fn status(&mut self) -> Option<&'static str> {
        let rule = &self.map.status;
        let values = self.values(&rule.from);
        let is_in = |list: &[String], cell: &str| list.iter().any(|it| folded(it) == folded(cell));
        self.columns.insert("/status".to_owned(), wanted_of(&rule.from));
        for value in &values {
            if !is_in(&rule.listed, &value.text) && !is_in(&rule.draft, &value.text) {
                let known: Vec<_> = rule.listed.iter().chain(&rule.draft).map(String::as_str).collect();
                let detail = format!("{} is no status: known are {}", quoted(&value.text), known.join(", "));
                self.problems.push(Problem::of_cell(self.row.line, &value.column, "status", detail));
                return None;
            }
        }
        // Of several channels one that sells it is enough.
        let listed = values.iter().any(|value| is_in(&rule.listed, &value.text));
        match (values.is_empty(), listed, rule.default.as_deref()) {
            (false, true, _) | (true, _, Some("listed")) => Some("listed"),
            _ => Some("draft"),
        }
    }

    fn tags(&mut self) -> Vec<String> {
        let rule = &self.map.tags;
        let values = self.values(&rule.from);
        let mut tags = rule.always.clone();
        for value in values {
            self.columns.insert("/tags".to_owned(), value.column.clone());
            for tag in items(&value.text, Some(&rule.separator)) {
                let tag = self.cleaned("tags", &plain(&tag, rule.html), clean_line);
                if !tag.is_empty() && !tags.contains(&tag) {
                    tags.push(tag);
                }
            }
        }
        tags
    }

    /// What the command service would say, in the file's words.
    pub(super) fn checked(
        self,
        id: Option<&str>,
        payload: &JsonValue,
    ) -> Result<AddressedCommand, Vec<Problem>> {
        let mut problems = self.problems;
        let id_told = id.is_some();
        let errors = match addressed(id, payload) {
            Ok(addressed) if problems.is_empty() => return Ok(addressed),
            Ok(_) => Vec::new(),
            Err(errors) => errors,
        };
        for error in errors {
            let pointer = error.pointer.strip_prefix("/payload").unwrap_or(&error.pointer);
            let kind = kind_of(pointer);
            // What is missing was told already, and why.
            if problems.iter().any(|it| it.kind == kind && (kind != "attributes"))
                || (!id_told && kind == "product_id")
            {
                continue;
            }
            let places = [pointer, &format!("/{kind}")];
            let column = places.iter().find_map(|place| self.columns.get(*place)).cloned();
            problems.push(Problem { line: self.row.line, column, kind, detail: error.detail });
        }
        Err(problems)
    }
}

/// The column a field is from, for one that is blank.
fn wanted(field: &Field) -> String {
    field.from.first().map(|template| template.columns().concat()).unwrap_or_default()
}

fn wanted_of(from: &OneOrMany) -> String {
    from.as_slice().first().map(|template| template.columns().concat()).unwrap_or_default()
}

pub(super) fn plain(text: &str, html: bool) -> String {
    if !html {
        return text.trim().to_owned();
    }
    html::of_editor_js(text).unwrap_or_else(|| html::to_text(text))
}

/// The items of a cell: of a JSON list, or what stands between separators; `\,` is a comma in an item.
fn items(cell: &str, separator: Option<&str>) -> Vec<String> {
    let trimmed = |item: &str| item.trim().to_owned();
    if cell.contains(ITEMS) {
        return cell.split(ITEMS).map(trimmed).collect();
    }
    let Some(separator) = separator else { return vec![trimmed(cell)] };
    let escaped = format!("\\{separator}");
    cell.replace(&escaped, "\u{1e}")
        .split(separator)
        .map(|item| trimmed(&item.replace('\u{1e}', separator)))
        .collect()
}
