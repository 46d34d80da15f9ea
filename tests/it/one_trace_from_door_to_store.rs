//! P41 One trace leads from a door to every store: a command's through the log to the rows of each read model, a query's to the
//! store that answers it; what is not sampled leaves none.

use contract::proto::catalog::v1::command_request::Command;
use contract::proto::catalog::v1::command_service_client::CommandServiceClient;
use contract::proto::catalog::v1::query_service_client::QueryServiceClient;
use contract::proto::catalog::v1::{ChangePrice, CommandRequest, GetProductRequest, Money};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use read_models::ReadModel;
use reqwest::Method;
use serde_json::json;
use testkit::collector::{Collector, Span, tree};
use testkit::{Client, OnServers, PATIENCE, Started, System, eventually};

/// Of the client, which exports its own spans elsewhere.
const CALLER: &str = "00f067aa0ba902b7";

/// The number of a client's trace, and its header.
fn trace(number: u128, is_sampled: bool) -> (String, String) {
    let id = format!("{:032x}", 0x4bf9_2f35_0000_0000_0000_0000_0000_0000 + number);
    let header = format!("00-{id}-{CALLER}-{:02}", u8::from(is_sampled));
    (id, header)
}

/// A catalog whose services send their traces to the test: all of them if a client says so, and none else.
struct Traced {
    system: OnServers,
    collector: Collector,
    commands: Started,
    gateway: Started,
}

impl Traced {
    async fn start() -> anyhow::Result<Self> {
        let mut system = OnServers::prepare().await?;
        let collector = Collector::start().await?;
        let endpoint = collector.endpoint().to_owned();
        let settings = [
            ("TELEMETRY__OTLP_ENDPOINT", endpoint.as_str()),
            ("TELEMETRY__TRACE_RATIO", "0"),
            ("TELEMETRY__LOG", "json"),
        ];
        let commands = system.command_service_with(&settings).await?;
        system.projectors_with(&settings).await?;
        let (mut plan, listens) = system.planner.query_gateway(90)?;
        let variables = settings.iter().map(|(name, value)| (format!("FOLIO__{name}"), (*value).to_owned()));
        plan.environment.extend(variables);
        let gateway = system.start((plan, listens))?;
        gateway.service.wait_ready(PATIENCE).await?;
        Ok(Self { system, collector, commands, gateway })
    }

    /// The tree of a trace below the client, once it has so many spans and there is nothing else in the trace.
    async fn tree(&self, trace: &str, spans: usize, describe: impl Fn(&Span) -> String) -> Vec<String> {
        let seen = async || self.collector.of_trace(trace);
        let is_whole =
            |seen: &Vec<Span>| seen.len() >= spans && tree(seen, CALLER, &describe).len() == seen.len();
        tree(&eventually("the trace is one tree", seen, is_whole).await, CALLER, &describe)
    }
}

/// What the tree of a command says of a span.
fn of_command(span: &Span) -> String {
    let model = span.attribute("folio.read_model");
    let system = [span.attribute("db.system.name"), span.attribute("messaging.system")].concat();
    format!("{:?} {} {} {model} {system}", span.kind, span.service, span.name).trim_end().to_owned()
}

/// The trees that a command has, whichever door it came by.
fn expected(door: &str, command: &str, topic: &str) -> Vec<String> {
    let mut lines = vec![
        format!("Server command-service {door}"),
        format!("  Internal command-service {command}"),
        format!("    Producer command-service send {topic}  kafka"),
    ];
    let mut models: Vec<&str> = ReadModel::ALL.iter().map(|it| it.name()).collect();
    models.sort_unstable();
    for model in models {
        let store = if model == "search" { "elasticsearch" } else { "cassandra" };
        lines.push(format!("      Consumer projector process {topic} {model} kafka"));
        lines.push(format!("        Client projector write {model}  {store}"));
    }
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_one_tree_from_its_door_to_the_rows_of_each_read_model() -> anyhow::Result<()> {
    let mut traced = Traced::start().await?;
    let topic = traced.system.topic().to_owned();
    let commands = Client::new(&traced.commands.url());
    // These two leave nothing: one comes in no trace, and one in a trace that is not sampled.
    assert_eq!(commands.create("quiet").await?.status, 201);
    let (not_sampled, header) = trace(1, false);
    let quiet = commands.change_price("quiet", 2_000, &[("traceparent", &header)]).await?;
    assert_eq!(quiet.status, 200, "{}", quiet.body);

    let (over_http, header) = trace(2, true);
    let mut body = testkit::product("loud");
    body["product_id"] = json!("loud");
    let made = commands.post("/v1/products", &[("traceparent", &header)], &body).await?;
    assert_eq!(made.status, 201, "{}", made.body);
    let (over_grpc, header) = trace(3, true);
    let price = Some(Money { minor_units: 9_900, currency: "USD".to_owned() });
    let mut change = tonic::Request::new(CommandRequest {
        product_id: "loud".to_owned(),
        command: Some(Command::ChangePrice(ChangePrice { price })),
        ..CommandRequest::default()
    });
    change.metadata_mut().insert("traceparent", header.parse()?);
    CommandServiceClient::connect(traced.commands.grpc()).await?.execute(change).await?;

    let expected_http = expected("POST /v1/products", "create_product", &topic);
    assert_eq!(traced.tree(&over_http, 9, of_command).await, expected_http);
    let expected_grpc = expected("catalog.v1.CommandService/Execute", "change_price", &topic);
    assert_eq!(traced.tree(&over_grpc, 9, of_command).await, expected_grpc);

    // The record says where its trace goes on, and names the span that sent it.
    let producer = |trace: &str| {
        let sent = traced.collector.of_trace(trace).into_iter().find(|it| it.kind == SpanKind::Producer);
        sent.expect("the tree has one")
    };
    let (made, changed) = (producer(&over_http), producer(&over_grpc));
    let context = |span: &Span| format!("00-{}-{}-01", span.trace, span.id);
    let said = [None, Some(trace(1, false).1), Some(context(&made)), Some(context(&changed))];
    let mut by_product: Vec<_> = traced.system.plain_records().await?;
    by_product.sort_by_key(|record| (record.key.clone().starts_with("loud"), record.key.clone()));
    let headers: Vec<_> = by_product.iter().map(|it| it.headers.get("traceparent").cloned()).collect();
    assert_eq!(headers, said);
    assert_eq!(made.attribute("messaging.destination.name"), topic);
    assert!(made.attribute("messaging.kafka.message.key").starts_with("loud/1/"), "{made:?}");
    assert!(!made.attribute("messaging.kafka.offset").is_empty(), "{made:?}");

    // Each batch is a trace of its own, which links to the records in it and leads to the store.
    let links_to = |span: &&Span| span.links.contains(&(made.trace.clone(), made.id.clone()));
    let batches = async || traced.collector.spans().iter().filter(links_to).cloned().collect::<Vec<_>>();
    let all = ReadModel::ALL.len();
    let batches =
        eventually("each read model had it in a batch", batches, |it: &Vec<Span>| it.len() >= all).await;
    let spans = traced.collector.spans();
    let mut models: Vec<&str> = batches.iter().map(|it| it.attribute("folio.read_model")).collect();
    models.sort_unstable();
    assert_eq!(models, ["history", "products", "search"]);
    for batch in &batches {
        assert_eq!((batch.parent.as_str(), batch.kind), ("", SpanKind::Consumer), "{batch:?}");
        assert_ne!(batch.attribute("messaging.batch.message_count"), "");
        let stored =
            spans.iter().any(|it| it.parent == batch.id && !it.attribute("db.system.name").is_empty());
        assert!(stored, "{batch:?}: {spans:#?}");
    }
    // No span but the batches' and theirs, and those of the two traces.
    let known = |it: &&Span| [&over_http, &over_grpc].contains(&&it.trace) || it.service == "projector";
    assert_eq!(spans.iter().find(|it| !known(it)), None);
    assert!(traced.collector.of_trace(&not_sampled).is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_is_one_tree_from_its_door_to_the_store_and_lines_say_its_trace() -> anyhow::Result<()> {
    let mut traced = Traced::start().await?;
    let commands = Client::new(&traced.commands.url());
    assert_eq!(commands.create("asked").await?.status, 201);
    traced.system.caught_up().await?;
    let gateway = Client::new(&traced.gateway.url());
    let ask = async |number, path: &str| {
        let (id, header) = trace(number, true);
        let answer = gateway.get_with(path, &[("traceparent", &header)]).await?;
        anyhow::ensure!(answer.status == 200, "{}", answer.body);
        Ok::<_, anyhow::Error>(id)
    };
    let by_id = ask(11, "/v1/products/asked").await?;
    let history = ask(12, "/v1/products/asked/history").await?;
    let search = ask(13, "/v1/search?q=asked").await?;
    let (over_grpc, header) = trace(14, true);
    let mut get = tonic::Request::new(GetProductRequest {
        product_id: "asked".to_owned(),
        ..GetProductRequest::default()
    });
    get.metadata_mut().insert("traceparent", header.parse()?);
    QueryServiceClient::connect(traced.gateway.grpc()).await?.get_product(get).await?;
    for (id, door, query, store) in [
        (&by_id, "GET /v1/products/{product_id}", "product", "Client SELECT products_g1 cassandra"),
        (&history, "GET /v1/products/{product_id}/history", "history", "cassandra"),
        (&search, "GET /v1/search", "search", "Client search"),
        (&over_grpc, "catalog.v1.QueryService/GetProduct", "product", "cassandra"),
    ] {
        let describe = |span: &Span| {
            format!("{:?} {} {}", span.kind, span.name, span.attribute("db.system.name"))
                .trim_end()
                .to_owned()
        };
        let tree = traced.tree(id, 3, describe).await;
        assert_eq!(tree[..2], [format!("Server {door}"), format!("  Internal {query}")], "{tree:#?}");
        assert!(tree[2..].iter().all(|line| line.starts_with("    Client ")), "{tree:#?}");
        assert!(tree[2..].iter().any(|line| line.contains(store)), "{tree:#?}");
    }
    // One that failed says so where it failed.
    let (missing, header) = trace(15, true);
    assert_eq!(gateway.get_with("/v1/products/none", &[("traceparent", &header)]).await?.status, 404);
    let tree =
        traced.tree(&missing, 3, |span| format!("{} {}", span.name, span.attribute("folio.outcome"))).await;
    assert_eq!(tree[1], "  product product-not-found", "{tree:#?}");
    assert!(traced.collector.of_trace(&missing).iter().all(|span| !span.is_error));

    // What is logged is changed while it runs, and nonsense is refused.
    let ops = Client::new(&traced.gateway.ops());
    let put = async |body: &str, kind: &str| {
        ops.send(Method::PUT, "/loglevel", &[("content-type", kind)], body.to_owned()).await
    };
    assert_eq!(ops.get("/loglevel").await?.body, json!({ "level": "info" }));
    let long = format!("{{\"level\":\"{}info\"}}", "info,".repeat(2_000));
    for (body, kind, status, code) in [
        (r#"{"level":"inof"}"#, "application/json", 422, "invalid-value"),
        (r#"{"level":""}"#, "application/json", 422, "invalid-value"),
        (r#"{"levels":"info"}"#, "application/json", 400, "malformed-request"),
        ("info", "application/json", 400, "malformed-request"),
        (r#"{"level":"info"}"#, "text/plain", 415, "unsupported-media-type"),
        (long.as_str(), "application/json", 413, "body-too-large"),
    ] {
        let refused = put(body, kind).await?;
        assert_eq!((refused.status.as_u16(), refused.code()), (status, code), "{body}: {}", refused.body);
        assert!(refused.header("content-type").starts_with("application/problem+json"));
    }
    assert_eq!(ops.get("/loglevel").await?.body, json!({ "level": "info" }));
    let changed = put(r#"{"level":"trace"}"#, "application/json").await?;
    assert_eq!((changed.status.as_u16(), changed.body), (200, json!({ "level": "trace" })));
    // Also of a trace that is not sampled.
    let (id, header) = trace(16, false);
    gateway.get_with("/v1/products/asked", &[("traceparent", &header)]).await?;
    let said = format!("{{\"trace_id\":\"{id}\",");
    let lines = async || traced.gateway.log();
    eventually("lines say their trace", lines, |log: &String| log.lines().any(|it| it.starts_with(&said)))
        .await;
    let back = put(r#"{"level":"off"}"#, "application/json").await?;
    assert_eq!((back.status.as_u16(), back.body), (200, json!({ "level": "off" })));
    Ok(())
}
