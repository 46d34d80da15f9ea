//! Who may ask what, by API keys of a file.

use std::io::Write;

use edge::auth::{AuthConfig, hashed_key};
use serde_json::json;
use toolkit::lifecycle::Lifecycle;

use super::*;

/// A key for each of these callers.
fn key(name: &str) -> String {
    format!("folio-test-key-{name:-<32}")
}

fn auth(callers: &[(&str, &[Scope], Option<&str>)]) -> Auth {
    let path = std::env::temp_dir().join(format!("folio-keys-{}.yaml", uuid::Uuid::new_v4()));
    let mut file = std::fs::File::create(&path).unwrap();
    writeln!(file, "keys:").unwrap();
    for (name, scopes, tenant) in callers {
        let line =
            json!({ "name": name, "sha256": hashed_key(&key(name)), "scopes": scopes, "tenant": tenant });
        writeln!(file, "- {line}").unwrap();
    }
    drop(file);
    let config = AuthConfig { keys_file: Some(path.clone()), ..AuthConfig::default() };
    let (lifecycle, telemetry) = (Lifecycle::new().without_signals(), Telemetry::detached("tester").unwrap());
    let auth = Auth::open(&config, &lifecycle, &telemetry).unwrap();
    std::fs::remove_file(path).unwrap();
    auth
}

fn get_as(uri: &str, name: &str) -> TestRequest {
    TestRequest::get().uri(uri).insert_header(("authorization", format!("Bearer {}", key(name))))
}

#[actix_web::test]
async fn every_question_lets_in_whom_it_says() {
    let others: Vec<Scope> = Scope::ALL.iter().copied().filter(|scope| *scope != Scope::Read).collect();
    let auth = auth(&[("reader", &[Scope::Read], None), ("others", &others, None)]);
    assert_eq!(PATHS.len(), EVERY_QUESTION.len());
    for uri in EVERY_QUESTION {
        let requests = [
            TestRequest::get().uri(uri),
            TestRequest::default().method(actix_web::http::Method::HEAD).uri(uri),
            get_as(uri, "stranger"),
            get_as(uri, "others"),
            get_as(uri, "reader"),
        ];
        let answers = ask_all_of(&auth, requests).await;
        let codes: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
        assert_eq!(codes, [401, 401, 401, 403, 503], "{uri}");
        answers[0].problem(Code::Unauthenticated);
        answers[3].problem(Code::Forbidden);
        assert_eq!(answers[3].header("www-authenticate").split(' ').next(), Some("Bearer"), "{uri}");
        answers[4].problem(Code::StoreUnavailable);
    }
}

#[actix_web::test]
async fn a_tenant_asks_for_its_own_products_by_their_ids_alone() {
    let auth = auth(&[("acme", &[Scope::Read], Some("acme"))]);
    let ask = async |uri: &str| ask_all_of(&auth, [get_as(uri, "acme")]).await.remove(0);
    for own in
        ["/v1/products/acme.1", "/v1/products/acme.1/history", "/v1/products:batchGet?ids=acme.1,acme.2"]
    {
        ask(own).await.problem(Code::StoreUnavailable);
    }
    for foreign in EVERY_QUESTION.into_iter().chain(["/v1/products:batchGet?ids=acme.1,other.1"]) {
        ask(foreign).await.problem(Code::Forbidden);
    }
}
