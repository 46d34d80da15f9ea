//! Search judged by a table: what is found by what, of a catalog as shops have it beside the sample of diamonds.
//!
//! `tests/relevance/questions.tsv` says for each question the right first hit and the right products; the measures printed here
//! are those of `docs/search.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use contract::json::parse_bulk_line;
use domain::{Decision, Product, ProductId, Version};
use jiff::Timestamp;
use read_models::PageRequest;
use read_models::model::{EffectiveEvent, LogPosition, Meta};
use read_models::search::{Filters, Matched, Queries, SearchModel, SearchRequest, SuggestRequest};
use read_models::{Currency, ReadModel, Status};
use uuid::Uuid;

use super::records::project;
use super::{SearchParts, open};

const PRODUCTS: &str = include_str!("../relevance/products.ndjson");
const QUESTIONS: &str = include_str!("../relevance/questions.tsv");
/// As many records as one batch of a projector holds.
const BATCH: usize = 1_000;

/// Lines of the bulk API as the records that they become.
fn recorded<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<EffectiveEvent> {
    let mut products: BTreeMap<ProductId, Product> = BTreeMap::new();
    let record = |(offset, line): (usize, &str)| {
        let addressed = parse_bulk_line(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error:?}"));
        let id = addressed.product_id.unwrap();
        let before = products.get(&id).cloned();
        let Decision::Event(event) = domain::decide(before.as_ref(), &addressed.command) else {
            panic!("{line} changes nothing");
        };
        let version = before.as_ref().map_or(Version(1), |product| product.version.next());
        let after = domain::evolve(before, &id, version, &event).unwrap();
        products.insert(id.clone(), after);
        EffectiveEvent {
            product: id,
            version,
            event_id: Uuid::from_u128(offset as u128),
            event,
            place: LogPosition { partition: 0, offset: offset as i64, appended_at: Timestamp::UNIX_EPOCH },
            meta: Meta::default(),
        }
    };
    lines.enumerate().map(record).collect()
}

async fn catalog<A: SearchParts>() -> (A, Queries) {
    let parts = A::fresh(&[ReadModel::Search]).await;
    let store = open::<SearchModel, A>(&parts).await;
    let sample = cli::import::diamonds::lines().unwrap();
    let records = recorded(PRODUCTS.lines().chain(sample.iter().map(String::as_str)));
    for batch in records.chunks(BATCH) {
        project::<SearchModel, _>(&store, batch).await;
    }
    let queries = parts.search_queries().await;
    queries.refresh().await.unwrap();
    (parts, queries)
}

/// A line of the table.
struct Expected<'a> {
    kind: &'a str,
    text: &'a str,
    first: Option<&'a str>,
    right: BTreeSet<&'a str>,
    total: u64,
}

fn expected(line: &str) -> Expected<'_> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [kind, text, first, right] = fields[..] else { panic!("not a question: {line}") };
    let count = right.strip_prefix('#').map(|count| count.parse().unwrap());
    let ids: BTreeSet<&str> = if count.is_some() {
        BTreeSet::new()
    } else {
        right.split(',').filter(|id| !id.is_empty()).collect()
    };
    let total = count.unwrap_or(ids.len() as u64);
    Expected { kind, text, first: Some(first).filter(|first| *first != "-"), right: ids, total }
}

/// How right the answers to some questions are.
#[derive(Default)]
struct Measure {
    questions: usize,
    first: usize,
    total: usize,
    precision: f64,
    recall: f64,
}

pub(crate) async fn every_question_of_the_table_has_the_right_first_hit_and_finds_the_right_products<
    A: SearchParts,
>() {
    let (parts, queries) = catalog::<A>().await;
    let mut measures: BTreeMap<&str, Measure> = BTreeMap::new();
    let mut wrong = String::new();
    for expected in QUESTIONS.lines().filter(|line| !line.starts_with('#')).map(expected) {
        let request = SearchRequest {
            text: Some(expected.text.to_owned()),
            page: PageRequest::new(50, None),
            ..SearchRequest::default()
        };
        let found = queries.search(&request).await.unwrap();
        let ids: Vec<&str> = found.hits.iter().map(|hit| hit.found.product.id.as_str()).collect();
        let is_listed = expected.right.is_empty() && expected.total > 0;
        let right = if is_listed {
            found.total.min(expected.total)
        } else {
            ids.iter().filter(|id| expected.right.contains(**id)).count() as u64
        };
        let first = match (expected.first, ids.first()) {
            (Some(first), found) => found == Some(&first),
            (None, Some(found)) => is_listed || expected.right.contains(found),
            (None, None) => expected.total == 0,
        };
        let is_right = found.total == expected.total && right == expected.total;
        let share = |of: u64| if of == 0 { 1.0 } else { right as f64 / of as f64 };
        for kind in [expected.kind, "all"] {
            let measure = measures.entry(kind).or_default();
            measure.questions += 1;
            measure.first += usize::from(first);
            measure.total += usize::from(is_right);
            measure.precision += share(found.total);
            measure.recall += share(expected.total);
        }
        if !(first && is_right) {
            writeln!(
                wrong,
                "{:?}: {} found, {} right of {}: {:?}",
                expected.text,
                found.total,
                right,
                expected.total,
                &ids[..ids.len().min(8)]
            )
            .unwrap();
        }
        let is_typo = expected.kind == "typos" && expected.total > 0;
        assert_eq!(found.matched == Matched::Similar, is_typo, "{}", expected.text);
    }
    for (kind, it) in &measures {
        let of = it.questions as f64;
        eprintln!(
            "{kind}: {} questions, first hit right {:.1} %, exactly the right products {:.1} %, precision {:.3}, recall {:.3}",
            it.questions,
            100.0 * it.first as f64 / of,
            100.0 * it.total as f64 / of,
            it.precision / of,
            it.recall / of
        );
    }
    completions(&queries).await;
    facets(&queries).await;
    assert!(wrong.is_empty(), "wrong answers:\n{wrong}");
    parts.end().await;
}

async fn completions(queries: &Queries) {
    for (prefix, statuses, ids) in [
        ("Creme", vec![], "creme-brulee,creme-nfd"),
        ("crème br", vec![], "creme-brulee,creme-nfd"),
        ("cre\u{300}me bru\u{302}le", vec![], "creme-brulee,creme-nfd"),
        ("brul", vec![], "creme-brulee,creme-nfd"),
        ("angs", vec![], "angstrom"),
        ("Smorre", vec![], "smorrebrod"),
        ("GROE", vec![], "size-ascii,size-chart"),
        ("ισ", vec![], ""),
        ("елк", vec![], "elka"),
        ("钻石戒", vec![], "ring-zh"),
        ("钻", vec![], "ring-zh"),
        ("dia-5394", vec![], "diamond-53940"),
        ("wi-f", vec![], "wifi-blank,wifi-plain,wifi-router"),
        ("wif", vec![], "wifi-blank,wifi-plain,wifi-router"),
        ("wi fi rou", vec![], "wifi-router"),
        ("iphone 15 pr", vec![], "iphone-hyphen,iphone15-pro"),
        ("apl-ip1", vec![], "iphone15,iphone15-pro"),
        ("apl-ip1", vec![Status::Discontinued], "iphone14"),
        ("giz", vec![], "gizmo"),
        ("giz", vec![Status::Draft, Status::Discontinued, Status::Listed], "draft,gizmo,old-gizmo"),
        ("ab 12", vec![], "mixed-sku"),
        ("zzzz", vec![], ""),
        ("®", vec![], ""),
        ("sm-g991b/d", vec![], "galaxy"),
    ] {
        let request = SuggestRequest { prefix: prefix.to_owned(), size: 10, statuses };
        let found = queries.suggest(&request).await.unwrap();
        let mut found: Vec<&str> = found.iter().map(|it| it.product_id.as_str()).collect();
        found.sort_unstable();
        assert_eq!(found.join(","), ids, "{prefix}");
    }
}

async fn facets(queries: &Queries) {
    use read_models::search::{AttributeName, AttributeValue, Facet};
    let name = |name: &str| AttributeName::parse(name).unwrap();
    let attribute = |n: &str, value: &str| (name(n), AttributeValue::parse(value).unwrap());
    let carat = Facet::Attribute { name: name("carat") };
    let color = Facet::Attribute { name: name("color") };
    let filters = Filters { attributes: vec![attribute("color", "E")], ..Filters::default() };
    let request = SearchRequest {
        text: Some("diamond".to_owned()),
        filters,
        facets: vec![carat.clone(), color, Facet::Currency],
        ..SearchRequest::default()
    };
    let found = queries.search(&request).await.unwrap();
    assert_eq!(found.total, 9_797, "of color E");
    let (of_carat, of_color) = (&found.facets[0], &found.facets[1]);
    let shown: u64 = of_carat.buckets.iter().map(|bucket| bucket.count).sum();
    assert_eq!(of_carat.buckets.len(), 100);
    assert_eq!(shown + of_carat.other_count, 9_797, "what is not shown is counted");
    assert!(of_carat.other_values.is_some_and(|others| others > 50), "{:?}", of_carat.other_values);
    assert_eq!((of_color.buckets.len(), of_color.other_values), (7, Some(0)), "the other colors are counted");
    assert_eq!(of_color.buckets.iter().map(|bucket| bucket.count).sum::<u64>(), 53_940);
    assert_eq!(found.facets[2].buckets[0].value, "USD");
    let all = SearchRequest { facets: vec![carat], facet_size: 1_000, ..SearchRequest::default() };
    let found = queries.search(&all).await.unwrap();
    assert_eq!((found.facets[0].buckets.len(), found.facets[0].other_values), (273, Some(0)));
    assert_eq!(found.facets[0].other_count, 0);

    // Amounts are of one currency, and names that are not slugs are facets too.
    let wanted = name("größe");
    let euros = SearchRequest {
        filters: Filters {
            currency: Some(Currency::parse("EUR").unwrap()),
            price_max: Some(5_000),
            ..Filters::default()
        },
        facets: vec![
            Facet::Attribute { name: wanted },
            Facet::Currency,
            Facet::Price { bounds: vec![5_001] },
        ],
        facet_size: 1,
        ..SearchRequest::default()
    };
    let found = queries.search(&euros).await.unwrap();
    assert!(found.hits.iter().all(|hit| hit.found.product.price.currency().as_str() == "EUR"));
    let [sizes, currencies, prices] = &found.facets[..] else { panic!("three facets") };
    assert_eq!((sizes.buckets[0].value.as_str(), sizes.other_values), ("42", Some(0)));
    let shown: Vec<&str> = currencies.buckets.iter().map(|bucket| bucket.value.as_str()).collect();
    assert_eq!(shown, ["USD", "EUR"], "the others are counted, and the one that is filtered by is there");
    assert!(currencies.other_values.is_some_and(|others| others > 8), "{currencies:?}");
    assert_eq!(prices.buckets[0].count, found.total);
    assert!(prices.buckets[1].count > 0, "and higher prices: {prices:?}");
}
