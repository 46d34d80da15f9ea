use contract::json::bulk_line;
use serde_json::Value as JsonValue;

use super::*;

/// What a row becomes, as JSON; or its problems as people read them.
fn read(map: &Map, requested: &Requested, pairs: &[(&str, &str)]) -> Result<JsonValue, Vec<String>> {
    let command = command(&Row::of(pairs), None, map, requested, &mut Notes::default());
    command
        .map(|command| serde_json::from_str(&bulk_line(&command)).unwrap())
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn shopify(pairs: &[(&str, &str)]) -> Result<JsonValue, Vec<String>> {
    let usual = [
        ("Handle", "tee"),
        ("Title", "Classic Tee"),
        ("Vendor", "Acme"),
        ("Type", "Shirts"),
        ("Variant SKU", "abc 12"),
        ("Variant Price", "12.50"),
    ];
    let all: Vec<(&str, &str)> = pairs
        .iter()
        .copied()
        .chain(usual.into_iter().filter(|(name, _)| !pairs.iter().any(|it| it.0 == *name)))
        .collect();
    read(&Map::preset("shopify").unwrap(), &eur(), &all)
}

fn eur() -> Requested {
    Requested { currency: Currency::parse("EUR").ok(), decimal: None }
}

#[test]
fn a_row_as_a_shop_exports_it_goes_in() {
    let line = shopify(&[
        ("Body (HTML)", "<p>Soft &amp; warm</p><ul><li>wool</li></ul>"),
        ("Product Category", "Apparel & Accessories > Clothing > Audio/Video"),
        ("Tags", "Summer Sale, , New Arrival, Summer Sale"),
        ("Option1 Name", "Größe"),
        ("Option1 Value", "43.5"),
        ("Option2 Name", "Farbe"),
        ("Option2 Value", "  "),
        ("Fabric (product.metafields.shopify.fabric)", "Cotton"),
        ("Status", "Active"),
    ]);
    let line = line.unwrap();
    let payload = &line["payload"];
    assert_eq!(payload["sku"], "abc 12");
    assert_eq!(payload["description"], "Soft & warm\n\nwool");
    assert_eq!(payload["category"], "Apparel & Accessories/Clothing/Audio-Video");
    assert_eq!(payload["tags"], json!(["New Arrival", "Summer Sale"]));
    assert_eq!(payload["attributes"], json!({ "Fabric": "Cotton", "Größe": "43.5" }));
    assert_eq!(payload["price"], json!({ "minor_units": 1_250, "currency": "EUR" }));
    assert_eq!(payload["status"], "listed");
    assert!(line["product_id"].as_str().unwrap().starts_with("tee-43.5-"), "{line}");
    assert!(line["idempotency_key"].as_str().unwrap().starts_with("import-"));
}

#[test]
fn every_fault_of_a_row_is_told_with_its_column() {
    let problems = shopify(&[
        ("Title", ""),
        ("Variant Price", "12.345"),
        ("Status", "sold out"),
        ("Tags", &format!("fine, {}", "x".repeat(65))),
        ("Option1 Name", ""),
        ("Option1 Value", "M"),
        ("Variant SKU", &"s".repeat(65)),
    ]);
    let problems = problems.unwrap_err();
    for expected in [
        "line 2, column \"Title\": is blank",
        "line 2, column \"Variant Price\": \"12.345\" has 3 decimals, but EUR has 2",
        "line 2, column \"Status\": \"sold out\" is no status: known are active",
        "line 2, column \"Tags\": ",
        "line 2, column \"Option1 Value\": the value \"M\" has no name",
        "line 2, column \"Variant SKU\": must have at most 64 characters",
    ] {
        assert!(problems.iter().any(|it| it.contains(expected)), "{expected}: {problems:#?}");
    }
    assert_eq!(problems.len(), 6, "{problems:#?}");
}

#[test]
fn what_the_command_service_would_refuse_is_refused_here() {
    let problems = shopify(&[("Variant Price", "0.00"), ("Status", "active")]).unwrap_err();
    assert!(
        problems[0].contains("column \"Variant Price\": a listed product needs a price above zero"),
        "{problems:?}"
    );
    assert!(shopify(&[("Variant Price", "0.00"), ("Status", "draft")]).is_ok());
    let map = Map::preset("shopify").unwrap();
    let row = [("Handle", "tee"), ("Title", "Tee"), ("Type", "a"), ("Variant Price", "1")];
    let problems = read(&map, &Requested::default(), &row).unwrap_err();
    assert!(problems[0].contains("--currency"), "{problems:?}");
}

#[test]
fn the_same_product_has_the_same_key_however_its_row_is_written() {
    let one = shopify(&[("Tags", "a,b")]).unwrap();
    let other =
        shopify(&[("Tags", "b , a ,"), ("Image Src", "https://x"), ("Variant Price", "12.5")]).unwrap();
    assert_eq!(one["idempotency_key"], other["idempotency_key"]);
    let changed = shopify(&[("Tags", "a,b"), ("Variant Price", "12.51")]).unwrap();
    assert_ne!(one["idempotency_key"], changed["idempotency_key"]);
    assert_eq!(one["product_id"], changed["product_id"]);
}

#[test]
fn what_nobody_sees_is_taken_out_and_told() {
    let row = Row::of(&[
        ("Handle", "tee"),
        ("Title", "\u{feff}Classic\u{200b}\nTee"),
        ("Vendor", " "),
        ("Type", ""),
        ("Variant Price", "1"),
    ]);
    let mut notes = Notes::default();
    let command = command(&row, None, &Map::preset("shopify").unwrap(), &eur(), &mut notes).unwrap();
    let line = bulk_line(&command);
    assert!(line.contains(r#""name":"Classic Tee""#), "{line}");
    assert!(line.contains(r#""sku":"tee""#) && line.contains(r#""brand":"Unbranded""#), "{line}");
    assert_eq!(notes.cleaned["name"], 1);
    assert_eq!(notes.defaults[&("brand", "Unbranded".to_owned())], 1);
    assert_eq!(notes.defaults[&("category", "Uncategorized".to_owned())], 1);
}

#[test]
fn of_several_channels_that_in_the_wished_currency_counts() {
    let map = Map::preset("saleor").unwrap();
    let row = [
        ("id", "UHJvZHVjdDo3Mg=="),
        ("name", "Juice"),
        ("category", "juices"),
        ("variant sku", "j-1"),
        ("us (channel price amount)", "5.00"),
        ("us (channel variant currency code)", "USD"),
        ("us (channel published)", "True"),
        ("pl (channel price amount)", "20.00"),
        ("pl (channel variant currency code)", "PLN"),
        ("pl (channel published)", "False"),
        ("material (product attribute)", "glass"),
        ("size (variant attribute)", "1l"),
    ];
    let price = |requested: &Requested| read(&map, requested, &row).unwrap()["payload"]["price"].clone();
    assert_eq!(price(&Requested::default()), json!({ "minor_units": 500, "currency": "USD" }));
    let pln = Requested { currency: Currency::parse("PLN").ok(), decimal: None };
    assert_eq!(price(&pln), json!({ "minor_units": 2_000, "currency": "PLN" }));
    let line = read(&map, &pln, &row).unwrap();
    assert_eq!(line["payload"]["status"], "listed");
    assert_eq!(line["payload"]["attributes"], json!({ "material": "glass", "size": "1l" }));
}

#[test]
fn a_line_of_our_own_form_is_read_as_the_service_reads_it() {
    let own = |json: &str| {
        let mut row = Row::of(&[]);
        row.json = Some(json.to_owned());
        own(&row).map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let good = r#"{"product_id": "p1", "sku": "A", "name": "n", "category": "c", "brand": "b",
        "price": {"minor_units": 1250, "currency": "USD"}, "import_line": 7, "import_reason": "x"}"#;
    assert_eq!(own(good).unwrap().product_id.unwrap().as_str(), "p1");
    let without = good.replace(r#""product_id": "p1", "#, "");
    assert_eq!(own(&without).unwrap().product_id.unwrap().as_str(), "A");
    let problems =
        own(&good.replace("USD", "usd").replace(r#""brand": "b","#, r#""color": "b","#)).unwrap_err();
    for expected in ["/price/currency", "\"/brand\": is missing", "\"/color\""] {
        assert!(problems.iter().any(|it| it.contains(expected)), "{expected}: {problems:?}");
    }
    assert!(own("[]").is_err());
    // Each value is allowed, but all together make a record that the service would refuse.
    let many: serde_json::Map<String, JsonValue> =
        (0..64).map(|n| (format!("a{n}"), "\u{1f48e}".repeat(1_000).into())).collect();
    let mut large: JsonValue = serde_json::from_str(good).unwrap();
    large["attributes"] = many.into();
    large["description"] = "\u{1f48e}".repeat(10_000).into();
    let problems = own(&large.to_string()).unwrap_err();
    assert!(problems[0].contains("is too large"), "{problems:?}");
}
