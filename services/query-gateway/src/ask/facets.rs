//! Facets by their names, as both APIs take them.

use read_models::search::{AttributeName, Facet, MAX_PRICE_BOUND};

use super::limits::{MAX_FACETS, shown};

/// Where price ranges begin when nobody says, in minor units.
const PRICE_BOUNDS: [u64; 6] = [1_000, 5_000, 10_000, 50_000, 100_000, 500_000];

/// The facet called `name`: over HTTP attributes are `attr`, as their filters are; over gRPC `attributes`. Both are taken
/// everywhere.
pub(crate) fn facet(name: &str, price_bounds: &[u64]) -> Result<Facet, String> {
    Ok(match name {
        "category" => Facet::Category,
        "brand" => Facet::Brand,
        "status" => Facet::Status,
        "tags" => Facet::Tags,
        "currency" => Facet::Currency,
        "attr" | "attributes" => Facet::AttributeNames,
        "price" => Facet::Price { bounds: bounds(price_bounds)? },
        _ => {
            let attribute = name.strip_prefix("attr.").or_else(|| name.strip_prefix("attributes."));
            let choices = "category, brand, status, tags, currency, price, attr, attr.<name>";
            let not_a_facet =
                |why: &str| format!("\"{}\" is not a facet{why}: give some of {choices}", shown(name));
            let attribute = attribute.ok_or_else(|| not_a_facet(""))?;
            let parsed = AttributeName::parse(attribute);
            Facet::Attribute { name: parsed.map_err(|error| not_a_facet(&format!(" ({error})")))? }
        }
    })
}

fn bounds(asked: &[u64]) -> Result<Vec<u64>, String> {
    if asked.is_empty() {
        return Ok(PRICE_BOUNDS.to_vec());
    }
    let is_in_range = || asked.iter().all(|bound| *bound <= MAX_PRICE_BOUND);
    if asked.len() > MAX_FACETS || !asked.is_sorted_by(|a, b| a < b) || !is_in_range() {
        return Err(format!(
            "price bounds must be at most {MAX_FACETS} growing numbers of minor units, none above {MAX_PRICE_BOUND}"
        ));
    }
    Ok(asked.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_facet_is_found_by_its_name() {
        assert_eq!(facet("brand", &[]), Ok(Facet::Brand));
        assert_eq!(facet("currency", &[]), Ok(Facet::Currency));
        assert_eq!(
            facet("attr.color", &[]),
            Ok(Facet::Attribute { name: AttributeName::parse("color").unwrap() })
        );
        for name in ["Größe, cm", "a.b*", "a=b"] {
            let parsed = AttributeName::parse(name).unwrap();
            assert_eq!(facet(&format!("attr.{name}"), &[]), Ok(Facet::Attribute { name: parsed }));
        }
        assert_eq!(facet("attributes.color", &[]), facet("attr.color", &[]));
        assert_eq!(facet("price", &[5, 10]), Ok(Facet::Price { bounds: vec![5, 10] }));
        assert_eq!(facet("price", &[]), Ok(Facet::Price { bounds: PRICE_BOUNDS.to_vec() }));
    }

    #[test]
    fn what_is_not_a_facet_is_refused() {
        assert!(facet("colour", &[]).unwrap_err().contains("\"colour\" is not a facet"));
        for name in ["attr.", "attr. ", "attr.a\u{1f}b", "attributes.a\nb", ""] {
            assert!(facet(name, &[]).is_err(), "{name}");
        }
        assert!(facet(&"x".repeat(100_000), &[]).unwrap_err().len() < 300);
        assert!(facet("price", &[u64::MAX]).is_err());
        assert!(facet("price", &[10, 5]).unwrap_err().contains("growing"));
        assert!(facet("price", &(0..=MAX_FACETS as u64).collect::<Vec<_>>()).is_err());
    }
}
