use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;

/// A registry that gives one answer, and tells the request it got.
fn answering(status: &'static str, body: &'static str) -> (HttpRegistry, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/apis/ccompat/v7", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).unwrap();
        write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    (HttpRegistry::new(&RegistryConfig { url, ..RegistryConfig::default() }).unwrap(), server)
}

#[tokio::test]
async fn a_schema_that_is_not_there_is_told_by_its_subject() {
    let (registry, server) =
        answering("404 Not Found", r#"{"error_code":40403,"message":"Schema not found"}"#);
    let error = registry.id_of("t-folio.Created", "{}").await.unwrap_err();
    assert!(
        matches!(&error, Error::NotRegistered { subjects } if subjects == &["t-folio.Created"]),
        "{error}"
    );
    assert!(server.join().unwrap().starts_with("POST /apis/ccompat/v7/subjects/t-folio.Created HTTP/1.1"));
}

#[tokio::test]
async fn a_busy_registry_is_transient_and_a_refusal_is_final() {
    let (registry, _) = answering("503 Service Unavailable", "busy");
    assert!(registry.register("s", "{}").await.unwrap_err().is_transient());
    let (registry, _) = answering("409 Conflict", r#"{"error_code":409,"message":"incompatible"}"#);
    let error = registry.register("s", "{}").await.unwrap_err();
    assert!(!error.is_transient() && error.to_string().contains("incompatible"), "{error}");
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_transient_and_named() {
    let config = RegistryConfig { url: "http://127.0.0.1:1/".to_owned(), ..RegistryConfig::default() };
    let error = Registry::new(&config).unwrap().fetch(7).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("127.0.0.1:1"), "{error}");
}

#[tokio::test]
async fn the_first_version_of_a_subject_is_compatible() {
    let (registry, server) =
        answering("404 Not Found", r#"{"error_code":40401,"message":"Subject not found"}"#);
    assert_eq!(registry.check_compatibility("s", "{}").await.unwrap(), Compatibility::Compatible);
    assert!(
        server
            .join()
            .unwrap()
            .starts_with("POST /apis/ccompat/v7/compatibility/subjects/s/versions?verbose=true")
    );
    let (registry, _) =
        answering("200 OK", r#"{"is_compatible":false,"messages":["reader needs a default"]}"#);
    let judged = registry.check_compatibility("s", "{}").await.unwrap();
    assert_eq!(judged, Compatibility::Incompatible(vec!["reader needs a default".to_owned()]));
}

#[tokio::test]
async fn a_topics_schemas_have_ids_and_texts_and_what_is_missing_is_named_and_may_come() {
    let local = LocalRegistry::knowing("t");
    let schemas = Registry::Local(local.clone()).of_topic("t");
    let ids = schemas.ids().await.unwrap();
    assert_eq!(ids.len(), known_schemas().len());
    for (known, id) in ids {
        assert_eq!(schemas.schema(id).await.unwrap().as_deref(), Some(known.text));
    }
    assert_eq!(schemas.schema(99).await.unwrap(), None);
    local.hold(99, "t-newer", "{}");
    assert_eq!(schemas.schema(99).await.unwrap().as_deref(), Some("{}"));

    let missing = Registry::Local(local).of_topic("other").ids().await.unwrap_err();
    assert!(missing.transient, "they may be registered later: {missing}");
    for known in known_schemas() {
        assert!(missing.problem.contains(&subject("other", known.fqn)), "{missing}");
    }
}

#[tokio::test]
async fn an_id_that_a_server_does_not_know_is_no_error() {
    let (registry, _) = answering("404 Not Found", r#"{"error_code":40403,"message":"Schema not found"}"#);
    assert_eq!(registry.fetch(99).await.unwrap(), None);
    let (registry, _) = answering("404 Not Found", "<html>");
    assert!(registry.fetch(99).await.is_err(), "this is not the registry");
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found", "200 OK"] {
        let (registry, _) = answering(status, "<html>");
        let error = Registry::Http(registry).of_topic("t").schema(99).await.unwrap_err();
        assert!(error.transient, "{status}: nobody has said that there is no such schema: {error}");
    }
}
