use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;

/// A registry that gives one answer, and tells the request it got.
fn answering(status: &'static str, body: &'static str) -> (Registry, std::thread::JoinHandle<String>) {
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
    (Registry::new(&RegistryConfig { url, ..RegistryConfig::default() }).unwrap(), server)
}

#[tokio::test]
async fn a_schema_that_is_not_there_is_told_by_its_subject() {
    let (registry, server) =
        answering("404 Not Found", r#"{"error_code":40403,"message":"Schema not found"}"#);
    let error = registry.ids_of(&[("t-folio.Created", "{}")]).await.unwrap_err();
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
    let error = Registry::new(&config).unwrap().ping().await.unwrap_err();
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
