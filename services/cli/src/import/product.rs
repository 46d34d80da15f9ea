//! A row as a command: every field by the map, checked by the very rules of the command service. Promises that all faults
//! of a row are told at once, each with its column, and that what has none is accepted.

use std::collections::BTreeMap;

use contract::AddressedCommand;
use contract::json::{command_payload, parse_bulk_line};
use contract::{FieldError, FieldErrors, IdempotencyKey};
use domain::{Command, Currency, Decision};
use serde_json::{Map as Json, Value as JsonValue, json};
use uuid::Uuid;

use super::clean::{self, Cleaned};
use super::map::{Attribute, Field, Map, OneOrMany, PairAttribute, Unit};
use super::price::{self, DecimalMark};
use super::problem::{Problem, quoted};
use super::row::{ITEMS, Row, folded};
use super::template::{Template, Value};
use super::{html, ids};

/// Never changes: it is part of what a key means.
const KEYS: Uuid = Uuid::from_u128(0x5b0f_6f3e_0d2a_5e0c_9a64_3a0c_7c1f_a204);

/// What is said on the command line rather than in the map.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// The currency of prices that name none.
    pub currency: Option<Currency>,
    /// The file's decimal mark.
    pub decimal: Option<DecimalMark>,
}

/// What was done to rows that are accepted, to be told once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Texts that had characters taken out, by field.
    pub cleaned: BTreeMap<&'static str, u64>,
    /// Rows that got the map's default, by field and default.
    pub defaults: BTreeMap<(&'static str, String), u64>,
}

/// Makes the command of a row, with what its parent adds; notes what was done to it.
///
/// # Errors
/// Every fault of the row.
pub(crate) fn command(
    row: &Row,
    parent: Option<&Row>,
    map: &Map,
    wishes: &Wishes,
    notes: &mut Notes,
) -> Result<AddressedCommand, Vec<Problem>> {
    let mut noted = notes.clone();
    let mut reading = Reading { row, map, notes: &mut noted, problems: Vec::new(), columns: BTreeMap::new() };
    reading.bytes();
    let id = reading.id();
    let payload = reading.payload(id.as_deref(), parent, wishes);
    let command = reading.checked(id, payload)?;
    *notes = noted;
    Ok(command)
}

/// The command that creates what a line of Folio's own form says: the body of `POST /v1/products`.
///
/// # Errors
/// Every fault of the line; the columns are JSON pointers.
pub(crate) fn own(row: &Row) -> Result<AddressedCommand, Vec<Problem>> {
    let text = row.json.as_deref().unwrap_or_default();
    let Ok(JsonValue::Object(mut payload)) = serde_json::from_str::<JsonValue>(text) else {
        return Err(vec![Problem::of_row(row.line, "json", "must be one JSON object")]);
    };
    for added in super::rejected::ADDED {
        payload.shift_remove(added);
    }
    let id = match payload.shift_remove("product_id") {
        Some(JsonValue::String(id)) => Some(id),
        None | Some(JsonValue::Null) => {
            payload.get("sku").and_then(JsonValue::as_str).and_then(ids::product_id)
        }
        Some(_) => return Err(vec![Problem::of_cell(row.line, "/product_id", "product_id", "must be text")]),
    };
    addressed(id, JsonValue::Object(payload)).map_err(|errors| {
        let pointer =
            |error: &FieldError| error.pointer.strip_prefix("/payload").unwrap_or(&error.pointer).to_owned();
        let problem = |error: &FieldError| {
            let pointer = pointer(error);
            let kind = kind_of(&pointer);
            Problem {
                line: row.line,
                column: Some(pointer).filter(|it| !it.is_empty()),
                kind,
                detail: error.detail.clone(),
            }
        };
        errors.iter().map(problem).collect()
    })
}

/// The line, as the command service reads it, and what that says.
fn addressed(id: Option<String>, payload: JsonValue) -> Result<AddressedCommand, Vec<FieldError>> {
    let line = json!({ "command": "create_product", "product_id": id, "payload": payload }).to_string();
    let mut addressed = parse_bulk_line(line.as_bytes()).map_err(FieldErrors::into_vec)?;
    let fault = |pointer: &str, detail: String| {
        vec![FieldError { pointer: pointer.to_owned(), detail, fault: contract::Fault::Value }]
    };
    let Some(id) = &addressed.product_id else {
        return Err(fault("/product_id", "is missing, and so is a sku to make it of".to_owned()));
    };
    if let Decision::Rejected(rejection) = domain::decide(None, &addressed.command) {
        return Err(fault("/payload/price", rejection.to_string()));
    }
    let key = key(id.as_str(), &addressed.command);
    addressed.idempotency_key = IdempotencyKey::parse(&key).ok();
    Ok(addressed)
}

/// The same command for the same product has the same key, however the row was written.
fn key(id: &str, command: &Command) -> String {
    let name = format!("{id}\n{}\n{}", command.name(), command_payload(command));
    format!("import-{}", Uuid::new_v5(&KEYS, name.as_bytes()))
}

/// What a pointer is about: `sku`, `attributes`, ...
fn kind_of(pointer: &str) -> String {
    let kind = pointer.trim_start_matches('/').split('/').next().unwrap_or_default();
    if kind.is_empty() { "row".to_owned() } else { kind.to_owned() }
}

struct Reading<'a> {
    row: &'a Row,
    map: &'a Map,
    notes: &'a mut Notes,
    problems: Vec<Problem>,
    /// Which column a JSON pointer into the payload is from.
    columns: BTreeMap<String, String>,
}

impl Reading<'_> {
    fn bytes(&mut self) {
        if let Some(fault) = &self.row.fault {
            self.problems.push(Problem::of_row(self.row.line, "row", fault.clone()));
        }
        for (at, _) in &self.row.broken {
            let column = self.row.columns.names().get(*at).cloned().unwrap_or_default();
            let detail = "is not UTF-8: save the file as UTF-8 (in a spreadsheet: \"CSV UTF-8\")";
            self.problems.push(Problem::of_cell(self.row.line, column, "encoding", detail));
        }
    }

    fn is_blank(map: &Map, cell: &str) -> bool {
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

    fn id(&mut self) -> Option<String> {
        let value = self.first(&self.map.product_id.from);
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
    fn text(&mut self, name: &'static str, field: &Field, clean: fn(&str) -> Cleaned) -> Option<String> {
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

    fn cleaned(&mut self, name: &'static str, text: &str, clean: fn(&str) -> Cleaned) -> String {
        let Cleaned { text, changes } = clean(text);
        if changes > 0 {
            *self.notes.cleaned.entry(name).or_default() += 1;
        }
        text
    }

    fn payload(&mut self, id: Option<&str>, parent: Option<&Row>, wishes: &Wishes) -> JsonValue {
        let map = self.map;
        let mut payload = Json::new();
        let sku = self.text("sku", &map.sku, clean::one_line).or_else(|| id.map(str::to_owned));
        let name = self.text("name", &map.name, clean::one_line);
        let brand = self.text("brand", &map.brand, clean::one_line);
        let category = self.category();
        for (field, text) in [("sku", sku), ("name", name), ("category", category), ("brand", brand)] {
            match text {
                Some(text) => drop(payload.insert(field.to_owned(), text.into())),
                None => self.blank(&format!("/{field}"), field),
            }
        }
        if let Some(text) = self.text("description", &map.description, clean::lines) {
            payload.insert("description".to_owned(), text.into());
        }
        if let Some(price) = self.price(wishes) {
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
        let level = self.cleaned("category", level, clean::one_line);
        if self.map.category.levels.trim() != "/" && level.contains('/') {
            *self.notes.cleaned.entry("category").or_default() += 1;
            return level.replace('/', "-");
        }
        level
    }

    fn price(&mut self, wishes: &Wishes) -> Option<domain::Money> {
        let rule = &self.map.price;
        let mark = wishes.decimal.or_else(|| DecimalMark::parse(&self.map.decimal?.to_string()).ok());
        let values = self.values(&rule.from);
        self.columns.insert("/price".to_owned(), wanted_of(&rule.from));
        let currencies: Vec<_> = values.iter().map(|value| self.currency(value, wishes)).collect();
        // Of several prices (one per channel) that in the wished currency, else the first.
        let wished = currencies.iter().position(|it| it.is_ok() && *it == Ok(wishes.currency)).unwrap_or(0);
        let Some((value, currency)) = values.get(wished).zip(currencies.get(wished)) else {
            self.blank("/price", "price");
            return None;
        };
        self.columns.insert("/price".to_owned(), value.column.clone());
        let read = currency.clone().and_then(|currency| match rule.unit {
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
    fn currency(&self, price: &Value, wishes: &Wishes) -> Result<Option<Currency>, String> {
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
            None if wishes.currency.is_some() => Ok(wishes.currency),
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
                let tag = self.cleaned("tags", &plain(&tag, rule.html), clean::one_line);
                if !tag.is_empty() && !tags.contains(&tag) {
                    tags.push(tag);
                }
            }
        }
        tags
    }

    /// Adds the attributes of `row` whose names are not there yet; blank values are none.
    fn attributes(&mut self, row: &Row, attributes: &mut Json<String, JsonValue>) {
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
        let (name, value) = (
            self.cleaned("attributes", name, clean::one_line),
            self.cleaned("attributes", &value, clean::one_line),
        );
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

    /// What the command service would say, in the file's words.
    fn checked(self, id: Option<String>, payload: JsonValue) -> Result<AddressedCommand, Vec<Problem>> {
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

fn plain(text: &str, html: bool) -> String {
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

#[cfg(test)]
mod tests;
