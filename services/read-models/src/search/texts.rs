//! Texts of questions as conditions.
//!
//! Promises: every word must be somewhere in a product, in one of its forms; a word with a typo only where [`Similar`] says so;
//! however many words, a server's limit of 1,024 clauses is kept.

use super::analysis::{Question, Word, compared, sorted};
use super::condition::{Better, Condition, Field, Nearly};
use super::request::MAX_WORDS;

/// Variants that a word with a typo may stand for, in one field.
const EXPANSIONS: usize = 25;
/// The same of all words together, in both fields.
const ALL_EXPANSIONS: usize = 100;
/// Forms of a part of a word that is looked for by its parts.
const FORMS_OF_PART: usize = 8;
/// Other forms of a word that make a better hit.
const RANKED_FORMS: usize = 3;
/// From this length on, a word may have two typos.
const TWO_TYPOS: usize = 8;

/// Which words of a question are looked for with typos: those that no product has. One bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Similar(pub(super) u32);

impl Similar {
    fn has(self, word: usize) -> bool {
        word < MAX_WORDS && self.0 & (1 << word) != 0
    }

    fn with(self, word: usize) -> Self {
        if word < MAX_WORDS { Self(self.0 | 1 << word) } else { self }
    }

    /// Those that no product has, by their places in the text.
    pub fn of_unknown(words: impl IntoIterator<Item = usize>) -> Self {
        words.into_iter().fold(Self::default(), Self::with)
    }
}

/// A text to look for.
#[derive(Debug)]
pub struct Text<'a> {
    text: &'a str,
    pub(super) question: Question,
}

impl<'a> Text<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { text, question: Question::of(text) }
    }

    /// What a product must be that has the text, and what makes it a better hit.
    pub(super) fn clauses(&self, similar: Similar) -> (Condition, Vec<Better>) {
        let words = &self.question.words;
        let with_typos = (0..words.len()).filter(|at| similar.has(*at)).count();
        let variants = (ALL_EXPANSIONS / (2 * with_typos.max(1))).clamp(1, EXPANSIONS);
        let mut needed = Vec::new();
        let mut better = self.ranking();
        for (at, word) in words.iter().enumerate() {
            let has = has(Field::Terms, word);
            match &word.fuzzy {
                Some(term) if similar.has(at) => {
                    let written_nearly_so = Condition::Nearly(nearly(Field::Terms, term, variants));
                    needed.push(Condition::Any(vec![has, written_nearly_so]));
                    better.push(Better::Nearly(nearly(Field::TitleTerms, term, variants)));
                }
                _ => needed.push(has),
            }
        }
        // Signs alone may still be the name or the SKU.
        let mut ways: Vec<Condition> = self.as_a_whole().into_iter().flatten().collect();
        if !needed.is_empty() {
            ways.push(Condition::All(needed));
        }
        (Condition::Any(ways), better)
    }

    /// It has no letter, no digit and no sign: "®".
    pub(super) fn is_nothing(&self) -> bool {
        compared(self.text).is_empty()
    }

    /// The whole text is the SKU of a product, or its name; nothing is neither.
    fn as_a_whole(&self) -> [Option<Condition>; 2] {
        let is = |field, key: String| (!key.is_empty()).then(|| one_of(field, vec![key]));
        [is(Field::SkuKey, compared(self.text)), is(Field::NameKey, sorted(self.text))]
    }

    /// A SKU first, then a name; then where the words are, and that they are as they are written.
    fn ranking(&self) -> Vec<Better> {
        let [sku, name] = self.as_a_whole();
        let skus = self.text.split_whitespace().map(compared).filter(|sku| !sku.is_empty());
        let skus: Vec<String> = skus.collect();
        let words = &self.question.words;
        let exact: Vec<String> = words.iter().flat_map(Word::ranking).cloned().collect();
        let others = words.iter().flat_map(|word| word.others.iter().take(RANKED_FORMS)).cloned().collect();
        let one_of = (!skus.is_empty()).then(|| one_of(Field::SkuKey, skus));
        let wholes = [(sku, 10_000), (one_of, 1_000), (name, 100)];
        let mut better: Vec<Better> = wholes.into_iter().filter_map(by).collect();
        for (field, terms, boost) in [
            (Field::TitleTerms, exact.clone(), 4.0),
            (Field::TitleTerms, others, 1.0),
            (Field::LabelTerms, exact.clone(), 2.0),
            (Field::Terms, exact, 0.5),
        ] {
            if !terms.is_empty() {
                better.push(Better::Terms { field, terms, boost });
            }
        }
        better
    }

    /// What a product must be that the text is the beginning of: the last word may be unfinished, the others are whole words; and
    /// what makes it a better one.
    pub(super) fn beginning(&self) -> (Condition, Vec<Better>) {
        let begins_with = |field, key: String| (!key.is_empty()).then(|| prefix(field, key));
        let sku = begins_with(Field::SkuKey, compared(self.text));
        let name = begins_with(Field::NameKey, sorted(self.text));
        let words = &self.question.words;
        let begins = |terms: &[String]| {
            terms.iter().map(|term| prefix(Field::TitleTerms, term.clone())).collect::<Vec<_>>()
        };
        let mut needed: Vec<Condition> = Vec::new();
        for (at, word) in words.iter().enumerate() {
            let mut ways = vec![has(Field::TitleTerms, word)];
            if at + 1 == words.len() {
                ways.extend(begins(&word.begins));
                ways.extend(begins(&word.begins_with_last));
            } else if at + 2 == words.len() {
                ways.extend(begins(&words[at + 1].begins_with_last));
            }
            needed.push(Condition::Any(ways));
        }
        let mut ways: Vec<Condition> = [&sku, &name].into_iter().flatten().cloned().collect();
        if !needed.is_empty() {
            ways.push(Condition::All(needed));
        }
        let [is_sku, is_name] = self.as_a_whole();
        let wholes = [(is_sku, 1_000), (is_name, 1_000), (name, 100), (sku, 50)];
        let mut better: Vec<Better> = wholes.into_iter().filter_map(by).collect();
        let terms: Vec<String> = words.iter().flat_map(Word::ranking).cloned().collect();
        if !terms.is_empty() {
            better.push(Better::Terms { field: Field::TitleTerms, terms, boost: 1.0 });
        }
        (Condition::Any(ways), better)
    }
}

/// A product has this word in `field`.
pub(super) fn has(field: Field, word: &Word) -> Condition {
    let mut ways = Vec::new();
    if !word.exact.is_empty() || !word.others.is_empty() {
        ways.push(one_of(field, word.exact.iter().chain(&word.others).cloned().collect()));
    }
    for row in &word.together {
        let part = |forms: &Vec<String>| one_of(field, forms.iter().take(FORMS_OF_PART).cloned().collect());
        ways.push(Condition::All(row.iter().map(part).collect()));
    }
    Condition::Any(ways)
}

fn one_of(field: Field, values: Vec<String>) -> Condition {
    Condition::OneOf { field, values }
}

fn by((condition, score): (Option<Condition>, u32)) -> Option<Better> {
    Some(Better::By { score, condition: condition? })
}

fn prefix(field: Field, prefix: String) -> Condition {
    Condition::BeginsWith { field, prefix }
}

fn nearly(field: Field, term: &str, variants: usize) -> Nearly {
    let typos = if term.chars().count() < TWO_TYPOS { 1 } else { 2 };
    Nearly { field, term: term.to_owned(), typos, variants }
}
