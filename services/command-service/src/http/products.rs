//! One command, one request.

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use contract::code::Code;
use domain::ProductId;
use edge::problem::Problem;

use super::{State, answer, body, headers};
use crate::door::{RequestedCommand, faults, malformed};
use crate::engine::Transport;

/// The last part of a path, and the command it stands for.
pub(super) const ACTIONS: [(&str, &str); 7] = [
    ("revise-details", "revise_details"),
    ("change-price", "change_price"),
    ("move-to-category", "move_to_category"),
    ("list", "list_product"),
    ("discontinue", "discontinue_product"),
    ("delete", "delete_product"),
    ("restore", "restore_product"),
];
pub(super) const CREATE: &str = "create_product";
const JSON: &[&str] = &["application/json"];

/// `POST /v1/products`
pub(super) async fn create(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    answer_to(&request, payload, &state, CREATE).await
}

/// `PUT /v1/products/{id}`
pub(super) async fn create_with_id(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    answer_to(&request, payload, &state, CREATE).await
}

/// `POST /v1/products/{id}:<action>`
pub(super) async fn act(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    let action = request.match_info().get("action").unwrap_or_default();
    let Some((_, command)) = ACTIONS.iter().find(|(name, _)| *name == action) else {
        let known = ACTIONS.map(|(name, _)| name).join(", ");
        return Err(Problem::new(
            Code::NotFound,
            format!("there is no such action; the actions are {known}"),
        ));
    };
    answer_to(&request, payload, &state, command).await
}

async fn answer_to(
    request: &HttpRequest,
    payload: web::Payload,
    state: &State,
    command: &'static str,
) -> Result<HttpResponse, Problem> {
    let caller = headers::caller(request)?;
    caller.may_give(command)?;
    if let Err(turned_away) = state.door.turn_away_if_full(command, &caller, Transport::Http) {
        edge::http::skip(payload).await;
        return Err(turned_away);
    }
    // Its memory is the caller's until there is an answer.
    let (body, _held) = body::read(request, payload, state, &caller.account).await?;
    let requested = requested(request, command, &body)?;
    let caller = state.door.sealed(caller).await?;
    let outcome = state.door.submit(requested, &caller, Transport::Http)?.outcome().await?;
    Ok(answer::success(&outcome))
}

fn requested(request: &HttpRequest, command: &str, body: &Bytes) -> Result<RequestedCommand, Problem> {
    // Also without a body: a browser sends an empty form to any origin, but JSON only where it is allowed to.
    headers::media_type(request, JSON)?;
    headers::unkept(request)?;
    let mut addressed = contract::json::parse_request(command, body).map_err(faults)?;
    if let Some(id) = request.match_info().get("id") {
        addressed.product_id = Some(product_of(id, addressed.product_id)?);
    }
    headers::requested(request, addressed)
}

/// The product of the path, if the body does not name another.
fn product_of(path: &str, field: Option<ProductId>) -> Result<ProductId, Problem> {
    let id = ProductId::parse(path).map_err(|error| {
        Problem::new(Code::InvalidValue, format!("the product id in the path {}", error.problem))
    })?;
    match field {
        Some(field) if field != id => Err(malformed("the path and the body name different products")
            .field("/product_id", "differs from the path")),
        _ => Ok(id),
    }
}
