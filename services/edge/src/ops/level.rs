//! `/loglevel`: what the process logs, seen and changed without a restart.
//!
//! Promise: what is no filter is answered 422 and changes nothing; who changed it, and from what to what, is logged.

use actix_web::http::{Method, header};
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, web};
use contract::code::Code;
use serde::{Deserialize, Serialize};
use toolkit::telemetry::{LogLevel, Telemetry};

use crate::auth::{Access, Principal, Scope};
use crate::http::Taken;
use crate::problem::Problem;

pub(super) const LOG_LEVEL: Taken =
    Taken { path: "/loglevel", methods: &["GET", "PUT"], needs: Access::Needs(Scope::Ops) };
/// A filter is short.
pub(super) const MAX_BODY: usize = 4 << 10;

/// What is logged, as `telemetry.level` has it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Level {
    level: String,
}

pub(super) async fn log_level(
    request: HttpRequest,
    body: Result<web::Bytes, Error>,
    telemetry: web::Data<Telemetry>,
) -> HttpResponse {
    let Some(level) = telemetry.log_level() else {
        let detail = "the logs of this process are not its own: whoever started it says what is logged";
        return HttpResponse::from_error(Problem::new(Code::NotReady, detail));
    };
    let answer = if request.method() == Method::PUT { change(&request, body, level) } else { Ok(()) };
    match answer {
        Ok(()) => HttpResponse::Ok().json(Level { level: level.now() }),
        Err(problem) => HttpResponse::from_error(problem),
    }
}

fn change(request: &HttpRequest, body: Result<web::Bytes, Error>, level: &LogLevel) -> Result<(), Problem> {
    // Only what a page of another site cannot send without being asked for.
    if request.content_type() != "application/json" {
        let content_type = header::CONTENT_TYPE;
        let detail = format!("{content_type} has to be application/json");
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    let too_large = |_| Problem::new(Code::BodyTooLarge, format!("a filter has at most {MAX_BODY} bytes"));
    let body = body.map_err(too_large)?;
    let asked: Level = serde_json::from_slice(&body).map_err(|error| {
        let detail = format!("the body has to be such as {{\"level\":\"info,projector=debug\"}}: {error}");
        Problem::new(Code::MalformedRequest, detail)
    })?;
    let was = level.set(&asked.level).map_err(|error| {
        Problem::new(Code::InvalidValue, error.to_string()).field("/level", "is no filter of lines")
    })?;
    let extensions = request.extensions();
    let by = extensions.get::<Principal>().map_or("nobody known", Principal::name);
    tracing::warn!(was, level = asked.level, by, "what is logged was changed");
    Ok(())
}
