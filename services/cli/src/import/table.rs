//! Reads the rows of a file, CSV or NDJSON, one after another: memory holds one row. Promises that each row knows the line
//! it starts on, whatever quotes and new lines come before it.

use std::io::{BufRead, Read as _};
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::Value;

use super::records::{MAX_LEN, Record, Records};
use super::row::{Columns, Row};
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
        let first = first_line(&mut text).context("reading the names of the columns")?;
        if first.trim_ascii().is_empty() {
            bail!("the file has no column names: its first line must hold them");
        }
        let separator = separator.unwrap_or_else(|| separator_of(&first));
        let text: Box<dyn BufRead + Send> = Box::new(std::io::Cursor::new(first).chain(text));
        let mut records = Records::new(text, separator);
        let none = "the file has no column names";
        let mut record = records.next()?.context(none)?;
        while record.cells.iter().all(|name| name.trim_ascii().is_empty()) {
            record = records.next()?.context(none)?;
        }
        if let Some((why, _)) = record.fault {
            bail!("the line with the names of the columns, line {}: {why}", record.line);
        }
        let names = record.cells.into_iter().map(|name| {
            String::from_utf8(name).context(
                "the names of the columns are not UTF-8: save the file as UTF-8 (in a spreadsheet: \"CSV UTF-8\")",
            )
        });
        let columns = Arc::new(Columns::new(&names.collect::<anyhow::Result<Vec<_>>>()?));
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
                let Some(record) = records.next()? else { return Ok(None) };
                of_record(record, &self.columns)
            }
            Kind::Ndjson { reader, line } => {
                let mut bytes = Vec::new();
                if !read_line(reader, &mut bytes).context("reading a line")? {
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

/// The first line that is not blank, with the blank ones before it.
fn first_line(text: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut first = Vec::new();
    loop {
        let some = text.fill_buf()?;
        let end = some.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let used = end.map_or(some.len(), |at| at + 1);
        first.extend_from_slice(&some[..used]);
        text.consume(used);
        let is_whole = end.is_some() && !first.trim_ascii().is_empty();
        if used == 0 || is_whole || first.len() > MAX_LEN {
            return Ok(first);
        }
    }
}

/// Reads a line; of one that is too long, [`MAX_LEN`] bytes and one more. False at the end.
fn read_line(text: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    loop {
        let some = text.fill_buf()?;
        if some.is_empty() {
            return Ok(!line.is_empty());
        }
        let end = memchr::memchr(b'\n', some);
        let used = end.map_or(some.len(), |at| at + 1);
        let room = (MAX_LEN + 1).saturating_sub(line.len());
        line.extend_from_slice(&some[..used.min(room)]);
        text.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

fn of_record(record: Record, columns: &Arc<Columns>) -> Row {
    let (mut cells, mut broken) = (Vec::with_capacity(record.cells.len()), Vec::new());
    for (at, cell) in record.cells.into_iter().enumerate() {
        cells.push(String::from_utf8(cell).unwrap_or_else(|error| {
            let lossy = String::from_utf8_lossy(error.as_bytes()).into_owned();
            broken.push((at, error.into_bytes()));
            lossy
        }));
    }
    let wanted = columns.names().len();
    let more = cells.iter().skip(wanted).any(|cell| !cell.trim().is_empty());
    let (fault, raw) = match record.fault {
        Some((fault, raw)) => (Some(fault), Some(raw)),
        None if more => {
            let fault = format!(
                "has {} cells, but the file has {wanted} columns: is there a separator or a quote in a text without quotes around it?",
                cells.len()
            );
            (Some(fault), None)
        }
        None => (None, None),
    };
    Row { line: record.line, columns: Arc::clone(columns), cells, broken, fault, raw, ..Row::default() }
}

/// A line of NDJSON: its fields are the columns, those of objects in it with a dot between.
fn of_json(line: u64, bytes: &[u8]) -> Row {
    let mut row = Row { line, ..Row::default() };
    if bytes.len() > MAX_LEN {
        row.json = Some(String::from_utf8_lossy(&bytes[..MAX_LEN / 1_024]).into_owned());
        row.fault = Some("has more than 4 MiB".to_owned());
        return row;
    }
    let text = String::from_utf8_lossy(bytes.trim_ascii()).into_owned();
    if text.is_empty() {
        return row;
    }
    match contract::json::parse_strictly(bytes) {
        _ if std::str::from_utf8(bytes).is_err() => {
            row.fault = Some("is not UTF-8: save the file as UTF-8".to_owned());
        }
        Ok(Value::Object(fields)) => row.take_fields(&fields),
        Ok(_) => row.fault = Some("must be one JSON object".to_owned()),
        Err(error) => row.fault = Some(format!("must be one JSON object: {error}")),
    }
    row.json = Some(text);
    row
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
    fn lines_that_end_with_a_carriage_return_alone_are_lines() {
        let rows = rows(b"\rsku;name\r1;a\r\r2;\"b\rc\"\r", Format::Csv(None));
        assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [3, 5]);
        assert_eq!(rows[1].get("name"), Some("b\rc"));
        let error = Rows::open(Box::new(&b"a,\"b\n1,2\n"[..]), Format::Csv(None)).unwrap_err();
        assert!(error.to_string().contains("quote that opens in line 1"), "{error}");
    }

    #[test]
    fn a_json_line_that_is_too_long_or_says_a_field_twice_costs_its_row_only() {
        let mut text = vec![b'x'; 2 * MAX_LEN];
        text.extend_from_slice(b"\n{\"a\": 1, \"a\": 2}\n{\"a\": {\"b\": 1, \"b\": 1}}\n{\"a\": 1}");
        let rows = Rows::open(Box::new(std::io::Cursor::new(text)), Format::Ndjson).unwrap();
        let rows: Vec<Row> = rows.map(Result::unwrap).collect();
        assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert!(rows[0].fault.as_ref().unwrap().contains("4 MiB"), "{:?}", rows[0].fault);
        assert!(rows[1].fault.is_some() && rows[2].fault.is_some());
        assert_eq!((rows[3].get("a"), &rows[3].fault), (Some("1"), &None));
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
