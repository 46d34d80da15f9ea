//! Searches whose answers may be too large to be read.
//!
//! Promise: of an answer no more is read than the caller has room for, whether the server says how long it is or not.
//!
//! The client of Elasticsearch gives an answer as a whole or not at all, so these requests go through a client of their own,
//! of the same library.

use std::fmt;
use std::time::Duration;

use elasticsearch::http::Url;
use elasticsearch::http::headers::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest_elasticsearch as reqwest;
use serde::de::DeserializeOwned;
use serde_json::Value;
use toolkit::telemetry::traced;

use super::error::of_answer;
use super::login::{Login, Who};
use super::{Method, Search, SearchError, call_of, causes, describe, search_path};
use crate::config::SearchConfig;

/// An error answer is read this far.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// Where the server is, and how it knows us.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    url: Url,
    who: Option<Who>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(config: &SearchConfig, login: &Login) -> Result<Self, SearchError> {
        let problem = |problem: String| SearchError::Config { url: config.url.clone(), problem };
        let mut url = Url::parse(&config.url).map_err(|e| problem(e.to_string()))?;
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_millis(config.timeout_ms));
        let http = login.client(http).map_err(problem)?;
        let http = http.build().map_err(|e| problem(causes(&e)))?;
        Ok(Self { http, url, who: login.who.clone() })
    }

    fn post(&self, path: &str, body: String) -> Result<reqwest::RequestBuilder, String> {
        let url = self.url.join(path.trim_start_matches('/')).map_err(|e| e.to_string())?;
        let request = self.http.post(url);
        let request = match &self.who {
            None => request,
            Some(who) => request.header(AUTHORIZATION, who.header()?),
        };
        Ok(request.header(CONTENT_TYPE, "application/json").header(ACCEPT, "application/json").body(body))
    }
}

impl Search {
    /// Runs a search whose answer is read up to `max_bytes`; `None`: it is longer. Ask for less then. Searches of the same
    /// `preference`, letters and digits, are answered by the same copies of the index as long as they are there.
    pub async fn search_bounded<T: DeserializeOwned>(
        &self,
        index: &str,
        preference: &str,
        body: Value,
        max_bytes: usize,
    ) -> Result<Option<T>, SearchError> {
        let path = preferring(index, preference);
        let request = || describe(Method::Post, &path);
        let unreachable = |problem: String| SearchError::Unreachable { request: request(), problem };
        let sent = self.bounded.post(&path, body.to_string()).map_err(&unreachable)?;
        let answered = async {
            let answer = sent.send().await.map_err(|e| unreachable(causes(&e)))?;
            let status = answer.status().as_u16();
            let is_success = (200..300).contains(&status);
            let max_bytes = if is_success { max_bytes } else { MAX_ERROR_BYTES };
            let read = read(answer, max_bytes).await.map_err(|e| unreachable(causes(&e)))?;
            if is_success { Ok(read) } else { Err(of_answer(request(), status, &read.unwrap_or_default())) }
        };
        let read = traced(|| call_of(Method::Post, &path), answered).await?;
        let decoded = read.map(|answer| serde_json::from_slice(&answer)).transpose();
        decoded.map_err(|e| SearchError::Decode { request: request(), problem: e.to_string() })
    }
}

fn preferring(index: &str, preference: &str) -> String {
    format!("{}&preference={preference}", search_path(index))
}

/// Leaving an answer unread costs its connection, and nothing else.
async fn read(mut answer: reqwest::Response, max_bytes: usize) -> Result<Option<Vec<u8>>, reqwest::Error> {
    if answer.content_length().is_some_and(|length| length > max_bytes as u64) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if bytes.len() + chunk.len() > max_bytes {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const GREETING: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

    /// A server whose every search is answered with `head` and then `part`, up to `times` times.
    async fn server(head: String, part: String, times: usize) -> SearchConfig {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4_096];
                let read = connection.read(&mut request).await.unwrap();
                if String::from_utf8_lossy(&request[..read]).starts_with("GET / ") {
                    connection.write_all(GREETING.as_bytes()).await.unwrap();
                    continue;
                }
                let mut written = connection.write_all(head.as_bytes()).await;
                for _ in 0..times {
                    if written.is_ok() {
                        written = connection.write_all(part.as_bytes()).await;
                    }
                }
            }
        });
        SearchConfig { url, timeout_ms: 5_000, ..SearchConfig::default() }
    }

    #[test]
    fn a_search_says_which_copy_it_prefers_and_takes_no_partial_answer() {
        assert_eq!(preferring("i", "p1"), "/i/_search?allow_partial_search_results=false&preference=p1");
    }

    async fn ask(config: SearchConfig, max_bytes: usize) -> Result<Option<Value>, SearchError> {
        Search::connect(&config)
            .await
            .unwrap()
            .search_bounded("i", "p1", serde_json::json!({}), max_bytes)
            .await
    }

    #[tokio::test]
    async fn an_answer_without_a_length_is_read_up_to_the_bound() {
        let chunk = format!("10000\r\n{}\r\n", "1".repeat(0x1_0000));
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
        // 64 GB, if anybody read on.
        let config = server(head, chunk, 1_000_000).await;
        assert!(ask(config, 1_000_000).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_answer_that_says_how_long_it_is_need_not_be_read() {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n".to_owned();
        assert!(ask(server(head, "{}".to_owned(), 1).await, 1_000).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_answer_within_the_bound_is_read_and_an_error_says_why() {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n".to_owned();
        let answer = ask(server(head, "{\"a\":1}".to_owned(), 1).await, 7).await.unwrap();
        assert_eq!(answer, Some(serde_json::json!({ "a": 1 })));
        let body = r#"{"error":{"type":"parsing_exception","reason":"no"}}"#;
        let head = format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n", body.len());
        let error = ask(server(head, body.to_owned(), 1).await, 7).await.unwrap_err();
        assert!(
            matches!(&error, SearchError::Status { status: 400, problem, .. } if problem == "parsing_exception: no"),
            "{error}"
        );
    }
}
