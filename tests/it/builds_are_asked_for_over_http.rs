//! P27 The admin API rebuilds, switches, goes back, and builds as of some time, on servers and in one process; each build can be read by its number or name, and no read fails or shows less than one before it.
//!
//! In one process whatever was decided also survives `kill -9`, wherever the process was in the middle of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use read_models::ReadModel;
use serde_json::{Value, json};
use testkit::expected::differences;
use testkit::{Client, InOneProcess, PATIENCE, Reply, Started, System, eventually, promised};

use super::a_read_model_is_built_beside_the_live_one::Load;

promised!(builds_are_made_switched_to_and_read_by_number_and_name);

/// Products that nothing happens to but what is said here.
const STILL: usize = 60;
/// Switches of each read model: on servers P25 has many more of them.
const SWITCHES: [usize; 2] = [4, 20];
/// What is read goes on for so long between two of them.
const BETWEEN: Duration = Duration::from_millis(400);

/// Who makes each read model, to be asked over HTTP.
struct Admin(BTreeMap<ReadModel, Client>);

impl Admin {
    fn of(projectors: &[Started]) -> Self {
        let of = |(n, it): (usize, &ReadModel)| (*it, Client::new(&projectors[n % projectors.len()].ops()));
        Self(ReadModel::ALL.iter().enumerate().map(of).collect())
    }

    async fn ask(&self, read_model: ReadModel, what: &str, body: Value) -> anyhow::Result<Reply> {
        let path = format!("/admin/v1/read-models/{read_model}{what}");
        Ok(self.0[&read_model].post(&path, &[], &body).await?)
    }

    async fn done(&self, read_model: ReadModel, what: &str, body: Value) -> anyhow::Result<Value> {
        let reply = self.ask(read_model, what, body).await?;
        ensure!(reply.status == 200, "{read_model}{what}: {} {}", reply.status, reply.body);
        Ok(reply.body)
    }

    async fn view(&self, read_model: ReadModel) -> anyhow::Result<Value> {
        let reply = self.0[&read_model].get(&format!("/admin/v1/read-models/{read_model}")).await?;
        ensure!(reply.status == 200, "{read_model}: {} {}", reply.status, reply.body);
        Ok(reply.body)
    }

    /// Waits until a build is what is read, and goes on.
    async fn is_read(&self, read_model: ReadModel, generation: u64) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            // A process that was killed comes back.
            let view = self.view(read_model).await.unwrap_or_default();
            if view["read"] == generation && phase(&view, generation) == "gateways read it" {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "{read_model} g{generation} is not read: {view}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Goes from one build to the other and back, so often.
    async fn switches(&self, read_model: ReadModel, times: usize) -> anyhow::Result<()> {
        for n in 0..times as u64 {
            let to = n % 2 + 1;
            self.done(read_model, &format!("/builds/{to}:switch"), json!({})).await?;
            self.is_read(read_model, to).await?;
            tokio::time::sleep(BETWEEN).await;
        }
        Ok(())
    }
}

fn phase(view: &Value, generation: u64) -> &str {
    let builds = view["builds"].as_array().map(Vec::as_slice).unwrap_or_default();
    builds
        .iter()
        .find(|it| it["generation"] == generation)
        .and_then(|it| it["phase"].as_str())
        .unwrap_or_default()
}

async fn builds_are_made_switched_to_and_read_by_number_and_name<S: System>() -> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    let settings: &[(&str, &str)] = if S::IS_IN_PARTS {
        &[("REBUILD__LEASE_MS", "1200"), ("ADMIN__ENABLED", "true"), ("DURABILITY_WINDOW_MS", "1000")]
    } else {
        &[("REBUILD__LEASE_MS", "150")]
    };
    let admin = Admin::of(&system.projectors_with(settings).await?);
    let gateway = system.query_gateway().await?;
    let reads = Client::new(&gateway.url());
    for n in 0..STILL {
        ensure!(commands.create(&format!("still-{n}")).await?.status == 201);
    }
    let load = Load::start(commands.clone(), std::slice::from_ref(&gateway)).await?;

    let rebuilds = ReadModel::ALL.iter().map(|it| async {
        admin.done(*it, ":rebuild", json!({ "by": "a test" })).await?;
        let refused = admin.ask(*it, ":rebuild", json!({})).await?;
        // Unless it is read already, as of so few products it may be.
        let second = refused.status == 409 && refused.body["detail"].to_string().contains("g2");
        ensure!(second || refused.status == 200, "{}", refused.body);
        if !second {
            admin.done(*it, ":abort", json!({})).await?;
        }
        admin.is_read(*it, 2).await
    });
    futures::future::try_join_all(rebuilds).await?;
    load.goes_on(60).await;

    let times = SWITCHES[usize::from(!S::IS_IN_PARTS)];
    let switches = ReadModel::ALL.iter().map(|it| admin.switches(*it, times));
    futures::future::try_join_all(switches).await?;

    by_number(&commands, &reads).await?;
    as_of(&admin, &commands, &reads).await?;

    // What is not read is dropped; what is, is not.
    for read_model in ReadModel::ALL {
        let view = admin.view(*read_model).await?;
        let read = view["read"].as_u64().context("a build")?;
        let refused = admin.ask(*read_model, &format!("/builds/{read}:retire"), json!({})).await?;
        ensure!(refused.status == 409 && refused.body["detail"].to_string().contains("what is read"));
        admin.done(*read_model, &format!("/builds/{}:retire", 3 - read), json!({})).await?;
        let refused = admin.ask(*read_model, ":rollback", json!({})).await?;
        ensure!(refused.status == 409, "there is no way back: {}", refused.body);
    }
    for path in ["/v1/products/still-1?generation=1", "/v1/search?q=still&generation=g1"] {
        let gone = async || reads.get(path).await.map(|it| it.status.as_u16()).unwrap_or_default();
        eventually("a build that was dropped is not found", gone, |it| *it == 404).await;
    }
    load.goes_on(60).await;
    load.end().await?;

    system.caught_up().await?;
    let (compared, wrong) = differences(&system.oracle().await?, &system.rows().await?, S::NOT_GIVEN_BACK)?;
    assert!(wrong.is_empty() && compared > 4 * STILL, "{compared}: {wrong:#?}");
    Ok(())
}

/// A question that names a build is answered from that one, says so, and waits for what its token asks like any other.
async fn by_number(commands: &Client, reads: &Client) -> anyhow::Result<()> {
    let changed = commands.change_price("still-1", 7_777, &[]).await?;
    let token = changed.header("consistency-token").to_owned();
    for generation in ["1", "g2"] {
        for path in [
            "/v1/products/still-1?",
            "/v1/products/still-1/history?order=desc&",
            "/v1/products:batchGet?ids=still-1&",
            "/v1/search?q=SKU-STILL-1&",
        ] {
            let path = format!("{path}generation={generation}");
            let headers = [("consistency-token", &*token), ("prefer", "wait=30")];
            let read = reads.get_with(&path, &headers).await?;
            ensure!(read.status == 200, "{path}: {} {}", read.status, read.body);
            ensure!(read.body.to_string().contains("7777"), "{path} does not show the write: {}", read.body);
            let number = generation.trim_start_matches('g');
            ensure!(read.header("folio-generation") == format!("g{number}"), "{path}: {:?}", read.headers);
        }
    }
    for (generation, status) in [("7", 404), ("no-such-name", 404), ("0", 400), ("G2", 400), ("a%20b", 400)] {
        let read = reads.get(&format!("/v1/products/still-1?generation={generation}")).await?;
        ensure!(read.status == status, "{generation}: {} {}", read.status, read.body);
        ensure!(
            read.body["detail"].as_str().is_some_and(|it| it.contains("generation") || it.contains("build")),
            "{}",
            read.body
        );
    }
    Ok(())
}

/// What was there at some time can be read by a name, whatever happened since, until nobody wants it any more.
async fn as_of(admin: &Admin, commands: &Client, reads: &Client) -> anyhow::Result<()> {
    let pause = || tokio::time::sleep(Duration::from_millis(50));
    pause().await;
    let then = jiff::Timestamp::now();
    pause().await;
    ensure!(commands.change_price("still-2", 8_888, &[]).await?.status == 200);
    ensure!(commands.create("later").await?.status == 201);
    let wish = json!({ "as_of": then.to_string(), "name": "then", "expires": "1h", "by": "a test" });
    let asked = ReadModel::ALL.iter().map(|it| async {
        let view = admin.done(*it, ":as-of", wish.clone()).await?;
        let again = admin.ask(*it, ":as-of", wish.clone()).await?;
        ensure!(
            again.status == 409 && again.body["detail"].to_string().contains("has the name"),
            "{}",
            again.body
        );
        let is_one = |it: &&Value| it["as_of"]["name"] == "then";
        let builds = view["builds"].as_array().context("builds")?;
        builds.iter().find(is_one).and_then(|it| it["generation"].as_u64()).context("a build as of then")
    });
    let builds = futures::future::try_join_all(asked).await?;
    for (read_model, generation) in ReadModel::ALL.iter().zip(&builds) {
        let look = async || phase(&admin.view(*read_model).await.unwrap_or_default(), *generation).to_owned();
        eventually("it is complete", look, |it| it.starts_with("can be read as then: as of ")).await;
        // Not to be switched to.
        let refused =
            admin.ask(*read_model, &format!("/builds/{generation}:switch"), json!({ "force": true })).await?;
        ensure!(
            refused.status == 409 && refused.body["detail"].to_string().contains("?generation=then"),
            "{}",
            refused.body
        );
    }
    let read = async |path: &str| reads.get(&format!("{path}generation=then")).await;
    let product = read("/v1/products/still-2?").await?;
    ensure!(product.status == 200 && product.body["version"] == 1, "{} {}", product.status, product.body);
    let history = read("/v1/products/still-2/history?").await?;
    ensure!(history.body["items"].as_array().map(Vec::len) == Some(1), "{}", history.body);
    let found = read("/v1/search?q=SKU-STILL-2&").await?;
    ensure!(found.body["items"][0]["version"] == 1, "{}", found.body);
    ensure!(read("/v1/products/later?").await?.status == 404, "it was not there then");
    for (read_model, generation) in ReadModel::ALL.iter().zip(&builds) {
        admin.done(*read_model, &format!("/builds/{generation}:retire"), json!({})).await?;
    }
    let gone = async || {
        let statuses =
            ["/v1/products/still-2?", "/v1/products/still-2/history?", "/v1/search?q=x&"].map(read);
        let statuses = futures::future::join_all(statuses).await.into_iter();
        statuses.map(|it| it.map(|it| it.status.as_u16()).unwrap_or_default()).collect::<Vec<_>>()
    };
    eventually("nothing is left of it", gone, |it| *it == [404, 404, 404]).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_decided_in_one_process_is_done_however_often_it_is_killed() -> anyhow::Result<()> {
    let mut system = InOneProcess::prepare().await?;
    let mut process = system.command_service().await?;
    let commands = Client::new(&process.url());
    for n in 0..STILL {
        ensure!(commands.create(&format!("still-{n}")).await?.status == 201);
    }
    let admin = Admin::of(std::slice::from_ref(&process));
    let token = commands.change_price("still-3", 3_333, &[]).await?.header("consistency-token").to_owned();
    for (n, after_ms) in [0, 5, 20, 60, 120, 250, 400].into_iter().enumerate() {
        for read_model in ReadModel::ALL {
            admin.done(*read_model, ":rebuild", json!({ "switch": "always" })).await?;
        }
        tokio::time::sleep(Duration::from_millis(after_ms)).await;
        system.kill(&process).await?;
        process = system.again(&process).await?;
        for read_model in ReadModel::ALL {
            admin.is_read(*read_model, n as u64 + 2).await?;
            // Only the last one stays beside it.
            admin.done(*read_model, &format!("/builds/{}:retire", n + 1), json!({})).await?;
        }
        for path in
            ["/v1/products/still-3", "/v1/products/still-3/history?order=desc", "/v1/search?q=SKU-STILL-3"]
        {
            let read =
                commands.get_with(path, &[("consistency-token", &token), ("prefer", "wait=30")]).await?;
            ensure!(read.status == 200 && read.body.to_string().contains("3333"), "{path}: {}", read.body);
        }
    }
    system.caught_up().await?;
    let (compared, wrong) =
        differences(&system.oracle().await?, &system.rows().await?, InOneProcess::NOT_GIVEN_BACK)?;
    assert!(wrong.is_empty() && compared > 4 * STILL, "{compared}: {wrong:#?}");
    Ok(())
}
