//! The terms that a word is found by.

use super::MAX_LEN;
use super::fold::spellings;
use super::plural::singulars;
use super::split::{Part, PartKind, SIGNS};

/// Begins the term of what a word is the plural of, so that it never meets a word that is written like it.
const SINGULAR: char = '~';
/// Begins the term of a few parts side by side inside a longer word, which is less than a word: "TS-RED" of "TS-RED-XL". A
/// question for a longer word never meets it, so that "APL-IP15" does not find "APL-IP15P".
const INNER: char = '_';
/// What may stand behind a measure, which is a number without it too.
const UNITS: [&str; 32] = [
    "ah", "cl", "cm", "ct", "dpi", "ft", "g", "gb", "ghz", "hz", "in", "k", "kg", "khz", "km", "kv", "kw",
    "l", "lb", "m", "mah", "mb", "mg", "mhz", "ml", "mm", "oz", "px", "tb", "v", "w", "wh",
];
/// So many pieces side by side of a longer word are looked for.
const RUN: usize = 3;
/// The same from its beginning, and up to its end: as many as a question has.
const END_RUN: usize = 32;
/// Two words that are longer together are not taken for one.
const MAX_COMPOUND: usize = 40;

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
        let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).map(cut).collect();
        let spellings: Vec<String> = words.iter().flat_map(|word| spellings(word)).map(cut).collect();
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

/// What joints divide a word into: "SM", "G991B", "DS" of "SM-G991B/DS".
pub(super) fn segments(parts: &[Part]) -> Vec<&[Part]> {
    parts.chunk_by(|_, next| next.joint.is_none()).collect()
}

/// Pieces side by side inside a longer word: "SM-G991B" of "SM-G991B/DS", "10x20" of "10x20x30cm".
pub(super) fn runs(parts: &[Part]) -> Vec<&[Part]> {
    let (mut starts, mut ends) = (vec![0], Vec::new());
    for at in 1..parts.len() {
        let between = &parts[at];
        let is_number = |at: usize| parts.get(at).is_some_and(|part| part.kind == PartKind::Number);
        if between.joint.is_some() {
            ends.push(at);
            starts.push(at);
        } else if between.text == "x" && is_number(at - 1) && is_number(at + 1) {
            ends.push(at);
            starts.push(at + 1);
        }
    }
    ends.push(parts.len());
    let last = ends.len();
    let mut found = Vec::new();
    let starts = starts.iter().enumerate().filter(|(_, start)| !is_fraction_of_mixed(parts, **start));
    for (first, start) in starts {
        let is_at_an_end =
            |to: usize| (first == 0 && to <= END_RUN) || (to == last && last - first <= END_RUN);
        // One piece is less than a run, and all of them are more.
        let wanted =
            (first + 2..=last).filter(|to| to - first < last && (to - first <= RUN || is_at_an_end(*to)));
        found.extend(wanted.map(|to| &parts[*start..ends[to - 1]]));
    }
    found
}

/// "1/2" of "1-1/2", which is another number.
pub(super) fn is_fraction_of_mixed(parts: &[Part], at: usize) -> bool {
    let follows = |at: usize, joint: char| {
        parts.get(at).is_some_and(|part| part.kind == PartKind::Number && part.joint == Some(joint))
    };
    let whole = at.checked_sub(1).map(|before| &parts[before]);
    follows(at, '-')
        && follows(at + 1, '/')
        && whole.is_some_and(|whole| whole.kind == PartKind::Number && whole.text.len() <= 3)
}

/// The same parts without what stands behind them as a sign, if any has one: "SPF50" of "SPF50+".
pub(super) fn unsigned(parts: &[Part]) -> Option<Vec<Part>> {
    let bare = |text: &str| text.trim_end_matches(SIGNS).to_owned();
    let without = |part: &Part| match part.kind {
        PartKind::Signed => {
            Part { text: bare(&part.text), other: part.other.as_deref().map(bare), ..part.clone() }
        }
        _ => part.clone(),
    };
    let has_signs = parts.iter().any(|part| part.kind == PartKind::Signed);
    has_signs.then(|| parts.iter().map(without).collect())
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
        whole
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
            && first.chars().count() + second.chars().count() <= MAX_COMPOUND
    });
    fit.map(|(first, second)| format!("{first}{second}")).collect()
}

/// A word and the first character of the run that it goes over into: "K金" of "K金戒指".
pub(super) fn adjoining(word: &[Part], run: &[String]) -> Vec<String> {
    run.first().map_or_else(Vec::new, |first| whole(word).into_iter().map(|word| word + first).collect())
}

/// Whether a part of a longer word is one by itself: not the single letters and digits that codes are made of.
pub(super) fn stands_alone(parts: &[Part], at: usize) -> bool {
    let part = &parts[at];
    let is_glued = |at: usize| parts.get(at).is_some_and(|part| part.joint.is_none());
    let is_elided = |at: usize| parts.get(at).is_some_and(|part| part.joint == Some('\''));
    let inside_a_code = (at > 0 && is_glued(at)) || is_glued(at + 1);
    let is_single = part.text.trim_end_matches(SIGNS).chars().nth(1).is_none();
    match part.kind {
        // Nor what an apostrophe leaves of a word.
        PartKind::Letters => !is_single || !(inside_a_code || is_elided(at) || is_elided(at + 1)),
        PartKind::Number => !is_single,
        // "C++" of "C++17", but not the "W" of "500W+".
        PartKind::Signed => !is_single || at == 0,
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

/// The first [`MAX_LEN`] characters.
fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_LEN) {
        text.truncate(end);
    }
    text
}
