//! Reads the rows of a file, CSV or NDJSON, one after another: memory holds one row. Promises that each row knows the line
//! it starts on, whatever quotes and new lines come before it.

use std::io::{BufRead, Read as _};
use std::sync::Arc;

use anyhow::{Context, bail};
use csv::ByteRecord;
use serde_json::Value;

use super::records::Records;
use super::row::{Columns, ITEMS, Row};
use super::source::Format;

/// The rows of a file.
pub struct Rows {
    kind: Kind,
    columns: Arc<Columns>,
    separator: u8,
    number: u64,
}

enum Kind {
    Csv(Records),
    Ndjson { reader: Box<dyn BufRead + Send>, line: u64 },
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows")
            .field("columns", &self.columns)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Rows {
    /// Begins to read.
    ///
    /// # Errors
    /// If there are no column names.
    pub fn open(mut text: Box<dyn BufRead + Send>, format: Format) -> anyhow::Result<Self> {
        let Format::Csv(separator) = format else {
            let kind = Kind::Ndjson { reader: text, line: 0 };
            return Ok(Self { kind, columns: Arc::default(), separator: b',', number: 0 });
        };
        let mut first = Vec::new();
        // Empty lines before the names are no names.
        while first.iter().all(u8::is_ascii_whitespace) {
            let before = first.len();
            text.read_until(b'\n', &mut first).context("reading the names of the columns")?;
            if first.len() == before {
                bail!("the file has no column names: its first line must hold them");
            }
        }
        let separator = separator.unwrap_or_else(|| separator_of(&first));
        let text: Box<dyn BufRead + Send> = Box::new(std::io::Cursor::new(first).chain(text));
        let mut records = Records::new(text, separator);
        let none = "the file has no column names";
        let (_, mut record) = records.next()?.context(none)?;
        while record.iter().all(|name| name.iter().all(u8::is_ascii_whitespace)) {
            (_, record) = records.next()?.context(none)?;
        }
        let names = record.iter().map(|name| {
            let name = std::str::from_utf8(name);
            name.map(str::to_owned).context(
                "the names of the columns are not UTF-8: save the file as UTF-8 (in a spreadsheet: \"CSV UTF-8\")",
            )
        });
        let columns = Arc::new(Columns::new(names.collect::<anyhow::Result<_>>()?));
        Ok(Self { kind: Kind::Csv(records), columns, separator, number: 0 })
    }

    /// The columns; of NDJSON, none: each line has its own.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    pub(crate) fn shared_columns(&self) -> &Arc<Columns> {
        &self.columns
    }

    /// What stands between the cells of a table.
    pub(crate) fn separator(&self) -> u8 {
        self.separator
    }

    /// Whether all rows have the same columns.
    pub fn is_table(&self) -> bool {
        matches!(self.kind, Kind::Csv(_))
    }

    fn read(&mut self) -> anyhow::Result<Option<Row>> {
        let row = match &mut self.kind {
            Kind::Csv(records) => {
                let Some((line, record)) = records.next()? else { return Ok(None) };
                of_record(line, &record, &self.columns)
            }
            Kind::Ndjson { reader, line } => {
                let mut bytes = Vec::new();
                if reader.read_until(b'\n', &mut bytes).context("reading a line")? == 0 {
                    return Ok(None);
                }
                *line += 1;
                of_json(*line, &bytes)
            }
        };
        Ok(Some(row))
    }
}

impl Iterator for Rows {
    type Item = anyhow::Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.read() {
                Ok(None) => return None,
                Ok(Some(row)) if row.is_blank() => {}
                Ok(Some(mut row)) => {
                    self.number += 1;
                    row.number = self.number;
                    return Some(Ok(row));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

fn of_record(line: u64, record: &ByteRecord, columns: &Arc<Columns>) -> Row {
    let (mut cells, mut broken) = (Vec::with_capacity(record.len()), Vec::new());
    for (at, cell) in record.iter().enumerate() {
        match std::str::from_utf8(cell) {
            Ok(cell) => cells.push(cell.to_owned()),
            Err(_) => {
                broken.push((at, cell.to_vec()));
                cells.push(String::from_utf8_lossy(cell).into_owned());
            }
        }
    }
    let wanted = columns.names().len();
    let more = cells.iter().skip(wanted).any(|cell| !cell.trim().is_empty());
    let fault = if record.is_empty() {
        Some("has more than 4 MiB: is there a quote that nothing closes?".to_owned())
    } else if more {
        Some(format!(
            "has {} cells, but the file has {wanted} columns: is there a separator or a quote in a text without quotes around it?",
            cells.len()
        ))
    } else {
        None
    };
    Row { line, number: 0, columns: Arc::clone(columns), cells, broken, json: None, fault }
}

/// A line of NDJSON: its fields are the columns, those of objects in it with a dot between.
fn of_json(line: u64, bytes: &[u8]) -> Row {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes).into_owned();
    let mut row = Row {
        line,
        number: 0,
        columns: Arc::default(),
        cells: Vec::new(),
        broken: Vec::new(),
        json: (!text.trim().is_empty()).then_some(text),
        fault: None,
    };
    let Some(text) = &row.json else { return row };
    if std::str::from_utf8(bytes).is_err() {
        row.fault = Some("is not UTF-8: save the file as UTF-8".to_owned());
        return row;
    }
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(fields)) => {
            let (mut names, mut cells) = (Vec::new(), Vec::new());
            for (name, value) in fields {
                flatten(&name, &value, &mut names, &mut cells);
            }
            (row.columns, row.cells) = (Arc::new(Columns::new(names)), cells);
        }
        Ok(_) => row.fault = Some("must be one JSON object".to_owned()),
        Err(error) => row.fault = Some(format!("must be one JSON object: {error}")),
    }
    row
}

fn flatten(name: &str, value: &Value, names: &mut Vec<String>, cells: &mut Vec<String>) {
    let cell = match value {
        Value::Null => return,
        Value::Object(fields) => {
            for (below, value) in fields {
                flatten(&format!("{name}.{below}"), value, names, cells);
            }
            return;
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (at, item) in items.iter().enumerate() {
                flatten(&format!("{name}.{at}"), item, names, cells);
            }
            return;
        }
        Value::Array(items) => items.iter().map(scalar).collect::<Vec<_>>().join(&ITEMS.to_string()),
        Value::String(_) | Value::Number(_) | Value::Bool(_) => scalar(value),
    };
    names.push(name.to_owned());
    cells.push(cell);
}

fn scalar(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The separator of a table, told by its first line: what stands there most often outside quotes.
fn separator_of(line: &[u8]) -> u8 {
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
    let mut quoted = false;
    for byte in line {
        quoted ^= *byte == b'"';
        if let Some((_, count)) = counts.iter_mut().find(|(separator, _)| separator == byte && !quoted) {
            *count += 1;
        }
    }
    // The first of equals: a comma.
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(separator, _)| *separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &'static [u8], format: Format) -> Vec<Row> {
        let rows = Rows::open(Box::new(text), format).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn quotes_new_lines_crlf_and_empty_lines_are_normal() {
        let text = b"\r\nSKU,Name,Text\r\na,\"two\r\nlines, and \"\"quotes\"\"\",x\r\n\r\n,,\r\nb,\"c\",\r\n";
        let rows = rows(text, Format::Csv(None));
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].line, rows[0].number), (3, 1));
        assert_eq!(rows[0].get("name"), Some("two\r\nlines, and \"quotes\""));
        assert_eq!((rows[1].line, rows[1].number), (7, 2));
        assert_eq!(rows[1].get("Text"), None);
    }

    #[test]
    fn the_first_line_tells_the_separator() {
        for (line, separator) in [
            (&b"a,b;c,d"[..], b','),
            (b"a;b;c", b';'),
            (b"a\tb", b'\t'),
            (b"a|b", b'|'),
            (b"\"a;b;c\",d", b','),
            (b"alone", b','),
        ] {
            assert_eq!(separator_of(line), separator, "{}", String::from_utf8_lossy(line));
        }
        let rows = rows(b"sku;name\n1;a,b\n", Format::Csv(None));
        assert_eq!(rows[0].get("name"), Some("a,b"));
    }

    #[test]
    fn ragged_rows_and_bytes_that_are_no_text_are_faults_of_their_row_only() {
        let rows = rows(b"sku,name\n1\n2,a,,\n3,a,b\n4,Caf\xe9\n", Format::Csv(None));
        assert_eq!(rows.len(), 4);
        assert_eq!((rows[0].get("name"), &rows[0].fault), (None, &None));
        assert_eq!(rows[1].fault, None);
        assert!(rows[2].fault.as_ref().unwrap().contains("3 cells"), "{:?}", rows[2].fault);
        assert_eq!(rows[3].broken, vec![(1, b"Caf\xe9".to_vec())]);
    }

    #[test]
    fn the_fields_of_a_json_line_are_its_columns() {
        let rows = rows(
            b"{\"sku\": \"a\", \"price\": {\"amount\": 12.50}, \"tags\": [\"x, y\", \"z\"], \"n\": null, \"v\": [{\"s\": 1}]}\n\n[1]\n{\"a\n",
            Format::Ndjson,
        );
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0].get("price.amount"), Some("12.5"));
        assert_eq!(rows[0].get("tags"), Some("x, y\u{1f}z"));
        assert_eq!(rows[0].get("v.0.s"), Some("1"));
        assert_eq!((rows[1].line, rows[2].line), (3, 4));
        assert!(rows[1].fault.is_some() && rows[2].fault.is_some());
    }

    #[test]
    fn a_file_without_names_says_so() {
        let error = Rows::open(Box::new(&b"\n\n"[..]), Format::Csv(None)).unwrap_err();
        assert!(error.to_string().contains("no column names"), "{error}");
    }
}
