//! Every way of asking the admin API, right and wrong, on a journal in memory.

use actix_web::http::Method;
use actix_web::{App, test as actix};
use edge::auth::{AuthConfig, hashed_key};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use toolkit::dead_letters::{DeadLetters, Kind};
use toolkit::lifecycle::Lifecycle;
use toolkit::telemetry::Telemetry;

use super::*;
use crate::builds::Positioned;
use crate::testing::{InMemory, Letters};
use crate::trial::{Question, Trial};

/// The store says that nothing but the first build was ever published.
fn adopted(_: ReadModel, generation: Generation) -> BoxFuture<'static, Result<Step, Error>> {
    Box::pin(async move { Ok(Step::Adopt { generation, format: 1, published: None }) })
}

#[derive(Debug)]
struct Half;

impl Reached for Half {
    fn position<'a>(&'a self, generation: Generation, _: &'a str, _: i32) -> Positioned<'a> {
        let applied = if generation == Generation::FIRST { 10 } else { 5 };
        Box::pin(async move { Ok(Some(read_models::model::Position { applied, durable: 0, log: None })) })
    }
}

/// Whoever has a letter at an odd offset first fails.
#[derive(Debug)]
struct Odd;

impl Trials for Odd {
    fn would<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, anyhow::Result<Trial>> {
        let first = question.outlines[0].clone();
        Box::pin(async move {
            let fails = Trial::Fails { offset: first.offset, kind: first.kind, reason: first.reason };
            Ok(if first.offset % 2 == 1 { fails } else { Trial::Succeeds })
        })
    }
}

/// Status and body of a request with this body; `None`: with none, and no content type.
async fn ask(admin: &Admin, method: Method, path: &str, body: Option<&str>) -> (u16, Value) {
    let app = actix::init_service(App::new().configure(|app| admin.show(app, &Auth::off()))).await;
    let mut request = actix::TestRequest::with_uri(path).method(method);
    if let Some(body) = body {
        request = request.insert_header(("content-type", "application/json")).set_payload(body.to_owned());
    }
    let response = actix::call_service(&app, request.to_request()).await;
    let status = response.status().as_u16();
    let body = actix::read_body(response).await;
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// Status and body of what somebody with this key asks.
async fn ask_as(admin: &Admin, auth: &Auth, key: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let app = actix::init_service(App::new().configure(|app| admin.show(app, auth))).await;
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let request = actix::TestRequest::with_uri(path)
        .method(method)
        .insert_header(("authorization", format!("Bearer {key}")));
    let request = body.into_iter().fold(request, actix::TestRequest::set_json);
    let response = actix::call_service(&app, request.to_request()).await;
    let status = response.status().as_u16();
    let body = actix::read_body(response).await;
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[actix_web::test]
async fn who_decides_needs_to_be_let_and_is_who_decided() {
    let key = |name: &str| format!("folio-test-key-{name:-<32}");
    let callers = [
        ("reader", vec![Scope::AdminRead]),
        ("builder", vec![Scope::AdminRebuild]),
        ("pauser", vec![Scope::AdminPause]),
        ("letters", vec![Scope::AdminDeadLetters]),
        ("console", vec![Scope::AdminRebuild, Scope::OnBehalf]),
        ("writer", vec![Scope::Write, Scope::Read, Scope::Ops]),
    ];
    let lines = callers.iter().map(|(name, scopes)| {
        format!("- {}\n", json!({ "name": name, "sha256": hashed_key(&key(name)), "scopes": scopes }))
    });
    let path = std::env::temp_dir().join(format!("folio-keys-{}.yaml", uuid::Uuid::new_v4()));
    std::fs::write(&path, format!("keys:\n{}", lines.collect::<String>())).unwrap();
    let config = AuthConfig { keys_file: Some(path.clone()), ..AuthConfig::default() };
    let (lifecycle, telemetry) = (Lifecycle::new().without_signals(), Telemetry::detached("test").unwrap());
    let auth = Auth::open(&config, &lifecycle, &telemetry).unwrap();
    std::fs::remove_file(path).unwrap();

    let admin = Admin::default();
    let letters = Arc::new(Letters::default());
    let opened = Opened {
        journal: Arc::new(InMemory::default()),
        adoption: Arc::new(adopted),
        reached: Arc::new(Half),
        group_prefix: "folio".to_owned(),
        partitions: 2,
        read: Arc::new(|| anyhow::bail!("the log is away")),
        letters: Arc::new(move |_| Ok(Arc::clone(&letters) as Arc<dyn DeadLetters>)),
        trials: Arc::new(Odd),
    };
    admin.open(ReadModel::Products, opened);
    let all = "/admin/v1/read-models";
    for (path, body, may) in [
        ("", None, &["reader"][..]),
        ("/products", None, &["reader"]),
        ("/products/dead-letters", None, &["reader"]),
        ("/products/dead-letters/0/1", None, &["reader"]),
        ("/products:abort", Some(json!({})), &["builder", "console"]),
        ("/products/builds/7:pause", Some(json!({})), &["pauser"]),
        ("/products/builds/7:retire", Some(json!({})), &["builder", "console"]),
        ("/products/dead-letters:redrive", Some(json!({})), &["letters"]),
    ] {
        for (name, _) in &callers {
            let (status, told) =
                ask_as(&admin, &auth, &key(name), &format!("{all}{path}"), body.clone()).await;
            assert_eq!(status != 403, may.contains(name), "{path} {name}: {status} {told}");
        }
        assert_eq!(ask_as(&admin, &auth, "wrong", &format!("{all}{path}"), body).await.0, 401, "{path}");
    }
    let rebuild = format!("{all}/products:rebuild");
    let as_ada = Some(json!({"by": "Ada", "switch": "by-hand"}));
    assert_eq!(ask_as(&admin, &auth, &key("builder"), &rebuild, as_ada.clone()).await.0, 403);
    let (status, told) = ask_as(&admin, &auth, &key("console"), &rebuild, as_ada).await;
    assert_eq!(status, 200, "{told}");
    let by = told["builds"][1]["by"].as_str().unwrap();
    assert!(by.starts_with("Ada, by key:console (admin API"), "{by}");
}

#[actix_web::test]
async fn builds_are_shown_decided_and_refused() {
    let admin = Admin::default();
    let (get, post) = (Method::GET, Method::POST);
    let all = "/admin/v1/read-models";
    assert_eq!(ask(&admin, get.clone(), all, None).await.0, 503, "nothing is known yet");

    let journal = Arc::new(InMemory::default());
    let letters = Arc::new(Letters::default());
    let opened = Opened {
        journal: Arc::clone(&journal) as Arc<dyn Journal>,
        adoption: Arc::new(adopted),
        reached: Arc::new(Half),
        group_prefix: "folio".to_owned(),
        partitions: 2,
        read: Arc::new(|| anyhow::bail!("the log is away")),
        letters: {
            let letters = Arc::clone(&letters);
            Arc::new(move |_| Ok(Arc::clone(&letters) as Arc<dyn DeadLetters>))
        },
        trials: Arc::new(Odd),
    };
    admin.open(ReadModel::Products, opened);
    let (status, body) = ask(&admin, get.clone(), all, None).await;
    assert_eq!((status, body["read_models"].as_array().map(Vec::len)), (200, Some(ReadModel::ALL.len())));

    let of = |path: &str| format!("{all}/products{path}");
    let (status, body) =
        ask(&admin, post.clone(), &of(":rebuild"), Some(r#"{"by":"Ada","switch":"by-hand"}"#)).await;
    assert_eq!(status, 200, "{body}");
    let build = &body["builds"][1];
    assert_eq!(
        (&build["generation"], &build["phase"], &build["applied"]),
        (&json!(2), &json!("building"), &json!([10, 20]))
    );
    assert!(build["by"].as_str().unwrap().starts_with("Ada (admin API"), "{build}");
    assert_eq!(ask(&admin, get.clone(), &of(""), None).await.1, body);

    for (path, body, expected, told) in [
        (":rebuild", Some("{}"), 409, "g2 is being built"),
        (":rollback", Some("{}"), 409, "was read before"),
        ("/builds/2:switch", Some("{}"), 409, "not compared yet"),
        ("/builds/1:retire", Some("{}"), 409, "what is read"),
        ("/builds/9:pause", Some("{}"), 409, "no build g9"),
        ("/builds/2:adopt", Some("{}"), 409, "decided already"),
        ("/builds/0:pause", Some("{}"), 404, "from 1"),
        ("/builds/2:explode", Some("{}"), 404, "pause, resume, switch"),
        (":explode", Some("{}"), 404, "rebuild, rollback, abort or as-of"),
        (":as-of", Some("{}"), 400, "`as_of`"),
        (":as-of", Some(r#"{"as_of":"yesterday"}"#), 400, "the body"),
        (":as-of", Some(r#"{"as_of":"2026-01-01T00:00:00Z","name":"g7"}"#), 400, "`expires`"),
        (
            ":as-of",
            Some(r#"{"as_of":"2026-01-01T00:00:00Z","name":"g7","expires":"1h"}"#),
            400,
            "no name of a build",
        ),
        (
            ":as-of",
            Some(r#"{"as_of":"2926-01-01T00:00:00Z","name":"a-b","expires":"1h"}"#),
            400,
            "not over yet",
        ),
        (
            ":as-of",
            Some(r#"{"as_of":"2026-01-01T00:00:00Z","name":"a-b","expires":"1s"}"#),
            400,
            "cannot expire",
        ),
        (
            ":as-of",
            Some(r#"{"as_of":"2026-01-01T00:00:00Z","name":"a-b","expires":"1h"}"#),
            503,
            "the log is away",
        ),
        (":rebuild", None, 415, "application/json"),
        (":rebuild", Some("nonsense"), 400, "the body"),
        (":rebuild", Some(r#"{"forse":true}"#), 400, "forse"),
        (":rebuild", Some(r#"{"switch":"now"}"#), 400, "unknown variant"),
    ] {
        let (status, problem) = ask(&admin, post.clone(), &of(path), body).await;
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(status == expected && detail.contains(told), "{path} {body:?}: {status} {problem}");
    }
    let (status, problem) =
        ask(&admin, post.clone(), "/admin/v1/read-models/prices:rebuild", Some("{}")).await;
    assert!(status == 404 && problem["detail"].as_str().unwrap().contains("history"), "{problem}");
    assert_eq!(ask(&admin, Method::DELETE, &of(""), None).await.0, 405);
    let much = format!(r#"{{"by":"{}"}}"#, "x".repeat(5_000));
    assert_eq!(ask(&admin, post.clone(), &of(":rebuild"), Some(&much)).await.0, 413);

    for (path, phase) in [("/builds/2:pause", "paused"), ("/builds/2:resume", "building")] {
        let (status, body) = ask(&admin, post.clone(), &of(path), Some("{}")).await;
        assert_eq!((status, &body["builds"][1]["phase"]), (200, &json!(phase)));
    }
    let (status, body) = ask(&admin, post.clone(), &of("/builds/2:switch"), Some(r#"{"force":true}"#)).await;
    assert!(status == 200 && body["builds"][1]["phase"].as_str().unwrap().contains("holding"), "{body}");
    let (status, body) = ask(&admin, post.clone(), &of(":abort"), Some("{}")).await;
    assert_eq!((status, body["builds"].as_array().map(Vec::len)), (200, Some(1)), "{body}");

    // A build that was switched to, and the way back: given up, and gone.
    let decide = async |step: Step| {
        let mut desk = Desk::new(Arc::clone(&journal) as Arc<dyn Journal>);
        desk.decide(ReadModel::Products, "tester", |_| Ok(step.clone())).await.unwrap().unwrap()
    };
    assert_eq!(ask(&admin, post.clone(), &of(":rebuild"), Some("{}")).await.0, 200);
    let to = Generation::try_from(3).unwrap();
    for step in [Step::Hold { to, force: true }, Step::Switch, Step::Live] {
        decide(step).await;
    }
    let (status, body) = ask(&admin, post.clone(), &of(":rollback"), Some("{}")).await;
    assert!(status == 200 && body["builds"][0]["phase"].as_str().unwrap().contains("holding"), "{body}");
    let (status, body) = ask(&admin, post.clone(), &of(":abort"), Some("{}")).await;
    assert!(status == 200 && body["builds"][0]["phase"].as_str().unwrap().contains("aborted"), "{body}");
    assert_eq!(ask(&admin, post.clone(), &of(":rollback"), Some("{}")).await.0, 200);
    for step in [Step::Switch, Step::Live] {
        decide(step).await;
    }
    let (status, problem) = ask(&admin, post.clone(), &of(":abort"), Some("{}")).await;
    assert_eq!((status, &problem["code"]), (409, &json!("decision-refused")), "{problem}");
    assert_eq!(ask(&admin, post.clone(), &of("/builds/3:retire"), Some("{}")).await.0, 200);
    journal.append("garbage".to_owned(), b"x".to_vec()).await.unwrap();
    let (_, body) = ask(&admin, get.clone(), all, None).await;
    assert!(body["read_models"][0]["read"] == json!(1), "{body}");
    assert!(body["damaged"][0].as_str().unwrap().contains("no key of a decision"), "{body}");

    letters_are_shown_tried_and_decided(&admin, &letters).await;

    *journal.is_away.lock().unwrap() = true;
    let (status, problem) = ask(&admin, post, &of(":rebuild"), Some("{}")).await;
    assert!(status == 503 && problem["detail"].as_str().unwrap().contains("away"), "{problem}");
}

async fn letters_are_shown_tried_and_decided(admin: &Admin, letters: &Letters) {
    let (get, post) = (Method::GET, Method::POST);
    let of = |path: &str| format!("/admin/v1/read-models/products/dead-letters{path}");
    let (status, body) = ask(admin, get.clone(), &of(""), None).await;
    assert_eq!((status, &body["products"], &body["parked"]), (200, &json!(0), &json!([])), "{body}");
    letters.put(0, 7, "p-1", Kind::Undecodable);
    letters.put(0, 9, "p-1", Kind::Follows);
    letters.put(1, 4, "p-2", Kind::RefusedByStore);
    let (status, body) = ask(admin, get.clone(), &of(""), None).await;
    assert_eq!((status, &body["products"], &body["records"]), (200, &json!(2), &json!(3)), "{body}");
    let first = &body["parked"][0];
    assert_eq!(
        (&first["product"], &first["id"], &first["kind"], &first["records"]),
        (&json!("p-1"), &json!("0/7"), &json!("undecodable"), &json!(2))
    );
    for (query, products) in
        [("?product=p-2", 1), ("?kind=undecodable", 1), ("?kind=follows", 0), ("?id=0/9", 1), ("?id=1/9", 0)]
    {
        let (status, body) = ask(admin, get.clone(), &of(query), None).await;
        assert_eq!((status, &body["products"]), (200, &json!(products)), "{query} {body}");
    }
    let (status, body) = ask(admin, get.clone(), &of("/0/9"), None).await;
    assert_eq!((status, &body["letters"][0]["product"]), (200, &json!("p-1")), "{body}");

    let dry = r#"{"all":true,"dry_run":true}"#;
    let (status, body) = ask(admin, post.clone(), &of(":redrive"), Some(dry)).await;
    let would = |n: usize| body["would"][n]["would_succeed"].clone();
    assert_eq!((status, would(0), would(1)), (200, json!(false), json!(true)), "{body}");
    let (_, body) = ask(admin, get.clone(), &of(""), None).await;
    assert_eq!(body["decided"], json!([]), "a dry run decides nothing");

    for (path, body, expected, told) in [
        ("?kind=poison", None, 400, "the query"),
        ("?id=7", None, 400, "no letter's id"),
        ("/0/8", None, 404, "no letter 0/8"),
        (":redrive", Some("{}"), 400, "one of `product`"),
        (":redrive", Some(r#"{"all":true,"product":"p-1"}"#), 400, "one of `product`"),
        (":redrive", Some(r#"{"all":true,"per_second":0}"#), 400, "per_second"),
        (":redrive", Some(r#"{"everything":true}"#), 400, "everything"),
        (":explode", Some("{}"), 404, "redrive or discard"),
    ] {
        let method = if body.is_some() { post.clone() } else { get.clone() };
        let (status, problem) = ask(admin, method, &of(path), body).await;
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(status == expected && detail.contains(told), "{path} {body:?}: {status} {problem}");
    }
    let wish = r#"{"product":"p-1","reason":"a new release","by":"Ada","per_second":5}"#;
    let (status, body) = ask(admin, post.clone(), &of(":redrive"), Some(wish)).await;
    assert_eq!((status, &body["products"]), (200, &json!(1)), "{body}");
    let wish = r#"{"kind":"refused-by-store","reason":"not ours"}"#;
    assert_eq!(ask(admin, post, &of(":discard"), Some(wish)).await.0, 200);
    let (_, body) = ask(admin, get, &of(""), None).await;
    let decided = |n: usize| (body["decided"][n]["what"].clone(), body["decided"][n]["reason"].clone());
    assert_eq!(decided(0), (json!("redrive product p-1"), json!("a new release")));
    assert_eq!(decided(1), (json!("discard what is refused-by-store"), json!("not ours")));
    assert!(body["decided"][0]["by"].as_str().unwrap().starts_with("Ada (admin API"), "{body}");
}
