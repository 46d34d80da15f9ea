//! One folder and one line: what is declared fits together, also for a read model that is added as CONTRIBUTING.md says.

#[path = "tests/prices/fold.rs"]
#[expect(unreachable_pub, reason = "in a folder of its own it would be used from outside")]
mod prices;

#[path = "tests/prices_changed/fold.rs"]
#[expect(unreachable_pub, reason = "in a folder of its own it would be used from outside")]
mod changed;

use std::collections::BTreeSet;

use super::*;
use crate::declared::{Declared, On};
use crate::projection::tests::{Rules, converges};
use crate::{marks, positions};

/// Makes an enum with this line, and keeps its text.
macro_rules! with_line {
    ($($line:tt)+) => {
        read_models! { enum WithPrices { $($line)+ } }
        const LINE: &str = stringify!($($line)+);
    };
}
with_line! { Prices => prices::Prices, }

/// The names that a text declares are those that the read model goes by.
fn fits_together(declared: &Declared) {
    let generation = Generation::FIRST;
    match &declared.on {
        On::Cql(schema) => {
            let statements = schema.statements("k", "", generation.get());
            let created = statements.iter().map(|it| it.split_whitespace().nth(5).unwrap().to_owned());
            let named = declared.tables.iter().map(|table| table.on_cql(generation));
            let named = named.chain([positions::table, marks::table].map(|it| it(declared.name, generation)));
            assert_eq!(
                created.collect::<BTreeSet<_>>(),
                named.map(|table| format!("k.{table}")).collect::<BTreeSet<_>>()
            );
        }
        On::Search { index, positions, parked } => {
            assert_eq!(declared.tables.iter().map(|table| table.name).collect::<Vec<_>>(), [index.name]);
            assert_eq!(positions.name, format!("{}-positions", declared.name));
            assert_eq!(parked.name, format!("{}-parked", declared.name));
        }
    }
}

#[test]
fn every_read_model_has_a_name_of_its_own_and_the_tables_it_names() {
    for read_model in ReadModel::ALL {
        assert_eq!(read_model.name().parse(), Ok(*read_model));
        fits_together(read_model.declared());
    }
    assert!("prices".parse::<ReadModel>().is_err());
    assert_eq!(ReadModel::Search.group_id("folio", Generation::FIRST), "folio.search.g1");
}

#[test]
fn a_read_model_is_added_as_the_page_for_contributors_says() {
    let page = include_str!("../../../../CONTRIBUTING.md");
    for (language, text) in
        [("rust", include_str!("tests/prices/fold.rs")), ("sql", include_str!("tests/prices/tables.cql"))]
    {
        let block = format!("```{language}\n{text}```");
        assert!(page.contains(&block), "CONTRIBUTING.md must show this as it is compiled here:\n{block}");
    }
    let dense = |text: &str| text.split_whitespace().collect::<String>();
    assert!(dense(page).contains(&format!("```rust{}```", dense(LINE))), "CONTRIBUTING.md must show {LINE}");
    for read_model in WithPrices::ALL {
        fits_together(read_model.declared());
    }
    for seed in 0..2_000 {
        assert!(converges::<prices::Prices>(seed, Rules::AsTheyAre), "seed {seed}");
    }
    let bites = |rules| (0..2_000).any(|seed| !converges::<prices::Prices>(seed, rules));
    assert!(bites(Rules::CoalescedPerProduct) && bites(Rules::SeenIsSkipped));
}

/// A text as a block of a page changes it: parts of it, each with its changed lines.
fn turned(text: &str, diff: &str) -> String {
    let mut turned = text.to_owned();
    for part in diff.split("@@\n").filter(|it| !it.is_empty()) {
        let side = |other: char| {
            let lines = part.lines().filter(|line| !line.starts_with(other));
            lines.flat_map(|line| [line.get(1..).unwrap_or_default(), "\n"]).collect::<String>()
        };
        let (before, after) = (side('+'), side('-'));
        assert_eq!(turned.matches(&before).count(), 1, "the page changes what is there once:\n{before}");
        turned = turned.replace(&before, &after);
    }
    turned
}

#[test]
fn a_read_model_is_changed_as_the_page_for_contributors_says() {
    let page = include_str!("../../../../CONTRIBUTING.md");
    let blocks: Vec<&str> = page.split("```diff\n").skip(1).filter_map(|it| it.split("```").next()).collect();
    let [of_fold, of_tables] = blocks[..] else { panic!("CONTRIBUTING.md shows two changes: {blocks:?}") };
    let (fold, tables) = (include_str!("tests/prices/fold.rs"), include_str!("tests/prices/tables.cql"));
    assert_eq!(turned(fold, of_fold), include_str!("tests/prices_changed/fold.rs"));
    assert_eq!(turned(tables, of_tables), include_str!("tests/prices_changed/tables.cql"));
    let (before, after) = (prices::Prices::DECLARED, changed::Prices::DECLARED);
    fits_together(after);
    assert!(after.format > before.format, "a release proposes a build of its own by that");
    // Gateways of either release ask for what both have.
    let (On::Cql(before), On::Cql(after)) = (&before.on, &after.on) else { panic!("both on CQL") };
    let lines = |text: &'static str| text.lines().map(str::trim).collect::<BTreeSet<_>>();
    assert!(lines(after.text).is_superset(&lines(before.text)), "no column is lost");
    for seed in 0..2_000 {
        assert!(converges::<changed::Prices>(seed, Rules::AsTheyAre), "seed {seed}");
    }
}
