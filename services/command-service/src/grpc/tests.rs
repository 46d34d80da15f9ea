mod standards;
mod streams;

use contract::proto::catalog::v1::command_result::Result as Told;
use contract::proto::catalog::v1::command_service_server::CommandService;
use contract::proto::catalog::v1::{CommandRequest, CommandResult, Outcome};
use edge::problem::Problem;
use futures::StreamExt;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::Service;
use super::service::bulk;
use crate::config::EngineConfig;
use crate::door::Caller;
use crate::testing::{LiveTopic, World, asked, create, price};

fn service(world: &World) -> Service {
    Service::new(world.state())
}

fn list(id: &str) -> CommandRequest {
    let line = serde_json::json!({"command": "list_product", "product_id": id});
    CommandRequest::from(&crate::testing::command(&line))
}

async fn execute(
    service: &Service,
    request: CommandRequest,
) -> Result<contract::proto::catalog::v1::CommandResponse, Status> {
    service.execute(asked(request)).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_command_is_executed_and_its_repetition_replayed() {
    let world = World::start().await;
    let service = service(&world);
    let mut request = CommandRequest::from(&create("p1"));
    request.idempotency_key = "k1".to_owned();
    let first = execute(&service, request.clone()).await.unwrap();
    assert_eq!((first.outcome(), first.version, first.replayed), (Outcome::Accepted, 1, false));
    let again = execute(&service, request).await.unwrap();
    assert_eq!((again.event_id, again.replayed), (first.event_id, true));
    execute(&service, list("p1")).await.unwrap();
    let nothing = execute(&service, list("p1")).await.unwrap();
    assert_eq!((nothing.outcome(), nothing.event_id.as_str()), (Outcome::NoEffect, ""));
    assert!(!nothing.consistency_token.is_empty());
}

#[tokio::test]
async fn errors_are_statuses_with_their_code_and_details() {
    let world = World::start().await;
    let service = service(&world);
    execute(&service, CommandRequest::from(&create("p1"))).await.unwrap();
    let mut stale = list("p1");
    stale.expected_version = Some(5);
    let mut keyless = CommandRequest::from(&create("p1"));
    keyless.product_id.clear();
    for (request, code, reason) in [
        (CommandRequest::from(&create("p1")), Code::AlreadyExists, "PRODUCT_ALREADY_EXISTS"),
        (list("nobody"), Code::NotFound, "PRODUCT_NOT_FOUND"),
        (stale, Code::Aborted, "VERSION_CONFLICT"),
        (keyless, Code::InvalidArgument, "IDEMPOTENCY_KEY_REQUIRED"),
        (CommandRequest::default(), Code::InvalidArgument, "MALFORMED_REQUEST"),
    ] {
        let status = execute(&service, request).await.unwrap_err();
        let info = status.get_details_error_info().unwrap();
        assert_eq!((status.code(), info.reason.as_str()), (code, reason), "{status}");
        let rests_on_the_log = matches!(code, Code::AlreadyExists | Code::NotFound | Code::Aborted);
        assert_eq!(info.metadata.contains_key("consistency_token"), rests_on_the_log, "{info:?}");
    }
    let mut invalid = CommandRequest::from(&create("p2"));
    let Some(contract::proto::catalog::v1::command_request::Command::CreateProduct(fields)) =
        &mut invalid.command
    else {
        panic!("it creates")
    };
    fields.sku = "two\nlines".to_owned();
    fields.price.as_mut().unwrap().currency = "XQQ".to_owned();
    let status = execute(&service, invalid).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let fields: Vec<_> =
        status.get_details_bad_request().unwrap().field_violations.into_iter().map(|it| it.field).collect();
    assert_eq!(fields, ["create_product.sku", "create_product.price.currency"]);
}

#[tokio::test]
async fn overload_says_when_to_come_back() {
    let config = EngineConfig { max_waiting: 1, deadline_ms: 300, ..EngineConfig::default() };
    let world = World::start_on(LiveTopic::new(1, ledger_sim::Faults::NONE), config).await;
    let service = service(&world);
    world.live.stand_still(true);
    let first = execute(&service, CommandRequest::from(&create("p1")));
    let second = async {
        tokio::task::yield_now().await;
        execute(&service, CommandRequest::from(&create("p2"))).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.unwrap_err().get_details_error_info().unwrap().reason, "OUTCOME_UNKNOWN");
    let status = second.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
}

#[tokio::test]
async fn a_callers_deadline_is_kept() {
    let world = World::start().await;
    let service = service(&world);
    world.live.stand_still(true);
    let mut request = asked(CommandRequest::from(&create("p1")));
    request.set_timeout(std::time::Duration::from_millis(50));
    let since = std::time::Instant::now();
    service.execute(request).await.unwrap_err();
    assert!(since.elapsed().as_secs() < 5, "the service's own deadline is 10 s");
}

#[tokio::test]
async fn a_stream_has_one_result_per_request_in_order() {
    let world = World::start().await;
    let mut requests = vec![CommandRequest::from(&create("p0")), list("nobody"), CommandRequest::default()];
    requests.extend((1..=200).map(|n| CommandRequest::from(&price("p0", n))));
    let total = requests.len();
    let stream = futures::stream::iter(requests.into_iter().map(Ok));
    let results: Vec<CommandResult> =
        bulk(&world.state(), Caller::default(), stream).map(Result::unwrap).collect().await;
    assert_eq!(results.len(), total);
    for (n, result) in results.iter().enumerate() {
        assert_eq!(result.index, n as u64);
        match (n, result.result.as_ref().unwrap()) {
            (1, Told::Error(error)) => {
                assert_eq!(
                    (error.code.as_str(), result.product_id.as_str()),
                    ("product-not-found", "nobody")
                );
                assert_eq!(error.trace_id.len(), 32);
            }
            (2, Told::Error(error)) => {
                assert_eq!((error.code.as_str(), error.grpc_code), ("malformed-request", 3));
            }
            (0, Told::Response(response)) => assert_eq!(response.version, 1),
            (n, Told::Response(response)) => assert_eq!(response.version, n as u64 - 1),
            (n, Told::Error(error)) => panic!("{n}: {error:?}"),
        }
    }
}

#[tokio::test]
async fn at_shut_down_the_rest_of_a_stream_is_given_back() {
    let world = World::start().await;
    world.shutdown().cancel();
    let requests =
        futures::stream::iter([Ok(CommandRequest::from(&create("p0")))]).chain(futures::stream::pending());
    let results: Vec<_> =
        bulk(&world.state(), Caller::default(), requests).map(Result::unwrap).collect().await;
    assert!(matches!(results[0].result, Some(Told::Response(_))));
    let Some(Told::Error(error)) = &results[1].result else { panic!("{results:?}") };
    assert_eq!((error.code.as_str(), error.retryable, results.len()), ("not-ready", true, 2));
}

#[test]
fn in_a_stream_too_whatever_may_be_retried_says_after_what_time() {
    for code in contract::code::Code::ALL {
        let problem = Problem::new(*code, "for a test").with("consistency_token", "AQ");
        let result = super::results::result(0, contract::Named::default(), Err(problem));
        let Some(Told::Error(error)) = result.result else { panic!("{code} is an error") };
        assert_eq!(
            (error.retryable, error.retry_after_seconds.is_some()),
            (code.retryable(), code.retryable()),
            "{code}"
        );
        assert_eq!(error.consistency_token, "AQ");
    }
}
