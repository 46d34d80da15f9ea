//! The words of a question, each with the terms that a document may have for it.

use super::forms::{Forms, adjoining, compound, has_digit, segments, whole};
use super::split::{ChunkKind, Part, PartKind, chunks};

/// A shorter word is not looked for with a typo: too many others are as near.
const MIN_LEN_WITH_TYPO: usize = 4;
/// Elided words, which belong to no noun they stand before.
const ELIDED: [&str; 9] = ["l", "d", "j", "m", "n", "s", "t", "c", "qu"];

/// A text to look for.
#[derive(Debug, Clone, Default)]
pub(in crate::search) struct Question {
    /// All of them must be in a document.
    pub(in crate::search) words: Vec<Word>,
}

/// One word of a question. A document has it if it has one of `exact` or `others`, or each of one row of `together`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::search) struct Word {
    /// The word as it is written.
    pub(in crate::search) exact: Vec<String>,
    /// Its other forms, and what it is as one with the word before or after it; the nearest first.
    pub(in crate::search) others: Vec<String>,
    /// Each row: terms that must all be there, of each any of a few.
    pub(in crate::search) together: Vec<Vec<Vec<String>>>,
    /// The term to look for with a typo; none for what has digits or is too short.
    pub(in crate::search) fuzzy: Option<String>,
    /// What a term begins with that this may be the beginning of.
    pub(in crate::search) begins: Vec<String>,
    /// The same of this word and the one before it as one.
    pub(in crate::search) begins_with_last: Vec<String>,
}

impl Question {
    pub(in crate::search) fn of(text: &str) -> Self {
        let chunks = chunks(text);
        let mut words: Vec<Word> = chunks.iter().map(|chunk| Word::of(&chunk.kind)).collect();
        for at in 1..chunks.len() {
            let ChunkKind::Word(first) = &chunks[at - 1].kind else { continue };
            let second = match &chunks[at].kind {
                ChunkKind::Word(second) if chunks[at].follows_blank => second,
                ChunkKind::Run(characters) if chunks[at].adjoins => {
                    words[at - 1].others.extend(Forms::of(adjoining(first, characters)).of_question());
                    continue;
                }
                _ => continue,
            };
            let forms = Forms::of(compound(first, second));
            let one = forms.of_question();
            words[at - 1].others.extend(one.iter().cloned());
            words[at].others.extend(one);
            words[at].begins_with_last = forms.words.into_iter().chain(forms.spellings).collect();
        }
        Self { words }
    }
}

impl Word {
    fn of(chunk: &ChunkKind) -> Self {
        match chunk {
            ChunkKind::Word(parts) => Self::of_parts(parts),
            ChunkKind::Run(characters) if characters.len() > 1 => {
                let pairs = characters.windows(2).map(|two| vec![two.concat()]);
                Self { together: vec![pairs.collect()], ..Self::default() }
            }
            ChunkKind::Run(characters) => Self::single(&characters.concat()),
            ChunkKind::Sign(sign) => Self::single(sign),
        }
    }

    fn single(term: &str) -> Self {
        let term = vec![term.to_owned()];
        Self { begins: term.clone(), exact: term, ..Self::default() }
    }

    fn of_parts(parts: &[Part]) -> Self {
        let forms = Forms::of(whole(parts));
        let mut others: Vec<String> = forms.others().collect();
        if let Some(noun) = noun(parts) {
            others.extend(Forms::of(whole(noun)).of_question());
        }
        let fuzzy = forms.spellings.first().or(forms.words.first()).filter(|word| {
            parts.iter().all(|part| part.kind == PartKind::Letters)
                && !has_digit(parts)
                && word.chars().count() >= MIN_LEN_WITH_TYPO
        });
        Self {
            fuzzy: fuzzy.cloned(),
            together: together(parts),
            begins: forms.words.iter().chain(&forms.spellings).cloned().collect(),
            exact: forms.words,
            others,
            begins_with_last: Vec::new(),
        }
    }

    /// The terms that make a document a better hit.
    pub(in crate::search) fn ranking(&self) -> impl Iterator<Item = &String> {
        let pairs = self.together.iter().flatten().flatten().filter(|_| self.exact.is_empty());
        self.exact.iter().chain(pairs)
    }
}

/// What is written with its parts apart where a question has them as one.
fn together(parts: &[Part]) -> Vec<Vec<Vec<String>>> {
    let mut rows = Vec::new();
    if parts.len() > 2 {
        // Side by side, two by two: "10x20cm" is also "10 x 20 cm".
        rows.push(parts.windows(2).map(|two| Forms::of(whole(two)).of_words()).collect());
        // The same of what stands between joints: "canon-eos-r6" is also "Canon EOS R6".
        let segments = segments(parts);
        if segments.len() > 2 && segments.len() < parts.len() {
            let two = |two: &[&[Part]]| Forms::of(whole(&two.concat())).of_words();
            rows.push(segments.windows(2).map(two).collect());
        }
    }
    let is_word = |part: &Part| part.kind == PartKind::Letters && part.text.chars().nth(2).is_some();
    let is_joined = |part: &Part| part.joint.is_some_and(|sign| sign != '\'');
    if parts.len() > 1 && parts.iter().all(is_word) && parts[1..].iter().all(is_joined) {
        let words = parts.chunks(1).map(|part| Forms::of(whole(part)).of_question());
        rows.push(words.collect());
    }
    rows
}

/// The noun of "women's" and of "l'eau".
fn noun(parts: &[Part]) -> Option<&[Part]> {
    let [first, second] = parts else { return None };
    if second.joint != Some('\'') {
        return None;
    }
    if second.text == "s" {
        return Some(&parts[..1]);
    }
    ELIDED.contains(&first.text.as_str()).then_some(&parts[1..])
}
