//! Messages while they arrive: what has come of those that are not whole yet takes memory, on every stream of every
//! connection. Promises that all of it together stays within the bodies' limit, and that who goes beyond it is told.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use contract::code::Code;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Body as HttpBody, Service, http};
use tonic::server::NamedService;

use crate::door::problem;
use crate::memory::{Memory, Share};

/// Before each message: whether it is compressed, and its length.
const HEADER: usize = 5;

/// A service whose requests' bodies are counted.
#[derive(Clone, Debug)]
pub(super) struct Counted<S> {
    inner: S,
    memory: Memory,
}

impl<S> Counted<S> {
    pub(super) fn new(inner: S, memory: Memory) -> Self {
        Self { inner, memory }
    }
}

impl<S: NamedService> NamedService for Counted<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: Service<http::Request<Body>>> Service<http::Request<Body>> for Counted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> S::Future {
        let share = self.memory.empty();
        let count = |body| Body::new(CountedBody { body, share, unfinished: Unfinished::default() });
        self.inner.call(request.map(count))
    }
}

struct CountedBody {
    body: Body,
    share: Share,
    unfinished: Unfinished,
}

/// What has come of the message that is not whole yet.
#[derive(Debug, Default)]
struct Unfinished {
    header: [u8; HEADER],
    header_bytes: usize,
    /// Bytes of the message that have come, and that are to come.
    come: usize,
    to_come: usize,
}

impl Unfinished {
    fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.to_come > 0 {
                let more = bytes.len().min(self.to_come);
                (self.come, self.to_come) = (self.come + more, self.to_come - more);
                bytes = &bytes[more..];
            } else {
                self.come = 0;
                self.header[self.header_bytes] = bytes[0];
                (self.header_bytes, bytes) = (self.header_bytes + 1, &bytes[1..]);
                if self.header_bytes == HEADER {
                    let [_, length @ ..] = self.header;
                    (self.header_bytes, self.to_come) = (0, u32::from_be_bytes(length) as usize);
                }
            }
        }
        if self.to_come == 0 {
            self.come = 0;
        }
    }
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            this.unfinished.add(data);
            if !this.share.set(this.unfinished.come) {
                let detail = "too many large messages arrive already: this one was not read, try again later";
                return Poll::Ready(Some(Err(problem(Code::Overloaded, detail).into())));
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_come_of_an_unfinished_message_counts() {
        let message = |len: usize| [&[0][..], &(len as u32).to_be_bytes(), &vec![7; len]].concat();
        let all = [message(10), message(0), message(300), message(1)].concat();
        for cut in [1, 2, 3, 7, 100, all.len()] {
            let (mut unfinished, mut most) = (Unfinished::default(), 0);
            for chunk in all.chunks(cut) {
                unfinished.add(chunk);
                most = most.max(unfinished.come);
            }
            assert!(
                unfinished.come == 0 && unfinished.header_bytes == 0 && most < 300,
                "{cut}: {unfinished:?}"
            );
        }
        let mut unfinished = Unfinished::default();
        unfinished.add(&message(10)[..9]);
        assert_eq!((unfinished.come, unfinished.to_come), (4, 6));
    }
}
