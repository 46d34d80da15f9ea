//! The sample catalog: turns rows of `deploy/sample/diamonds.csv.gz` into lines of the public bulk API.
//! Promises that the same row always makes the same line, so an import can be repeated without a second effect.

use std::io::Read;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::json;

/// The sample as shipped with the project, so that the binary needs no file beside it.
const SAMPLE: &[u8] = include_bytes!("../../../../deploy/sample/diamonds.csv.gz");

/// One diamond as the file has it.
#[derive(Debug, Deserialize)]
struct Row {
    carat: String,
    cut: String,
    color: String,
    clarity: String,
    depth: String,
    table: String,
    price: u64,
    x: String,
    y: String,
    z: String,
}

/// The product id of the diamond in row `number` (from 1).
pub fn product_id(number: usize) -> String {
    format!("diamond-{number:05}")
}

/// Every line of the sample, in the file's order.
///
/// # Errors
/// If the sample is damaged: names the row.
pub fn lines() -> anyhow::Result<Vec<String>> {
    lines_of(flate2::read::GzDecoder::new(SAMPLE))
}

fn lines_of(csv: impl Read) -> anyhow::Result<Vec<String>> {
    let mut reader = csv::Reader::from_reader(csv);
    let mut lines = Vec::with_capacity(54_000);
    for (index, row) in reader.deserialize().enumerate() {
        let row: Row = row.with_context(|| format!("reading row {} of the sample catalog", index + 1))?;
        lines.push(line(index + 1, &row));
    }
    if lines.is_empty() {
        bail!("the sample catalog is empty");
    }
    Ok(lines)
}

fn line(number: usize, row: &Row) -> String {
    let cut = row.cut.to_lowercase().replace(' ', "-");
    let id = product_id(number);
    json!({
        "command": "create_product",
        "product_id": id,
        "idempotency_key": format!("sample-{id}"),
        "payload": {
            "sku": format!("DIA-{number:05}"),
            "name": format!("{} ct {} cut diamond, {} {}", row.carat, row.cut, row.color, row.clarity),
            "description": format!(
                "Loose diamond of {} carat, {} cut, color {}, clarity {}. Depth {} %, table {} %, {} x {} x {} mm.",
                row.carat, row.cut.to_lowercase(), row.color, row.clarity, row.depth, row.table, row.x, row.y, row.z
            ),
            "category": format!("jewelry/diamonds/{cut}"),
            "brand": "Loose Diamonds",
            "price": { "minor_units": row.price * 100, "currency": "USD" },
            "attributes": {
                "carat": row.carat, "cut": row.cut, "color": row.color, "clarity": row.clarity,
                "depth": row.depth, "table": row.table, "x": row.x, "y": row.y, "z": row.z,
            },
            "tags": ["loose-stone"],
            "status": "listed",
        },
    })
    .to_string()
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
    }

    #[test]
    fn a_damaged_row_is_named() {
        let csv = "carat,cut,color,clarity,depth,table,price,x,y,z\n0.2,Ideal,E,SI2,61,55,many,1,2,3\n";
        let error = lines_of(csv.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("row 1"), "{error:#}");
    }
}
