//! Texts of questions as clauses.
//!
//! Promises: every word must be somewhere in a product, in one of its forms; a word with a typo only where [`Similar`] says so;
//! however many words, a server's limit of 1,024 clauses is kept.

use serde_json::{Value, json};

use super::analysis::{Question, Word, compared, sorted};
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

    pub(super) fn with(self, word: usize) -> Self {
        if word < MAX_WORDS { Self(self.0 | 1 << word) } else { self }
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

    /// The clauses of a search: what must be, as a filter, and what makes a hit better.
    pub(super) fn clauses(&self, similar: Similar) -> (Value, Vec<Value>) {
        let words = &self.question.words;
        let with_typos = (0..words.len()).filter(|at| similar.has(*at)).count();
        let expansions = (ALL_EXPANSIONS / (2 * with_typos.max(1))).clamp(1, EXPANSIONS);
        let mut needed = Vec::new();
        let mut better = self.ranking();
        for (at, word) in words.iter().enumerate() {
            let has = has("terms", word);
            match &word.fuzzy {
                Some(term) if similar.has(at) => {
                    needed.push(any(vec![has, fuzzy("terms", term, expansions)]));
                    better.push(fuzzy("title_terms", term, expansions));
                }
                _ => needed.push(has),
            }
        }
        // Signs alone may still be the name or the SKU.
        let mut ways: Vec<Value> = self.as_a_whole().into_iter().flatten().collect();
        if !needed.is_empty() {
            ways.push(json!({ "bool": { "must": needed } }));
        }
        (any(ways), better)
    }

    /// It has no letter, no digit and no sign: "®".
    pub(super) fn is_nothing(&self) -> bool {
        compared(self.text).is_empty()
    }

    /// The whole text is the SKU of a product, or its name; nothing is neither.
    fn as_a_whole(&self) -> [Option<Value>; 2] {
        let is = |field: &str, key: String| (!key.is_empty()).then(|| json!({ "term": { field: key } }));
        [is("sku_key", compared(self.text)), is("name_key", sorted(self.text))]
    }

    /// A SKU first, then a name; then where the words are, and that they are as they are written.
    fn ranking(&self) -> Vec<Value> {
        let [sku, name] = self.as_a_whole();
        let skus = self.text.split_whitespace().map(compared).filter(|sku| !sku.is_empty());
        let skus: Vec<String> = skus.collect();
        let words = &self.question.words;
        let exact = joined(words.iter().flat_map(Word::ranking));
        let others = joined(words.iter().flat_map(|word| word.others.iter().take(RANKED_FORMS)));
        let one_of = (!skus.is_empty()).then(|| json!({ "terms": { "sku_key": skus } }));
        let wholes = [(sku, 10_000), (one_of, 1_000), (name, 100)];
        let wholes = wholes.iter().filter_map(|(filter, boost)| Some(boosted(filter.as_ref()?, *boost)));
        let mut better: Vec<Value> = wholes.collect();
        for (field, text, boost) in [
            ("title_terms", &exact, 4.0),
            ("title_terms", &others, 1.0),
            ("label_terms", &exact, 2.0),
            ("terms", &exact, 0.5),
        ] {
            if !text.is_empty() {
                better.push(json!({ "match": { field: { "query": text, "boost": boost } } }));
            }
        }
        better
    }

    /// The clauses of a completion: the last word may be unfinished, the others are whole words.
    pub(super) fn beginning(&self) -> (Value, Vec<Value>) {
        let begins_with = |field: &str, key: String| (!key.is_empty()).then(|| prefix(field, &key));
        let sku = begins_with("sku_key", compared(self.text));
        let name = begins_with("name_key", sorted(self.text));
        let words = &self.question.words;
        let begins =
            |terms: &[String]| terms.iter().map(|term| prefix("title_terms", term)).collect::<Vec<_>>();
        let mut needed: Vec<Value> = Vec::new();
        for (at, word) in words.iter().enumerate() {
            let mut ways = vec![has("title_terms", word)];
            if at + 1 == words.len() {
                ways.extend(begins(&word.begins));
                ways.extend(begins(&word.begins_with_last));
            } else if at + 2 == words.len() {
                ways.extend(begins(&words[at + 1].begins_with_last));
            }
            needed.push(any(ways));
        }
        let mut ways: Vec<Value> = [&sku, &name].into_iter().flatten().cloned().collect();
        if !needed.is_empty() {
            ways.push(json!({ "bool": { "must": needed } }));
        }
        let [is_sku, is_name] = self.as_a_whole();
        let wholes = [(is_sku, 1_000), (is_name, 1_000), (name, 100), (sku, 50)];
        let wholes = wholes.iter().filter_map(|(filter, boost)| Some(boosted(filter.as_ref()?, *boost)));
        let mut better: Vec<Value> = wholes.collect();
        let exact = joined(words.iter().flat_map(Word::ranking));
        if !exact.is_empty() {
            better.push(json!({ "match": { "title_terms": { "query": exact } } }));
        }
        (any(ways), better)
    }
}

/// A product has this word in `field`.
pub(super) fn has(field: &str, word: &Word) -> Value {
    let terms = |terms: &mut dyn Iterator<Item = &String>| {
        let terms: Vec<&String> = terms.collect();
        json!({ "terms": { field: terms } })
    };
    let mut ways = Vec::new();
    if !word.exact.is_empty() || !word.others.is_empty() {
        ways.push(terms(&mut word.exact.iter().chain(&word.others)));
    }
    for row in &word.together {
        let all: Vec<Value> = row.iter().map(|one| terms(&mut one.iter().take(FORMS_OF_PART))).collect();
        ways.push(json!({ "bool": { "filter": all } }));
    }
    any(ways)
}

fn any(mut ways: Vec<Value>) -> Value {
    match ways.len() {
        0 => json!({ "match_none": {} }),
        1 => ways.remove(0),
        _ => json!({ "bool": { "should": ways, "minimum_should_match": 1 } }),
    }
}

fn boosted(filter: &Value, boost: u32) -> Value {
    json!({ "constant_score": { "filter": filter, "boost": boost } })
}

fn prefix(field: &str, text: &str) -> Value {
    json!({ "prefix": { field: { "value": text } } })
}

fn fuzzy(field: &str, term: &str, expansions: usize) -> Value {
    let typos = if term.chars().count() < TWO_TYPOS { 1 } else { 2 };
    let how = json!({ "value": term, "fuzziness": typos, "prefix_length": 1, "max_expansions": expansions });
    json!({ "fuzzy": { field: how } })
}

fn joined<'a>(terms: impl Iterator<Item = &'a String>) -> String {
    terms.map(String::as_str).collect::<Vec<_>>().join(" ")
}
