//! P40: No caller keeps another from being answered: what goes beyond its limits is told so and when to come back, and a full door is
//! shared; no page of another site writes.
//!
//! Needs no server: the doors are those of one process, which are the services' own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use command_service::OverloadConfig;
use contract::proto::catalog::v1::command_request::Command;
use contract::proto::catalog::v1::command_service_client::CommandServiceClient;
use contract::proto::catalog::v1::{ChangePrice, CommandRequest, Money};
use edge::auth::{AuthConfig, OidcConfig, Scope};
use edge::http::Taken;
use edge::limits::LimitsConfig;
use folio_dev::{Dev, Options, Settings};
use futures::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::login::{AUDIENCE, Login};
use testkit::{Client, Reply, eventually, product};
use tonic::Code;
use tonic_types::StatusExt as _;

/// Clients of the caller who floods, each sending as fast as it is answered; every fourth over gRPC.
const CLIENTS: usize = 16;
/// Commands of the other, one after the other.
const COMMANDS: usize = 100;
/// How much longer those may take beside a flood, at most: the machine is busy, and they are not held up.
const MAX_RATIO: u32 = 20;
/// What is too short to be compared.
const MIN_COMPARED: Duration = Duration::from_millis(10);

async fn started(login: &Login, change: impl FnOnce(&mut Settings)) -> anyhow::Result<Dev> {
    let oidc = OidcConfig {
        issuer: Some(login.url()),
        audiences: vec![AUDIENCE.to_owned()],
        ..OidcConfig::default()
    };
    let auth = AuthConfig { oidc, ..AuthConfig::default() };
    let mut settings = Settings { auth, ..Settings::default() };
    change(&mut settings);
    Box::pin(Dev::start(Options { settings, ..Options::default() })).await
}

/// Somebody with a token for everything.
#[derive(Clone)]
struct Caller {
    client: Client,
    bearer: String,
}

impl Caller {
    fn new(dev: &Dev, login: &Login, name: &str) -> anyhow::Result<Self> {
        let scopes: Vec<&str> = Scope::ALL.iter().map(|scope| scope.name()).collect();
        let bearer = format!("Bearer {}", login.token(name, &scopes)?);
        Ok(Self { client: Client::new(&format!("http://{}", dev.addresses().http)), bearer })
    }

    async fn create(&self, id: &str) -> anyhow::Result<Reply> {
        let headers = [("authorization", &*self.bearer), ("content-type", "application/json")];
        let path = format!("/v1/products/{id}");
        Ok(self.client.send(Method::PUT, &path, &headers, product(id).to_string()).await?)
    }

    async fn change_price(&self, id: &str, price: u64) -> anyhow::Result<Reply> {
        Ok(self.client.change_price(id, price, &[("authorization", &*self.bearer)]).await?)
    }

    /// How long its commands take, the middle one and one of the slowest; all of them have to be answered well.
    async fn commands(&self, from: u64) -> anyhow::Result<(Duration, Duration)> {
        let mut took = Vec::new();
        for price in (from..).take(COMMANDS) {
            let since = Instant::now();
            let reply = self.change_price("calm", price).await?;
            ensure!(reply.status == 200, "{} {}", reply.status, reply.body);
            took.push(since.elapsed());
        }
        took.sort_unstable();
        Ok((took[COMMANDS / 2], took[COMMANDS * 9 / 10]))
    }
}

/// What the flood was told.
#[derive(Debug, Default)]
struct Told {
    accepted: AtomicU64,
    refused: AtomicU64,
    stop: AtomicBool,
}

/// Sends as fast as it is answered, and passes over what it is told of waiting. `codes`: what it may be refused with.
async fn flood(
    caller: Caller,
    grpc: Option<String>,
    number: usize,
    told: Arc<Told>,
    codes: &'static [&'static str],
) -> anyhow::Result<()> {
    let mut grpc = match grpc {
        Some(url) => Some(CommandServiceClient::connect(url).await?),
        None => None,
    };
    let id = format!("flood-{number}");
    for price in 2_000_u64.. {
        if told.stop.load(Ordering::Relaxed) {
            break;
        }
        let is_accepted = if let Some(grpc) = &mut grpc {
            let price = Money { minor_units: i64::try_from(price)?, currency: "USD".to_owned() };
            let command = Some(Command::ChangePrice(ChangePrice { price: Some(price) }));
            let command = CommandRequest { product_id: id.clone(), command, ..CommandRequest::default() };
            let mut request = tonic::Request::new(command);
            request.metadata_mut().insert("authorization", caller.bearer.parse()?);
            match grpc.execute(request).await {
                Ok(_) => true,
                Err(status) => {
                    let details = status.get_error_details();
                    let reason =
                        details.error_info().map(|info| info.reason.replace('_', "-").to_lowercase());
                    let wait = details.retry_info().and_then(|it| it.retry_delay);
                    let is_told = status.code() == Code::ResourceExhausted
                        && reason.is_some_and(|reason| codes.contains(&&*reason))
                        && wait.is_some_and(|wait| wait >= Duration::from_secs(1));
                    ensure!(is_told, "{status:?}");
                    false
                }
            }
        } else {
            let reply = caller.change_price(&id, price).await?;
            let wait: u64 = reply.header("retry-after").parse().unwrap_or_default();
            let is_told = reply.status == 429 && codes.contains(&reply.code()) && wait >= 1;
            ensure!(reply.status == 200 || is_told, "{} {}", reply.status, reply.body);
            reply.status == 200
        };
        let count = if is_accepted { &told.accepted } else { &told.refused };
        count.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Has somebody send commands alone, and beside somebody who floods.
async fn beside_a_flood(
    login: &Login,
    dev: &Dev,
    codes: &'static [&'static str],
) -> anyhow::Result<Arc<Told>> {
    let (calm, noisy) = (Caller::new(dev, login, "calm")?, Caller::new(dev, login, "noisy")?);
    ensure!(calm.create("calm").await?.status == 201);
    for number in 0..CLIENTS {
        ensure!(noisy.create(&format!("flood-{number}")).await?.status == 201);
    }
    let alone = calm.commands(2_000).await?;
    let told = Arc::new(Told::default());
    let floods: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let grpc = number.is_multiple_of(4).then(|| format!("http://{}", dev.addresses().grpc));
            tokio::spawn(flood(noisy.clone(), grpc, number, Arc::clone(&told), codes))
        })
        .collect();
    let refused = async || told.refused.load(Ordering::Relaxed);
    eventually("the flood is turned away", refused, |n| *n > 100).await;
    let beside = calm.commands(4_000).await;
    told.stop.store(true, Ordering::Relaxed);
    for flood in floods {
        flood.await??;
    }
    let beside = beside.context("somebody else's commands, beside a flood")?;
    for (alone, beside) in [(alone.0, beside.0), (alone.1, beside.1)] {
        let is_near = beside <= alone.max(MIN_COMPARED) * MAX_RATIO;
        ensure!(is_near, "{beside:?} beside a flood, {alone:?} alone: {told:?}");
    }
    Ok(told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_beyond_its_rate_is_told_when_to_come_back_and_nobody_else_notices() -> anyhow::Result<()> {
    let login = Login::start().await?;
    let (requests_per_second, burst) = (400, 400);
    let dev = started(&login, |settings| {
        settings.limits = LimitsConfig { requests_per_second, burst, ..LimitsConfig::default() };
    })
    .await?;
    let since = Instant::now();
    let told = beside_a_flood(&login, &dev, &["too-many-requests"]).await?;
    let most = u64::from(burst) + since.elapsed().as_secs() * u64::from(requests_per_second) + 400;
    let accepted = told.accepted.load(Ordering::Relaxed);
    ensure!(accepted <= most, "{accepted} of the flood were let in, and {most} should be the most");
    // It is counted, and who it was stands in no metric.
    let ops = Client::new(&format!("http://{}", dev.addresses().ops));
    let bearer = format!("Bearer {}", login.token("prometheus", &[Scope::Ops.name()])?);
    let metrics = ops.get_with("/metrics", &[("authorization", &*bearer)]).await?;
    let metrics = metrics.body.as_str().context("metrics")?;
    let of_rate = |line: &&str| line.starts_with("folio_limited_total{limit=\"rate\"}");
    let counted = metrics.lines().find(of_rate).context("folio_limited_total")?;
    let counted: u64 = counted.rsplit(' ').next().context("a number")?.parse()?;
    ensure!(counted == told.refused.load(Ordering::Relaxed), "{counted} and {told:?}");
    ensure!(!metrics.contains("noisy"), "{metrics}");
    // So are what waits (reads with a token) and the admin API: a caller has one account, whatever it asks.
    let noisy = Caller::new(&dev, &login, "noisy")?;
    let admin = Client::new(&format!("http://{}", dev.addresses().ops));
    let headers = [("authorization", &*noisy.bearer)];
    let refused = async || {
        let asked = (0..600).map(|_| admin.get_with("/admin/v1/read-models", &headers));
        let answers: Vec<_> = futures::stream::iter(asked).buffer_unordered(64).collect().await;
        answers.into_iter().flatten().filter(|it| it.code() == "too-many-requests").count()
    };
    eventually("the admin API refuses it too", refused, |n| *n > 0).await;
    dev.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_door_that_one_caller_has_filled_lets_in_another() -> anyhow::Result<()> {
    let login = Login::start().await?;
    let dev = started(&login, |settings| {
        settings.overload =
            OverloadConfig { max_in_flight: 4, min_in_flight: 2, ..OverloadConfig::default() };
    })
    .await?;
    beside_a_flood(&login, &dev, &["overloaded"]).await?;
    dev.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_of_another_site_writes_whoever_looks_at_it() -> anyhow::Result<()> {
    let login = Login::start().await?;
    let checked = started(&login, |settings| {
        settings.auth.origins = vec!["https://shop.example".to_owned()];
    })
    .await?;
    let open = Dev::start(Options::default()).await?;
    for (dev, is_checked) in [(&checked, true), (&open, false)] {
        let caller = Caller::new(dev, &login, "ada")?;
        for (method, path, is_admin) in writes() {
            let address = if is_admin { dev.addresses().ops } else { dev.addresses().http };
            let client = Client::new(&format!("http://{address}"));
            let ask = async |headers: &[(&str, &str)]| -> anyhow::Result<Reply> {
                let bearer = [("authorization", &*caller.bearer)];
                let headers: Vec<_> = bearer.into_iter().chain(headers.iter().copied()).collect();
                Ok(client.send(method.parse::<Method>()?, &path, &headers, "{}").await?)
            };
            for foreign in [
                ("origin", "https://evil.example"),
                ("origin", "null"),
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-site", "same-site"),
            ] {
                let reply = ask(&[("content-type", "application/json"), foreign]).await?;
                let told = (reply.status.as_u16(), reply.code());
                ensure!(told == (403, "cross-site-request"), "{method} {path} {foreign:?}: {}", reply.body);
            }
            // What a form can say, and a script without asking first.
            for kind in
                ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", ""]
            {
                let reply = ask(&[("content-type", kind)]).await?;
                ensure!(reply.status == 415, "{method} {path} {kind}: {} {}", reply.status, reply.body);
            }
            // The door's own pages, and those that are configured, get as far as anybody.
            let own = format!("http://{address}");
            let trusted = is_checked.then_some("https://shop.example");
            for origin in trusted.into_iter().chain([&*own]) {
                let reply = ask(&[("content-type", "text/plain"), ("origin", origin)]).await?;
                ensure!(reply.status == 415, "{method} {path} {origin}: {}", reply.body);
            }
            if is_checked {
                let cookie = format!("authorization={0}; token={0}", caller.bearer.replace(' ', "%20"));
                let headers = [("cookie", &*cookie), ("content-type", "application/json")];
                let reply = client.send(method.parse::<Method>()?, &path, &headers, "{}").await?;
                ensure!(reply.status == 401, "{method} {path}: {} {}", reply.status, reply.body);
            }
        }
        let reply = caller.create("p-1").await?;
        ensure!(reply.status == 201, "nothing of all that was written: {}", reply.body);
    }
    open.stop().await?;
    checked.stop().await
}

/// Every route that changes something: its method, its path, and whether it is on the operators' port.
fn writes() -> Vec<(&'static str, String, bool)> {
    let of = |taken: &'static [Taken], is_admin: bool| {
        taken.iter().flat_map(move |taken| {
            let path = taken
                .path
                .replace("{id:[^/:]+}", "p-1")
                .replace("{action:[^/:]+}", "list")
                .replace("{name}", "products")
                .replace("{generation}", "1")
                .replace("{verb}", if taken.path.contains("dead-letters") { "redrive" } else { "retire" });
            let methods = taken.methods.iter().filter(|method| !["GET", "HEAD"].contains(*method));
            methods.map(move |method| (*method, path.clone(), is_admin))
        })
    };
    let all: Vec<_> = of(command_service::Core::PATHS, false)
        .chain(of(query_gateway::Core::PATHS, false))
        .chain(of(projector::Admin::PATHS, true))
        .collect();
    assert!(all.len() >= 7 && all.iter().all(|(_, path, _)| !path.contains('{')), "{all:?}");
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_caller_has_so_many_waiting_and_no_more() -> anyhow::Result<()> {
    let login = Login::start().await?;
    let dev = started(&login, |settings| {
        settings.limits = LimitsConfig { in_flight: 4, ..LimitsConfig::default() };
    })
    .await?;
    let (patient, other) = (Caller::new(&dev, &login, "patient")?, Caller::new(&dev, &login, "other")?);
    let created = patient.create("p-1").await?;
    ensure!(created.status == 201, "{}", created.body);
    // A token of what is not written yet: these reads wait for as long as they may.
    let ahead = contract::ConsistencyToken::decode(created.header("consistency-token"))?;
    let ahead = contract::ConsistencyToken { offset: ahead.offset + 1_000_000, ..ahead }.encode();
    let wait = async |caller: &Caller, seconds: u32| {
        let prefer = format!("wait={seconds}");
        let headers =
            [("authorization", &*caller.bearer), ("consistency-token", &*ahead), ("prefer", &*prefer)];
        caller.client.get_with("/v1/products?category=tests", &headers).await
    };
    let waiting: Vec<_> = (0..4).map(|_| wait(&patient, 5)).collect();
    let waiting = async { futures::future::join_all(waiting).await };
    let meanwhile = async {
        let refused = async || wait(&patient, 0).await.map(|it| it.body["limit"].clone()).unwrap_or_default();
        eventually("the fifth is refused", refused, |limit| *limit == json!("in-flight")).await;
        let others = wait(&other, 0).await?;
        ensure!(others.code() == "read-model-behind", "{}", others.body);
        Ok::<_, anyhow::Error>(())
    };
    let (answers, meanwhile) = tokio::join!(waiting, meanwhile);
    meanwhile?;
    for answer in answers {
        let answer = answer?;
        ensure!(answer.code() == "read-model-behind", "{}", answer.body);
    }
    let after = wait(&patient, 0).await?;
    ensure!(after.body != Value::Null && after.code() == "read-model-behind", "{}", after.body);
    dev.stop().await
}
