//! A problem as an HTTP answer.

use actix_web::body::BoxBody;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};

use crate::context::REQUEST_ID;

use super::{CONSISTENCY_TOKEN, MEDIA_TYPE, Problem};

/// The member that is also the header [`REQUEST_ID`].
const REQUEST_ID_MEMBER: &str = "request_id";
const CONSISTENCY_TOKEN_HEADER: &str = "consistency-token";

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((header::CONTENT_TYPE, MEDIA_TYPE));
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        if let Some(seconds) = self.retry_after_seconds() {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if let Some(challenge) = crate::auth::challenge(self) {
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        if let Some(token) = self.extensions.get(CONSISTENCY_TOKEN).and_then(|token| token.as_str()) {
            response.insert_header((CONSISTENCY_TOKEN_HEADER, token));
        }
        if let Some(id) = self.extensions.get(REQUEST_ID_MEMBER).and_then(|id| id.as_str()) {
            response.insert_header((REQUEST_ID, id));
        }
        response.json(self.body())
    }
}
