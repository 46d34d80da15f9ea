//! P15 gRPC says what HTTP says: the same commands, answers, codes and reads.

use contract::proto::catalog::v1::command_request::Command;
use contract::proto::catalog::v1::command_service_client::CommandServiceClient;
use contract::proto::catalog::v1::query_service_client::QueryServiceClient;
use contract::proto::catalog::v1::{
    ChangePrice, CommandRequest, CreateProduct, Freshness, GetHistoryRequest, GetProductRequest, ListProduct,
    ListProductsRequest, Matched, Money, Outcome, SearchRequest, Status, SuggestRequest, command_result,
};
use testkit::{Client, System, promised};
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

promised! {
    commands_and_reads_over_grpc,
    errors_over_grpc_have_the_codes_of_http,
    what_http_says_in_headers_metadata_says_and_each_port_describes_itself,
}

fn money(minor_units: i64) -> Money {
    Money { minor_units, currency: "USD".to_owned() }
}

fn create(id: &str) -> CommandRequest {
    let create = CreateProduct {
        sku: "GRPC-1".to_owned(),
        name: format!("Made over gRPC {id}"),
        category: "tests/grpc".to_owned(),
        brand: "Testbrand".to_owned(),
        price: Some(money(1_000)),
        status: Status::Listed.into(),
        ..CreateProduct::default()
    };
    request(id, Command::CreateProduct(create))
}

pub(super) fn change(id: &str, minor_units: i64) -> CommandRequest {
    request(id, Command::ChangePrice(ChangePrice { price: Some(money(minor_units)) }))
}

fn request(id: &str, command: Command) -> CommandRequest {
    CommandRequest { product_id: id.to_owned(), command: Some(command), ..CommandRequest::default() }
}

async fn commands_and_reads_over_grpc<S: System>() -> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let service = system.command_service().await?;
    system.projectors().await?;
    let gateway = system.query_gateway().await?;
    let mut commands = CommandServiceClient::connect(service.grpc()).await?;
    let mut queries = QueryServiceClient::connect(gateway.grpc()).await?;

    let created = commands.execute(create("g1")).await?.into_inner();
    assert_eq!((created.outcome(), created.version), (Outcome::Accepted, 1));
    let mut keyed = change("g1", 2_000);
    "once".clone_into(&mut keyed.idempotency_key);
    let first = commands.execute(keyed.clone()).await?.into_inner();
    let again = commands.execute(keyed).await?.into_inner();
    assert_eq!((first.replayed, again.replayed, &again.event_id), (false, true, &first.event_id));
    let idle = commands.execute(change("g1", 2_000)).await?.into_inner();
    assert_eq!((idle.outcome(), idle.version), (Outcome::NoEffect, 2));

    // In order, one result each, and a failed one does not end the stream.
    let mut stale = change("g1", 3_000);
    stale.expected_version = Some(1);
    let bulk =
        vec![create("g2"), change("g2", 5), stale, request("nowhere", Command::ListProduct(ListProduct {}))];
    let mut results = commands.execute_bulk(tokio_stream::iter(bulk)).await?.into_inner();
    let mut seen = Vec::new();
    let mut token = String::new();
    while let Some(result) = results.message().await? {
        assert_eq!(result.index, seen.len() as u64);
        seen.push(match result.result {
            Some(command_result::Result::Response(response)) => {
                token = response.consistency_token;
                format!("version {}", response.version)
            }
            Some(command_result::Result::Error(error)) => error.code,
            None => "nothing".to_owned(),
        });
    }
    assert_eq!(seen, ["version 1", "version 2", "version-conflict", "product-not-found"]);

    let wait = Some(prost_types::Duration { seconds: 25, nanos: 0 });
    let freshness = Some(Freshness { consistency_token: token, wait });
    let product =
        GetProductRequest { product_id: "g2".to_owned(), freshness: freshness.clone(), ..Default::default() };
    let product = queries.get_product(product).await?.into_inner().product.and_then(|it| it.product);
    assert_eq!(product.and_then(|it| it.price).map(|it| it.minor_units), Some(5));
    let list = ListProductsRequest {
        category: "tests/grpc".to_owned(),
        freshness: freshness.clone(),
        ..ListProductsRequest::default()
    };
    assert_eq!(queries.list_products(list).await?.into_inner().items.len(), 2);
    let search =
        SearchRequest { text: "gprc".to_owned(), freshness: freshness.clone(), ..SearchRequest::default() };
    let found = queries.search(search).await?.into_inner();
    assert_eq!((found.total, found.matched()), (2, Matched::Similar), "a typo is forgiven, and told");
    for (statuses, count) in [(vec![], 2), (vec![Status::Draft.into()], 0)] {
        let prefix = "Made ov".to_owned();
        let suggest = SuggestRequest {
            prefix,
            statuses: statuses.clone(),
            freshness: freshness.clone(),
            ..Default::default()
        };
        let suggested = queries.suggest(suggest).await?.into_inner().suggestions;
        assert_eq!(suggested.len(), count);
        assert!(suggested.iter().all(|it| it.status() == Status::Listed && it.sku == "GRPC-1"));
        let list = ListProductsRequest {
            category: "tests/grpc".to_owned(),
            freshness: freshness.clone(),
            statuses,
            ..ListProductsRequest::default()
        };
        assert_eq!(queries.list_products(list).await?.into_inner().items.len(), count);
    }
    let history =
        GetHistoryRequest { product_id: "g2".to_owned(), freshness, ..GetHistoryRequest::default() };
    assert_eq!(queries.get_history(history).await?.into_inner().entries.len(), 2);
    Ok(())
}

async fn errors_over_grpc_have_the_codes_of_http<S: System>() -> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let service = system.command_service().await?;
    let http = Client::new(&service.url());
    assert_eq!(http.create("there").await?.status, 201);
    let mut commands = CommandServiceClient::connect(service.grpc()).await?;
    let mut stale = change("there", 5_000);
    stale.expected_version = Some(7);
    let mut nonsense = create("bad");
    if let Some(Command::CreateProduct(create)) = &mut nonsense.command {
        "two\nlines".clone_into(&mut create.sku);
        create.price = Some(money(-1));
    }
    for (request, status, code) in [
        (stale, Code::Aborted, "version-conflict"),
        (change("nowhere", 1), Code::NotFound, "product-not-found"),
        (create("there"), Code::AlreadyExists, "product-already-exists"),
        (nonsense, Code::InvalidArgument, "invalid-value"),
        (
            CommandRequest { product_id: "there".to_owned(), ..CommandRequest::default() },
            Code::InvalidArgument,
            "malformed-request",
        ),
        (create(""), Code::InvalidArgument, "idempotency-key-required"),
    ] {
        let error = commands.execute(Request::new(request)).await.expect_err(code);
        assert_eq!(error.code(), status, "{error:?}");
        let details = error.get_error_details();
        let reason = code.to_uppercase().replace('-', "_");
        assert_eq!(details.error_info().map(|it| &it.reason), Some(&reason), "{error:?}");
        if code == "invalid-value" {
            let fields: Vec<_> = details
                .bad_request()
                .into_iter()
                .flat_map(|it| &it.field_violations)
                .map(|it| it.field.as_str())
                .collect();
            assert_eq!(fields, ["create_product.sku", "create_product.price.minor_units"]);
        }
    }
    Ok(())
}

async fn what_http_says_in_headers_metadata_says_and_each_port_describes_itself<S: System>()
-> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let service = system.command_service().await?;
    let gateway = system.query_gateway().await?;
    let mut commands = CommandServiceClient::connect(service.grpc()).await?;
    let mut queries = QueryServiceClient::connect(gateway.grpc()).await?;
    let mut needs_a_product = Request::new(create("m1"));
    needs_a_product.metadata_mut().insert("if-match", "*".parse()?);
    let reason = |status: &tonic::Status| status.get_details_error_info().map(|info| info.reason);
    let error = commands.execute(needs_a_product).await.expect_err("there is none");
    assert_eq!(reason(&error).as_deref(), Some("VERSION_CONFLICT"));
    let mut named = Request::new(create("m1"));
    named.metadata_mut().insert("x-folio-actor", "ann".parse()?);
    assert_eq!(commands.execute(named).await?.into_inner().version, 1);

    let large = "x".repeat(2 << 20);
    let error = commands.execute(change(&large, 1)).await.expect_err("it is too large");
    assert_eq!((error.code(), reason(&error).as_deref()), (Code::OutOfRange, Some("BODY_TOO_LARGE")));
    let question = GetProductRequest { product_id: large, ..GetProductRequest::default() };
    let error = queries.get_product(question).await.expect_err("it is too large");
    assert_eq!((error.code(), reason(&error).as_deref()), (Code::OutOfRange, Some("BODY_TOO_LARGE")));

    for (port, own) in
        [(service.grpc(), "catalog.v1.CommandService"), (gateway.grpc(), "catalog.v1.QueryService")]
    {
        let mut described = catalog_services(&port).await?;
        described.sort_unstable();
        // In one process there is one port, and it has both.
        let both = ["catalog.v1.CommandService", "catalog.v1.QueryService"];
        assert_eq!(described, if S::IS_IN_PARTS { vec![own] } else { both.to_vec() }, "{port}");
    }
    Ok(())
}

/// The services of ours that a port says it has.
async fn catalog_services(port: &str) -> anyhow::Result<Vec<String>> {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest::ListServices;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse::ListServicesResponse;
    let question = tonic_reflection::pb::v1::ServerReflectionRequest {
        message_request: Some(ListServices(String::new())),
        ..Default::default()
    };
    let channel = tonic::transport::Endpoint::from_shared(port.to_owned())?.connect().await?;
    let mut client = ServerReflectionClient::new(channel);
    let mut answers = client.server_reflection_info(tokio_stream::iter([question])).await?.into_inner();
    let answer = answers.message().await?.and_then(|answer| answer.message_response);
    let Some(ListServicesResponse(list)) = answer else { anyhow::bail!("{answer:?}") };
    Ok(list.service.into_iter().map(|it| it.name).filter(|name| name.starts_with("catalog.")).collect())
}
