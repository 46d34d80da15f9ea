//! The terms of a document.

use std::collections::BTreeSet;

use super::forms::{
    Forms, adjoining, compound, has_digit, inner, is_fraction_of_mixed, runs, segments, stands_alone,
    unsigned, whole, without_unit,
};
use super::split::{Chunk, ChunkKind, Part, chunks};

/// The terms of some texts, each once.
#[derive(Debug, Default, Clone)]
pub(in crate::search) struct Terms(BTreeSet<String>);

impl Terms {
    /// Adds a text of a few words, of which two side by side may be one word to others.
    pub(in crate::search) fn short(&mut self, text: &str) {
        self.add(text, |_, _| true);
    }

    /// Adds a text of sentences: only with numbers are two words taken for one ("500 ml").
    pub(in crate::search) fn long(&mut self, text: &str) {
        self.add(text, |one, other| has_digit(one) || has_digit(other));
    }

    /// Adds terms found already.
    pub(in crate::search) fn all(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
    }

    /// As the engine takes them: with blanks between.
    pub(in crate::search) fn text(&self) -> String {
        let length = self.0.iter().map(|term| term.len() + 1).sum();
        let mut text = String::with_capacity(length);
        for term in &self.0 {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(term);
        }
        text
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    fn add(&mut self, text: &str, may_be_one: fn(&[Part], &[Part]) -> bool) {
        let mut before: Option<Chunk> = None;
        for chunk in chunks(text) {
            match &chunk.kind {
                ChunkKind::Word(parts) => {
                    self.word(parts);
                    if let Some(Chunk { kind: ChunkKind::Word(before), .. }) = &before
                        && chunk.follows_blank
                        && may_be_one(before, parts)
                    {
                        self.side_by_side(before, parts);
                    }
                }
                ChunkKind::Run(characters) => {
                    if let Some(Chunk { kind: ChunkKind::Word(before), .. }) = &before
                        && chunk.adjoins
                    {
                        // "18K金" is also "K金".
                        self.forms(adjoining(before, characters));
                        self.forms(adjoining(&before[before.len() - 1..], characters));
                    }
                    self.0.extend(characters.iter().cloned());
                    self.0.extend(characters.windows(2).map(<[String]>::concat));
                }
                ChunkKind::Sign(sign) => {
                    self.0.insert(sign.clone());
                }
            }
            before = Some(chunk);
        }
    }

    fn word(&mut self, parts: &[Part]) {
        self.parts(parts);
        if let Some(parts) = unsigned(parts) {
            self.parts(&parts);
        }
        for part in parts {
            self.forms(part.list.iter().cloned());
        }
    }

    fn parts(&mut self, parts: &[Part]) {
        self.forms(whole(parts));
        for at in (0..parts.len()).filter(|at| stands_alone(parts, *at)) {
            self.forms(whole(&parts[at..=at]));
        }
        // Between joints stands a word: "IP15P" of "APL-IP15P".
        for segment in segments(parts).into_iter().filter(|segment| segment.len() > 1) {
            self.forms(whole(segment));
        }
        if parts.len() > 2 {
            let runs = runs(parts).into_iter().flat_map(|run| without_unit(run).into_iter().chain([run]));
            let pairs = (1..parts.len()).filter(|end| !is_fraction_of_mixed(parts, end - 1));
            let pairs = pairs.map(|end| &parts[end - 1..=end]);
            for some in pairs.chain(without_unit(parts)).chain(runs) {
                let forms = Forms::of(whole(some));
                self.0.extend(forms.words.iter().chain(&forms.spellings).map(|term| inner(term)));
            }
        }
    }

    /// Two words with a blank between.
    fn side_by_side(&mut self, first: &[Part], second: &[Part]) {
        self.forms(compound(first, second));
        // Of longer words, the measure and its unit: "10x20 cm".
        let (last, next) = (&first[first.len() - 1..], &second[..1]);
        if has_digit(last) || has_digit(next) {
            self.forms(compound(last, next));
        }
        // And what joints may stand for: "usb-c-to-hdmi" is "USB-C to HDMI".
        if let (Some(last), Some(next)) = (segments(first).last(), segments(second).first()) {
            self.forms(compound(last, next));
        }
    }

    fn forms(&mut self, words: impl IntoIterator<Item = String>) {
        self.0.extend(Forms::of(words).of_document());
    }
}
