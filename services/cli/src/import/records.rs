//! The records of a CSV file with the line each starts on. (The csv crate reads records well, but says of one that follows an
//! empty line that it starts there.)

use std::io::BufRead;

use anyhow::Context;
use csv::ByteRecord;

/// No row of a catalog is as long as this: a quote that nothing closes makes one of all the rest.
pub(super) const LONGEST: usize = 4 << 20;

/// Reads records one after another.
pub(super) struct Records {
    text: Box<dyn BufRead + Send>,
    separator: u8,
    line: u64,
    buffer: Vec<u8>,
}

/// Where a line of the file is with regard to quotes.
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
        Self { text, separator, line: 0, buffer: Vec::new() }
    }

    /// The next record that is no empty line, and the line it starts on. One that is too long has no cells, and the lines
    /// behind it are read as if it had ended.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<(u64, ByteRecord)>> {
        loop {
            let start = self.line + 1;
            if !self.read_record()? {
                return Ok(None);
            }
            if self.buffer.len() > LONGEST {
                return Ok(Some((start, ByteRecord::new())));
            }
            let mut record = ByteRecord::new();
            let mut reader = csv::ReaderBuilder::new()
                .delimiter(self.separator)
                .flexible(true)
                .has_headers(false)
                .buffer_capacity(self.buffer.len().max(64))
                .from_reader(self.buffer.as_slice());
            if reader.read_byte_record(&mut record).context("reading a row")? {
                return Ok(Some((start, record)));
            }
        }
    }

    /// Reads lines until no quote is open. False at the end.
    fn read_record(&mut self) -> anyhow::Result<bool> {
        self.buffer.clear();
        let (mut state, mut seen) = (State::Start, 0);
        while self.text.read_until(b'\n', &mut self.buffer).context("reading a row")? > 0 {
            self.line += 1;
            for &byte in &self.buffer[seen..] {
                state = self.after(state, byte);
            }
            seen = self.buffer.len();
            if state != State::Quoted || seen > LONGEST {
                return Ok(true);
            }
        }
        Ok(seen > 0)
    }

    fn after(&self, state: State, byte: u8) -> State {
        match (state, byte) {
            (State::Quoted, b'"') => State::Closing,
            (State::Start | State::Closing, b'"') | (State::Quoted, _) => State::Quoted,
            (_, byte) if byte == self.separator => State::Start,
            _ => State::Bare,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Vec<(u64, Vec<String>)> {
        let mut records = Records::new(Box::new(std::io::Cursor::new(text.to_owned())), b',');
        let mut all = Vec::new();
        while let Some((line, record)) = records.next().unwrap() {
            let cells = record.iter().map(|cell| String::from_utf8(cell.to_vec()).unwrap());
            all.push((line, cells.collect()));
        }
        all
    }

    #[test]
    fn a_record_knows_its_line_after_empty_ones_and_any_line_end() {
        for end in ["\n", "\r\n"] {
            let text = ["sku,name", "1,a", "", "", "2,\"b", "c\"", "", "3,d", "4,\"e\"\"\""].join(end);
            let lines: Vec<u64> = records(&text).into_iter().map(|(line, _)| line).collect();
            assert_eq!(lines, [1, 2, 5, 8, 9], "{end:?}");
        }
    }

    #[test]
    fn quotes_count_only_where_a_cell_begins() {
        let all = records("12\" pipe,\"a \"\"b\"\"\n, c\"\n\"x\"y,z\n");
        assert_eq!(all[0], (1, vec!["12\" pipe".to_owned(), "a \"b\"\n, c".to_owned()]));
        assert_eq!(all[1].0, 3);
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn a_quote_that_nothing_closes_costs_its_row_and_no_more_than_there_is() {
        let all = records("a,b\n1,\"open\n2,x\n");
        assert_eq!(all.len(), 2);
        let filler = format!("{}\n", "x".repeat(1_000)).repeat(LONGEST / 1_000 + 10);
        let all = records(&format!("a,b\n1,\"open\n{filler}3,c\n"));
        assert_eq!(all[1], (2, Vec::new()));
        assert_eq!(all.last().unwrap().1, ["3", "c"]);
    }
}
