//! The query string, taken apart name by name.
//!
//! Promises: every fault is told, all at once, each with the parameter's name; a parameter nobody asked for is a fault,
//! because a filter that is misspelt and passed over answers another question. A blank value is no value, whatever the
//! parameter: forms send their empty fields too, and over gRPC an empty field is an absent one. A value that is not text in
//! percent-encoded UTF-8 is a fault, never another text. A query string that is too much is refused before it is taken apart.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use percent_encoding::percent_decode;

use crate::ask::limits::{self, MAX_PARAMETERS, MAX_QUERY_BYTES, shown};
use crate::ask::{ApiError, Faults};

/// The parameters that nobody has taken yet, and what was wrong with those taken.
#[derive(Debug)]
pub(super) struct Params {
    pairs: Vec<(String, String)>,
    known: Vec<String>,
    /// Names whose value was a fault already: they are not missing as well.
    unreadable: Vec<String>,
    faults: Faults,
}

impl Params {
    pub(super) fn parse(query: &str) -> Result<Self, ApiError> {
        if query.len() > MAX_QUERY_BYTES {
            let detail = format!("has {} bytes: give at most {MAX_QUERY_BYTES}", query.len());
            return Err(ApiError::malformed("query", detail));
        }
        let count = query.split('&').count();
        if count > MAX_PARAMETERS {
            let detail = format!("has {count} parameters: give at most {MAX_PARAMETERS}");
            return Err(ApiError::malformed("query", detail));
        }
        let mut params =
            Self { pairs: Vec::new(), known: Vec::new(), unreadable: Vec::new(), faults: Faults::default() };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(name) = params.check(name, decoded(name)) else { continue };
            match decoded(value) {
                Ok(value) => params.pairs.push((name, value)),
                Err(problem) => {
                    params.fault(&name, problem);
                    params.unreadable.push(name);
                }
            }
        }
        Ok(params)
    }

    /// Every value of `name` that is not blank, in order.
    pub(super) fn all(&mut self, name: &str) -> Vec<String> {
        self.known.push(name.to_owned());
        let values = self.take(|given| given == name).into_iter().map(|(_, value)| value);
        values.filter(|value| !is_blank(value)).collect()
    }

    /// Every value of `name`, read one by one; too many is a fault, and none of them is looked at.
    pub(super) fn list<T, E: Display>(
        &mut self,
        name: &str,
        max: usize,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        let values = self.all(name);
        if self.check(name, limits::count(values.len(), max)).is_none() {
            return Vec::new();
        }
        values.iter().filter_map(|value| self.check(name, read(value))).collect()
    }

    /// The only value of `name`; given twice is a fault.
    pub(super) fn one(&mut self, name: &str) -> Option<String> {
        let mut values = self.all(name);
        if values.len() > 1 {
            self.fault(name, format!("is given {} times: give it once", values.len()));
        }
        values.pop()
    }

    /// The only value of `name`, which must be there: `advice` says what to give.
    pub(super) fn required(&mut self, name: &str, advice: &str) -> Option<String> {
        let value = self.one(name);
        if value.is_none() && !self.unreadable.iter().any(|unreadable| unreadable == name) {
            self.fault(name, format!("is missing: {advice}"));
        }
        value
    }

    /// The only value of `name`, read as a `T`.
    pub(super) fn read<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        let text = self.one(name)?;
        let value = text.parse();
        value.map_err(|error| self.fault(name, format!("\"{}\" cannot be read: {error}", shown(&text)))).ok()
    }

    /// The only value of `name`, one of a few words.
    pub(super) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.one(name)?;
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            let detail = format!("\"{}\" is not a choice: give one of {}", shown(&text), words.join(", "));
            self.fault(name, detail);
        }
        found
    }

    /// Every value, blank ones aside, of every name that begins with `prefix`, by the rest of the name.
    pub(super) fn with_prefix(&mut self, prefix: &str) -> BTreeMap<String, Vec<String>> {
        self.known.push(format!("{prefix}<name>"));
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in self.take(|given| given.len() > prefix.len() && given.starts_with(prefix)) {
            if !is_blank(&value) {
                found.entry(name[prefix.len()..].to_owned()).or_default().push(value);
            }
        }
        found
    }

    pub(super) fn fault(&mut self, name: &str, detail: String) {
        self.faults.add(name, detail);
    }

    /// Keeps what `read` gives, or its error as the fault of `name`.
    pub(super) fn check<T, E: Display>(&mut self, name: &str, read: Result<T, E>) -> Option<T> {
        self.faults.check(name, read)
    }

    /// Ends the reading: every fault, and every parameter that is left, is an error.
    pub(super) fn finish(mut self) -> Result<(), ApiError> {
        let mut left: Vec<_> = std::mem::take(&mut self.pairs).into_iter().map(|(name, _)| name).collect();
        left.sort();
        left.dedup();
        for name in left {
            if name.is_empty() {
                self.fault(
                    "query",
                    "has a parameter without a name: give it one, or leave it out".to_owned(),
                );
                continue;
            }
            let known = if self.known.is_empty() { "none".to_owned() } else { self.known.join(", ") };
            self.fault(&name, format!("there is no such parameter: this question takes {known}"));
        }
        self.faults.finish()
    }

    /// Ends the reading with a value that must be there: where it is none, a fault was told.
    pub(super) fn finish_with<T>(self, value: Option<T>) -> Result<T, ApiError> {
        self.finish()?;
        value.ok_or_else(|| ApiError::malformed("", "a required parameter is missing"))
    }

    fn take(&mut self, wanted: impl Fn(&str) -> bool) -> Vec<(String, String)> {
        let (taken, left) = std::mem::take(&mut self.pairs).into_iter().partition(|(name, _)| wanted(name));
        self.pairs = left;
        taken
    }
}

fn is_blank(value: &str) -> bool {
    value.trim().is_empty()
}

/// The text that was sent as `application/x-www-form-urlencoded`, or what is wrong with it.
fn decoded(text: &str) -> Result<String, String> {
    let spaced: Vec<u8> = text.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }).collect();
    let broken = text.match_indices('%').find(|(at, _)| {
        let digits = spaced.get(at + 1..at + 3);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if let Some((at, _)) = broken {
        let rest: String = text[at..].chars().take(3).collect();
        return Err(format!(
            "has a % without two hexadecimal digits after it (\"{rest}\"): write %25 for a percent sign"
        ));
    }
    match percent_decode(&spaced).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(_) => Err("is not UTF-8 once it is decoded: percent-encode the bytes of UTF-8".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(params: Params) -> Vec<(String, String)> {
        match params.finish() {
            Err(ApiError::Malformed(faults)) => {
                faults.into_iter().map(|fault| (fault.field, fault.detail)).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_are_decoded_and_repeated_ones_kept_in_order() {
        let mut params =
            Params::parse("tag=a&attr.color=E&tag=b%20c&attr.color=D&attr.cut=ideal&q=").unwrap();
        assert_eq!(params.all("tag"), ["a", "b c"]);
        assert_eq!(params.one("q"), None);
        let attributes = params.with_prefix("attr.");
        assert_eq!(attributes["color"], ["E", "D"]);
        assert_eq!(attributes["cut"], ["ideal"]);
        params.finish().unwrap();
    }

    #[test]
    fn a_blank_value_is_no_value_of_any_parameter() {
        let mut params =
            Params::parse("brand=&tag=%20&tag=a&status=&size=+&page_token=&sort&attr.color=&attr.cut=x")
                .unwrap();
        assert_eq!(params.all("brand"), Vec::<String>::new());
        assert_eq!(params.all("tag"), ["a"]);
        assert_eq!(params.choice("status", &[("draft", 1)]), None);
        assert_eq!(params.choice("sort", &[("name", 1)]), None);
        assert_eq!(params.read::<u32>("size"), None);
        assert_eq!(params.one("page_token"), None);
        assert_eq!(params.with_prefix("attr.").into_keys().collect::<Vec<_>>(), ["cut"]);
        params.finish().unwrap();
        let mut params = Params::parse("q=").unwrap();
        params.required("q", "give words");
        assert_eq!(faults(params), [("q".to_owned(), "is missing: give words".to_owned())]);
    }

    #[test]
    fn what_is_not_percent_encoded_text_is_a_fault_and_no_other_text() {
        for wrong in ["q=%", "q=%4", "q=100%", "q=%zz", "q=%E9", "q=%c3%28", "q=a%ff", "q=%\u{e9}1"] {
            let mut params = Params::parse(wrong).unwrap();
            params.required("q", "give words");
            let faults = faults(params);
            assert_eq!(faults.len(), 1, "{wrong}: {faults:?}");
            assert_eq!(faults[0].0, "q", "{wrong}");
        }
        assert_eq!(faults(Params::parse("%zz=1").unwrap())[0].0, "%zz");
        let mut params = Params::parse("q=Cr%C3%A8me+br\u{fb}l%c3%a9e%2B%25").unwrap();
        assert_eq!(params.one("q").unwrap(), "Cr\u{e8}me br\u{fb}l\u{e9}e+%");
        params.finish().unwrap();
    }

    #[test]
    fn a_parameter_nobody_takes_is_named_with_those_there_are() {
        let mut params = Params::parse("categorie=a&page_size=3").unwrap();
        assert_eq!(params.read::<i64>("page_size"), Some(3));
        let faults = faults(params);
        assert_eq!(faults[0].0, "categorie");
        assert!(faults[0].1.contains("takes page_size"), "{}", faults[0].1);
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let mut params = Params::parse("page_size=many&order=up&q=a&q=b&other=1").unwrap();
        assert_eq!(params.read::<i64>("page_size"), None);
        assert_eq!(params.choice("order", &[("asc", 1), ("desc", 2)]), None);
        params.one("q");
        let faults = faults(params);
        let names: Vec<_> = faults.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["page_size", "order", "q", "other"]);
        assert!(faults[1].1.contains("asc, desc"), "{}", faults[1].1);
    }
}
