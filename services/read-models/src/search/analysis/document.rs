//! The terms of a document.

use std::collections::BTreeSet;

use super::forms::{Forms, compound, has_digit, inner, stands_alone, whole, without_unit};
use super::split::{Chunk, ChunkKind, Part, PartKind, chunks};

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
                    let before = before.map(|chunk| chunk.kind);
                    if let Some(ChunkKind::Word(before)) = before
                        && chunk.follows_blank
                        && may_be_one(&before, parts)
                    {
                        self.forms(compound(&before, parts));
                        // Of longer words, the measure and its unit: "10x20 cm".
                        let (last, first) = (&before[before.len() - 1..], &parts[..1]);
                        if has_digit(last) || has_digit(first) {
                            self.forms(compound(last, first));
                        }
                    }
                }
                ChunkKind::Run(characters) => {
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
        self.forms(whole(parts));
        for (at, part) in parts.iter().enumerate() {
            if stands_alone(parts, at) {
                self.forms(whole(&parts[at..=at]));
            }
            if part.kind == PartKind::Signed {
                self.forms([part.text.trim_end_matches(['+', '#']).to_owned()]);
            }
        }
        if parts.len() > 2 {
            for some in parts.windows(2).chain(without_unit(parts)) {
                let forms = Forms::of(whole(some));
                self.0.extend(forms.words.iter().chain(&forms.spellings).map(|term| inner(term)));
            }
        }
    }

    fn forms(&mut self, words: impl IntoIterator<Item = String>) {
        self.0.extend(Forms::of(words).of_document());
    }
}
