//! Questions that name a build, over both wires: of which one the answer is, what is told of it, and what is refused.

use contract::ConsistencyToken;
use contract::code::Code;
use read_models::{ReadModel, Version};
use tonic::transport::Channel;

use super::made::{Made, group};
use super::*;

pub(super) struct Gateway {
    pub(super) made: std::sync::Arc<Made>,
    http: SocketAddr,
    pub(super) grpc: QueryServiceClient<Channel>,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Gateway {
    /// Builds 1, which is read, and 2, which is called `black-friday` too.
    pub(super) async fn start() -> Self {
        let mut config = Config::default();
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        (config.listen.http, config.listen.grpc, config.listen.ops) = (free, free, free);
        config.telemetry.level = "off".to_owned();
        config.auth.allow_anonymous = true;
        let made = Made::of([1, 2]);
        made.name("black-friday", 2);
        let stores = Stores::new(&config);
        let gateway = Application::build_on(&config, stores.clone()).await.unwrap();
        let lifecycle = &gateway.process.lifecycle;
        let pace = Pace { every: Duration::from_millis(20), believed: Duration::from_millis(50) };
        stores.products.keep_following(made.clone(), pace, made.products(), lifecycle);
        stores.history.keep_following(made.clone(), pace, made.history(), lifecycle);
        stores.search.keep_following(made.clone(), pace, made.search(), lifecycle);
        let Addresses { http, grpc, .. } = gateway.addresses;
        let stop = CancellationToken::new();
        let running = tokio::spawn(gateway.process.run_until_stopped(stop.clone()));
        let channel = Endpoint::from_shared(format!("http://{grpc}")).unwrap().connect().await.unwrap();
        Self { made, http, grpc: QueryServiceClient::new(channel), stop, running }
    }

    pub(super) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answered {
        let client = reqwest::Client::new();
        let request = client.get(format!("http://{}{path}", self.http));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.send().await.unwrap();
        let header = |name| {
            answer
                .headers()
                .get(name)
                .map(|it: &reqwest::header::HeaderValue| it.to_str().unwrap().to_owned())
        };
        let (status, build) = (answer.status().as_u16(), header("folio-generation"));
        let (tag, changed) = (header("etag"), header("last-modified"));
        let body = answer.text().await.unwrap();
        Answered { status, build, tag, changed, body: serde_json::from_str(&body).unwrap_or_default() }
    }

    pub(super) async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(10), self.running).await.unwrap().unwrap().unwrap();
    }
}

#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    build: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) changed: Option<String>,
    pub(super) body: Value,
}

/// Each question, and where its answer says a product's version, which is the build's number here.
const QUESTIONS: [(&str, &str); 6] = [
    ("/v1/products/a?", "/version"),
    ("/v1/products:batchGet?ids=a,b&", "/items/1/version"),
    ("/v1/products?category=c&", "/items/0/version"),
    ("/v1/products/a/history?", "/items/0/version"),
    ("/v1/search?q=a&", "/items/0/version"),
    ("/v1/suggest?q=a&", ""),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_question_over_http_is_answered_from_the_build_that_it_names() {
    let gateway = Gateway::start().await;
    for (question, version) in QUESTIONS {
        for (asked, answered, build) in [
            ("", 1, None),
            ("generation=", 1, None),
            ("generation=1", 1, Some("g1")),
            ("generation=g2", 2, Some("g2")),
            ("generation=black-friday", 2, Some("g2")),
        ] {
            let answer = gateway.get(&format!("{question}{asked}"), &[]).await;
            assert_eq!(answer.status, 200, "{question}{asked}: {answer:?}");
            assert_eq!(answer.build.as_deref(), build, "{question}{asked}");
            let told = answer.body.pointer(version).and_then(Value::as_u64);
            assert!(version.is_empty() || told == Some(answered), "{question}{asked}: {answer:?}");
        }
        for none in ["g3", "red-friday", "4294967295"] {
            let answer = gateway.get(&format!("{question}generation={none}"), &[]).await;
            assert_eq!((answer.status, answer.body["code"].as_str()), (404, Some("build-not-found")));
            let detail = answer.body["detail"].as_str().unwrap();
            let named = answer.body["generation"].as_str().unwrap();
            assert!(detail.contains(&format!("no build `{named}` of ")), "{detail}");
            assert!(detail.contains("folio read-models list"), "{detail}");
            assert!(answer.body["read_model"].is_string() && answer.body["retryable"] == false);
        }
    }
    let past = gateway.get("/v1/products/a?version=1&generation=g3", &[]).await;
    assert_eq!(past.body["read_model"], "history", "the past is asked of builds of the history: {past:?}");
    gateway.made.drop_build(2);
    for (question, _) in QUESTIONS {
        for build in ["g2", "black-friday"] {
            let answer = gateway.get(&format!("{question}generation={build}"), &[]).await;
            assert_eq!(answer.body["code"], "build-not-found", "{question}{build}: {answer:?}");
        }
        assert_eq!(gateway.get(question, &[]).await.status, 200);
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_of_the_build_that_was_asked_for() {
    let gateway = Gateway::start().await;
    let read = gateway.get("/v1/products/a", &[]).await;
    assert_eq!(read.tag.as_deref(), Some("\"1\""));
    assert!(read.changed.is_some());
    let named = gateway.get("/v1/products/a?generation=1", &[]).await;
    assert_eq!((named.tag.as_deref(), named.changed.as_deref()), (Some("\"1-g1\""), None));
    let path = "/v1/products/a?generation=black-friday";
    for (header, value, status) in [
        ("If-None-Match", "\"2-g2\"", 304),
        ("If-None-Match", "\"2\"", 200),
        ("If-None-Match", "\"2-g1\"", 200),
        ("If-Match", "\"2-g2\"", 200),
        ("If-Match", "\"2\"", 412),
        ("If-Modified-Since", "Tue, 24 Nov 2026 12:00:00 GMT", 200),
    ] {
        let answer = gateway.get(path, &[(header, value)]).await;
        assert_eq!(answer.status, status, "{header}: {value}: {answer:?}");
        if status != 412 {
            assert_eq!((answer.tag.as_deref(), answer.build.as_deref()), (Some("\"2-g2\""), Some("g2")));
        }
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_waits_for_the_group_of_the_build_that_was_asked_for() {
    let gateway = Gateway::start().await;
    let token = ConsistencyToken {
        partition: 3,
        offset: 150,
        product: "a".try_into().unwrap(),
        version: Version(2),
        log: None,
    }
    .encode();
    let headers = [("Consistency-Token", token.as_str()), ("Prefer", "wait=0")];
    for (question, _) in QUESTIONS {
        let second = gateway.get(&format!("{question}generation=2"), &headers).await;
        assert_eq!((second.status, second.build.as_deref()), (200, Some("g2")), "{question}: {second:?}");
        for build in ["", "generation=g1"] {
            let first = gateway.get(&format!("{question}{build}"), &headers).await;
            assert_eq!(first.body["code"], "read-model-behind", "{question}{build}: {first:?}");
        }
    }
    let groups = gateway.made.groups.lock().unwrap().clone();
    for (read_model, build) in [(ReadModel::Products, 2), (ReadModel::Search, 1), (ReadModel::Search, 2)] {
        assert!(groups.contains(&group(read_model, build)), "{groups:?}");
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_goes_on_in_its_build_and_lists_anywhere() {
    let gateway = Gateway::start().await;
    let next = async |question: &str| {
        let answer = gateway.get(question, &[]).await;
        answer.body["next_page_token"].as_str().unwrap_or_default().to_owned()
    };
    let search = "/v1/search?q=a&page_size=1";
    let (read, first) = (next(search).await, next(&format!("{search}&generation=1")).await);
    let second = next(&format!("{search}&generation=black-friday")).await;
    assert!(!read.contains('.') && first.starts_with("g1.") && second.starts_with("g2."), "{first} {second}");
    for (token, build, status) in [
        (&read, "", 200),
        (&first, "&generation=g1", 200),
        (&second, "&generation=2", 200),
        (&second, "&generation=black-friday", 200),
        (&read, "&generation=g1", 400),
        (&first, "", 400),
        (&first, "&generation=2", 400),
        (&second, "", 400),
    ] {
        let answer = gateway.get(&format!("{search}{build}&page_token={token}"), &[]).await;
        assert_eq!(answer.status, status, "{token} {build}: {answer:?}");
        let shown = if status == 200 { &answer.body["items"][0]["product_id"] } else { &answer.body["code"] };
        assert_eq!(shown, if status == 200 { "b" } else { "bad-page-token" }, "{answer:?}");
    }
    for (question, shown) in
        [("/v1/products?category=c", "product_id"), ("/v1/products/a/history?order=asc", "version")]
    {
        let joint = if question.contains('?') { '&' } else { '?' };
        let question = format!("{question}{joint}page_size=1&generation=g2");
        let token = next(&question).await;
        assert!(!token.is_empty() && !token.contains('.'), "{question}: {token}");
        let other = question.replace("g2", "g1");
        let pages = [&question, &other].map(|question| format!("{question}&page_token={token}"));
        let second = gateway.get(&pages[0], &[]).await;
        assert!(second.body["items"][0][shown] == 2 || second.body["items"][0][shown] == "b", "{second:?}");
        assert_eq!(gateway.get(&pages[1], &[]).await.status, 200, "{other}");
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_says_what_http_says() {
    let mut gateway = Gateway::start().await;
    let product = |build: Option<&str>| {
        let generation = build.map(str::to_owned);
        v1::GetProductRequest { product_id: "a".to_owned(), generation, ..Default::default() }
    };
    for (asked, version, build) in [
        (None, 1, None),
        (Some(" "), 1, None),
        (Some("g1"), 1, Some("g1")),
        (Some("2"), 2, Some("g2")),
        (Some("black-friday"), 2, Some("g2")),
    ] {
        let answer = gateway.grpc.get_product(product(asked)).await.unwrap();
        let told = answer.metadata().get("folio-generation").map(|it| it.to_str().unwrap());
        assert_eq!(told, build, "{asked:?}");
        let found = answer.get_ref().product.as_ref().and_then(|it| it.product.as_ref()).unwrap();
        assert_eq!(found.version, version, "{asked:?}");
    }
    let status = gateway.grpc.get_product(product(Some("g3"))).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, Code::BuildNotFound.name().replace('-', "_").to_uppercase());
    assert_eq!(
        (info.metadata["read_model"].as_str(), info.metadata["generation"].as_str()),
        ("products", "g3")
    );

    let generation = Some("g2".to_owned());
    let ids = vec!["a".to_owned()];
    let batch = v1::BatchGetProductsRequest {
        product_ids: ids,
        generation: generation.clone(),
        ..Default::default()
    };
    let list = v1::ListProductsRequest {
        category: "c".to_owned(),
        generation: generation.clone(),
        ..Default::default()
    };
    let history = v1::GetHistoryRequest {
        product_id: "a".to_owned(),
        generation: generation.clone(),
        ..Default::default()
    };
    let search = v1::SearchRequest { generation: generation.clone(), page_size: 1, ..Default::default() };
    let suggest = v1::SuggestRequest { prefix: "a".to_owned(), generation, ..Default::default() };
    let told = [
        gateway.grpc.batch_get_products(batch).await.unwrap().metadata().clone(),
        gateway.grpc.list_products(list).await.unwrap().metadata().clone(),
        gateway.grpc.get_history(history).await.unwrap().metadata().clone(),
        gateway.grpc.search(search.clone()).await.unwrap().metadata().clone(),
        gateway.grpc.suggest(suggest).await.unwrap().metadata().clone(),
    ];
    assert!(told.iter().all(|metadata| metadata.get("folio-generation").unwrap() == "g2"), "{told:?}");
    let page_token = gateway.grpc.search(search.clone()).await.unwrap().into_inner().next_page_token;
    let other = v1::SearchRequest { generation: Some("g1".to_owned()), page_token, ..search };
    let status = gateway.grpc.search(other).await.unwrap_err();
    assert_eq!(status.get_details_error_info().unwrap().reason, "BAD_PAGE_TOKEN");
    gateway.end().await;
}
