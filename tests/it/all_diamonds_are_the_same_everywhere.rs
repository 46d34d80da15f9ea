//! `folio dev` with all of the sample gives the same counts, facets, hits and pages as the real servers do.

use anyhow::{Context as _, ensure};
use cli::import::{Upload, diamonds};
use serde_json::Value;
use testkit::{Client, InOneProcess, OnServers, PATIENCE, System, eventually};

/// Questions with one answer: where hits have equal scores, an order by something else.
const QUESTIONS: &[&str] = &[
    "/v1/search?facets=category,status,brand,price,attr.color,attr.clarity,attr.cut&facet_size=20&page_size=1&currency=USD&sort=name",
    "/v1/search?q=ideal&facets=category,attr.color&page_size=50&currency=USD&sort=price_asc",
    "/v1/search?q=premuim&category=jewelry&attr.color=E&price_max=100000&currency=USD&facets=category,brand,price,attr.clarity&sort=price_desc",
    "/v1/search?category=jewelry/diamonds/fair&price_min=500000&currency=USD&facets=price&price_bounds=100000,600000,900000&sort=name",
    "/v1/search?q=nothing+like+it",
    "/v1/suggest?q=0.23%20ct",
    "/v1/products?category=jewelry/diamonds/very-good&page_size=20",
];
/// Questions whose pages are followed.
const PAGED: &[&str] = &[
    "/v1/search?q=ideal&attr.color=E&attr.clarity=VS2&currency=USD&sort=price_asc&page_size=200",
    "/v1/products?category=jewelry/diamonds/fair&page_size=200",
];
const PAGES: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_the_sample_is_found_in_one_process_as_on_servers() -> anyhow::Result<()> {
    let (here, there) = (Box::pin(answers::<InOneProcess>()).await?, Box::pin(answers::<OnServers>()).await?);
    assert_eq!(here[0].1["total"], 53_940, "{}", here[0].1);
    for ((question, here), (_, there)) in here.iter().zip(&there) {
        assert_eq!(here, there, "{question}");
    }
    assert_eq!(here.len(), there.len());
    Ok(())
}

/// What a catalog of all diamonds answers to each question, without what differs from log to log.
async fn answers<S: System>() -> anyhow::Result<Vec<(String, Value)>> {
    let mut system = S::prepare().await?;
    let commands = system.command_service().await?;
    system.projectors().await?;
    let upload = Upload {
        urls: vec![commands.url()],
        chunk: 500,
        parallel: 4,
        patience: PATIENCE,
        tls: cli::DoorTls::default(),
    };
    upload.run(&diamonds::lines()?, |_, _| ()).await?;
    system.caught_up().await?;
    let gateway = Client::new(&system.query_gateway().await?.url());
    // A search without a token finds what was refreshed last.
    let total = async || gateway.get("/v1/search?page_size=1").await.map(|it| it.body["total"].clone());
    eventually("all can be found", total, |it| it.as_ref().is_ok_and(|it| it == 53_940)).await?;
    let mut answers = Vec::new();
    for question in QUESTIONS {
        answers.push(((*question).to_owned(), answer(&gateway, question).await?));
    }
    for question in PAGED {
        let mut page = answer(&gateway, question).await?;
        for n in 1..=PAGES {
            let next = page.as_object_mut().and_then(|it| it.remove("next_page_token"));
            answers.push((format!("{question}, page {n}"), page));
            let Some(Value::String(token)) = next else { break };
            page = answer(&gateway, &format!("{question}&page_token={token}")).await?;
        }
    }
    Ok(answers)
}

async fn answer(gateway: &Client, question: &str) -> anyhow::Result<Value> {
    let reply = gateway.get(question).await?;
    ensure!(reply.status.is_success(), "{question}: {} {}", reply.status, reply.body);
    let mut body = reply.body;
    without_the_log(&mut body);
    body.is_object().then_some(body).context("an object")
}

/// Leaves out the ids and the times of events: each log has its own.
fn without_the_log(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| {
                !["event_id", "updated_at", "created_at", "took_ms"].contains(&name.as_str())
            });
            fields.values_mut().for_each(without_the_log);
        }
        Value::Array(items) => items.iter_mut().for_each(without_the_log),
        _ => {}
    }
}
