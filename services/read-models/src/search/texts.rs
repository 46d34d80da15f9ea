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
const ALL_EXPANSIONS: usize = 512;
/// Other forms of a word that make a better hit.
const RANKED_FORMS: usize = 3;
/// From this length on, a word may have two typos.
const TWO_TYPOS: usize = 8;

/// Which words of a question are looked for with typos: those that no product has. One bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Similar(pub(super) u32);

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
pub(super) struct Text<'a> {
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
        let mut ways = self.as_a_whole().to_vec();
        if !needed.is_empty() {
            ways.push(json!({ "bool": { "must": needed } }));
        }
        (any(ways), better)
    }

    /// The whole text is the SKU of a product, or its name.
    fn as_a_whole(&self) -> [Value; 2] {
        [
            json!({ "term": { "sku_key": compared(self.text) } }),
            json!({ "term": { "name_key": sorted(self.text) } }),
        ]
    }

    /// A SKU first, then a name; then where the words are, and that they are as they are written.
    fn ranking(&self) -> Vec<Value> {
        let [sku, name] = self.as_a_whole();
        let skus: Vec<String> = self.text.split_whitespace().map(compared).collect();
        let words = &self.question.words;
        let exact = joined(words.iter().flat_map(Word::ranking));
        let others = joined(words.iter().flat_map(|word| word.others.iter().take(RANKED_FORMS)));
        let mut better = vec![
            boosted(&sku, 10_000),
            boosted(&json!({ "terms": { "sku_key": skus } }), 1_000),
            boosted(&name, 100),
        ];
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
        let [is_sku, is_name] = self.as_a_whole();
        let sku = prefix("sku_key", &compared(self.text));
        let name = prefix("name_key", &sorted(self.text));
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
        let mut ways = vec![sku.clone(), name.clone()];
        if !needed.is_empty() {
            ways.push(json!({ "bool": { "must": needed } }));
        }
        let mut better =
            vec![boosted(&is_sku, 1_000), boosted(&is_name, 1_000), boosted(&name, 100), boosted(&sku, 50)];
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
        let all: Vec<Value> = row.iter().map(|one| terms(&mut one.iter())).collect();
        ways.push(json!({ "bool": { "filter": all } }));
    }
    any(ways)
}

fn any(mut ways: Vec<Value>) -> Value {
    match ways.len() {
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
