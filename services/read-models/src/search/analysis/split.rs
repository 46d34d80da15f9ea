//! Splits a text into words, and words into parts.
//!
//! Promises: what stands between two blanks stays together as one word of parts, whatever joins them; a number keeps its
//! decimal point ("0.23" is one part, "1,5" is "1.5"); scripts that are written without blanks become a run of single
//! characters.

use unicode_segmentation::UnicodeSegmentation;

use super::fold::normal;
use super::number::{list, mixed_numbers, number};

/// What ends a word as a part of it.
pub(super) const SIGNS: [char; 2] = ['+', '#'];
/// A character with its marks, or an emoji of several, is cut here.
const MAX_CHARACTER: usize = 24;

/// What stands between blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) kind: ChunkKind,
    /// Nothing but blanks lies between it and the chunk before.
    pub(super) follows_blank: bool,
    /// Nothing at all does.
    pub(super) adjoins: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ChunkKind {
    /// At least one.
    Word(Vec<Part>),
    /// Characters of a script without blanks, at least one.
    Run(Vec<String>),
    /// An emoji, or another sign that stands for itself.
    Sign(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) text: String,
    pub(super) kind: PartKind,
    /// The sign that joins it to the part before; none where only the kind of characters changes, and at the beginning.
    pub(super) joint: Option<char>,
    /// What else it may be: "1,000" is a thousand, or one with three decimals.
    pub(super) other: Option<String>,
    /// The numbers that it may be a list of: "35,36,37".
    pub(super) list: Vec<String>,
}

impl Part {
    fn new(text: &str, kind: PartKind, joint: Option<char>) -> Self {
        Self { text: text.to_owned(), kind, joint, other: None, list: Vec::new() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartKind {
    Letters,
    Number,
    /// With `+` or `#` at its end, as in "c++".
    Signed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Digit,
    Run,
    Sign,
    Blank,
    Other,
}

/// How many words a text has, as a limit counts them: parts, signs, and characters of scripts without blanks (of those that
/// are written with syllables or longer words, every fourth).
pub(in crate::search) fn count(text: &str) -> usize {
    let words = |chunk: &Chunk| match &chunk.kind {
        ChunkKind::Word(parts) => parts.len(),
        ChunkKind::Run(characters) => {
            let is_dense = |text: &String| text.chars().next().is_some_and(is_ideographic);
            let dense = characters.iter().filter(|text| is_dense(text)).count();
            dense + (characters.len() - dense).div_ceil(4)
        }
        ChunkKind::Sign(_) => 1,
    };
    chunks(text).iter().map(words).sum()
}

/// The words of a text.
pub(super) fn chunks(text: &str) -> Vec<Chunk> {
    let text = mixed_numbers(&normal(text));
    let mut splitter = Splitter { found: Vec::new(), word: Vec::new(), gap: Gap::Start, before: ' ' };
    let mut graphemes: Vec<&str> = text.graphemes(true).collect();
    graphemes.dedup_by(|one, other| *one == "-" && *other == "-");
    for (at, grapheme) in graphemes.iter().enumerate() {
        let next = graphemes.get(at + 1).map_or(Class::Blank, |next| class(next));
        splitter.take(grapheme, next);
        splitter.before = grapheme.chars().next().unwrap_or(' ');
    }
    splitter.end_word();
    splitter.found
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    Start,
    /// Side by side.
    None,
    Blank,
    Break,
}

struct Splitter {
    found: Vec<Chunk>,
    /// The parts of the word that is not at its end yet. The last is empty after a joint.
    word: Vec<Part>,
    gap: Gap,
    /// What was taken last.
    before: char,
}

impl Splitter {
    fn take(&mut self, grapheme: &str, next: Class) {
        match class(grapheme) {
            Class::Letter => self.append(grapheme, PartKind::Letters),
            Class::Digit => self.append(grapheme, PartKind::Number),
            Class::Run => {
                self.end_word();
                let character = without_joiners(grapheme);
                match self.found.last_mut().map(|chunk| &mut chunk.kind) {
                    Some(ChunkKind::Run(characters)) if self.gap == Gap::None => characters.push(character),
                    _ => self.push(ChunkKind::Run(vec![character])),
                }
            }
            Class::Sign => {
                self.end_word();
                self.push(ChunkKind::Sign(grapheme.chars().take(MAX_CHARACTER).collect()));
            }
            Class::Blank => {
                self.end_word();
                if self.gap == Gap::None {
                    self.gap = Gap::Blank;
                }
            }
            Class::Other => self.other(grapheme, next),
        }
    }

    /// A sign that may join, end, or break.
    fn other(&mut self, grapheme: &str, next: Class) {
        let sign = grapheme.chars().next().unwrap_or(' ');
        let goes_on = matches!(next, Class::Letter | Class::Digit);
        let is_first = self.word.len() == 1;
        let Some(last) = self.word.last_mut() else {
            if matches!(sign, '.' | ',') && next == Class::Digit && opens(self.before) {
                self.append("0.", PartKind::Number);
            } else {
                self.gap = Gap::Break;
            }
            return;
        };
        match sign {
            '.' | ',' if last.kind == PartKind::Number && next == Class::Digit => last.text.push(sign),
            // "10*20" is 10x20.
            '*' if last.kind == PartKind::Number && next == Class::Digit => {
                self.word.push(Part::new("x", PartKind::Letters, None));
            }
            // The second of "C++17", and "C#12".
            '+' | '#'
                if !goes_on
                    || last.kind == PartKind::Signed
                    || (sign == '#' && next == Class::Digit && is_single_letter(last)) =>
            {
                last.text.push(sign);
                last.kind = PartKind::Signed;
            }
            // "N°5" is also "No 5".
            '°' if last.text == "n" && is_first => {
                last.other = Some("no".to_owned());
                if goes_on {
                    self.word.push(Part::new("", PartKind::Letters, Some(sign)));
                }
            }
            '.' | '-' | '_' | '\'' | '/' | '&' | '+' | '#' | '*' | ':' | '@' | '|' | '=' | '·' if goes_on => {
                self.word.push(Part::new("", PartKind::Letters, Some(sign)));
            }
            _ => {
                self.end_word();
                self.gap = Gap::Break;
            }
        }
    }

    fn append(&mut self, grapheme: &str, kind: PartKind) {
        let grapheme = without_joiners(grapheme);
        match self.word.last_mut() {
            Some(last) if last.text.is_empty() || last.kind == kind => {
                last.text.push_str(&grapheme);
                last.kind = kind;
            }
            _ => self.word.push(Part::new(&grapheme, kind, None)),
        }
    }

    fn end_word(&mut self) {
        let mut parts = std::mem::take(&mut self.word);
        if parts.is_empty() {
            return;
        }
        for part in &mut parts {
            let end = part.text.trim_end_matches(SIGNS).len();
            let (figures, signs) = part.text.split_at(end);
            if part.kind != PartKind::Letters && figures.starts_with(|c: char| c.is_ascii_digit()) {
                part.list = list(figures);
                let (number, other) = number(figures);
                part.other = other.map(|other| other + signs);
                part.text = number + signs;
            }
        }
        self.push(ChunkKind::Word(parts));
    }

    fn push(&mut self, kind: ChunkKind) {
        let (follows_blank, adjoins) = (self.gap == Gap::Blank, self.gap == Gap::None);
        self.gap = Gap::None;
        self.found.push(Chunk { kind, follows_blank, adjoins });
    }
}

/// A number without its zero may begin here: ".5".
fn opens(before: char) -> bool {
    before.is_whitespace()
        || matches!(
            before,
            '(' | '[' | '{' | '<' | '>' | '=' | '~' | '≈' | '±' | '"' | '\'' | '«' | '“' | '„'
        )
        || matches!(before, '$' | '£' | '¥' | '¢' | '\u{20a0}'..='\u{20cf}')
}

fn is_single_letter(part: &Part) -> bool {
    part.kind == PartKind::Letters && part.text.chars().nth(1).is_none()
}

fn without_joiners(grapheme: &str) -> String {
    grapheme.chars().filter(|c| *c != '\u{200d}').take(MAX_CHARACTER).collect()
}

fn class(grapheme: &str) -> Class {
    let Some(c) = grapheme.chars().next() else { return Class::Blank };
    match c {
        '0'..='9' => Class::Digit,
        c if c.is_whitespace() => Class::Blank,
        c if is_run(c) => Class::Run,
        c if c.is_alphanumeric() => Class::Letter,
        '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}' => Class::Sign,
        // A mark without its letter: what it belongs to goes on.
        c if unicode_normalization::char::is_combining_mark(c) => Class::Letter,
        _ => Class::Other,
    }
}

/// Each character counts as a word of its own.
fn is_ideographic(c: char) -> bool {
    matches!(u32::from(c), 0x2e80..=0x2fdf | 0x3005..=0x3007 | 0x3021..=0x309f | 0x3100..=0x312f | 0x3400..=0x4dbf
        | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}

/// Written without blanks between words, or with endings and compounds that make words of parts (Hangul).
fn is_run(c: char) -> bool {
    c.is_alphanumeric()
        && (is_ideographic(c)
            || matches!(u32::from(c), 0x30a0..=0x30ff | 0x31a0..=0x31bf | 0x31f0..=0x31ff
                | 0x0e00..=0x0eff | 0x0f00..=0x0fff | 0x1000..=0x109f | 0x1780..=0x17ff
                | 0x1100..=0x11ff | 0x3130..=0x318f | 0xa960..=0xa97f | 0xac00..=0xd7ff))
}
