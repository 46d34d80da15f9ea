//! What the questions have in common over HTTP: product ids, pages, terms, and the shape of answers.

use std::future::Future;
use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, HttpResponseBuilder};
use edge::auth::Principal;
use edge::limits::Account;
use edge::problem::Problem;
use read_models::{Generation, PageRequest, ProductId};
use serde::Serialize;

use super::headers::{self, CONSISTENCY_TOKEN, FOLIO_GENERATION, PREFERENCE_APPLIED};
use super::params::Params;
use crate::ask::limits::MAX_PAGE_SIZE;
use crate::ask::{ApiError, Fault, Queries, Terms};

/// Runs a handler; an error becomes a problem, which the server names the request in.
pub(super) async fn answer(handler: impl Future<Output = Result<HttpResponse, ApiError>>) -> HttpResponse {
    handler.await.unwrap_or_else(|error| HttpResponse::from_error(Problem::from(error)))
}

/// Who asks: the route let it in.
pub(super) fn caller(request: &HttpRequest) -> Result<Principal, ApiError> {
    let found = request.extensions().get::<Principal>().cloned();
    found.ok_or_else(|| ApiError::Internal("it is not known who asks".to_owned()))
}

/// The product in the path, if the caller may see it.
pub(super) fn product_id(request: &HttpRequest) -> Result<ProductId, ApiError> {
    let id = request.match_info().query("product_id");
    let id = ProductId::parse(id).map_err(|error| ApiError::malformed("product_id", error.to_string()))?;
    caller(request)?.allow_product(id.as_str())?;
    Ok(id)
}

/// The terms of a question, and what of them it was asked with.
#[derive(Debug)]
pub(super) struct AskedTerms {
    pub(super) terms: Terms,
    token: Option<String>,
    preferred: bool,
}

/// Reads which build is asked, the consistency token and the preferred wait. The token's parameter is for links, where no
/// header can be set.
pub(super) fn terms(
    request: &HttpRequest,
    params: &mut Params,
    questions: &Queries,
) -> Result<AskedTerms, ApiError> {
    headers::check_length(request.headers(), &headers::PREFER)?;
    let header = headers::consistency_token(request.headers())?;
    let parameter = params.one("consistency_token");
    if header.is_some() && parameter.is_some() && header != parameter {
        params.fault(
            "consistency_token",
            "differs from the header Consistency-Token: give one of them".to_owned(),
        );
    }
    let token = header.or(parameter);
    let wait = headers::preferred_wait(request.headers())
        .map_err(|detail| ApiError::Header(Fault::new("Prefer", detail)))?;
    let freshness = questions.freshness(token.as_deref(), wait)?;
    if let Some(token) = &freshness.token {
        // Whether what it waits for is there would tell of another's product.
        caller(request)?.allow_product(token.product.as_str())?;
    }
    let build = params.one("generation").and_then(|text| params.check("generation", text.parse()));
    let account = request.extensions().get::<Account>().cloned().unwrap_or_default();
    Ok(AskedTerms { terms: Terms { build, freshness, account }, token, preferred: wait.is_some() })
}

/// Which page was asked for. More than the most is the most; less than nothing is a fault (AIP-158).
pub(super) fn page(params: &mut Params) -> PageRequest {
    let size = params.read::<i64>("page_size").unwrap_or_default();
    if size < 0 {
        params.fault("page_size", format!("{size} is negative: give 1 to {MAX_PAGE_SIZE}, or leave it out"));
    }
    let size = u32::try_from(size.clamp(0, i64::from(MAX_PAGE_SIZE))).unwrap_or_default();
    PageRequest::new(size, params.one("page_token"))
}

/// The head of an answer: not to be used again without asking, and which of the terms it holds to.
pub(super) fn head(asked: &AskedTerms, build: Option<Generation>) -> HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CACHE_CONTROL, "no-cache"));
    answer.insert_header((header::VARY, "Accept-Encoding, Consistency-Token, Prefer"));
    if let Some(build) = build {
        answer.insert_header((FOLIO_GENERATION.clone(), build.to_string()));
    }
    if let Some(token) = &asked.token {
        answer.insert_header((CONSISTENCY_TOKEN.clone(), token.as_str()));
    }
    if asked.preferred {
        answer.insert_header((
            PREFERENCE_APPLIED.clone(),
            format!("wait={}", seconds(asked.terms.freshness.wait)),
        ));
    }
    answer
}

/// An answer with one page of something, and the link to the next.
pub(super) fn page_answer(
    request: &HttpRequest,
    mut answer: HttpResponseBuilder,
    next: Option<&str>,
    body: &impl Serialize,
) -> HttpResponse {
    if let Some(next) = next {
        answer.insert_header((header::LINK, format!("<{}>; rel=\"next\"", link(request, next))));
    }
    answer.json(body)
}

/// The same question's next page, as a relative reference.
fn link(request: &HttpRequest, token: &str) -> String {
    // A token is base64url, behind a dot if it is of a build, so it can stand as it is; the other arguments stand as the caller
    // wrote them.
    let kept =
        request.query_string().split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("page_token="));
    let mut pairs: Vec<_> = kept.map(str::to_owned).collect();
    pairs.push(format!("page_token={token}"));
    format!("{}?{}", request.path(), pairs.join("&"))
}

fn seconds(wait: Duration) -> u64 {
    wait.as_secs()
}
