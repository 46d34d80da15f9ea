//! A plain HTTP client of both APIs, for tests.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Talks to one service.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
}

/// An answer with its body read.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Reply {
    /// A problem's code; empty if it is none.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// A header as text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default()
    }

    /// The JSON pointers a problem names.
    pub fn pointers(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().filter_map(|it| it["pointer"].as_str()).collect()
    }
}

impl Client {
    /// A client of the service at `base`.
    pub fn new(base: &str) -> Self {
        let http =
            reqwest::Client::builder().timeout(Duration::from_mins(1)).build().expect("an HTTP client");
        Self { http, base: base.to_owned() }
    }

    /// The same with a client of one's own, for doors that want to be met in another way.
    pub fn with(http: reqwest::Client, base: &str) -> Self {
        Self { http, base: base.to_owned() }
    }

    /// The same without the connections that it has.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self::new(&self.base)
    }

    /// Sends a request as it is.
    ///
    /// # Errors
    /// If there was no answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> reqwest::Result<Reply> {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let bytes = answer.bytes().await?;
        let body = serde_json::from_slice(&bytes)
            .unwrap_or(Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Ok(Reply { status, headers, body })
    }

    /// GET.
    ///
    /// # Errors
    /// If there was no answer.
    pub async fn get(&self, path: &str) -> reqwest::Result<Reply> {
        self.get_with(path, &[]).await
    }

    /// GET with headers.
    ///
    /// # Errors
    /// If there was no answer.
    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> reqwest::Result<Reply> {
        self.send(Method::GET, path, headers, "").await
    }

    /// POST of JSON.
    ///
    /// # Errors
    /// If there was no answer.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> reqwest::Result<Reply> {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.send(Method::POST, path, &all, body.to_string()).await
    }

    /// Creates a product with a client-chosen id.
    ///
    /// # Errors
    /// If there was no answer.
    pub async fn create(&self, id: &str) -> reqwest::Result<Reply> {
        let mut body = product(id);
        body["product_id"] = json!(id);
        self.post("/v1/products", &[], &body).await
    }

    /// Changes a price, in minor units of US dollars.
    ///
    /// # Errors
    /// If there was no answer.
    pub async fn change_price(
        &self,
        id: &str,
        minor_units: u64,
        headers: &[(&str, &str)],
    ) -> reqwest::Result<Reply> {
        let body = json!({ "price": { "minor_units": minor_units, "currency": "USD" } });
        self.post(&format!("/v1/products/{id}:change-price"), headers, &body).await
    }
}

/// The payload of a valid `CreateProduct`.
pub fn product(id: &str) -> Value {
    json!({
        "sku": format!("SKU-{}", id.to_uppercase()),
        "name": format!("Product {id}"),
        "description": "made by a test",
        "category": "tests/products",
        "brand": "Testbrand",
        "price": { "minor_units": 1_000, "currency": "USD" },
        "attributes": { "color": "blue" },
        "tags": ["test"],
        "status": "listed",
    })
}
