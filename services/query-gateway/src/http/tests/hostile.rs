//! Whatever is sent is answered 4xx, or passes the door and meets the stores, which are away here.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;

/// What a browser would make of a text.
fn encoded(text: &str) -> String {
    let escaped: Vec<String> = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    escaped.concat()
}

fn times(count: usize, item: &str) -> String {
    vec![item; count].join("&")
}

#[actix_web::test]
async fn a_hostile_question_is_refused_by_name() {
    let long = "x".repeat(5_000);
    let many_ids = vec!["p-1"; 101].join(",");
    let bounds: Vec<_> = (1..=21).map(|n| n.to_string()).collect();
    let facets: Vec<_> = (0..21).map(|n| format!("attr.a{n}")).collect();
    let cases = [
        ("/v1/search?", "price_min=9223372036854775808".to_owned(), "/price_min"),
        ("/v1/search?", "price_max=18446744073709551616".to_owned(), "/price_max"),
        ("/v1/search?", "price_min=-1".to_owned(), "/price_min"),
        ("/v1/search?", "price_min=9&price_max=8".to_owned(), "/price_min"),
        ("/v1/search?", "price_min=9".to_owned(), "/currency"),
        ("/v1/search?", "price_max=9".to_owned(), "/currency"),
        ("/v1/search?", "sort=price_asc".to_owned(), "/currency"),
        ("/v1/search?", "sort=price_desc".to_owned(), "/currency"),
        ("/v1/search?", "facets=brand,price".to_owned(), "/currency"),
        ("/v1/search?", "price_min=9&currency=USD&currency=EUR".to_owned(), "/currency"),
        ("/v1/search?", "facet_size=0".to_owned(), "/facet_size"),
        ("/v1/search?", "facet_size=1001".to_owned(), "/facet_size"),
        ("/v1/search?", "facet=attr.a%0Ab".to_owned(), "/facet"),
        ("/v1/search?", "facet=brand,tags".to_owned(), "/facet"),
        ("/v1/search?", times(21, "facet=brand"), "/facets"),
        ("/v1/products?", "category=a&status=deleted".to_owned(), "/status"),
        ("/v1/products?", format!("category=a&{}", times(65, "status=listed")), "/status"),
        ("/v1/suggest?", "q=a&status=sold".to_owned(), "/status"),
        ("/v1/search?", format!("q={}", vec!["a"; 33].join("+")), "/q"),
        ("/v1/search?", format!("q={}", "x".repeat(1_001)), "/q"),
        ("/v1/search?", "q=a%00b".to_owned(), "/q"),
        ("/v1/search?", format!("q={}", encoded(&"钻".repeat(33))), "/q"),
        ("/v1/suggest?", format!("q={}", vec!["a"; 6_000].join("+")), "/q"),
        ("/v1/suggest?", format!("q={}", vec!["a"; 33].join("-")), "/q"),
        ("/v1/suggest?", "q=a&size=-1".to_owned(), "/size"),
        ("/v1/search?", times(65, "brand=b"), "/brand"),
        ("/v1/search?", times(65, "tag=t"), "/tag"),
        ("/v1/search?", times(65, "status=listed"), "/status"),
        ("/v1/search?", times(65, "attr.color=E"), "/attr"),
        ("/v1/search?", (0..65).map(|n| format!("attr.a{n}=E")).collect::<Vec<_>>().join("&"), "/attr"),
        ("/v1/search?", "attr.%1F=E".to_owned(), "/attr.\u{1f}"),
        ("/v1/search?", "attr.=E".to_owned(), "/attr."),
        ("/v1/search?", "attr.a%0Ab=E".to_owned(), "/attr.a\nb"),
        ("/v1/search?", format!("attr.color={}", "x".repeat(1_001)), "/attr.color"),
        ("/v1/search?", format!("brand={}", "x".repeat(101)), "/brand"),
        ("/v1/search?", "brand=a%0Ab".to_owned(), "/brand"),
        ("/v1/search?", "tag=a%0Ab".to_owned(), "/tag"),
        ("/v1/search?", format!("facets={}", facets.join(",")), "/facets"),
        ("/v1/search?", "facets=attr.a%0Ab".to_owned(), "/facets"),
        ("/v1/search?", format!("facets=price&price_bounds={}", bounds.join(",")), "/price_bounds"),
        ("/v1/search?", "price_bounds=9223372036854775808".to_owned(), "/price_bounds"),
        ("/v1/search?", "price_bounds=,".to_owned(), "/price_bounds"),
        ("/v1/search?", "=".to_owned(), "/query"),
        ("/v1/search?", "%00=1".to_owned(), "/\0"),
        ("/v1/search?", format!("{long}=1"), ""),
        ("/v1/search?", times(257, "a=b"), "/query"),
        ("/v1/search?", format!("q={}", "x".repeat(16_384)), "/query"),
        ("/v1/search?", format!("currency={long}"), "/currency"),
        ("/v1/search?", format!("sort={long}"), "/sort"),
        ("/v1/search?", "page_size=9223372036854775808".to_owned(), "/page_size"),
        ("/v1/products:batchGet?", format!("ids={many_ids}"), "/ids"),
        ("/v1/products:batchGet?", times(101, "ids=p-1"), "/ids"),
        ("/v1/products:batchGet?", "ids=,,,".to_owned(), "/ids"),
        ("/v1/products:batchGet?", format!("ids={long}"), "/ids"),
        ("/v1/products?", format!("category={long}"), "/category"),
        ("/v1/products?", format!("category={}", vec!["a"; 3_000].join("/")), "/category"),
        ("/v1/products/p-1?", "version=9223372036854775808".to_owned(), "/version"),
        ("/v1/products/p-1?", "version=0".to_owned(), "/version"),
        ("/v1/products/p-1?", "as_of=99999-01-01T00:00:00Z".to_owned(), "/as_of"),
        ("/v1/products/p-1?", "as_of=2026-02-30T00:00:00Z".to_owned(), "/as_of"),
        ("/v1/products/p-1/history?", format!("order={long}"), "/order"),
        ("/v1/products/p-1?", format!("generation={long}"), "/generation"),
        ("/v1/products/p-1?", times(2, "generation=1"), "/generation"),
        ("/v1/search?", format!("generation={}", encoded(&"\u{202e}".repeat(40))), "/generation"),
        ("/v1/search?", "generation=g0&page_token=g0.x".to_owned(), "/generation"),
        ("/v1/products/%00", String::new(), "/product_id"),
        ("/v1/products/%FF%FE", String::new(), "/product_id"),
        ("/v1/products/..%2F..", String::new(), "/product_id"),
        ("/v1/products/", long.clone(), "/product_id"),
        ("/v1/products/-", "/history".to_owned(), "/product_id"),
    ];
    let requests = cases.iter().map(|(path, query, _)| TestRequest::get().uri(&format!("{path}{query}")));
    for ((path, query, pointer), answer) in cases.iter().zip(ask_all(requests).await) {
        let pointers = answer.problem(Code::MalformedRequest);
        let is_named = pointers.iter().any(|told| told == pointer || pointer.is_empty());
        assert!(is_named, "{path}{query:.60}: {pointers:?}, not {pointer}");
        assert!(
            answer.body.to_string().len() < 8_000,
            "{path}{query:.60}: {} bytes",
            answer.body.to_string().len()
        );
    }
}

#[actix_web::test]
async fn a_hostile_header_or_token_is_refused_by_its_code() {
    let long = "x".repeat(5_000);
    let page = |token: &str| TestRequest::get().uri(&format!("/v1/search?page_token={token}"));
    let with = |name: &'static str, value: &str| {
        TestRequest::get().uri("/v1/products/p-1").insert_header((name, value))
    };
    let forged = |token: ConsistencyToken| with("Consistency-Token", &token.encode());
    let token = ConsistencyToken {
        partition: 3,
        offset: 41,
        product: "p-1".try_into().unwrap(),
        version: Version(7),
        log: None,
    };
    let cases = [
        (page("garbage"), Code::BadPageToken),
        (page(&long), Code::BadPageToken),
        (page("g1.garbage"), Code::BadPageToken),
        (page("g1."), Code::BadPageToken),
        (page("&generation=1&page_token=g1.g1.AAAA"), Code::BadPageToken),
        (page("%00"), Code::BadPageToken),
        (TestRequest::get().uri(&format!("/v1/products?category=a&page_token={long}")), Code::BadPageToken),
        (TestRequest::get().uri("/v1/products/p-1/history?page_token=AAAA"), Code::BadPageToken),
        (with("Prefer", &long), Code::InvalidHeader),
        (with("Prefer", "wait=99999999999999999999"), Code::InvalidHeader),
        (with("If-None-Match", &long), Code::InvalidHeader),
        (with("Consistency-Token", &long), Code::BadConsistencyToken),
        (forged(ConsistencyToken { offset: i64::MAX, ..token.clone() }), Code::BadConsistencyToken),
        (forged(ConsistencyToken { offset: i64::MIN, ..token.clone() }), Code::BadConsistencyToken),
        (forged(ConsistencyToken { partition: -1, ..token.clone() }), Code::BadConsistencyToken),
        (forged(ConsistencyToken { version: Version(u64::MAX), ..token.clone() }), Code::BadConsistencyToken),
    ];
    let (requests, codes): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    for (n, (answer, code)) in ask_all(requests).await.into_iter().zip(codes).enumerate() {
        assert_eq!(answer.body["code"], code.name(), "case {n}: {}", answer.body);
    }
}

#[actix_web::test]
async fn a_question_at_every_limit_passes_the_door() {
    let ids: Vec<_> = (0..100).map(|n| format!("p-{n}")).collect();
    let facets: Vec<_> = (0..20).map(|n| format!("attr.a{n}")).collect();
    let queries = [
        format!("/v1/search?q={}", vec!["word"; 32].join("+")),
        format!("/v1/search?{}", times(64, "attr.color=E")),
        format!("/v1/search?{}&{}", times(64, "brand=b"), times(64, "tag=t")),
        format!("/v1/search?facets={}&facet_size=1000", facets.join(",")),
        "/v1/search?facets=price&currency=USD&price_bounds=1,1000000000000000".to_owned(),
        "/v1/search?price_min=0&price_max=9223372036854775807&currency=USD".to_owned(),
        "/v1/search?facet=currency&facet=attr.color&facets=brand&facets=tags".to_owned(),
        "/v1/suggest?q=a&status=draft&status=listed".to_owned(),
        "/v1/products?category=a&status=draft&status=discontinued".to_owned(),
        "/v1/search?q=&sort=&category=&page_token=&price_min=".to_owned(),
        format!("/v1/products:batchGet?ids={}", ids.join(",")),
        "/v1/products/p-1?version=9223372036854775807".to_owned(),
        "/v1/products/p-1?generation=4294967295".to_owned(),
        format!("/v1/search?generation={}", "n".repeat(40)),
        "/v1/products/p-1?as_of=9999-12-30T00:00:00Z".to_owned(),
        "/v1/products?category=a&page_size=9223372036854775807".to_owned(),
    ];
    let requests = queries.iter().map(|query| TestRequest::get().uri(query));
    for (query, answer) in queries.iter().zip(ask_all(requests).await) {
        assert_eq!(answer.body["code"], Code::StoreUnavailable.name(), "{query:.60}: {}", answer.body);
    }
}

/// Query strings: of names that mean something with values that mean nothing, and of anything at all.
fn query_string() -> impl Strategy<Value = String> {
    let names = [
        "q",
        "category",
        "status",
        "currency",
        "price_min",
        "price_max",
        "brand",
        "tag",
        "attr.color",
        "attr.",
        "facets",
        "facet",
        "facet_size",
        "price_bounds",
        "sort",
        "page_size",
        "page_token",
        "ids",
        "version",
        "as_of",
        "order",
        "size",
        "consistency_token",
        "generation",
        "",
    ];
    let values = prop_oneof![
        any::<String>().prop_map(|text| encoded(&text)),
        any::<i128>().prop_map(|number| number.to_string()),
        "[-A-Za-z0-9._~!$'()*+,;=:@/?]{0,80}",
        proptest::sample::select(vec![
            "a",
            "listed",
            "USD",
            "newest",
            "price",
            "attr.color",
            "p-1",
            "1",
            "asc"
        ])
        .prop_map(str::to_owned),
    ];
    let pair = (proptest::sample::select(names.to_vec()), values)
        .prop_map(|(name, value)| format!("{name}={value}"));
    prop_oneof![
        4 => proptest::collection::vec(pair, 0..6).prop_map(|pairs| pairs.join("&")),
        1 => "[-A-Za-z0-9._~!$&'()*+,;=:@/?%]{0,200}",
    ]
}

#[actix_web::test]
async fn any_query_string_is_answered_4xx_or_meets_the_stores() {
    let paths = EVERY_QUESTION.map(|question| question.split('?').next().unwrap());
    let strategy = (proptest::sample::select(paths.to_vec()), query_string());
    let mut runner = TestRunner::deterministic();
    let uris: Vec<String> = (0..2_000)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .map(|(path, query)| format!("{path}?{query}"))
        .collect();
    let answers = ask_all(uris.iter().map(|uri| TestRequest::get().uri(uri))).await;
    let mut passed = 0;
    for (uri, answer) in uris.iter().zip(answers) {
        let is_away = answer.body["code"] == Code::StoreUnavailable.name();
        passed += usize::from(is_away);
        assert!(answer.status.is_client_error() || is_away, "{uri}: {} {}", answer.status, answer.body);
    }
    assert!(passed > 20, "only {passed} met the stores");
}
