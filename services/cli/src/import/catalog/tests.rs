use std::collections::BTreeSet;

use contract::json::bulk_line;
use domain::Currency;
use serde_json::Value as JsonValue;

use super::*;
use crate::import::{DecimalMark, Rejected};

fn data(name: &str) -> Source {
    Source::File(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name))
}

fn requested(currency: &str, decimal: Option<DecimalMark>) -> Requested {
    Requested { currency: Currency::parse(currency).ok(), decimal }
}

/// A file as the columns tell it, or as a preset says.
fn open(source: Source, requested: Requested) -> Catalog {
    let format = source.format().unwrap();
    let rows = super::super::rows(&source, format).unwrap();
    let (_, map) = Map::recognised(rows.columns()).unwrap();
    Catalog::open(source, format, Shape::Mapped(Box::new(map)), requested).unwrap()
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
    let catalog = open(data("shopify.csv"), requested("USD", None));
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
    let products = products(&open(data("shopify.csv"), requested("USD", None)));
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
    let catalog = open(data("woocommerce.csv"), requested("EUR", None));
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
    let catalog = open(data("saleor.csv"), requested("USD", None));
    let products = products(&catalog);
    assert_eq!(products.len(), 24);
    let first = &products[0];
    assert_eq!(first["product_id"], "sku-0-ml");
    assert_eq!(first["payload"]["description"], "");
    let described = &products[1]["payload"]["description"];
    assert_eq!(*described, "Juice no. 1 & more, with \"quotes\"\n\n- fresh\n- cold");
    assert_eq!(first["payload"]["tags"], serde_json::json!(["featured", "summer-picks"]));
    assert_eq!(first["payload"]["price"], serde_json::json!({ "minor_units": 500, "currency": "USD" }));
    assert_eq!(products[1]["payload"]["price"]["minor_units"], 199);
    assert_eq!(first["payload"]["attributes"], serde_json::json!({ "size": "1l" }));
}

#[test]
fn reading_again_gives_the_same() {
    let catalog = open(data("shopify.csv"), requested("USD", None));
    assert_eq!(products(&catalog), products(&catalog));
    assert_eq!(catalog.fingerprint(), open(data("shopify.csv"), requested("USD", None)).fingerprint());
    assert_ne!(catalog.fingerprint(), open(data("saleor.csv"), requested("USD", None)).fingerprint());
}

#[test]
fn what_is_left_out_can_be_mended_and_imported_again() {
    let rows = "Handle;Title;Vendor;Type;Option1 Name;Option1 Value;Variant SKU;Variant Price\n\
        tee;Tee;Acme;Shirts;Size;S;a;12.50\n\
        tee;;;;;M;b;twelve\n\
        tee;;;;;M;c;13.00\n\
        cap;Caf\u{e9} \"x\";Acme;Hats;;;d;1;too;many\n\
        bag;Bag;Acme;Bags;;;e;-1\n";
    let (_dir, input) = written("products.csv", rows.as_bytes());
    let catalog = open(Source::File(input.clone()), requested("USD", None));
    let told: Vec<String> = told(&catalog).into_iter().flatten().collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("line 3, column \"Variant Price\""), "{told:?}");
    assert!(told[1].starts_with("line 5:") && told[1].contains("10 cells"), "{told:?}");
    assert!(told[2].starts_with("line 6, column \"Variant Price\": \"-1\" must not be negative"), "{told:?}");
    let path = left_out(&input, &catalog);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("import_line;import_reason;Handle;Title"), "{text}");
    assert!(text.contains(";tee;Tee;Acme;Shirts;Size;M;b;twelve"), "what it took is filled in: {text}");
    std::fs::write(&path, text.replace("twelve", "12").replace(";too;many", "").replace(";-1", ";2"))
        .unwrap();
    let mended = products(&open(Source::File(path), requested("USD", None)));
    assert_eq!(mended.len(), 3);
    assert_eq!(mended[1]["payload"]["name"], "Café \"x\"");
}

#[test]
fn parents_come_along_with_what_is_left_out() {
    let text = include_str!("../../../tests/data/woocommerce.csv").replace("\"20,00\"", "n/a");
    let (_dir, input) = written("woo.csv", text.as_bytes());
    let path = left_out(&input, &open(Source::File(input.clone()), requested("EUR", None)));
    // In the cell, not in the reason that quotes it.
    let mended = std::fs::read_to_string(&path).unwrap().replace(",n/a,", ",\"20,00\",");
    std::fs::write(&path, mended).unwrap();
    let again = products(&open(Source::File(path), requested("EUR", None)));
    assert_eq!(again.len(), 6);
    let whole = products(&open(data("woocommerce.csv"), requested("EUR", None)));
    assert!(again.iter().all(|product| whole.contains(product)), "{again:#?}");
}

#[test]
fn a_product_comes_once_in_a_file() {
    let (_dir, path) = written("a.csv", b"sku,name,price\na,A,1.00\nb,B,1.00\na,A again,2.00\n");
    let catalog = open(Source::File(path), requested("USD", None));
    let entries: Vec<Entry> = catalog.entries().unwrap().map(Result::unwrap).collect();
    let problems = entries[2].command.as_ref().unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "line 4: is product a, and so is line 2: a product may come once in a file"
    );
}

/// The file `name` with this text, in a folder that stays as long as the first value.
fn written(name: &str, text: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

/// What is told of each product that cannot go in; none for one that can.
fn told(catalog: &Catalog) -> Vec<Option<String>> {
    let told = |entry: Entry| {
        let problems = entry.command.err()?;
        Some(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    };
    catalog.entries().unwrap().map(|entry| told(entry.unwrap())).collect()
}

/// The file of what cannot go in, written beside `input`.
fn left_out(input: &std::path::Path, catalog: &Catalog) -> std::path::PathBuf {
    let mut rejected = Rejected::open(Rejected::path_beside(input), catalog, 0).unwrap();
    for entry in catalog.entries().unwrap().map(Result::unwrap) {
        if let Err(problems) = &entry.command {
            rejected.add(&entry, &problems[0].reason()).unwrap();
        }
    }
    rejected.path().unwrap().to_owned()
}

fn mapped(path: std::path::PathBuf, yaml: &str) -> Catalog {
    let source = Source::File(path);
    let format = source.format().unwrap();
    let map = Map::parse(yaml).unwrap();
    Catalog::open(source, format, Shape::Mapped(Box::new(map)), requested("EUR", None)).unwrap()
}

#[test]
fn what_takes_from_a_row_that_cannot_be_read_says_so() {
    let names = "Handle,Title,Vendor,Type,Option1 Name,Option1 Value,Variant SKU,Variant Price\n";
    for (head, why) in [
        (&b"tee,Caf\xe9,Acme,Shirts,Size,S,a,1.50\n"[..], "UTF-8"),
        (b"tee,Tee,Acme,Shirts,Size,S,a,1.50,,more\n", "10 cells"),
        (b"tee,\"Tee 12\" x\",Acme,Shirts,Size,S,a,1.50\n", "text behind the quote"),
    ] {
        let rows = [names.as_bytes(), head, b"tee,,,,,M,b,2.50\ncap,Cap,Acme,Hats,,,c,3.50\n"].concat();
        let (_dir, path) = written("a.csv", &rows);
        let told = told(&open(Source::File(path), requested("EUR", None)));
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].as_ref().unwrap().contains(why), "{told:?}");
        let second = told[1].as_ref().unwrap();
        assert!(second.starts_with("line 3: takes from line 2, which cannot be read"), "{told:?}");
        assert!(!second.contains("blank") && told[2].is_none(), "{told:?}");
    }
}

#[test]
fn a_parent_that_cannot_be_read_or_is_missing_is_told() {
    let rows = b"ID,Type,SKU,Name,Published,Categories,Regular price,Parent\n\
        1,variable,tee,Caf\xe9,1,Shirts,,\n2,variation,tee-s,Tee S,1,,12.50,tee\n\
        3,subscription_variation,cap-s,Cap S,1,Hats,2.50,cap\n4,variable-subscription,sub,Sub,1,Subs,,\n\
        5,subscription_variation,sub-m,Sub M,1,,2.50,sub\n";
    let (_dir, path) = written("woo.csv", rows);
    let catalog = open(Source::File(path.clone()), requested("EUR", None));
    let told = told(&catalog);
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told[0].as_ref().unwrap().starts_with("line 2, column \"Name\": is not UTF-8"), "{told:?}");
    assert!(told[1].as_ref().unwrap().contains("takes from line 2"), "{told:?}");
    assert!(
        told[2].as_ref().unwrap().starts_with("line 4, column \"Parent\": \"cap\" is not in this file"),
        "{told:?}"
    );
    assert_eq!(told[3], None);
    // The parent is in the file of what was left out, once.
    let text = std::fs::read(left_out(&path, &catalog)).unwrap();
    assert_eq!(String::from_utf8_lossy(&text).matches(",1,variable,tee").count(), 1);
}

#[test]
fn a_row_whose_quotes_are_wrong_is_kept_and_no_row_before_it_is_mended() {
    let text = b"sku,name,price\na,\"A 12\" pipe\",1.00\nb,B,1.00\nc,\"open,1.00\nd,D,1.00\n";
    let (_dir, path) = written("a.csv", text);
    let catalog = open(Source::File(path.clone()), requested("EUR", None));
    let all = told(&catalog);
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all[2].as_ref().unwrap().contains("lines 4 to 5 were taken for this row"), "{all:?}");
    let path = left_out(&path, &catalog);
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept.contains("\"a,\"\"A 12\"\" pipe\"\",1.00\"") && kept.contains("d,D,1.00"), "{kept}");
    let again = told(&open(Source::File(path), requested("EUR", None)));
    assert_eq!(again.iter().filter(|it| it.is_some()).count(), 2, "{again:?}");
}

#[test]
fn a_line_that_says_a_field_twice_is_refused_and_kept_as_it_was() {
    let line = r#"{"sku": "a", "name": "A", "name": "B", "brand": "b", "category": "c", "price": {"minor_units": 1, "currency": "EUR"}}"#;
    let (_dir, path) = written("a.ndjson", format!("{line}\n").as_bytes());
    let source = Source::File(path.clone());
    let catalog = Catalog::open(source, Format::Ndjson, Shape::Own, Requested::default()).unwrap();
    let entry = catalog.entries().unwrap().next().unwrap().unwrap();
    let problems = entry.command.as_ref().unwrap_err();
    assert!(problems[0].to_string().contains("name"), "{problems:?}");
    let kept: JsonValue = serde_json::from_slice(&std::fs::read(left_out(&path, &catalog)).unwrap()).unwrap();
    assert_eq!(kept["import_text"], line);
}

const GROUPED: &str = "rows: {group_by: [h]}\nproduct_id: '{h}-{sku}'\nsku: sku\nname: title\nbrand: maker.name\n\
    category: {from: type}\nprice: {from: price}\n";

#[test]
fn lines_of_json_take_from_each_other_by_name() {
    let text = br#"{"h": "tee", "title": "Tee", "type": "Shirts", "maker": {"name": "Acme"}, "sku": "a", "price": 1.5}
{"price": "x", "sku": "b", "h": "tee"}
{"price": 1.299, "sku": "c", "h": "tee", "title": "Tee XL"}
"#;
    let (_dir, path) = written("a.ndjson", text);
    let catalog = mapped(path.clone(), GROUPED);
    let problems: Vec<String> = told(&catalog).into_iter().flatten().collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("\"x\" is not a price"), "{problems:?}");
    // A JSON number has a point, and nothing else: it cannot be read in two ways.
    assert!(problems[1].contains("1.299") && problems[1].contains("has 3 decimals"), "{problems:?}");
    let kept = std::fs::read_to_string(left_out(&path, &catalog)).unwrap();
    assert!(kept.contains(r#""title":"Tee""#) && kept.contains(r#""maker":{"name":"Acme"}"#), "{kept}");
}

#[test]
fn numbers_of_rows_are_not_made_of_what_was_left_out() {
    let yaml =
        "product_id: 'd-{#}'\nname: n\nbrand: {default: b}\ncategory: {default: c}\nprice: {from: p}\n";
    let map = Map::parse(yaml).unwrap();
    let shape = Shape::Mapped(Box::new(map));
    for (name, text) in [
        ("a.csv", &b"import_line,import_reason,n,p\n7,x,Tee,1.50\n"[..]),
        ("a.ndjson", br#"{"import_line": 7, "n": "Tee", "p": 1.5}"#),
    ] {
        let (_dir, path) = written(name, text);
        let source = Source::File(path);
        let format = source.format().unwrap();
        let error = Catalog::open(source, format, shape.clone(), requested("EUR", None)).unwrap_err();
        assert!(error.to_string().contains("numbers of rows"), "{error}");
    }
    let (_dir, path) = written("a.csv", b"n,p\nTee,1.50\n");
    assert_eq!(products(&mapped(path, yaml))[0]["product_id"], "d-1");
}

#[test]
fn a_file_that_changes_while_it_is_read_is_no_whole() {
    let (_dir, path) = written("a.csv", b"sku,name,price\na,A,1.00\nb,B,1.00\n");
    let catalog = open(Source::File(path.clone()), requested("EUR", None));
    for text in ["sku,name,price\na,A,1.00\n", "sku,name,price\na,A,1.00\nb,B,1.00\nc,C,1.00\n"] {
        std::fs::write(&path, text).unwrap();
        let all: Vec<_> = catalog.entries().unwrap().collect();
        let error = all.last().unwrap().as_ref().unwrap_err().to_string();
        assert!(error.contains("changed while it was read: it had 2 rows"), "{error}");
        assert_eq!(all.iter().filter(|entry| entry.is_err()).count(), 1);
    }
}

#[test]
fn what_was_left_out_before_is_not_lost() {
    let (dir, path) = written("a.csv", b"sku,name,price\na,A,cheap\n");
    let (rejected_path, old) = (Rejected::path_beside(&path), dir.path().join("a.rejected.csv.old"));
    std::fs::write(&rejected_path, "mine").unwrap();
    let catalog = open(Source::File(path), requested("EUR", None));
    let entry = catalog.entries().unwrap().next().unwrap().unwrap();
    let mut rejected = Rejected::open(rejected_path.clone(), &catalog, 0).unwrap();
    assert_eq!(std::fs::read_to_string(&rejected_path).unwrap(), "mine", "nothing was answered yet");
    rejected.set_aside().unwrap();
    assert_eq!(std::fs::read_to_string(&old).unwrap(), "mine");
    rejected.add(&entry, "x").unwrap();
    rejected.set_aside().unwrap();
    let bytes = rejected.bytes();
    let whole = std::fs::read_to_string(&rejected_path).unwrap();
    // Whoever resumes keeps what was acknowledged, and what is behind it.
    std::fs::write(&rejected_path, format!("{whole}mended")).unwrap();
    let mut rejected = Rejected::open(rejected_path.clone(), &catalog, bytes).unwrap();
    assert_eq!(std::fs::read_to_string(&rejected_path).unwrap(), whole);
    rejected.add(&entry, "y").unwrap();
    assert!(std::fs::read_to_string(&rejected_path).unwrap().starts_with(&whole));
    let second = dir.path().join("a.rejected.csv.old2");
    assert!(std::fs::read_to_string(second).unwrap().ends_with("mended"));
    std::fs::write(&rejected_path, "short").unwrap();
    let error = Rejected::open(rejected_path, &catalog, bytes).unwrap_err();
    assert!(format!("{error:#}").contains("without --resume"), "{error:#}");
}
