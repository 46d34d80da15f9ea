//! The sample catalog, as lines of the public bulk API.
//! Promises that the same row always makes the same line, so an import can be repeated without a second effect.

use anyhow::{Context, anyhow, bail};
use contract::json::bulk_line;

use super::{Catalog, Map, Problem, Requested, Shape, Source};

/// The product id of the diamond in row `number` (from 1).
pub fn product_id(number: usize) -> String {
    format!("diamond-{number:05}")
}

/// Of so many rows one is taken where some are enough: they go from the cheapest to the dearest.
const STEP: usize = 250;

/// Every line of the sample, in the file's order.
///
/// # Errors
/// If the sample is damaged: names the line.
pub fn lines() -> anyhow::Result<Vec<String>> {
    every(1)
}

/// A few hundred lines of the sample, of every category; the first is among them.
///
/// # Errors
/// If the sample is damaged: names the line.
pub fn few_lines() -> anyhow::Result<Vec<String>> {
    every(STEP)
}

fn every(step: usize) -> anyhow::Result<Vec<String>> {
    let source = Source::Sample;
    let (format, map) = (source.format()?, Map::preset("diamonds")?);
    let catalog = Catalog::open(source, format, Shape::Mapped(Box::new(map)), Requested::default())?;
    let told = |problems: Vec<Problem>| {
        anyhow!(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    };
    let mut lines = Vec::with_capacity(54_000 / step);
    for entry in catalog.entries()?.step_by(step) {
        let command = entry?.command.map_err(told).context("reading the sample catalog")?;
        lines.push(bulk_line(&command));
    }
    if lines.is_empty() {
        bail!("the sample catalog is empty");
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_has_a_line_for_each_of_its_diamonds() {
        let lines = lines().unwrap();
        assert_eq!(lines.len(), 53_940);
        assert!(lines[0].contains(r#""product_id":"diamond-00001""#), "{}", lines[0]);
        assert!(lines[0].contains(r#""minor_units":32600"#), "{}", lines[0]);
        assert!(lines[0].contains(r#""name":"0.23 ct Ideal cut diamond, E SI2""#), "{}", lines[0]);
        assert!(lines[0].contains(r#""category":"jewelry/diamonds/ideal""#), "{}", lines[0]);
        assert_eq!(lines, super::lines().unwrap());
    }

    #[test]
    fn a_few_of_them_are_of_every_category_and_the_first_is_among_them() {
        let few = few_lines().unwrap();
        assert_eq!(few.len(), 216);
        assert_eq!(few[0], lines().unwrap()[0]);
        for cut in ["ideal", "premium", "very-good", "good", "fair"] {
            assert!(few.iter().any(|line| line.contains(&format!("jewelry/diamonds/{cut}"))), "{cut}");
        }
    }
}
