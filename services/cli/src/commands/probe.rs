//! `folio probe`: does all of Folio work? A product is made, read back from every read model, and deleted.
//!
//! Promises: it touches no product but one of its own, and deletes that also where it found a fault; a failure says what was
//! asked, what came back, and where to look.

#[cfg(test)]
mod tests;

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::DoorTls;
use crate::say::say;

/// How long an answer may take beyond what it may wait for a read model.
const BEYOND_WAITING: Duration = Duration::from_secs(15);
/// Most of an answer that is no JSON and yet shown, in characters.
const SHOWN: usize = 300;

/// What the command line says about a probe.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Base address of the command service, or of what stands before both, e.g. `http://127.0.0.1:8080`.
    #[arg(long, value_name = "URL")]
    pub commands: String,
    /// Base address of the query gateway.
    #[arg(long, value_name = "URL")]
    pub queries: String,
    /// How long each read may wait for the projectors, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub patience: u64,
    #[command(flatten)]
    pub tls: DoorTls,
}

/// Makes a product, reads it back, deletes it, and reads that back.
///
/// # Errors
/// If anything is not answered as it has to be: what, and where to look.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let probe = Probe::new(options)?;
    let found = match probe.create().await {
        Ok(token) => {
            say!("commands        {} is made", probe.product);
            probe.finds(&token).await
        }
        // It may have been made all the same.
        Err(error) => Err(error),
    };
    let deleted = match (found, probe.delete().await) {
        (Ok(()), deleted) => deleted?,
        (Err(fault), Ok(_)) => return Err(fault),
        (Err(fault), Err(left)) => bail!("{fault:#}; and {left:#}"),
    };
    probe.finds_nothing(&deleted).await?;
    say!("deleted         {} is gone, and its history stays", probe.product);
    Ok(())
}

struct Probe {
    client: Client,
    commands: String,
    queries: String,
    patience: u64,
    product: String,
    /// Nobody else's, so that a search finds this product alone.
    sku: String,
}

/// What came back.
struct Answer {
    /// What was asked, for people.
    asked: String,
    status: StatusCode,
    body: Value,
}

impl Probe {
    fn new(options: &Options) -> anyhow::Result<Self> {
        let timeout = Duration::from_secs(options.patience) + BEYOND_WAITING;
        let id = Uuid::new_v4().simple();
        let base = |url: &str| url.trim_end_matches('/').to_owned();
        Ok(Self {
            client: options.tls.client(
                Client::builder().timeout(timeout),
                [options.commands.as_str(), options.queries.as_str()],
            )?,
            commands: base(&options.commands),
            queries: base(&options.queries),
            patience: options.patience,
            product: format!("folio-probe-{id}"),
            sku: format!("PROBE-{id}").to_uppercase(),
        })
    }

    /// Makes the product, as a draft: no completion shows it. Returns the answer's consistency token.
    async fn create(&self) -> anyhow::Result<String> {
        let product = json!({
            "sku": self.sku, "name": "Probe", "brand": "Folio", "category": "folio/probe",
            "price": { "minor_units": 100, "currency": "EUR" },
        });
        let answer = self.command(Method::PUT, "", product).await?;
        answer.accepted(StatusCode::CREATED, 1)
    }

    async fn delete(&self) -> anyhow::Result<String> {
        let answer = self.command(Method::POST, ":delete", json!({ "reason": "probed" })).await;
        let token = answer.and_then(|answer| answer.accepted(StatusCode::OK, 2));
        token.with_context(|| format!("{} may be left behind: delete it by hand", self.product))
    }

    async fn command(&self, method: Method, action: &str, body: Value) -> anyhow::Result<Answer> {
        let url = format!("{}/v1/products/{}{action}", self.commands, self.product);
        let request = self.client.request(method.clone(), &url).header("x-folio-actor", "folio-probe");
        let request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        answer(format!("{method} {url}"), request).await
    }

    /// Every read model knows the product, once it has come as far as `token`.
    async fn finds(&self, token: &str) -> anyhow::Result<()> {
        let product = self.ask(&format!("/v1/products/{}", self.product), token).await?;
        product.shows(StatusCode::OK, "products", |body| {
            body["sku"] == self.sku.as_str() && body["version"] == 1
        })?;
        say!("products        it is read by its id");
        self.history(token, 1).await?;
        say!("history         its history has one entry");
        let found = self.search(token).await?;
        found.shows(StatusCode::OK, "search", |body| {
            body["total"] == 1 && body["items"][0]["product_id"] == self.product.as_str()
        })?;
        say!("search          it is found by its SKU");
        Ok(())
    }

    /// Every read model knows that the product is deleted, once it has come as far as `token`.
    async fn finds_nothing(&self, token: &str) -> anyhow::Result<()> {
        let product = self.ask(&format!("/v1/products/{}", self.product), token).await?;
        product.shows(StatusCode::GONE, "products", |body| body["code"] == "product-gone")?;
        self.history(token, 2).await?;
        self.search(token).await?.shows(StatusCode::OK, "search", |body| body["total"] == 0)
    }

    async fn history(&self, token: &str, entries: usize) -> anyhow::Result<()> {
        let history = self.ask(&format!("/v1/products/{}/history", self.product), token).await?;
        history.shows(StatusCode::OK, "history", |body| {
            body["items"].as_array().is_some_and(|it| it.len() == entries)
        })
    }

    async fn search(&self, token: &str) -> anyhow::Result<Answer> {
        self.ask(&format!("/v1/search?q={}", self.sku), token).await
    }

    async fn ask(&self, path: &str, token: &str) -> anyhow::Result<Answer> {
        let url = format!("{}{path}", self.queries);
        let request = self.client.get(&url).header("consistency-token", token);
        answer(format!("GET {url}"), request.header("prefer", format!("wait={}", self.patience))).await
    }
}

async fn answer(asked: String, request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
    let answer = request.send().await.with_context(|| {
        format!("{asked} was not answered: is the address right, and is the service there and ready (/readyz on its ops port)?")
    })?;
    let status = answer.status();
    let text = answer.text().await.with_context(|| format!("{asked}: reading the answer"))?;
    let body =
        serde_json::from_str(&text).unwrap_or_else(|_| text.chars().take(SHOWN).collect::<String>().into());
    Ok(Answer { asked, status, body })
}

impl Answer {
    /// The consistency token, if the command was accepted as it has to be.
    fn accepted(&self, status: StatusCode, version: u64) -> anyhow::Result<String> {
        let Self { asked, body, .. } = self;
        if self.status != status || body["version"] != version {
            bail!(
                "{asked} was answered {self}, and not {status} with version {version}: see docs/errors for the code, and the \
                 command service's /readyz and log"
            );
        }
        let token = body["consistency_token"].as_str();
        Ok(token
            .with_context(|| format!("{asked} was answered without a consistency token: {body}"))?
            .to_owned())
    }

    /// Is the answer what `read_model` has to say?
    fn shows(
        &self,
        status: StatusCode,
        read_model: &str,
        is_right: impl FnOnce(&Value) -> bool,
    ) -> anyhow::Result<()> {
        if self.status == status && is_right(&self.body) {
            return Ok(());
        }
        bail!(
            "{read_model}: {} was answered {self}, which is not what was just written (expected: {status}). Is the projector of \
             {read_model} running and ready? See its /readyz and log, and those of the query gateway",
            self.asked
        )
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.status, self.body)
    }
}
