//! The records of a CSV file with the line each starts on. Promises that every byte of the file is in a record or between two,
//! and that a quote that is not closed, or has text behind it, is a fault that names its line. A line ends with a line feed, a
//! carriage return, or both.

use std::io::BufRead;

use anyhow::Context;

/// No row of a catalog is as long as this: a quote that nothing closes makes one of all the rest.
pub(super) const MAX_LEN: usize = 4 << 20;

/// Reads records one after another.
pub(super) struct Records {
    text: Box<dyn BufRead + Send>,
    separator: u8,
    /// How many lines have ended.
    line: u64,
    /// Whether the last byte was a carriage return: a line feed behind it ends no other line.
    after_return: bool,
    raw: Vec<u8>,
}

/// The cells of a row, as bytes.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The line it starts on, from 1.
    pub(super) line: u64,
    pub(super) cells: Vec<Vec<u8>>,
    /// Why its cells cannot be relied on, and the bytes they were read from.
    pub(super) fault: Option<(String, Vec<u8>)>,
}

/// Where a byte is with regard to quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Bare,
    Quoted,
    /// Behind a quote in a quoted cell: its end, or half of two that stand for one.
    Closing,
}

impl Records {
    pub(super) fn new(text: Box<dyn BufRead + Send>, separator: u8) -> Self {
        Self { text, separator, line: 0, after_return: false, raw: Vec::new() }
    }

    /// The next record that is no empty line.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Record>> {
        loop {
            let record = self.read().context("reading a row")?;
            let is_empty = |record: &Record| {
                record.fault.is_none() && matches!(&record.cells[..], [cell] if cell.is_empty())
            };
            if !record.as_ref().is_some_and(is_empty) {
                return Ok(record);
            }
        }
    }

    /// Reads up to the end of a line that is in no quotes. What is beyond [`MAX_LEN`] is passed over up to the end of its line.
    fn read(&mut self) -> std::io::Result<Option<Record>> {
        self.raw.clear();
        let mut record = Record { line: self.line + 1, ..Record::default() };
        let (mut state, mut cell) = (State::Start, Vec::new());
        let (mut last, mut opened, mut behind) = (None, 0, false);
        let mut is_done = false;
        while !is_done {
            let bytes = self.text.fill_buf()?;
            if bytes.is_empty() {
                break;
            }
            let mut used = 0;
            for &byte in bytes {
                used += 1;
                let is_second = std::mem::replace(&mut self.after_return, byte == b'\r') && byte == b'\n';
                if is_second && last.is_none() {
                    continue;
                }
                last = Some(byte);
                let ends_line = matches!(byte, b'\r' | b'\n');
                self.line += u64::from(ends_line && !is_second);
                self.raw.push(byte);
                if self.raw.len() > MAX_LEN {
                    self.raw.truncate(MAX_LEN + 1);
                    is_done = ends_line;
                } else {
                    match state {
                        State::Quoted if byte == b'"' => state = State::Closing,
                        State::Quoted => cell.push(byte),
                        State::Start if byte == b'"' => (state, opened) = (State::Quoted, self.line + 1),
                        State::Closing if byte == b'"' => {
                            cell.push(byte);
                            state = State::Quoted;
                        }
                        _ if byte == self.separator => {
                            record.cells.push(std::mem::take(&mut cell));
                            state = State::Start;
                        }
                        _ if ends_line => is_done = true,
                        _ => {
                            if state == State::Closing {
                                behind = true;
                                cell.push(b'"');
                            }
                            cell.push(byte);
                            state = State::Bare;
                        }
                    }
                }
                if is_done {
                    break;
                }
            }
            self.text.consume(used);
        }
        let Some(last) = last else { return Ok(None) };
        record.cells.push(cell);
        let end = self.line + u64::from(!matches!(last, b'\r' | b'\n'));
        let why = if self.raw.len() > MAX_LEN && matches!(state, State::Quoted) {
            format!("has more than 4 MiB: nothing closes the quote that opens in line {opened}")
        } else if self.raw.len() > MAX_LEN {
            "has more than 4 MiB".to_owned()
        } else if state == State::Quoted {
            format!("nothing closes the quote that opens in line {opened}, up to the end of the file")
        } else if behind {
            "has text behind the quote that closes a cell: a quote inside of a text is written twice"
                .to_owned()
        } else {
            return Ok(Some(record));
        };
        let why = if end > record.line {
            format!("{why}; lines {} to {end} were taken for this row", record.line)
        } else {
            why
        };
        record.fault = Some((why, self.raw.trim_ascii_end().to_vec()));
        Ok(Some(record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = (u64, Vec<String>, Option<String>);

    fn records(text: &str) -> Vec<Read> {
        let mut records = Records::new(Box::new(std::io::Cursor::new(text.to_owned())), b',');
        let mut all = Vec::new();
        while let Some(record) = records.next().unwrap() {
            let cells = record.cells.into_iter().map(|cell| String::from_utf8(cell).unwrap());
            all.push((record.line, cells.collect(), record.fault.map(|(why, _)| why)));
        }
        all
    }

    fn fault(record: &Read) -> &str {
        record.2.as_deref().unwrap_or_default()
    }

    #[test]
    fn a_record_knows_its_line_after_empty_ones_and_any_line_end() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["sku,name", "1,a", "", "", "2,\"b", "c\"", "", "3,d", "4,\"e\"\"\""].join(end);
            let all = records(&text);
            let lines: Vec<u64> = all.iter().map(|it| it.0).collect();
            assert_eq!(lines, [1, 2, 5, 8, 9], "{end:?}");
            assert_eq!(all[2].1, ["2".to_owned(), format!("b{end}c")]);
            assert!(all.iter().all(|it| it.2.is_none()), "{all:?}");
            assert_eq!(records(&format!("{text}{end}")).len(), 5);
        }
    }

    #[test]
    fn quotes_count_only_where_a_cell_begins() {
        let all = records("12\" pipe,\"a \"\"b\"\"\n, c\"\n\"\",z,\n");
        assert_eq!(all[0], (1, vec!["12\" pipe".to_owned(), "a \"b\"\n, c".to_owned()], None));
        assert_eq!(all[1], (3, vec![String::new(), "z".to_owned(), String::new()], None));
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn text_behind_a_closing_quote_is_a_fault_of_its_row() {
        for row in ["1,\"a 12\" pipe\",5", "1,\"a\" ,5", "1,\"\"a,5"] {
            let all = records(&format!("{row}\n2,b,6\n"));
            assert!(fault(&all[0]).contains("written twice"), "{row}: {all:?}");
            assert_eq!((all[1].0, &all[1].2), (2, &None), "{row}");
        }
        let all = records("1,\"open,5\n2,\"x\",6\n3,y,7\n");
        assert!(fault(&all[0]).contains("lines 1 to 2 were taken"), "{all:?}");
        assert_eq!(all[1].1, ["3", "y", "7"]);
    }

    #[test]
    fn a_quote_that_nothing_closes_is_told_with_its_line_and_how_far_it_went() {
        for text in ["a,b\n1,\"x\ny,\"\n\n2,\"open\n3,x\n", "a,b\n1,\"x\ny,\"\n\n2,\"open\n3,x"] {
            let all = records(text);
            assert_eq!(all.len(), 3, "{all:?}");
            let told = fault(&all[2]);
            assert!(told.contains("opens in line 5") && told.contains("lines 5 to 6 were taken"), "{told}");
        }
    }

    #[test]
    fn a_row_that_is_too_long_costs_no_memory_and_no_more_than_its_line() {
        let filler = format!("{}\n", "x".repeat(1_000)).repeat(MAX_LEN / 1_000 + 10);
        let all = records(&format!("a,b\n1,\"open\n{filler}3,c\n"));
        assert!(fault(&all[1]).contains("quote that opens in line 2"), "{}", fault(&all[1]));
        assert_eq!(all.last().unwrap().1, ["3", "c"]);
        let all = records(&format!("a,b\r{}\r3,c\r", "x".repeat(3 * MAX_LEN)));
        assert!(all.len() == 3 && fault(&all[1]) == "has more than 4 MiB", "{}", fault(&all[1]));
        assert!(all[1].1.concat().len() <= MAX_LEN);
        assert_eq!((all[2].0, all[2].1.len()), (3, 2));
    }
}
