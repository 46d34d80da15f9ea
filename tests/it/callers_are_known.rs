//! P35: Callers are known at every door, and do only what they may: each route, call and admin call lets in whom its row says, and a client is nobody else.
//!
//! Needs no server: the doors are those of one process, which are the services' own.

mod attacks;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use edge::auth::{Access, AuthConfig, CertificateConfig, OidcConfig, Scope};
use edge::grpc::Call;
use edge::http::Taken;
use folio_dev::{Dev, Options, Settings};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::authority::Authority;
use testkit::login::{AUDIENCE, Login, now};
use testkit::{Client, Reply, eventually, product};
use tonic::Code;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic_types::StatusExt;

use super::doors_speak_tls::{HERE, grpc, http, port};

const COMMANDS: &str = "catalog.v1.CommandService";
const QUERIES: &str = "catalog.v1.QueryService";

fn options(login: &Login, change: impl FnOnce(&mut OidcConfig)) -> Options {
    let mut oidc = OidcConfig {
        issuer: Some(login.url()),
        audiences: vec![AUDIENCE.to_owned()],
        ..OidcConfig::default()
    };
    change(&mut oidc);
    let auth = AuthConfig { oidc, ..AuthConfig::default() };
    Options { settings: Settings { auth, ..Settings::default() }, ..Options::default() }
}

/// A place that callers can ask something of, and what it needs.
struct Row {
    /// `GET /v1/search`, or the path of a call.
    what: String,
    needs: Access,
    is_admin: bool,
}

/// Every route and every call that there is, by the tables that the doors are made of.
fn rows() -> Vec<Row> {
    let http = |taken: &'static [Taken], is_admin: bool| {
        taken.iter().flat_map(move |taken| {
            taken.methods.iter().map(move |method| {
                let what = format!("{method} {}", filled(taken.path));
                Row { what, needs: taken.needs, is_admin }
            })
        })
    };
    let grpc = |service: &'static str, calls: &'static [Call]| {
        calls.iter().map(move |call| Row {
            what: format!("/{service}/{}", call.method),
            needs: call.needs,
            is_admin: false,
        })
    };
    http(command_service::Core::PATHS, false)
        .chain(http(query_gateway::Core::PATHS, false))
        .chain(http(projector::Admin::PATHS, true))
        .chain(http(edge::OPS_PATHS, true))
        .chain(grpc(COMMANDS, command_service::Core::CALLS))
        .chain(grpc(QUERIES, query_gateway::Core::CALLS))
        .collect()
}

/// A path with something in the place of each parameter.
fn filled(path: &str) -> String {
    let mut filled = String::new();
    let mut rest = path;
    while let Some((before, parameter)) = rest.split_once('{') {
        // A pattern such as {id:[^/:]+} holds no brace.
        let (parameter, after) = parameter.split_once('}').unwrap_or((parameter, ""));
        let name = parameter.split(':').next().unwrap_or_default();
        filled.push_str(before);
        filled.push_str(match name {
            "action" => "list",
            "verb" => "pause",
            "name" => "products",
            "generation" | "partition" | "offset" => "1",
            _ => "p-1",
        });
        rest = after;
    }
    filled + rest
}

/// What somebody who shows this is answered: the HTTP status, of a call what belongs to its code.
async fn answered(dev: &Dev, channel: &Channel, row: &Row, shown: Option<&str>) -> anyhow::Result<u16> {
    let bearer = shown.map(|shown| format!("Bearer {shown}"));
    let Some((method, path)) = row.what.split_once(' ') else {
        let mut request = tonic::Request::new(());
        if let Some(bearer) = &bearer {
            request.metadata_mut().insert("authorization", bearer.parse()?);
        }
        let mut grpc = Grpc::new(channel.clone());
        grpc.ready().await?;
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let path = PathAndQuery::try_from(row.what.as_str())?;
        let code = grpc.unary(request, path, codec).await.map_or_else(|status| status.code(), |_| Code::Ok);
        return Ok(match code {
            Code::Unauthenticated => 401,
            Code::PermissionDenied => 403,
            _ => 200,
        });
    };
    let address = if row.is_admin { dev.addresses().ops } else { dev.addresses().http };
    let headers: Vec<_> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
    let client = Client::new(&format!("http://{address}"));
    Ok(client.send(Method::from_bytes(method.as_bytes())?, path, &headers, "").await?.status.as_u16())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_and_call_lets_in_whom_its_row_says() -> anyhow::Result<()> {
    let (login, stranger) = (Login::start().await?, Login::start().await?);
    let dev = Dev::start(options(&login, |_| ())).await?;
    let channel = Channel::from_shared(format!("http://{}", dev.addresses().grpc))?.connect().await?;
    let wrong = stranger.signed(&json!({ "iss": login.url(), "sub": "ada", "scope": all_but(&[]) }))?;
    let expired = login.signed(&json!({ "sub": "ada", "scope": all_but(&[]), "exp": now() - 100 }))?;
    for row in rows() {
        let scopes: &[Scope] = match &row.needs {
            Access::Anyone => &[],
            Access::Needs(scope) => std::slice::from_ref(scope),
            Access::NeedsOneOf(scopes) => scopes,
        };
        let lacking = login.signed(&json!({ "sub": "ada", "scope": all_but(scopes) }))?;
        let is_open = row.needs == Access::Anyone;
        for (shown, expected) in [
            (None, 401),
            (Some("wrong"), 401),
            (Some(&*wrong), 401),
            (Some(&*expired), 401),
            (Some(&*lacking), 403),
        ] {
            let status = answered(&dev, &channel, &row, shown).await?;
            let is_right = if is_open { ![401, 403].contains(&status) } else { status == expected };
            ensure!(is_right, "{} answers {status} and not {expected} to {shown:?}", row.what);
        }
        let mut passed = 0;
        for scope in scopes {
            let right = login.token("ada", &[scope.name()])?;
            let status = answered(&dev, &channel, &row, Some(&right)).await?;
            ensure!(status != 401, "{} answers 401 to who has {scope}", row.what);
            passed += usize::from(status != 403);
        }
        ensure!(is_open || passed > 0, "{} answers 403 to whoever has one of {scopes:?}", row.what);
    }
    dev.stop().await
}

/// The scopes beside these.
fn all_but(scopes: &[Scope]) -> String {
    let others = Scope::ALL.iter().filter(|scope| !scopes.contains(scope));
    others.map(|scope| scope.name()).collect::<Vec<_>>().join(" ")
}

/// Somebody with a token.
struct Caller<'d> {
    client: Client,
    dev: &'d Dev,
    bearer: String,
}

impl<'d> Caller<'d> {
    fn of(dev: &'d Dev, token: &str) -> Self {
        let client = Client::new(&format!("http://{}", dev.addresses().http));
        Self { client, dev, bearer: format!("Bearer {token}") }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        more: &[(&str, &str)],
        body: &Value,
    ) -> anyhow::Result<Reply> {
        let json = [("authorization", self.bearer.as_str()), ("content-type", "application/json")];
        let headers: Vec<_> = json.into_iter().chain(more.iter().copied()).collect();
        Ok(self.client.send(method, path, &headers, body.to_string()).await?)
    }

    async fn create(&self, id: &str, more: &[(&str, &str)]) -> anyhow::Result<Reply> {
        self.send(Method::PUT, &format!("/v1/products/{id}"), more, &product(id)).await
    }

    /// Who did what is in a product's history, once it has shown what this answer rests on: actors, each behind who acted for them, if
    /// somebody did.
    async fn actors(&self, id: &str, after: &Reply) -> anyhow::Result<Vec<String>> {
        let token = after.header("consistency-token").to_owned();
        let fresh = [("consistency-token", token.as_str()), ("prefer", "wait=20")];
        let path = format!("/v1/products/{id}/history?order=asc");
        let history = self.send(Method::GET, &path, &fresh, &Value::Null).await?;
        ensure!(history.status == 200, "{} of {:?}", history.body, self.dev.addresses());
        let items = history.body["items"].as_array().cloned().unwrap_or_default();
        let who = |it: &Value| {
            let actor = it["actor"].as_str().unwrap_or_default();
            it["principal"].as_str().map_or_else(|| actor.to_owned(), |front| format!("{front} for {actor}"))
        };
        Ok(items.iter().map(who).collect())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_nobody_else_and_another_callers_key_tells_it_nothing() -> anyhow::Result<()> {
    let login = Login::start().await?;
    let dev = Dev::start(options(&login, |_| ())).await?;
    let (write, read) = (Scope::Write.name(), Scope::Read.name());
    let ada = Caller::of(&dev, &login.token("ada", &[write, read])?);
    let grace = Caller::of(&dev, &login.token("grace", &[write, read])?);
    let front = Caller::of(&dev, &login.token("front", &[write, read, Scope::OnBehalf.name()])?);

    let created = ada.create("p-1", &[("idempotency-key", "k")]).await?;
    ensure!(created.status == 201, "{}", created.body);
    let claimed = ada.create("p-2", &[("x-folio-actor", "grace")]).await?;
    ensure!((claimed.status.as_u16(), claimed.code()) == (403, "forbidden"), "{}", claimed.body);
    ensure!(claimed.body["missing_scope"] == "act-on-behalf", "{}", claimed.body);
    let for_grace = front.create("p-3", &[("x-folio-actor", "grace")]).await?;
    ensure!(for_grace.status == 201, "{}", for_grace.body);
    ensure!(ada.actors("p-1", &created).await? == ["ada"]);
    ensure!(front.actors("p-3", &for_grace).await? == ["front for grace"]);

    // The key belongs to who used it: to another it is a new one, and what it answers is no replay.
    let foreign = grace.create("p-1", &[("idempotency-key", "k")]).await?;
    ensure!(foreign.code() == "product-already-exists", "{}", foreign.body);
    let own = ada.create("p-1", &[("idempotency-key", "k")]).await?;
    ensure!(own.header("idempotency-replayed") == "true", "{}", own.body);

    // What each command needs is held in an upload too, line by line.
    let bulk = Caller::of(&dev, &login.token("bulk", &[write, Scope::Bulk.name()])?);
    let lines = [
        json!({"command": "list_product", "product_id": "p-1"}),
        json!({"command": "delete_product", "product_id": "p-1"}),
    ];
    let headers = [("authorization", bulk.bearer.as_str()), ("content-type", "application/x-ndjson")];
    let body = lines.map(|line| format!("{line}\n")).concat();
    let answer = bulk.client.send(Method::POST, "/v1/commands:bulk", &headers, body).await?;
    let answers = answer.body.as_str().context("two lines")?;
    let statuses: Vec<Value> = answers
        .lines()
        .map(|line| Ok(serde_json::from_str::<Value>(line)?["status"].clone()))
        .collect::<anyhow::Result<_>>()?;
    ensure!(statuses == [json!(200), json!(403)], "{answers}");
    dev.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_sees_and_changes_its_own_products_and_learns_nothing_of_others() -> anyhow::Result<()> {
    let login = Login::start().await?;
    let dev = Dev::start(options(&login, |oidc| oidc.claims.tenant = Some("org".to_owned()))).await?;
    let of = |org: &str| {
        let scopes = [Scope::Write.name(), Scope::Read.name()].join(" ");
        login.signed(&json!({ "sub": format!("{org}-shop"), "org": org, "scope": scopes }))
    };
    let (acme, other) = (Caller::of(&dev, &of("acme")?), Caller::of(&dev, &of("other")?));
    let created = acme.create("acme.1", &[]).await?;
    ensure!(created.status == 201, "{}", created.body);
    let foreign = other.create("acme.2", &[]).await?;
    ensure!(foreign.status == 403, "{}", foreign.body);
    // Without an id it gets one of the tenant's.
    let headers = [("idempotency-key", "k")];
    let made = other.send(Method::POST, "/v1/products", &headers, &product("made")).await?;
    ensure!(made.body["product_id"].as_str().is_some_and(|id| id.starts_with("other.")), "{}", made.body);
    for path in [
        "/v1/products/acme.1",
        "/v1/products/acme.missing",
        "/v1/products/acme.1/history",
        "/v1/products:batchGet?ids=other.1,acme.1",
        "/v1/search?q=lamp",
        "/v1/suggest?q=lam",
        "/v1/products?category=tests",
    ] {
        let refused = other.send(Method::GET, path, &[], &Value::Null).await?;
        ensure!((refused.status.as_u16(), refused.code()) == (403, "forbidden"), "{path}: {}", refused.body);
    }
    let token = created.header("consistency-token").to_owned();
    let fresh = [("consistency-token", token.as_str()), ("prefer", "wait=20")];
    let own = acme.send(Method::GET, "/v1/products/acme.1", &fresh, &Value::Null).await?;
    ensure!(own.status == 200, "{}", own.body);
    // A token is no question about another's product.
    let at_once = [("consistency-token", token.as_str()), ("prefer", "wait=0")];
    let refused =
        other.send(Method::GET, "/v1/products:batchGet?ids=other.1", &at_once, &Value::Null).await?;
    ensure!((refused.status.as_u16(), refused.code()) == (403, "forbidden"), "{}", refused.body);
    let nobody = Caller::of(&dev, &login.token("nobody", &[Scope::Read.name()])?);
    let refused = nobody.send(Method::GET, "/v1/products/acme.1", &[], &Value::Null).await?;
    ensure!(refused.status == 403, "{}", refused.body);
    dev.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_issuers_keys_nobody_is_let_in_and_with_new_ones_nobody_is_kept_out() -> anyhow::Result<()>
{
    let login = Login::start().await?;
    login.be_away(true);
    let dev = Dev::open(options(&login, |_| ())).await?;
    let read = [Scope::Read.name()];
    let ask = async |token: &str| {
        let caller = Caller::of(&dev, token);
        caller.send(Method::GET, "/v1/products/p-1", &[], &Value::Null).await
    };
    let token = login.token("ada", &read)?;
    let refused = ask(&token).await?;
    ensure!((refused.status.as_u16(), refused.code()) == (503, "auth-unavailable"), "{}", refused.body);
    ensure!(
        refused.body["retryable"] == true && !refused.header("retry-after").is_empty(),
        "{}",
        refused.body
    );
    ensure!(dev.missing().iter().any(|it| it.starts_with("issuer")), "{:?}", dev.missing());
    login.be_away(false);
    tokio::time::timeout(Duration::from_mins(1), dev.ready()).await.context("it goes on by itself")?;
    ensure!(ask(&token).await?.status == 404, "the product is not there, and that may be told");
    // The issuer goes away again: what it showed last still counts, and a new key is not known before it is back.
    login.be_away(true);
    ensure!(ask(&token).await?.status == 404);
    login.renew()?;
    let newer = login.token("ada", &read)?;
    ensure!(ask(&newer).await?.status == 401);
    login.be_away(false);
    let newly = async || ask(&newer).await.map(|reply| reply.status.as_u16()).unwrap_or_default();
    eventually("the new key counts", newly, |status| *status == 404).await;
    ensure!(ask(&token).await?.status == 404, "and so does the old one");
    dev.stop().await
}

#[tokio::test]
async fn who_calls_over_grpc_and_may_not_is_told_what_is_missing() -> anyhow::Result<()> {
    let login = Login::start().await?;
    let dev = Dev::start(options(&login, |_| ())).await?;
    let channel = Channel::from_shared(format!("http://{}", dev.addresses().grpc))?.connect().await?;
    let mut grpc = Grpc::new(channel);
    grpc.ready().await?;
    let mut request = tonic::Request::new(());
    let token = login.token("ada", &[Scope::Write.name()])?;
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let path = PathAndQuery::try_from(format!("/{QUERIES}/Search"))?;
    let refused = grpc.unary(request, path, codec).await.err().context("it is refused")?;
    let info = refused.get_details_error_info().context("details")?;
    ensure!(
        (info.reason.as_str(), info.metadata["missing_scope"].as_str()) == ("FORBIDDEN", "products:read")
    );
    dev.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_shows_a_certificate_is_who_it_says_and_nobody_more() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let ca = Authority::new(dir.path(), "ca")?;
    let server = ca.signs("server", &HERE)?;
    let (shop, other) = (ca.signs("shop", &["shop.example"])?, ca.signs("other", &["other.example"])?);
    let who = CertificateConfig {
        san: "shop.example".to_owned(),
        scopes: vec![Scope::Read],
        ..CertificateConfig::default()
    };
    let mut settings = Settings::default();
    settings.http.tls = port(&server, Some(&ca));
    settings.auth = AuthConfig { certificates: vec![who], ..AuthConfig::default() };
    let dev = Dev::start(Options { settings, ..Options::default() }).await?;
    let addresses = dev.addresses();
    let path = "/v1/products/p-1";
    ensure!(http(addresses.http, &ca, Some(&shop))?.get(path).await?.status == 404, "it may read");
    let writes = http(addresses.http, &ca, Some(&shop))?.create("p-1").await?;
    ensure!(writes.status == 403, "{}", writes.body);
    let stranger = http(addresses.http, &ca, Some(&other))?.get(path).await?;
    ensure!(stranger.status == 401 && stranger.body["reason"] == "no-credentials", "{}", stranger.body);
    for (signed, code) in [(&shop, Code::Ok), (&other, Code::Unauthenticated)] {
        let mut grpc = Grpc::new(grpc(addresses.grpc, &ca, Some(signed)).await?);
        grpc.ready().await?;
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let path = PathAndQuery::try_from(format!("/{QUERIES}/Search"))?;
        let answer = grpc.unary(tonic::Request::new(()), path, codec).await;
        let found = answer.map_or_else(|status| status.code(), |_| Code::Ok);
        ensure!(found == code, "{found:?} and not {code:?}");
    }
    dev.stop().await
}
