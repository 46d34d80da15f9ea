//! Documents of an index, as bodies of `_bulk` requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::Method;
use read_models::declared::On;
use read_models::search::{Keys, ProductDocument, SearchModel};
use read_models::{Generation, ReadModel, Servers, StoredProduct};
use serde::Serialize;
use serde_json::{Value, json};
use testkit::Client;
use tokio::task::JoinSet;

use super::Bare;
use super::fold::fold;
use crate::read_side::Events;

/// As the adapter's requests: at most so many documents,
const DOCUMENTS: usize = 1_000;
/// and about so many bytes.
const BYTES: usize = 5 * 1024 * 1024;

/// A product as it is written.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    product: ProductDocument<'a>,
    #[serde(flatten)]
    keys: Keys<'a>,
}

/// The documents of `search`.
pub(super) struct Documents {
    url: String,
    requests: Arc<Vec<Bytes>>,
    count: u64,
}

impl Documents {
    pub(super) fn of(url: &str, events: &Events) -> anyhow::Result<Self> {
        let mut products = Vec::new();
        for partition in events {
            fold::<SearchModel>(partition, usize::MAX, |writes| products.extend(writes.states))?;
        }
        let (mut requests, mut body, mut held) = (Vec::new(), BytesMut::new(), 0);
        for product in &products {
            if held == DOCUMENTS || body.len() > BYTES {
                requests.push(std::mem::take(&mut body).freeze());
                held = 0;
            }
            put(&mut body, product)?;
            held += 1;
        }
        requests.push(body.freeze());
        let requests = Arc::new(requests);
        Ok(Self { url: url.to_owned(), requests, count: products.len() as u64 })
    }
}

/// Adds a document to a request.
fn put(body: &mut BytesMut, stored: &StoredProduct) -> anyhow::Result<()> {
    let (id, version) = (stored.product.id.as_str(), stored.product.version.get());
    let action = json!({ "index": { "_id": id, "version": version, "version_type": "external" } });
    serde_json::to_writer(body.writer(), &action)?;
    body.put_u8(b'\n');
    serde_json::to_writer(body.writer(), &Document { product: stored.into(), keys: stored.into() })?;
    body.put_u8(b'\n');
    Ok(())
}

impl Bare for Documents {
    fn rows(&self) -> u64 {
        self.count
    }

    fn write<'a>(
        &'a self,
        stores: &'a Servers,
        generation: Generation,
        hands: usize,
    ) -> BoxFuture<'a, anyhow::Result<Duration>> {
        async move {
            let On::Search { index, .. } = &ReadModel::Search.declared().on else {
                bail!("search is declared for a search server")
            };
            let index = index.index(stores.search().await?.prefix(), generation.get());
            let path = format!("/{index}/_bulk?filter_path=errors,items.*.error");
            let (next, begun) = (Arc::new(AtomicUsize::new(0)), Instant::now());
            let mut writing = JoinSet::new();
            for _ in 0..hands {
                let (client, path) = (Client::new(&self.url), path.clone());
                let (next, requests) = (Arc::clone(&next), Arc::clone(&self.requests));
                writing.spawn(async move {
                    while let Some(body) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                        send(&client, &path, body.clone()).await?;
                    }
                    anyhow::Ok(())
                });
            }
            while let Some(written) = writing.join_next().await {
                written??;
            }
            Ok(begun.elapsed())
        }
        .boxed()
    }
}

async fn send(client: &Client, path: &str, body: Bytes) -> anyhow::Result<()> {
    let headers = [("content-type", "application/x-ndjson")];
    let answer = client.send(Method::POST, path, &headers, body).await?;
    ensure!(
        answer.status == 200 && answer.body["errors"] == Value::Bool(false),
        "a request was answered {}: {}",
        answer.status,
        answer.body
    );
    Ok(())
}
