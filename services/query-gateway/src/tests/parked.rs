//! What is parked, over both wires: what is told of it, what waits for it and what does not, and what it costs where nothing is.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use contract::ConsistencyToken;
use futures::FutureExt;
use futures::future::BoxFuture;
use read_models::marks::{Mark, Marking, Marks};
use read_models::{Answered, Error, ProductId, ReadModel, Version};
use toolkit::dead_letters::Kind;
use toolkit::retry::{GaveUp, Retry};

use super::generations::Gateway;
use super::made::{NONE, group};
use super::*;

/// Marks of all builds, and how often they were asked for.
#[derive(Debug, Default)]
pub(crate) struct MarksInMemory {
    /// By group and product.
    all: Mutex<BTreeMap<(String, String), Mark>>,
    counted: AtomicUsize,
    looked: AtomicUsize,
    /// There is no table for them.
    is_missing: AtomicBool,
    /// They cannot be counted, as after very many were removed.
    is_uncountable: AtomicBool,
}

impl MarksInMemory {
    /// The product is parked in this build of every read model.
    fn park(&self, build: u32, product: &str, mark: Mark) {
        for read_model in ReadModel::ALL {
            self.all.lock().unwrap().insert((group(*read_model, build), product.to_owned()), mark);
        }
    }

    fn asked(&self) -> (usize, usize) {
        (self.counted.load(Ordering::SeqCst), self.looked.load(Ordering::SeqCst))
    }

    fn tell<'a, T: Send + 'a>(&self, told: T) -> Answered<'a, T> {
        let is_missing = self.is_missing.load(Ordering::SeqCst);
        async move { if is_missing { Err(Error::NoBuild("a table".to_owned())) } else { Ok(told) } }.boxed()
    }
}

impl Marks for MarksInMemory {
    fn write<'a>(
        &'a self,
        _: &'a str,
        _: i32,
        _: &'a Marking,
        _: &'a Retry,
    ) -> BoxFuture<'a, Result<(), GaveUp<Error>>> {
        panic!("a gateway writes nothing")
    }

    fn of_partition<'a>(&'a self, _: &'a str, _: i32) -> Answered<'a, BTreeMap<String, Mark>> {
        panic!("a gateway knows no partitions")
    }

    fn of_products<'a>(&'a self, group: &'a str, ids: &'a [ProductId]) -> Answered<'a, Vec<Option<Mark>>> {
        self.looked.fetch_add(1, Ordering::SeqCst);
        let all = self.all.lock().unwrap();
        let mark = |id: &ProductId| all.get(&(group.to_owned(), id.to_string())).copied();
        self.tell(ids.iter().map(mark).collect())
    }

    fn count<'a>(&'a self, group: &'a str) -> Answered<'a, u64> {
        self.counted.fetch_add(1, Ordering::SeqCst);
        if self.is_uncountable.load(Ordering::SeqCst) {
            let error = Error::Unavailable("too many tombstones".to_owned());
            return std::future::ready(Err(error)).boxed();
        }
        self.tell(self.all.lock().unwrap().keys().filter(|(of, _)| of == group).count() as u64)
    }
}

const PARKED: Mark = Mark { first_offset: 80, since_ms: 1_000, kind: Kind::Undecodable, is_discarded: false };

/// Questions about one product, where those about many are, and where both are asked with a token.
const BY_ID: [&str; 2] = ["/v1/products/a?", "/v1/products/a/history?"];
const LISTS: [&str; 4] =
    ["/v1/products:batchGet?ids=a,b&", "/v1/products?category=c&", "/v1/search?q=a&", "/v1/suggest?q=a&"];

/// A write to `a` that no build holds.
fn token(offset: i64) -> String {
    ConsistencyToken {
        partition: 3,
        offset,
        product: "a".try_into().unwrap(),
        version: Version(9),
        log: None,
    }
    .encode()
}

fn is_parked(answer: &super::generations::Answered) -> bool {
    let body = &answer.body;
    answer.status == 503
        && body["code"] == "read-model-parked"
        && body["retryable"] == false
        && body["since"] == "1970-01-01T00:00:01Z"
        && body["kind"] == "undecodable"
        && body.get("retry_after").is_none()
        && body["detail"].as_str().unwrap().contains("folio dlq redrive")
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_parked_nothing_is_asked_but_whether_anything_is_and_that_rarely() {
    let (gateway, begun) = (Gateway::start().await, Instant::now());
    for _ in 0..30 {
        for question in BY_ID.iter().chain(&LISTS) {
            let answer = gateway.get(question, &[]).await;
            assert_eq!(answer.status, 200, "{question}: {answer:?}");
            assert!(answer.body.get("stale").is_none() && answer.body.get("parked").is_none(), "{answer:?}");
        }
    }
    let (counted, looked) = gateway.made.marks.asked();
    // For each of three read models once a second, and once more where many ask at once.
    let seconds = begun.elapsed().as_secs() as usize + 1;
    assert!(looked == 0 && (3..=3 * 2 * seconds).contains(&counted), "{counted} {looked} in {seconds} s");
    gateway.made.marks.is_missing.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    for question in BY_ID.iter().chain(&LISTS) {
        assert_eq!(gateway.get(question, &[]).await.status, 200, "{question}: a build without marks is read");
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_that_is_parked_says_so_and_lists_say_how_many_there_are() {
    let gateway = Gateway::start().await;
    let marks = &gateway.made.marks;
    marks.park(1, "a", PARKED);
    marks.park(1, NONE, PARKED);
    let stale = serde_json::json!({
        "since": "1970-01-01T00:00:01Z", "kind": "undecodable", "is_discarded": false,
    });
    for question in BY_ID {
        let answer = gateway.get(question, &[]).await;
        assert_eq!((answer.status, &answer.body["stale"]), (200, &stale), "{question}: {answer:?}");
    }
    let answer = gateway.get("/v1/products/b", &[]).await;
    assert!(answer.body.get("stale").is_none() && answer.tag.as_deref() == Some("\"1\""), "{answer:?}");
    for question in LISTS {
        assert_eq!(gateway.get(question, &[]).await.body["parked"], 2, "{question}");
    }
    let batch = gateway.get("/v1/products:batchGet?ids=b,none,a", &[]).await.body;
    assert!(batch["items"][0].get("stale").is_none() && batch["items"][1]["stale"] == stale, "{batch}");
    assert_eq!(
        (&batch["unknown"], &batch["missing"]),
        (&serde_json::json!(["none"]), &serde_json::json!([]))
    );
    // Nobody knows what it would be.
    for question in ["/v1/products/none", "/v1/products/none/history"] {
        let answer = gateway.get(question, &[]).await;
        assert!(is_parked(&answer), "{question}: {answer:?}");
    }
    // Of another build nothing of it is true.
    for question in BY_ID.iter().chain(&LISTS) {
        let answer = gateway.get(&format!("{question}generation=2"), &[]).await;
        assert!(answer.body.get("stale").is_none() && answer.body.get("parked").is_none(), "{answer:?}");
    }
    assert_eq!(gateway.get("/v1/products/none?generation=2", &[]).await.status, 404);

    // And when it is redriven nothing is left of it.
    marks.all.lock().unwrap().clear();
    for question in BY_ID {
        assert!(gateway.get(question, &[]).await.body.get("stale").is_none(), "{question}");
    }
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    for question in LISTS {
        assert!(gateway.get(question, &[]).await.body.get("parked").is_none(), "{question}");
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_searches_are_answered_where_it_cannot_be_told_how_much_is_parked_and_say_so() {
    let mut gateway = Gateway::start().await;
    gateway.made.marks.park(1, "a", PARKED);
    gateway.made.marks.is_uncountable.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    for _ in 0..10 {
        for question in LISTS {
            let answer = gateway.get(question, &[]).await;
            assert_eq!(answer.status, 200, "{question}: {answer:?}");
            assert!(
                answer.body["parked_unknown"] == true && answer.body.get("parked").is_none(),
                "{answer:?}"
            );
        }
    }
    let (counted, _) = gateway.made.marks.asked();
    let seconds = begun.elapsed().as_secs() as usize + 1;
    assert!(
        counted <= 2 * 2 * seconds,
        "that it fails is believed for a while too: {counted} in {seconds} s"
    );
    // What is parked is told all the same where one product is asked for.
    for question in BY_ID {
        assert!(gateway.get(question, &[]).await.body["stale"].is_object(), "{question}");
    }
    let batch = gateway.get(LISTS[0], &[]).await.body;
    assert!(batch["items"][0]["stale"].is_object() && batch["items"][1].get("stale").is_none(), "{batch}");
    let search = gateway.grpc.search(v1::SearchRequest::default()).await.unwrap().into_inner();
    assert_eq!((search.parked, search.parked_unknown), (0, true));

    gateway.made.marks.is_uncountable.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    for question in LISTS {
        let body = gateway.get(question, &[]).await.body;
        assert!(body["parked"] == 1 && body.get("parked_unknown").is_none(), "{question}: {body}");
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_condition_hides_that_a_product_is_parked() {
    let gateway = Gateway::start().await;
    let whole = gateway.get("/v1/products/a", &[]).await.tag.unwrap();
    gateway.made.marks.park(1, "a", PARKED);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let since = ("If-Modified-Since", "Tue, 24 Nov 2026 12:00:00 GMT");
    for condition in [("If-None-Match", whole.as_str()), since] {
        let answer = gateway.get("/v1/products/a", &[condition]).await;
        assert!(answer.status == 200 && answer.body["stale"].is_object(), "{condition:?}: {answer:?}");
        assert_eq!(answer.changed, None);
    }
    let stale = gateway.get("/v1/products/a", &[]).await.tag.unwrap();
    assert_ne!(stale, whole);
    assert_eq!(gateway.get("/v1/products/a", &[("If-None-Match", &stale)]).await.status, 304);
    gateway.made.marks.park(1, "a", Mark { is_discarded: true, ..PARKED });
    let given_up = gateway.get("/v1/products/a", &[("If-None-Match", &stale)]).await;
    assert_eq!((given_up.status, &given_up.body["stale"]["is_discarded"]), (200, &Value::Bool(true)));
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_what_is_parked_is_told_at_once_and_who_waits_for_what_was_lost_waits() {
    let gateway = Gateway::start().await;
    let ask = async |question: &str, offset: i64, wait: &str| {
        let (token, begun) = (token(offset), Instant::now());
        let answer = gateway.get(question, &[("Consistency-Token", &token), ("Prefer", wait)]).await;
        (answer, begun.elapsed())
    };
    for question in BY_ID.iter().chain(&LISTS) {
        assert_eq!(gateway.get(question, &[]).await.status, 200, "{question}: nothing is parked yet");
    }
    gateway.made.marks.park(1, "a", PARKED);
    // The position is reached: what was known a moment ago does not count.
    for question in BY_ID.iter().chain(&LISTS) {
        let (answer, took) = ask(question, 90, "wait=5").await;
        assert!(is_parked(&answer) && took < Duration::from_secs(3), "{question}: {took:?} {answer:?}");
        assert_eq!(answer.body["product_id"], "a");
    }
    // What is before the first record that is parked is there, or comes again by itself.
    for question in BY_ID.iter().chain(&LISTS) {
        let (answer, _) = ask(question, 79, "wait=1").await;
        let code = answer.body["code"].as_str().unwrap();
        assert!(["read-model-behind", "read-model-incomplete"].contains(&code), "{question}: {answer:?}");
    }
    // The position is not reached, and need not be.
    for question in BY_ID {
        let (answer, took) = ask(question, 150, "wait=5").await;
        assert!(is_parked(&answer) && took < Duration::from_secs(3), "{question}: {took:?} {answer:?}");
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_says_of_what_is_parked_what_http_says() {
    let mut gateway = Gateway::start().await;
    gateway.made.marks.park(1, "a", PARKED);
    gateway.made.marks.park(1, NONE, PARKED);
    let stale = v1::Stale {
        since: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
        kind: "undecodable".to_owned(),
        is_discarded: false,
    };
    let product = |id: &str| v1::GetProductRequest { product_id: id.to_owned(), ..Default::default() };
    let found = gateway.grpc.get_product(product("a")).await.unwrap().into_inner();
    assert_eq!(found.stale, Some(stale.clone()));
    assert_eq!(gateway.grpc.get_product(product("b")).await.unwrap().into_inner().stale, None);
    let history = v1::GetHistoryRequest { product_id: "a".to_owned(), ..Default::default() };
    assert_eq!(gateway.grpc.get_history(history).await.unwrap().into_inner().stale, Some(stale.clone()));
    let product_ids = ["b", NONE, "a"].map(str::to_owned).to_vec();
    let batch = v1::BatchGetProductsRequest { product_ids, ..Default::default() };
    let batch = gateway.grpc.batch_get_products(batch).await.unwrap().into_inner();
    let told: Vec<_> = batch.items.iter().map(|it| (it.product.is_some(), it.stale.is_some())).collect();
    assert_eq!((told, batch.parked), (vec![(true, false), (false, true), (true, true)], 2));
    let list = v1::ListProductsRequest { category: "c".to_owned(), ..Default::default() };
    assert_eq!(gateway.grpc.list_products(list).await.unwrap().into_inner().parked, 2);
    assert_eq!(gateway.grpc.search(v1::SearchRequest::default()).await.unwrap().into_inner().parked, 2);
    let suggest = v1::SuggestRequest { prefix: "a".to_owned(), ..Default::default() };
    assert_eq!(gateway.grpc.suggest(suggest).await.unwrap().into_inner().parked, 2);
    let freshness = v1::Freshness { consistency_token: token(90), wait: None };
    let waits = v1::GetProductRequest { freshness: Some(freshness), ..product("a") };
    for asked in [waits, product(NONE)] {
        let status = gateway.grpc.get_product(asked).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::FailedPrecondition, "{status:?}");
        assert!(status.get_details_retry_info().is_none());
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.reason, "READ_MODEL_PARKED");
        assert_eq!(
            (info.metadata["kind"].as_str(), info.metadata["is_discarded"].as_str()),
            ("undecodable", "false")
        );
    }
    gateway.end().await;
}
