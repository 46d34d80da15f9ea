//! A request's place among its caller's while its answer is on its way.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use bytes::Bytes;

use crate::limits::Place;

/// An answer that is made while it is sent, as that of an upload is.
struct Held {
    body: BoxBody,
    _place: Place,
}

/// Keeps the place until the answer has been taken, or is given up; one that is whole already needs none.
pub(super) fn until_taken(
    answer: ServiceResponse<BoxBody>,
    place: Option<Place>,
) -> ServiceResponse<BoxBody> {
    match (place, answer.response().body().size()) {
        (Some(place), BodySize::Stream) => {
            answer.map_body(|_, body| BoxBody::new(Held { body, _place: place }))
        }
        _ => answer,
    }
}

impl MessageBody for Held {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
