//! The most that one request can hold, whichever API it comes by: the table that `docs/api.md` shows.
//!
//! Promise: a request is refused for its size before its items are looked at, so a small one costs little, whatever it says.

use read_models::{Status, search};

/// Faults told of one request; how many more there are is told too.
pub(crate) const MAX_FAULTS: usize = 20;
/// Bytes of a query string.
pub(crate) const MAX_QUERY_BYTES: usize = 16 * 1024;
/// Parameters of a query string.
pub(crate) const MAX_PARAMETERS: usize = 256;
/// Bytes of a header that shapes an answer (`Prefer`, `If-None-Match`).
pub(crate) const MAX_HEADER_BYTES: usize = 4_096;
/// Products that one question can name.
pub(crate) const MAX_IDS: usize = 100;
/// Characters of the name of a build.
pub(crate) const MAX_BUILD_NAME: usize = 40;
/// The largest page: asking for more gives this many.
pub(crate) const MAX_PAGE_SIZE: u32 = 200;
/// Completions of one prefix.
pub(crate) const MAX_SUGGESTIONS: u32 = 20;
/// Values of one filter.
pub(crate) const MAX_VALUES: usize = search::MAX_VALUES;
/// Facets, and bounds of a price facet.
pub(crate) const MAX_FACETS: usize = search::MAX_FACETS;
/// Values of one facet.
pub(crate) const MAX_FACET_SIZE: usize = search::MAX_FACET_SIZE;
/// The highest price a filter can name, in minor units.
pub(crate) const MAX_PRICE: u64 = search::MAX_PRICE;
/// The highest version a product can have: stores count with signed numbers.
pub(crate) const MAX_VERSION: u64 = i64::MAX as u64;

/// Whether a list of so many is not too long.
pub(crate) fn count(given: usize, max: usize) -> Result<(), String> {
    if given <= max { Ok(()) } else { Err(format!("is given {given} times: give at most {max}")) }
}

/// A price that a filter names.
pub(crate) fn price(price: u64) -> Result<u64, String> {
    if price <= MAX_PRICE { Ok(price) } else { Err(format!("{price} is too high: give at most {MAX_PRICE}")) }
}

/// How many values a facet shows.
pub(crate) fn facet_size(size: usize) -> Result<usize, String> {
    match size {
        1..=MAX_FACET_SIZE => Ok(size),
        _ => Err(format!("{size} is not a number of values: give 1 to {MAX_FACET_SIZE}")),
    }
}

/// A status that products of a list can have.
pub(crate) fn listed_status(status: Status) -> Result<Status, String> {
    match status {
        Status::Deleted => {
            Err("deleted: a list holds no deleted products, but a search finds them".to_owned())
        }
        _ => Ok(status),
    }
}

/// A version that a question names.
pub(crate) fn version(version: u64) -> Result<u64, String> {
    match version {
        0 => Err("0 is before the first: versions begin at 1".to_owned()),
        1..=MAX_VERSION => Ok(version),
        _ => Err(format!("{version} is higher than a version can be: give at most {MAX_VERSION}")),
    }
}

/// What a caller wrote, as far as it can be shown to the caller again.
pub(crate) fn shown(text: &str) -> String {
    const MAX_SHOWN: usize = 64;
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_again_is_short_and_whole_characters() {
        assert_eq!(shown("short"), "short");
        assert_eq!(shown(&"ü".repeat(65)), format!("{}...", "ü".repeat(64)));
    }

    #[test]
    fn a_number_that_a_store_cannot_count_is_refused() {
        assert!(price(1 << 63).is_err() && price(MAX_PRICE).is_ok());
        assert!(version(0).is_err() && version(1 << 63).is_err() && version(MAX_VERSION).is_ok());
        assert!(facet_size(0).is_err() && facet_size(1).is_ok() && facet_size(MAX_FACET_SIZE + 1).is_err());
        assert!(count(3, 2).is_err() && count(2, 2).is_ok());
    }

    /// The page that clients read says what is so.
    #[test]
    fn the_table_in_the_documentation_names_every_limit() {
        let page = include_str!("../../../../docs/api.md");
        let grouped = |number: u64| {
            let digits = number.to_string();
            let parts: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
            parts.join(",")
        };
        for (what, max) in [
            ("bytes of a query string", MAX_QUERY_BYTES as u64),
            ("parameters of a query string", MAX_PARAMETERS as u64),
            ("bytes of `Prefer` and of `If-None-Match`", MAX_HEADER_BYTES as u64),
            ("ids of a `batchGet`", MAX_IDS as u64),
            ("characters of a build's name", MAX_BUILD_NAME as u64),
            ("items of a page", u64::from(MAX_PAGE_SIZE)),
            ("completions", u64::from(MAX_SUGGESTIONS)),
            ("values of one filter", MAX_VALUES as u64),
            ("facets, and price bounds", MAX_FACETS as u64),
            ("values of one facet", MAX_FACET_SIZE as u64),
            ("bytes of a text to search for", search::MAX_TEXT_BYTES as u64),
            ("words of a text to search for", search::MAX_WORDS as u64),
            ("faults told", MAX_FAULTS as u64),
        ] {
            let row = format!("| {what} | {} |", grouped(max));
            assert!(page.contains(&row), "docs/api.md has no row `{row}`");
        }
    }
}
