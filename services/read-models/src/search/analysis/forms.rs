//! The terms that a word is found by.

use super::LONGEST;
use super::fold::spellings;
use super::plural::singulars;
use super::split::{Part, PartKind};

/// Begins the term of what a word is the plural of, so that it never meets a word that is written like it.
const SINGULAR: char = '~';
/// Begins the term of two parts side by side inside a longer word, which is less than a word: "TS-RED" of "TS-RED-XL". A
/// question for a longer word never meets it, so that "APL-IP15" does not find "APL-IP15P".
const INNER: char = '_';
/// What may stand behind a measure, which is a number without it too.
const UNITS: [&str; 32] = [
    "ah", "cl", "cm", "ct", "dpi", "ft", "g", "gb", "ghz", "hz", "in", "k", "kg", "khz", "km", "kv", "kw",
    "l", "lb", "m", "mah", "mb", "mg", "mhz", "ml", "mm", "oz", "px", "tb", "v", "w", "wh",
];
/// Two words that are longer together are not taken for one.
const LONGEST_COMPOUND: usize = 40;

/// A word's forms. A question meets a document in any of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Forms {
    /// As it is written; where that may mean two numbers, both.
    pub(super) words: Vec<String>,
    /// Without its marks, or with other letters for them.
    pub(super) spellings: Vec<String>,
    /// What it may be the plural of.
    pub(super) singulars: Vec<String>,
}

impl Forms {
    pub(super) fn of(words: impl IntoIterator<Item = String>) -> Self {
        let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let spellings: Vec<String> = words.iter().flat_map(|word| spellings(word)).collect();
        let singulars = words.iter().chain(&spellings).flat_map(|word| singulars(word)).collect();
        Self { words, spellings, singulars }
    }

    /// What a document is found by.
    pub(super) fn of_document(self) -> impl Iterator<Item = String> {
        let singulars = self.singulars.into_iter().map(|it| singular(&it));
        self.words.into_iter().chain(self.spellings).chain(singulars)
    }

    /// What a question looks for beside the words themselves, the nearest first.
    pub(super) fn others(&self) -> impl Iterator<Item = String> + '_ {
        let written = || self.words.iter().chain(&self.spellings);
        let plurals = written().map(|word| singular(word));
        let singulars = self.singulars.iter().flat_map(|it| [it.clone(), singular(it)]);
        let inside = written().map(|word| inner(word));
        self.spellings.iter().cloned().chain(plurals).chain(singulars).chain(inside)
    }

    /// All that a question looks for.
    pub(super) fn of_question(&self) -> Vec<String> {
        self.words.iter().cloned().chain(self.others()).collect()
    }

    /// The same where a part of a longer word is not enough.
    pub(super) fn of_words(&self) -> Vec<String> {
        self.of_question().into_iter().filter(|term| !term.starts_with(INNER)).collect()
    }
}

/// The term of `text` as parts of a longer word.
pub(super) fn inner(text: &str) -> String {
    format!("{INNER}{text}")
}

/// "20x40" of "20x40cm".
pub(super) fn without_unit(parts: &[Part]) -> Option<&[Part]> {
    let (last, measure) = parts.split_last()?;
    let is_unit = last.joint.is_none() && UNITS.contains(&last.text.as_str());
    (is_unit && measure.len() > 1).then_some(measure)
}

fn singular(text: &str) -> String {
    format!("{SINGULAR}{text}")
}

/// Parts as one word, and the other one that it may mean. Only between digits does a sign stay: "1/2" is not 12.
pub(super) fn whole(parts: &[Part]) -> Vec<String> {
    let join = |text: fn(&Part) -> &str| {
        let mut whole = String::new();
        for part in parts {
            let text = text(part);
            if let Some(sign) = part.joint
                && ends_with_digit(&whole)
                && begins_with_digit(text)
            {
                whole.push(sign);
            }
            whole.push_str(text);
        }
        cut(whole)
    };
    let mut words = vec![join(|part| &part.text)];
    if parts.iter().any(|part| part.other.is_some()) {
        words.push(join(|part| part.other.as_ref().unwrap_or(&part.text)));
    }
    words
}

/// Two words side by side as one: "wi fi", "500 ml", but never two numbers.
pub(super) fn compound(first: &[Part], second: &[Part]) -> Vec<String> {
    let (first, second) = (whole(first), whole(second));
    let two = first.iter().flat_map(|first| second.iter().map(move |second| (first, second)));
    let fit = two.filter(|(first, second)| {
        !(ends_with_digit(first) && begins_with_digit(second))
            && first.chars().count() + second.chars().count() <= LONGEST_COMPOUND
    });
    fit.map(|(first, second)| format!("{first}{second}")).collect()
}

/// Whether a part of a longer word is one by itself: not the single letters and digits that codes are made of.
pub(super) fn stands_alone(parts: &[Part], at: usize) -> bool {
    let part = &parts[at];
    let is_glued = |at: usize| parts.get(at).is_some_and(|part| part.joint.is_none());
    match part.kind {
        PartKind::Letters => {
            let inside_a_code = (at > 0 && is_glued(at)) || is_glued(at + 1);
            !inside_a_code || part.text.chars().nth(1).is_some()
        }
        PartKind::Number => part.text.len() > 1,
        PartKind::Signed => true,
    }
}

pub(super) fn has_digit(parts: &[Part]) -> bool {
    parts.iter().any(|part| part.text.bytes().any(|byte| byte.is_ascii_digit()))
}

fn ends_with_digit(text: &str) -> bool {
    text.ends_with(|c: char| c.is_ascii_digit())
}

fn begins_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// The first [`LONGEST`] characters.
fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
    }
    text
}
