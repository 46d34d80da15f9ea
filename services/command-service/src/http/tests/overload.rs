use actix_web::FromRequest;
use actix_web::test::TestRequest;
use serde_json::json;

use super::{JSON, door_of};
use crate::config::OverloadConfig;
use crate::testing::{World, diamond, eventually};

fn create(id: &str) -> TestRequest {
    TestRequest::put()
        .uri(&format!("/v1/products/{id}"))
        .insert_header(JSON)
        .set_payload(diamond().to_string())
}

fn line(id: &str) -> String {
    json!({"command": "create_product", "product_id": id, "payload": diamond()}).to_string() + "\n"
}

#[actix_web::test]
async fn one_too_many_is_told_when_to_come_back_and_the_others_are_answered() {
    let overload =
        OverloadConfig { max_in_flight: 2, min_in_flight: 1, target_ms: 60_000, bulk_in_flight: 1 };
    let world = World::start_bounded(overload).await;
    let door = door_of(&world).await;
    world.live.stand_still(true);
    let inside = ["a", "b"].map(|id| actix_web::rt::spawn((door.0)(create(id))));
    let mut refused = None;
    for attempt in 0.. {
        assert!(attempt < 1_000, "the third was never turned away");
        // It is turned away before its body is read: a body that is no JSON changes nothing.
        let answer = (door.0)(create("c").set_payload("not JSON")).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        actix_web::rt::task::yield_now().await;
    }
    let refused = refused.unwrap();
    assert_eq!((refused.code(), refused.header("retry-after")), ("overloaded", Some("1")));
    // An upload is not turned away: its lines wait for each other's place.
    let lines = ["d", "e", "f"].map(line).concat();
    let upload =
        TestRequest::post().uri("/v1/commands:bulk").insert_header(("content-type", "application/x-ndjson"));
    let upload = actix_web::rt::spawn((door.0)(upload.set_payload(lines)));

    world.live.stand_still(false);
    for answer in inside {
        assert_eq!(answer.await.unwrap().status, 201);
    }
    let upload = upload.await.unwrap();
    assert_eq!(String::from_utf8_lossy(&upload.text).matches("\"status\":201").count(), 3);
    assert_eq!((door.0)(create("c")).await.status, 201);
    let metrics = || world.telemetry.render_metrics().unwrap();
    eventually("nobody is inside", || metrics().contains("folio_admission_in_flight 0")).await;
    assert!(metrics().contains("folio_admission_limit 2"), "{}", metrics());
}

#[actix_web::test]
async fn bodies_that_arrive_together_have_one_limit() {
    let mut world = World::start().await;
    world.http.bodies_mib = 1;
    let state = world.state();
    let read = async |bytes: usize| {
        let (request, mut payload) =
            actix_web::test::TestRequest::post().set_payload(vec![b' '; bytes]).to_http_parts();
        let payload = actix_web::web::Payload::from_request(&request, &mut payload).await.unwrap();
        crate::http::body::read(&request, payload, &state, &edge::limits::Account::default()).await
    };
    let others = state.bodies.take(1_000_000).unwrap();
    let problem = read(100_000).await.unwrap_err();
    assert_eq!((problem.code, problem.retry_after.is_some()), ("overloaded", true));
    read(10_000).await.unwrap();
    drop(others);
    read(100_000).await.unwrap();
    assert_eq!(state.bodies.taken(), 0, "a body that has come is counted as a command");
}
