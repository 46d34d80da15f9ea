use domain::Status;
use serde_json::{Value, json};

use super::document::ProductDocument;
use super::elastic::document;
use super::texts::{Similar, Text};
use super::*;
use crate::model::Fold;
use crate::page::PageRequest;
use crate::testing::{category, created, deleted, recorded};
use crate::{QueryError, StoredProduct, page};

/// The body of a first page.
fn search(request: &SearchRequest) -> Value {
    let text = request.text.as_deref().map(Text::of);
    body::search(request, text.as_ref(), Similar::default(), SIZE, None)
}

/// The answer made of one of the server to a question for so much.
fn response(
    answer: answer::ServerAnswer<ProductDocument<'static>>,
    request: &SearchRequest,
    question: &str,
    similar: Similar,
    size: body::Size,
) -> Result<SearchResponse, QueryError> {
    found::response(answer.found(request, size)?, request, question, similar)
}

const SIZE: body::Size = body::Size { hits: 10, facet_values: 100 };

fn attribute(name: &str, value: &str) -> (AttributeName, AttributeValue) {
    (AttributeName::parse(name).unwrap(), AttributeValue::parse(value).unwrap())
}

fn stored() -> StoredProduct {
    SearchModel::fold(None, &recorded(1, 5, created("a/b"))).unwrap().state
}

#[test]
fn a_document_is_the_whole_product_and_what_finds_it() {
    let state = SearchModel::fold(Some(stored()), &recorded(2, 6, deleted())).unwrap().state;
    let written = document(&state).unwrap();
    assert_eq!((written.id.as_str(), written.version), ("p", 2));
    let json: Value = serde_json::from_slice(&written.source).unwrap();
    assert_eq!(json["categories"], json!(["a", "a/b"]));
    assert_eq!(json["attribute_pairs"], json!(["cut\u{1f}ideal", "note\u{1f}a=b"]));
    assert_eq!(json["status"], "deleted");
    let read: ProductDocument<'static> = serde_json::from_slice(&written.source).unwrap();
    assert_eq!(read.parse().unwrap(), state);
}

#[test]
fn every_field_of_a_document_is_in_the_mapping() {
    let mapping: Value = serde_json::from_str(INDEX.text).unwrap();
    let source: Value = serde_json::from_slice(&document(&stored()).unwrap().source).unwrap();
    for field in source.as_object().unwrap().keys() {
        assert!(mapping["mappings"]["properties"][field].is_object(), "{field} is not in index.json");
    }
}

#[test]
fn deleted_products_are_found_only_if_asked_for() {
    let filter = |filters: Filters| {
        let body = search(&SearchRequest { filters, ..SearchRequest::default() });
        body["query"]["bool"]["filter"][0]["terms"]["status"].clone()
    };
    assert_eq!(filter(Filters::default()), json!(["draft", "listed", "discontinued"]));
    assert_eq!(filter(Filters { statuses: vec![Status::Deleted], ..Filters::default() }), json!(["deleted"]));
}

#[test]
fn values_of_one_attribute_are_alternatives_and_attributes_are_all_needed() {
    let attributes = [("cut", "ideal"), ("color", "E"), ("cut", "fair")];
    let attributes = attributes.map(|(n, v)| attribute(n, v)).to_vec();
    let request =
        SearchRequest { filters: Filters { attributes, ..Filters::default() }, ..SearchRequest::default() };
    let body = search(&request);
    let filters = body["query"]["bool"]["filter"].as_array().unwrap();
    assert_eq!(filters[1], json!({ "terms": { "attribute_pairs": ["cut\u{1f}ideal", "cut\u{1f}fair"] } }));
    assert_eq!(filters[2], json!({ "terms": { "attribute_pairs": ["color\u{1f}E"] } }));
}

#[test]
fn a_price_range_must_not_be_upside_down() {
    let filters = Filters { price_min: Some(5), price_max: Some(4), ..Filters::default() };
    let refused = SearchRequest { filters, ..SearchRequest::default() }.check();
    assert!(matches!(refused, Err(QueryError::BadQuestion(_))));
}

#[test]
fn price_bounds_in_any_order_make_adjoining_ranges() {
    let facets = vec![Facet::Price { bounds: vec![200, 100, 200] }];
    let body = search(&SearchRequest { facets, ..SearchRequest::default() });
    assert_eq!(
        body["aggs"]["0"]["range"]["ranges"],
        json!([{ "to": 100 }, { "from": 100, "to": 200 }, { "from": 200 }])
    );
}

#[test]
fn the_page_does_not_belong_to_the_question() {
    let first = SearchRequest { text: Some("ring".to_owned()), ..SearchRequest::default() };
    let second = SearchRequest { page: PageRequest::new(7, Some("x".to_owned())), ..first.clone() };
    let other = SearchRequest {
        filters: Filters { category: Some(category("a")), ..Filters::default() },
        ..first.clone()
    };
    assert_eq!(body::question(&first), body::question(&second));
    assert_ne!(body::question(&first), body::question(&other));
}

#[test]
fn a_question_of_many_attributes_is_made_in_a_moment() {
    let attributes = (0..100_000).map(|n| attribute(&format!("a{n}"), "v")).collect();
    let request =
        SearchRequest { filters: Filters { attributes, ..Filters::default() }, ..SearchRequest::default() };
    let started = std::time::Instant::now();
    let body = search(&request);
    // It takes less than a second, also on a busy machine some; each beside each other would take minutes.
    assert!(started.elapsed() < std::time::Duration::from_secs(15), "{:?}", started.elapsed());
    assert_eq!(body["query"]["bool"]["filter"].as_array().unwrap().len(), 100_001);
    assert!(matches!(request.check(), Err(QueryError::BadQuestion(_))), "and it is refused before that");
}

#[test]
fn a_text_has_at_most_so_many_words_and_bytes_and_no_control_characters() {
    check_text(&"word ".repeat(MAX_WORDS)).unwrap();
    assert!(check_text(&"word ".repeat(MAX_WORDS + 1)).unwrap_err().contains("32 words"));
    assert!(check_text(&"钻".repeat(MAX_WORDS + 1)).is_err());
    assert!(check_text(&" ".repeat(MAX_TEXT_BYTES + 1)).unwrap_err().contains("1000 bytes"));
    assert!(check_text("a\0b").unwrap_err().contains("control"));
    check_text("tab\tand\nline").unwrap();
}

/// Leaves of a query as a server counts them: each term of a match, each variant of a typo, and the members of a list of terms,
/// which is one clause only from sixteen on.
fn leaves(query: &Value) -> usize {
    match query {
        Value::Array(all) => all.iter().map(leaves).sum(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, inner)| match name.as_str() {
                "terms" => {
                    inner.as_object().unwrap().values().map(|it| it.as_array().unwrap().len().min(16)).sum()
                }
                "term" | "prefix" | "range" => 1,
                "match" => inner
                    .as_object()
                    .unwrap()
                    .values()
                    .map(|it| it["query"].as_str().unwrap().split(' ').count())
                    .sum(),
                "fuzzy" => inner
                    .as_object()
                    .unwrap()
                    .values()
                    .map(|it| it["max_expansions"].as_u64().unwrap() as usize)
                    .sum(),
                _ => leaves(inner),
            })
            .sum(),
        _ => 0,
    }
}

#[test]
fn all_words_together_make_fewer_clauses_than_a_server_takes() {
    let word = |n: usize| format!("größen{}", "x".repeat(n));
    let texts = [
        (0..MAX_WORDS).map(word).collect::<Vec<_>>().join(" "),
        (0..MAX_WORDS).map(word).collect::<Vec<_>>().join("-"),
        "word ".repeat(MAX_WORDS),
        "wörd's ".repeat(MAX_WORDS / 2),
        "a1".repeat(MAX_WORDS / 2),
        "钻".repeat(MAX_WORDS),
        "größe-größe ".repeat(MAX_WORDS / 2),
        "größen-ab1 ".repeat(MAX_WORDS / 3),
        "1,000 ".repeat(MAX_WORDS),
        "knives's ".repeat(MAX_WORDS / 2),
        "ringe".to_owned(),
    ];
    let all = 0..MAX_VALUES;
    let filters = Filters {
        category: Some(category("a/b")),
        brands: all.clone().map(|n| Brand::parse(&format!("b{n}")).unwrap()).collect(),
        statuses: Status::ALL.to_vec(),
        currency: domain::Currency::parse("EUR").ok(),
        price_min: Some(1),
        price_max: Some(2),
        attributes: all.clone().map(|n| attribute(&format!("a{n}"), "v")).collect(),
        tags: all.map(|n| Tag::parse(&format!("t{n}")).unwrap()).collect(),
    };
    for text in texts {
        check_text(&text).unwrap();
        let filters = filters.clone();
        let request = SearchRequest { text: Some(text.clone()), filters, ..SearchRequest::default() };
        let body = body::search(&request, Some(&Text::of(&text)), Similar(u32::MAX), SIZE, None);
        let leaves = leaves(&body["query"]);
        assert!((150..1_024).contains(&leaves), "{text}: {leaves}");
    }
}

#[test]
fn amounts_are_compared_in_one_currency_only() {
    let currency = Some(domain::Currency::parse("EUR").unwrap());
    let priced = |filters, sort, facets| SearchRequest { filters, sort, facets, ..SearchRequest::default() };
    let filters = Filters::default;
    for request in [
        priced(Filters { price_min: Some(1), ..filters() }, Sort::Relevance, vec![]),
        priced(Filters { price_max: Some(1), ..filters() }, Sort::Relevance, vec![]),
        priced(filters(), Sort::PriceAscending, vec![]),
        priced(filters(), Sort::PriceDescending, vec![]),
        priced(filters(), Sort::Relevance, vec![Facet::Price { bounds: vec![1] }]),
    ] {
        let refused = request.check();
        assert!(
            matches!(&refused, Err(QueryError::BadQuestion(why)) if why.contains("currency=USD")),
            "{refused:?}"
        );
        let filters = Filters { currency, ..request.filters.clone() };
        SearchRequest { filters, ..request }.check().unwrap();
    }
    priced(filters(), Sort::NameAscending, vec![Facet::Currency]).check().unwrap();
}

#[test]
fn a_facet_of_a_filtered_field_keeps_to_all_other_filters() {
    let filters = Filters {
        category: Some(category("a/b")),
        brands: vec![Brand::parse("Acme").unwrap()],
        attributes: vec![attribute("cut", "ideal"), attribute("color", "E")],
        tags: vec![Tag::parse("new").unwrap()],
        ..Filters::default()
    };
    let facets =
        vec![Facet::Category, Facet::Attribute { name: attribute("cut", "x").0 }, Facet::Tags, Facet::Status];
    let body = search(&SearchRequest { filters, facets, ..SearchRequest::default() });
    let text = |value: &Value| value.to_string();
    let (kept, products) = (text(&body["query"]), text(&body["post_filter"]));
    let of_facet = |at: usize| text(&body["aggs"][at.to_string()]["filter"]);
    for (what, facet) in [("\"a/b\"", 0), ("ideal", 1)] {
        assert!(!kept.contains(what) && products.contains(what) && !of_facet(facet).contains(what), "{what}");
        assert!(of_facet(1 - facet).contains(what) && of_facet(2).contains(what), "{what}");
    }
    assert!(of_facet(0).contains("\"a\""), "what lies beside it: {}", of_facet(0));
    for what in ["Acme", "new", "color"] {
        assert!(kept.contains(what) && !products.contains(what), "{what}: {kept}");
    }
    assert!(of_facet(3).contains("draft") && !of_facet(3).contains("deleted"));
}

#[test]
fn a_forged_cursor_never_reaches_the_server() {
    let forge = |sort, values: Value| {
        let filters = Filters { currency: domain::Currency::parse("EUR").ok(), ..Filters::default() };
        let request = SearchRequest { filters, sort, ..SearchRequest::default() };
        let token = page::encode(&body::question(&request), (0, values)).unwrap();
        SearchRequest { page: PageRequest::new(0, Some(token)), ..request }
    };
    for (sort, values) in [
        (Sort::Relevance, json!([1.5, "p-1"])),
        (Sort::Relevance, json!([1, "p-1"])),
        (Sort::PriceAscending, json!([1_999, "p-1"])),
        (Sort::PriceDescending, json!([-1, "p-1"])),
        (Sort::NameAscending, json!(["ring", "p-1"])),
        (Sort::Newest, json!([1_700_000_000_000_i64, "p-1"])),
    ] {
        forge(sort, values).check().unwrap();
    }
    for (sort, values) in [
        (Sort::Relevance, json!(["ring", "p-1"])),
        (Sort::Relevance, json!([null, "p-1"])),
        (Sort::PriceAscending, json!(["ring", "p-1"])),
        (Sort::PriceAscending, json!([1.5, "p-1"])),
        (Sort::PriceAscending, json!([u64::MAX, "p-1"])),
        (Sort::NameAscending, json!([7, "p-1"])),
        (Sort::Newest, json!([["p-1"], "p-1"])),
        (Sort::Newest, json!([1, "not an id"])),
        (Sort::Newest, json!([1])),
        (Sort::Newest, json!([1, "p-1", 2])),
        (Sort::Newest, json!([])),
        (Sort::Newest, json!({ "a": 1 })),
        (Sort::Newest, json!(null)),
    ] {
        let refused = forge(sort, values.clone()).check();
        assert!(matches!(refused, Err(QueryError::BadPageToken(_))), "{sort:?} {values}: {refused:?}");
    }
}

/// The server's answer with `count` products whose descriptions have `bytes` bytes each.
fn answer_of(count: usize, bytes: usize, others: u64) -> answer::ServerAnswer<ProductDocument<'static>> {
    let hits = (0..count).map(|n| {
        let mut source: Value = serde_json::from_slice(&document(&stored()).unwrap().source).unwrap();
        source["product_id"] = format!("p-{n}").into();
        source["attributes"] =
            (0..bytes / 1_000).map(|a| (format!("a{a}"), Value::from("x".repeat(1_000)))).collect();
        json!({ "_source": source, "sort": [n, format!("p-{n}")] })
    });
    let buckets: Vec<Value> = (0..100)
        .map(|n| json!({ "key": format!("size\u{1f}{n}{}", "y".repeat(4_000)), "doc_count": 1 }))
        .collect();
    let answer = json!({
        "hits": { "total": { "value": 1_000 }, "hits": hits.collect::<Vec<_>>() },
        "aggregations": (0..20).map(|n| (n.to_string(), json!({ "buckets": buckets, "sum_other_doc_count": others }))).collect::<serde_json::Map<_, _>>(),
    });
    serde_json::from_str(&answer.to_string()).unwrap()
}

/// What shows nothing is the beginning of everything, and a query without clauses finds everything.
#[test]
fn a_text_of_nothing_finds_and_completes_nothing() {
    for text in ["®", "\u{ad}", "™ ©", "\u{200e}"] {
        assert!(Text::of(text).is_nothing(), "{text:?}");
        let body = search(&SearchRequest { text: Some(text.to_owned()), ..SearchRequest::default() });
        assert_eq!(body["query"]["bool"]["filter"][1], json!({ "match_none": {} }), "{text:?}");
        assert_eq!(body["query"]["bool"]["should"], json!([]), "{text:?}");
    }
    for text in ["?!", "a", "💍"] {
        let request = SuggestRequest { prefix: text.to_owned(), size: 5, statuses: vec![] };
        let body = body::suggest(&request, &Text::of(text)).to_string();
        assert!(body.contains("name_key") && !body.contains("\"value\":\"\""), "{text:?}: {body}");
    }
}

#[test]
fn every_page_of_a_question_prefers_the_same_copy() {
    let first = SearchRequest { text: Some("ring".to_owned()), ..SearchRequest::default() };
    let second = SearchRequest { page: PageRequest::new(7, Some("x".to_owned())), ..first.clone() };
    let other = SearchRequest { sort: Sort::Newest, ..first.clone() };
    let preferred = |request| body::preference(&body::question(request));
    assert_eq!(preferred(&first), preferred(&second));
    assert_ne!(preferred(&first), preferred(&other));
    assert_eq!(body::preference("a"), "af63dc4c8601ec8c", "on every gateway, whatever its version");
}

#[test]
fn a_value_that_is_filtered_is_in_its_facet_however_few_have_it() {
    let filters = Filters {
        brands: vec![Brand::parse("Acme").unwrap()],
        attributes: vec![attribute("size", "rare"), attribute("size", "0"), attribute("cut", "ideal")],
        ..Filters::default()
    };
    let facets = vec![Facet::Attribute { name: attribute("size", "x").0 }, Facet::Brand, Facet::Tags];
    let request = SearchRequest { filters, facets, facet_size: 2, ..SearchRequest::default() };
    let body = search(&request);
    let chosen = |at: usize| body["aggs"][format!("{at}-chosen")]["aggs"]["values"]["terms"].clone();
    assert_eq!(
        chosen(0),
        json!({ "field": "attribute_pairs", "include": ["size\u{1f}rare", "size\u{1f}0"], "size": 2 })
    );
    assert_eq!(chosen(1)["include"], json!(["Acme"]));
    assert_eq!(body["aggs"]["0-chosen"]["filter"], body["aggs"]["0"]["filter"], "under the same filters");
    assert_eq!(chosen(2), Value::Null);

    let bucket = |key: &str, count: u64| json!({ "key": format!("size\u{1f}{key}"), "doc_count": count });
    let counted = json!({ "buckets": [bucket("0", 9), bucket("1", 8), bucket("2", 7), bucket("rare", 1)] });
    let answer = json!({
        "hits": { "total": { "value": 1 }, "hits": [] },
        "aggregations": {
            "0": { "values": counted },
            "0-chosen": { "values": { "buckets": [bucket("0", 9), bucket("rare", 1)] } },
        },
    });
    let answer = serde_json::from_value(answer).unwrap();
    let page = response(answer, &request, "q", Similar::default(), SIZE).unwrap();
    let facet = &page.facets[0];
    let shown: Vec<(&str, u64)> = facet.buckets.iter().map(|it| (it.value.as_str(), it.count)).collect();
    assert_eq!(shown, [("0", 9), ("1", 8), ("rare", 1)], "each once");
    assert_eq!((facet.other_values, facet.other_count), (Some(1), 7));
}

#[test]
fn a_page_of_large_products_ends_early_and_goes_on_where_it_ended() {
    let request = SearchRequest { sort: Sort::PriceAscending, ..SearchRequest::default() };
    let question = body::question(&request);
    let sized = |hits| body::Size { hits, facet_values: 1_001 };
    let similar = Similar(5);
    let page = response(answer_of(201, 60_000, 0), &request, &question, similar, sized(201)).unwrap();
    let bytes: usize = page.hits.iter().map(|hit| hit.found.size()).sum();
    assert!((2_000_000..=page::MAX_PAGE_BYTES).contains(&bytes), "{bytes}");
    let last = page.hits.len() - 1;
    let place = cursor::Place::decode(&question, request.sort, &page.next.unwrap()).unwrap();
    let cursor = cursor::Cursor::Number(last as i64, format!("p-{last}"));
    assert_eq!(place, cursor::Place { similar, cursor }, "it goes on with the same typos");
    let small = response(answer_of(3, 0, 0), &request, &question, Similar::default(), sized(4)).unwrap();
    assert_eq!((small.hits.len(), small.next), (3, None));
    assert_eq!((page.matched, small.matched), (Matched::Similar, Matched::Exact));
}

#[test]
fn facets_of_long_values_leave_room_for_products() {
    let facets = (0..20).map(|_| Facet::Attribute { name: attribute("size", "v").0 }).collect();
    let request = SearchRequest { facets, sort: Sort::PriceAscending, ..SearchRequest::default() };
    let size = body::Size { hits: 2, facet_values: 100 };
    let page = response(answer_of(1, 0, 7), &request, "q", Similar::default(), size).unwrap();
    let bytes: usize = page.facets.iter().flat_map(|f| &f.buckets).map(|b| b.value.len()).sum();
    assert!((100_000..600_000).contains(&bytes), "{bytes}");
    for facet in &page.facets {
        assert!(!facet.buckets.is_empty());
        assert_eq!(facet.other_count, 107 - facet.buckets.len() as u64, "what is left out is counted");
        assert_eq!(facet.other_values, None, "the server has more values than were asked for");
    }
}

#[test]
fn a_facet_says_how_many_values_it_does_not_show() {
    let facets = vec![Facet::Attribute { name: attribute("size", "v").0 }];
    let mut request = SearchRequest { facets, facet_size: 30, ..SearchRequest::default() };
    let mut facet_of = |asked: usize, size| {
        request.facet_size = size;
        let size = body::Size { hits: 2, facet_values: asked };
        let page = response(answer_of(0, 0, 0), &request, "q", Similar::default(), size).unwrap();
        let facet = page.facets.into_iter().next().unwrap();
        (facet.buckets.len(), facet.other_values, facet.other_count)
    };
    assert_eq!(facet_of(1_001, 30), (30, Some(70), 70));
    assert_eq!(facet_of(100, 30), (30, Some(70), 70));
}

/// A product with as much text as one can have, all of it like `text`.
fn largest(text: impl Fn(usize) -> String) -> StoredProduct {
    let mut stored = stored();
    let long = |from: usize, most: usize| -> String {
        let words = (from..).map(|n| text(n) + " ");
        words
            .scan(0, |length, word| {
                *length += word.chars().count();
                (*length <= most).then_some(word)
            })
            .collect()
    };
    stored.product.description = domain::Description::parse(&long(0, 10_000)).unwrap();
    let values: Vec<String> = (1..=64).map(|n| long(n * 1_000, 1_000)).collect();
    let pairs =
        values.iter().enumerate().map(|(n, value)| (format!("a{n}"), value.as_str())).collect::<Vec<_>>();
    stored.product.attributes =
        domain::Attributes::parse(pairs.iter().map(|(name, value)| (name.as_str(), *value))).unwrap();
    stored
}

/// `docs/search.md` says what the largest products cost.
#[test]
fn the_largest_products_make_documents_of_bounded_size() {
    let code = |n: usize| format!("{:x}", (n + 1) * 7_919);
    for (what, stored) in [
        ("words", largest(|n| format!("w{}", code(n).replace(|c: char| c.is_ascii_digit(), "q")))),
        ("codes", largest(code)),
        ("marks", largest(|n| format!("öäü{}", code(n)))),
        ("parts", largest(|n| code(n).chars().flat_map(|c| [c, '-']).collect())),
        (
            "ideographs",
            largest(|n| char::from_u32(0x4e00 + (n % 20_000) as u32).unwrap().to_string().repeat(8)),
        ),
    ] {
        let started = std::time::Instant::now();
        let bytes = document(&stored).unwrap().source.len();
        eprintln!(
            "{what}: a product of {} KB is a document of {} KB, made in {:?}",
            stored.size() / 1_000,
            bytes / 1_000,
            started.elapsed()
        );
        assert!(bytes < 4_000_000, "{what}: {bytes}");
        assert!(started.elapsed().as_secs() < 5, "{what}: {:?}", started.elapsed());
    }
}
