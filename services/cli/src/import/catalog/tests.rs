use std::collections::BTreeSet;

use contract::json::bulk_line;
use domain::Currency;
use serde_json::Value as JsonValue;

use super::*;
use crate::import::{DecimalMark, Rejected};

fn data(name: &str) -> Source {
    Source::File(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name))
}

fn wishes(currency: &str, decimal: Option<DecimalMark>) -> Wishes {
    Wishes { currency: Currency::parse(currency).ok(), decimal }
}

/// A file as the columns tell it, or as a preset says.
fn open(source: Source, wishes: Wishes) -> Catalog {
    let format = source.format().unwrap();
    let rows = super::super::rows(&source, format).unwrap();
    let (_, map) = Map::recognised(rows.columns()).unwrap();
    Catalog::open(source, format, Shape::Mapped(Box::new(map)), wishes).unwrap()
}

fn products(catalog: &Catalog) -> Vec<JsonValue> {
    let entries = catalog.entries().unwrap().map(Result::unwrap);
    entries
        .map(|entry| match entry.command {
            Ok(command) => serde_json::from_str(&bulk_line(&command)).unwrap(),
            Err(problems) => panic!("{problems:#?}"),
        })
        .collect()
}

fn texts(products: &[JsonValue], pointer: &str) -> BTreeSet<String> {
    products.iter().filter_map(|it| it.pointer(pointer)?.as_str().map(str::to_owned)).collect()
}

#[test]
fn sixty_products_of_a_shopify_export_go_in_as_they_are() {
    let catalog = open(data("shopify.csv"), wishes("USD", None));
    let products = products(&catalog);
    assert_eq!(products.len(), 60);
    assert_eq!(texts(&products, "/product_id").len(), 60);
    assert_eq!(
        texts(&products, "/payload/name").len(),
        products.len() - 2 * variants(&products),
        "variants share a name"
    );
    assert!(texts(&products, "/payload/sku").contains("tee 1 s"));
    assert!(
        texts(&products, "/payload/category")
            .contains("Apparel & Accessories/Clothing/Clothing Tops/T-Shirts")
    );
    assert!(texts(&products, "/payload/category").contains("Electronics/Audio-Video Cables"));
    assert!(texts(&products, "/payload/attributes/Farbe").contains("Navy / White"));
    assert_eq!(texts(&products, "/payload/status"), ["draft", "listed"].map(str::to_owned).into());
    let tags: BTreeSet<&str> = products
        .iter()
        .flat_map(|it| it["payload"]["tags"].as_array().unwrap())
        .filter_map(JsonValue::as_str)
        .collect();
    assert!(tags.contains("New Arrival") && tags.contains("20% Off"), "{tags:?}");
    assert_eq!(catalog.unused(), (vec![], vec![]));
    let mut entries = catalog.entries().unwrap();
    assert_eq!(entries.by_ref().count(), 60);
    assert!(entries.passed_over().keys().any(|why| why.contains("images")), "{:?}", entries.passed_over());
}

/// Products with a second or third variant.
fn variants(products: &[JsonValue]) -> usize {
    products.iter().filter(|it| it.pointer("/payload/attributes/Farbe").is_some()).count() / 3
}

#[test]
fn later_rows_take_from_the_first_of_their_product() {
    let products = products(&open(data("shopify.csv"), wishes("USD", None)));
    let tees: Vec<_> = products.iter().filter(|it| it["payload"]["name"] == "Classic Tee").collect();
    assert_eq!(tees.len(), 3);
    for tee in &tees {
        assert_eq!(tee["payload"]["brand"], "Nestlé & Co");
        assert_eq!(
            tee["payload"]["description"],
            "Soft & warm – 100\u{a0}% wool.\n\nCare: 30°C".replace('\u{a0}', " ")
        );
        assert_eq!(tee["payload"]["attributes"]["Fabric"], "Cotton");
    }
    // A variant without a SKU has its id; it does not take another one's.
    assert_eq!(tees[2]["payload"]["sku"], tees[2]["product_id"]);
}

#[test]
fn a_woocommerce_export_with_decimal_commas_goes_in() {
    let catalog = open(data("woocommerce.csv"), wishes("EUR", None));
    let products = products(&catalog);
    assert_eq!(products.len(), 20);
    let of = |id: &str| &products.iter().find(|it| it["product_id"] == id).unwrap()["payload"];
    assert_eq!(of("wc-100")["name"], "Ben & Jerry’s Beanie 0");
    assert_eq!(of("wc-100")["description"], "This is a simple product.");
    assert_eq!(of("wc-101")["price"]["minor_units"], 129_900);
    assert_eq!(of("wc-100")["category"], "Clothing/Accessories");
    assert_eq!(of("wc-101")["category"], "Tops, Shirts/Hüte");
    assert_eq!(of("wc-103")["category"], "Uncategorized");
    assert_eq!(of("wc-102")["status"], "draft");
    assert_eq!(of("wc-101")["sku"], "wc-101");
    // A variation takes what it does not say from its parent, called by SKU or by id.
    for id in ["wc-201", "wc-212", "wc-223"] {
        assert_eq!(of(id)["category"], "Clothing/Tshirts", "{id}");
        assert_eq!(of(id)["description"], "Parent & child", "{id}");
        assert_eq!(of(id)["brand"], "Acme", "{id}");
    }
    assert_eq!(of("wc-201")["attributes"], serde_json::json!({ "Color": "Red", "Material": "Cotton" }));
    assert_eq!(of("wc-201")["price"]["minor_units"], 102_000);
}

#[test]
fn a_saleor_export_with_semicolons_goes_in() {
    let catalog = open(data("saleor.csv"), wishes("USD", None));
    let products = products(&catalog);
    assert_eq!(products.len(), 24);
    let first = &products[0];
    assert_eq!(first["product_id"], "sku-0-ml");
    assert_eq!(first["payload"]["description"], "Juice no. 0 & more, with \"quotes\"\n\n- fresh\n- cold");
    assert_eq!(first["payload"]["tags"], serde_json::json!(["featured", "summer-picks"]));
    assert_eq!(first["payload"]["price"], serde_json::json!({ "minor_units": 500, "currency": "USD" }));
    assert_eq!(products[1]["payload"]["price"]["minor_units"], 199);
    assert_eq!(
        first["payload"]["attributes"],
        serde_json::json!({ "size": "1l" })
    );
}

#[test]
fn reading_again_gives_the_same() {
    let catalog = open(data("shopify.csv"), wishes("USD", None));
    assert_eq!(products(&catalog), products(&catalog));
    assert_eq!(catalog.fingerprint(), open(data("shopify.csv"), wishes("USD", None)).fingerprint());
    assert_ne!(catalog.fingerprint(), open(data("saleor.csv"), wishes("USD", None)).fingerprint());
}

#[test]
fn what_is_left_out_can_be_mended_and_imported_again() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("products.csv");
    let rows = "Handle;Title;Vendor;Type;Option1 Name;Option1 Value;Variant SKU;Variant Price\n\
        tee;Tee;Acme;Shirts;Size;S;a;12.50\n\
        tee;;;;;M;b;twelve\n\
        tee;;;;;M;c;13.00\n\
        cap;Caf\u{e9} \"x\";Acme;Hats;;;d;1;too;many\n\
        bag;Bag;Acme;Bags;;;e;-1\n";
    std::fs::write(&input, rows).unwrap();
    let catalog = open(Source::File(input.clone()), wishes("USD", None));
    let mut rejected = Rejected::open(Rejected::path_beside(&input), &catalog, 0).unwrap();
    let mut told = Vec::new();
    for entry in catalog.entries().unwrap() {
        let entry = entry.unwrap();
        if let Err(problems) = &entry.command {
            told.push(problems[0].to_string());
            rejected.add(&entry, &problems[0].reason()).unwrap();
        }
    }
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("line 3, column \"Variant Price\""), "{told:?}");
    assert!(told[1].starts_with("line 5:") && told[1].contains("10 cells"), "{told:?}");
    assert!(told[2].starts_with("line 6, column \"Variant Price\": \"-1\" must not be negative"), "{told:?}");
    let path = rejected.path().unwrap().to_owned();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("import_line;import_reason;Handle;Title"), "{text}");
    assert!(text.contains(";tee;Tee;Acme;Shirts;Size;M;b;twelve"), "what it took is filled in: {text}");
    std::fs::write(&path, text.replace("twelve", "12").replace(";too;many", "").replace(";-1", ";2"))
        .unwrap();
    let mended = products(&open(Source::File(path), wishes("USD", None)));
    assert_eq!(mended.len(), 3);
    assert_eq!(mended[1]["payload"]["name"], "Café \"x\"");
}

#[test]
fn parents_come_along_with_what_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("woo.csv");
    let text = std::fs::read_to_string(match data("woocommerce.csv") {
        Source::File(path) => path,
        Source::Sample => unreachable!("a file"),
    });
    std::fs::write(&input, text.unwrap().replace("\"20,00\"", "n/a")).unwrap();
    let catalog = open(Source::File(input.clone()), wishes("EUR", None));
    let mut rejected = Rejected::open(Rejected::path_beside(&input), &catalog, 0).unwrap();
    for entry in catalog.entries().unwrap().map(Result::unwrap).filter(|entry| entry.command.is_err()) {
        rejected.add(&entry, "no price").unwrap();
    }
    let path = rejected.path().unwrap().to_owned();
    let mended = std::fs::read_to_string(&path).unwrap().replace("n/a", "\"20,00\"");
    std::fs::write(&path, mended).unwrap();
    let again = products(&open(Source::File(path), wishes("EUR", None)));
    assert_eq!(again.len(), 6);
    let whole = products(&open(data("woocommerce.csv"), wishes("EUR", None)));
    assert!(again.iter().all(|product| whole.contains(product)), "{again:#?}");
}

#[test]
fn a_product_comes_once_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("a.csv");
    std::fs::write(&input, "sku,name,price\na,A,1.00\nb,B,1.00\na,A again,2.00\n").unwrap();
    let catalog = open(Source::File(input), wishes("USD", None));
    let entries: Vec<Entry> = catalog.entries().unwrap().map(Result::unwrap).collect();
    let problems = entries[2].command.as_ref().unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "line 4: is product a, and so is line 2: a product may come once in a file"
    );
}
