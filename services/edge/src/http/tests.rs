use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use actix_web::http::header;
use actix_web::test::{self, TestRequest};
use actix_web::{HttpResponse, web};
use contract::code::Code;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use toolkit::config::ShutdownConfig;
use toolkit::lifecycle::Lifecycle;
use toolkit::telemetry::Telemetry;

use super::*;
use crate::auth::{Access, Auth};
use crate::context::Spans;
use crate::problem::Problem;

async fn refuses() -> HttpResponse {
    let mut answer = HttpResponse::from_error(Problem::new(Code::MethodNotAllowed, "for a test"));
    answer.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("PUT"));
    answer
}

fn routes(app: &mut web::ServiceConfig) {
    app.route("/things/{n}", web::get().to(|n: web::Path<usize>| async move { ["first"][*n] }))
        .route("/refuses", web::get().to(refuses));
}

#[actix_web::test]
async fn every_request_is_named_and_counted_whatever_becomes_of_it() {
    let telemetry = Telemetry::detached("tester").unwrap();
    let requests = Requests::new(&telemetry, Spans::Logs);
    let service = test::init_service(app(&requests).configure(routes)).await;
    let trace = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let get = |path: &str| {
        TestRequest::get().uri(path).insert_header(("x-request-id", "r-1")).insert_header(trace).to_request()
    };
    let good = test::call_service(&service, get("/things/0")).await;
    assert_eq!(good.headers().get("x-request-id").unwrap(), "r-1");
    let refused = test::call_service(&service, get("/refuses")).await;
    assert_eq!(
        (refused.status().as_u16(), refused.headers().get("allow").unwrap().to_str().unwrap()),
        (405, "PUT")
    );
    let body: Value = test::read_body_json(refused).await;
    assert_eq!(
        (&body["request_id"], &body["trace_id"]),
        (&"r-1".into(), &"4bf92f3577b34da6a3ce929d0e0e4736".into())
    );
    let panicked =
        test::try_call_service(&service, get("/things/1")).await.map(|_| ()).unwrap_err().error_response();
    assert_eq!(panicked.status().as_u16(), 500);
    assert_eq!(panicked.headers().get("content-type").unwrap(), "application/problem+json");
    for path in ["/invented", "/things/0/invented"] {
        let invented = TestRequest::with_uri(path).method("FOO".parse().unwrap()).to_request();
        let answer = test::call_service(&service, invented).await;
        assert!(!answer.headers().get("x-request-id").unwrap().is_empty());
    }
    let told = telemetry.render_metrics().unwrap();
    for series in [
        "{method=\"GET\",route=\"/things/{n}\",status=\"200\"} 1",
        "{method=\"GET\",route=\"/things/{n}\",status=\"500\"} 1",
        "{method=\"other\",route=\"none\",status=\"404\"} 2",
    ] {
        assert!(told.contains(&format!("folio_http_requests_total{series}")), "{series}: {told}");
    }
    assert!(!told.contains("FOO") && !told.contains("invented"), "{told}");
}

fn door<'c>(config: &'c DoorConfig, auth: &'c Auth) -> Door<'c> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Door { address, config, auth, grace: Duration::from_secs(1), handles: true }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_say_nothing_are_closed() {
    let (config, lifecycle) = (DoorConfig::default(), Lifecycle::new().without_signals());
    let address = serve(door(&config, &Auth::off()), &lifecycle, || App::new().configure(routes)).unwrap();
    let silent = TcpStream::connect(address).await.unwrap();
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(b"GET /things/0 HTTP/1.1\r\nhos").await.unwrap();
    for mut connection in [silent, half] {
        let mut all = Vec::new();
        // Closed or reset, but in time.
        let ended = tokio::time::timeout(Duration::from_secs(20), connection.read_to_end(&mut all));
        assert!(ended.await.is_ok(), "closed in bounded time");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_told_to_end_tells_clients_to_connect_elsewhere_next_time() {
    let timing = ShutdownConfig { drain_delay_ms: 60_000, grace_ms: 10_000 };
    let (config, lifecycle) = (DoorConfig::default(), Lifecycle::with_timing(timing).without_signals());
    let requests =
        Requests::new(&Telemetry::detached("tester").unwrap(), Spans::Logs).draining_with(&lifecycle);
    let address =
        serve(door(&config, &Auth::off()), &lifecycle, move || app(&requests).configure(routes)).unwrap();
    let mut kept = TcpStream::connect(address).await.unwrap();
    let mut ask = async || {
        kept.write_all(b"GET /things/0 HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"first") {
            assert!(kept.read_buf(&mut answer).await.unwrap() > 0, "{}", String::from_utf8_lossy(&answer));
        }
        String::from_utf8(answer).unwrap().to_lowercase()
    };
    let before = ask().await;
    assert!(!before.contains("connection: close"), "{before}");
    let readiness = lifecycle.readiness().clone();
    let running = tokio::spawn(lifecycle.run_until(std::future::ready(())));
    while !readiness.is_shutting_down() {
        tokio::task::yield_now().await;
    }
    let draining = ask().await;
    assert!(draining.starts_with("http/1.1 200") && draining.contains("connection: close"), "{draining}");
    assert_eq!(kept.read(&mut [0]).await.unwrap(), 0, "and it closes");
    running.abort();
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_its_key() {
    let (config, lifecycle) = (DoorConfig::default(), Lifecycle::new().without_signals());
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let auth = Auth::off();
    let door = Door { address: taken.local_addr().unwrap(), ..door(&config, &auth) };
    let error = serve(door, &lifecycle, || App::new().configure(routes)).unwrap_err();
    assert!(format!("{error:#}").contains("listen.http"), "{error:#}");
}

#[actix_web::test]
async fn services_share_a_port_by_path_and_method_and_the_rest_is_told_with_all_methods() {
    const READS: &[Taken] =
        &[Taken { path: "/things/{n}", methods: &["GET", "HEAD"], needs: Access::Anyone }];
    const WRITES: &[Taken] = &[
        Taken { path: "/things/{id:[^/:]+}", methods: &["PUT"], needs: Access::Anyone },
        Taken { path: "/things:many", methods: &["POST"], needs: Access::Anyone },
    ];
    let otherwise = Paths::of(&[WRITES, READS]).otherwise(|request, methods| match methods {
        Some(methods) => Problem::new(Code::MethodNotAllowed, methods),
        None => Problem::new(Code::NotFound, request.path()),
    });
    let telemetry = Telemetry::detached("tester").unwrap();
    let auth = Auth::off();
    let application = app(&Requests::new(&telemetry, Spans::Logs))
        .service(WRITES[0].resource(&auth).to(|| async { "written" }))
        .service(WRITES[1].resource(&auth).to(|| async { "many" }))
        .service(READS[0].resource(&auth).to(|| async { "read" }))
        .configure(otherwise);
    let service = test::init_service(application).await;
    let ask = async |method: &str, path: &str| {
        let request = TestRequest::with_uri(path).method(method.parse().unwrap()).to_request();
        let answer = test::call_service(&service, request).await;
        let allow = answer.headers().get("allow").map(|it| it.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        (status, allow, String::from_utf8(test::read_body(answer).await.to_vec()).unwrap())
    };
    for (method, path, body) in
        [("PUT", "/things/a", "written"), ("GET", "/things/a", "read"), ("POST", "/things:many", "many")]
    {
        assert_eq!(ask(method, path).await, (200, None, body.to_owned()), "{method} {path}");
    }
    for (method, path, allowed) in [
        ("DELETE", "/things/a", "PUT, GET, HEAD"),
        ("PUT", "/things/a:b", "GET, HEAD"),
        ("GET", "/things:many", "POST"),
    ] {
        let (status, allow, body) = ask(method, path).await;
        assert_eq!((status, allow.as_deref()), (405, Some(allowed)), "{method} {path}");
        assert!(body.contains(allowed) && body.contains("request_id"), "{body}");
    }
    let (status, allow, body) = ask("GET", "/others/a").await;
    assert_eq!((status, allow), (404, None));
    assert!(body.contains("/others/a"), "{body}");
    let told = telemetry.render_metrics().unwrap();
    let series = r#"folio_http_requests_total{method="DELETE",route="/things/{id:[^/:]+}",status="405"} 1"#;
    assert!(told.contains(series), "{told}");
}
