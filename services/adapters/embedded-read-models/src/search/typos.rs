//! The terms that one with typos stands for.
//!
//! Promise: the very terms that a search server takes: of all within the distance those nearest for their length, of equals the
//! first in order.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use tantivy::Searcher;
use tantivy::schema::Field;

/// The terms of the index within `typos` of `term`, `most` of them at most, each with its nearness, up to 1.
pub(super) fn variants(
    searcher: &Searcher,
    field: Field,
    term: &str,
    typos: usize,
    most: usize,
) -> tantivy::Result<Vec<(String, f32)>> {
    let letters: Vec<char> = term.chars().collect();
    let Some(first) = letters.first() else { return Ok(Vec::new()) };
    let first = first.to_string();
    let mut near: BTreeMap<String, f32> = BTreeMap::new();
    for segment in searcher.segment_readers() {
        let index = segment.inverted_index(field)?;
        let mut terms = index.terms().range().ge(&first).into_stream()?;
        while terms.advance() && terms.key().starts_with(first.as_bytes()) {
            // By bytes first: most terms are much longer or shorter.
            let bytes = terms.key().len();
            if bytes + typos < letters.len() || bytes > 4 * (letters.len() + typos) {
                continue;
            }
            let Ok(other) = std::str::from_utf8(terms.key()) else { continue };
            let other_letters: Vec<char> = other.chars().collect();
            if let Some(distance) = distance(&letters, &other_letters, typos) {
                let shorter = letters.len().min(other_letters.len());
                near.insert(other.to_owned(), 1.0 - distance as f32 / shorter as f32);
            }
        }
    }
    let mut near: Vec<(String, f32)> = near.into_iter().collect();
    // Stable: of equals the first in order.
    near.sort_by_key(|(_, nearness)| Reverse((nearness * 1e6) as i64));
    near.truncate(most);
    Ok(near)
}

/// How many letters have to be put in, left out, changed or swapped with their neighbour to make one of the other; none if more
/// than `most`.
fn distance(one: &[char], other: &[char], most: usize) -> Option<usize> {
    if one.len().abs_diff(other.len()) > most {
        return None;
    }
    let width = other.len() + 1;
    let mut before_last: Vec<usize> = vec![0; width];
    let mut last: Vec<usize> = (0..width).collect();
    let mut row: Vec<usize> = vec![0; width];
    for at in 1..=one.len() {
        row[0] = at;
        let mut nearest = at;
        for to in 1..width {
            let changed = last[to - 1] + usize::from(one[at - 1] != other[to - 1]);
            row[to] = changed.min(last[to] + 1).min(row[to - 1] + 1);
            if at > 1 && to > 1 && one[at - 1] == other[to - 2] && one[at - 2] == other[to - 1] {
                row[to] = row[to].min(before_last[to - 2] + 1);
            }
            nearest = nearest.min(row[to]);
        }
        if nearest > most {
            return None;
        }
        std::mem::swap(&mut before_last, &mut last);
        std::mem::swap(&mut last, &mut row);
    }
    Some(last[width - 1]).filter(|distance| *distance <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_counts_letters_more_less_changed_and_swapped() {
        let letters = |text: &str| text.chars().collect::<Vec<char>>();
        for (one, other, expected) in [
            ("ring", "ring", Some(0)),
            ("ring", "rings", Some(1)),
            ("ring", "rng", Some(1)),
            ("ring", "rong", Some(1)),
            ("ring", "rnig", Some(1)),
            ("größe", "grösse", Some(2)),
            ("golden", "godlne", Some(2)),
            ("ca", "abc", None),
            ("ring", "bracelet", None),
            ("", "ab", Some(2)),
        ] {
            assert_eq!(distance(&letters(one), &letters(other), 2), expected, "{one} {other}");
            assert_eq!(distance(&letters(other), &letters(one), 2), expected, "{other} {one}");
        }
        assert_eq!(distance(&letters("golden"), &letters("godlne"), 1), None);
    }
}
