//! The sample catalog, as lines of the public bulk API.
//! Promises that the same row always makes the same line, so an import can be repeated without a second effect.

use std::io::{BufRead as _, BufReader};

use anyhow::{Context, anyhow, bail};
use contract::json::bulk_line;
use flate2::read::GzDecoder;

use super::{Catalog, Map, Problem, Requested, Shape, Source};

/// The product id of the diamond in row `number` (from 1).
pub fn product_id(number: usize) -> String {
    format!("diamond-{number:05}")
}

/// Every 250th line, made beforehand: reading all rows for a few takes seconds in a build with checks.
const FEW: &[u8] = include_bytes!("../../../../deploy/sample/few-diamonds.ndjson.gz");

/// A few hundred lines of the sample, of every category; the first is among them.
///
/// # Errors
/// If the build is damaged.
pub fn few_lines() -> anyhow::Result<Vec<String>> {
    let lines = BufReader::new(GzDecoder::new(FEW)).lines();
    lines.collect::<Result<_, _>>().context("reading the few products of the sample catalog")
}

/// Every line of the sample, in the file's order.
///
/// # Errors
/// If the sample is damaged: names the line.
pub fn lines() -> anyhow::Result<Vec<String>> {
    let source = Source::Sample;
    let (format, map) = (source.format()?, Map::preset("diamonds")?);
    let catalog = Catalog::open(source, format, Shape::Mapped(Box::new(map)), Requested::default())?;
    let told = |problems: Vec<Problem>| {
        anyhow!(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    };
    let mut lines = Vec::with_capacity(54_000);
    for entry in catalog.entries()? {
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
    use std::io::Write as _;

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
    fn a_few_of_them_are_lines_of_the_sample_of_every_category() {
        let expected: Vec<String> = lines().unwrap().into_iter().step_by(250).collect();
        assert_eq!(expected.len(), 216);
        for cut in ["ideal", "premium", "very-good", "good", "fair"] {
            let category = format!("jewelry/diamonds/{cut}");
            assert!(expected.iter().any(|line| line.contains(&category)), "{cut}");
        }
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/sample/few-diamonds.ndjson.gz");
            let file = std::fs::File::create(path).unwrap();
            let mut packed = flate2::GzBuilder::new().write(file, flate2::Compression::best());
            packed.write_all((expected.join("\n") + "\n").as_bytes()).unwrap();
            packed.finish().unwrap();
            return;
        }
        assert!(few_lines().unwrap() == expected, "make them again with UPDATE_GOLDEN=1, and build again");
    }
}
