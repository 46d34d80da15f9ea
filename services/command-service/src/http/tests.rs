mod bulk;
mod callers;
mod commands;
mod inputs;
mod overload;
mod preconditions;
mod uploads;

use std::rc::Rc;

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::test::{self, TestRequest};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use serde_json::Value;

use super::{PATHS, Paths, Requests, Spans, refuse, routes};
use crate::testing::World;

const JSON: (&str, &str) = ("content-type", "application/json");

/// The door of a world, as the server builds it, without a network.
pub(super) struct Door(Box<dyn Fn(TestRequest) -> LocalBoxFuture<'static, Answer>>);

/// An answer, read.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: HeaderMap,
    text: Bytes,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub(super) async fn door_of(world: &World) -> Door {
    let requests = Requests::new(&world.telemetry, Spans::Sampled);
    let state = world.state();
    let app = edge::http::app(&requests)
        .configure(|app| routes(app, &state))
        .configure(Paths::of(&[PATHS]).otherwise(refuse));
    let service = Rc::new(test::init_service(app).await);
    Door(Box::new(move |request| {
        let service = Rc::clone(&service);
        async move {
            let response = test::call_service(&*service, request.to_request()).await;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let text = test::read_body(response).await;
            Answer { status, headers, body: serde_json::from_slice(&text).unwrap_or(Value::Null), text }
        }
        .boxed_local()
    }))
}

impl Door {
    pub(super) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = TestRequest::with_uri(path).method(Method::from_bytes(method.as_bytes()).unwrap());
        for header in headers {
            request = request.append_header(*header);
        }
        if !body.is_empty() {
            request = request.set_payload(body.to_vec());
        }
        (self.0)(request).await
    }

    /// Sends JSON.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let headers: Vec<_> = headers.iter().copied().chain([JSON]).collect();
        self.ask(method, path, &headers, body.to_string().as_bytes()).await
    }
}
