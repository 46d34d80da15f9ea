//! The trace of a run: one line per thing that happened. Costs nothing where nobody looks.

use std::collections::VecDeque;
use std::fmt::{self, Write};

/// What becomes of the lines.
#[derive(Debug)]
pub enum Trace {
    /// Nothing.
    Off,
    /// A hash of them all, to compare two runs.
    Hash(u64),
    /// They are printed.
    Print,
    /// The last ones are kept.
    Last { lines: VecDeque<String>, keep: usize },
}

impl Trace {
    /// A hash, at its start.
    pub const fn hash() -> Self {
        Self::Hash(0xcbf2_9ce4_8422_2325)
    }

    /// Keeps the last lines.
    pub fn last(keep: usize) -> Self {
        Self::Last { lines: VecDeque::new(), keep }
    }

    pub(crate) fn line(&mut self, line: fmt::Arguments<'_>) {
        match self {
            Self::Off => {}
            Self::Hash(hash) => Fnv(hash).write_fmt(line).unwrap_or_default(),
            #[expect(clippy::print_stdout, reason = "it was asked for")]
            Self::Print => println!("{line}"),
            Self::Last { lines, keep } => {
                if lines.len() == *keep {
                    lines.pop_front();
                }
                lines.push_back(line.to_string());
            }
        }
    }
}

struct Fnv<'a>(&'a mut u64);

impl Write for Fnv<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            *self.0 = (*self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}
