use super::*;

fn overloaded() -> Problem {
    Problem::new(Code::Overloaded, "the queue of partition 3 is full")
        .field("/payload/sku", "is empty")
        .with("current_version", 3)
}

#[test]
fn the_body_has_the_standard_members_first_and_extensions_beside_them() {
    let expected =
        r#"{"type":"https://folio.dev/errors/overloaded","title":"The service takes no more requests at the moment","#
            .to_owned()
            + r#""status":429,"detail":"the queue of partition 3 is full","code":"overloaded","retryable":true,"retry_after":1,"#
            + r#""errors":[{"pointer":"/payload/sku","detail":"is empty"}],"current_version":3}"#;
    assert_eq!(serde_json::to_string(&overloaded().body()).unwrap(), expected);
}

#[test]
fn over_http_it_has_its_status_media_type_and_retry_after() {
    use actix_web::ResponseError;
    let response = overloaded().error_response();
    assert_eq!(response.status().as_u16(), 429);
    assert_eq!(response.headers().get("content-type").unwrap(), MEDIA_TYPE);
    assert_eq!(response.headers().get("retry-after").unwrap(), "1");
    assert_eq!(response.headers().get("cache-control").unwrap(), "no-store");
    assert!(response.headers().get("consistency-token").is_none());
    let response = overloaded().with("consistency_token", "AQ").error_response();
    assert_eq!(response.headers().get("consistency-token").unwrap(), "AQ");
}

#[test]
fn over_grpc_it_has_its_code_and_the_same_details() {
    use tonic_types::StatusExt;
    let status = tonic::Status::from(overloaded().with("consistency_token", "AQ"));
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("OVERLOADED", ERROR_DOMAIN));
    assert_eq!(info.metadata["current_version"], "3");
    assert_eq!(info.metadata["consistency_token"], "AQ");
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, "/payload/sku");
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(1)));
}

#[test]
#[should_panic(expected = "code is not among EXTENSIONS")]
fn a_member_that_is_not_documented_and_a_standard_one_cannot_be_added() {
    drop(overloaded().with("code", "another"));
}

#[test]
fn the_document_of_a_problem_has_each_of_its_members() {
    let mut schemas = vec![(String::new(), <Body<'_> as utoipa::PartialSchema>::schema())];
    <Body<'_> as ToSchema>::schemas(&mut schemas);
    let schema = serde_json::to_string(&schemas).unwrap();
    let told = EXTENSIONS.iter().fold(overloaded(), |problem, (name, ..)| problem.with(name, "x"));
    let Value::Object(members) = serde_json::to_value(told.body()).unwrap() else { panic!() };
    assert_eq!(members.len(), 8 + EXTENSIONS.len());
    for name in members.keys() {
        assert!(schema.contains(&format!("\"{name}\":{{")), "{name} is not in {schema}");
    }
}
