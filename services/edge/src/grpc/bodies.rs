//! Messages while they arrive: what has come of those that are not whole yet takes memory, on every stream of every
//! connection. Promises that all of it together stays within one limit, that none takes it for longer than it may, and that
//! who goes beyond either is told.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use contract::code::Code;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Body as HttpBody, Service, http};
use tonic::server::NamedService;

use toolkit::memory::Memory;

use crate::limits::{Account, Load};

/// Before each message: whether it is compressed, and its length.
const HEADER: usize = 5;

/// What the messages of a server may take while they arrive, all together, and for how long. Clones share the memory.
#[derive(Clone, Debug)]
pub(super) struct Arriving {
    pub(super) memory: Memory,
    /// How long a call may take to send all it has.
    pub(super) within: Duration,
    /// The calls whose client sends a stream, by path; they may take for ever.
    pub(super) streaming: Arc<[String]>,
    /// How long one of those may send nothing in the middle of a message.
    pub(super) stall: Duration,
}

/// Why a message is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Whose limit it was.
    NoMemory(Code),
    TooSlow,
}

/// A service whose requests' bodies are counted.
#[derive(Clone, Debug)]
pub(super) struct Counted<S> {
    inner: S,
    arriving: Arriving,
}

impl<S> Counted<S> {
    pub(super) fn new(inner: S, arriving: Arriving) -> Self {
        Self { inner, arriving }
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
        let arriving = &self.arriving;
        let is_stream = arriving.streaming.iter().any(|path| path == request.uri().path());
        let stall = is_stream.then_some(arriving.stall);
        let deadline = (!is_stream).then(|| Instant::now() + arriving.within);
        let account = request.extensions().get::<Account>().cloned().unwrap_or_default();
        let share = account.load(arriving.memory.empty());
        let count = |body| {
            let unfinished = Unfinished::default();
            Body::new(CountedBody { body, share, unfinished, stall, deadline, alarm: None, has_come: false })
        };
        self.inner.call(request.map(count))
    }
}

struct CountedBody {
    body: Body,
    share: Load,
    unfinished: Unfinished,
    /// Of a stream: how long it may pause in a message.
    stall: Option<Duration>,
    /// Until when more must have come, or, where it is no stream, all of it.
    deadline: Option<Instant>,
    /// Made when something is waited for first.
    alarm: Option<Pin<Box<Sleep>>>,
    /// The one message has come of a call that has one. Its client might never end the call, and whoever reads the message
    /// would keep it, whatever it was unpacked to, until then.
    has_come: bool,
}

impl CountedBody {
    fn came(&mut self, data: &[u8]) -> bool {
        self.unfinished.add(data);
        let is_whole =
            self.unfinished.come == 0 && self.unfinished.header_bytes == 0 && self.unfinished.to_come == 0;
        match self.stall {
            Some(stall) => self.deadline = (!is_whole).then(|| Instant::now() + stall),
            None => self.has_come = is_whole && !data.is_empty(),
        }
        self.share.set(self.unfinished.come)
    }

    /// Whether what is waited for should have come by now; wakes the caller then.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(deadline) = self.deadline else { return false };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if alarm.deadline() != deadline {
            alarm.as_mut().reset(deadline);
        }
        alarm.as_mut().poll(cx).is_ready()
    }
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
        if this.has_come {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        let refused = match &polled {
            Poll::Ready(Some(Ok(frame))) => match frame.data_ref() {
                Some(data) if !this.came(data) => Some(Refused::NoMemory(this.share.refused_as())),
                _ => None,
            },
            Poll::Ready(_) => None,
            Poll::Pending => this.is_late(cx).then_some(Refused::TooSlow),
        };
        let Some(refused) = refused else { return polled };
        // It may lie about for a while before it is dropped.
        this.share.set(0);
        (this.deadline, this.body) = (None, Body::empty());
        Poll::Ready(Some(Err(super::statuses::refused(refused))))
    }

    fn is_end_stream(&self) -> bool {
        self.has_come || self.body.is_end_stream()
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

    /// A body that holds this and then says nothing.
    fn body(
        first: Vec<u8>,
        stall: Option<Duration>,
        deadline: Option<Duration>,
        memory: &Memory,
    ) -> CountedBody {
        struct Silent(Option<Vec<u8>>);
        impl HttpBody for Silent {
            type Data = Bytes;
            type Error = Status;
            fn poll_frame(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
                let first = self.0.take().map(|first| Ok(http_body::Frame::data(first.into())));
                first.map_or(Poll::Pending, |first| Poll::Ready(Some(first)))
            }
        }
        CountedBody {
            body: Body::new(Silent(Some(first))),
            share: memory.empty().into(),
            unfinished: Unfinished::default(),
            stall,
            deadline: deadline.map(|within| Instant::now() + within),
            alarm: None,
            has_come: false,
        }
    }

    async fn next(body: &mut CountedBody) -> Option<Result<http_body::Frame<Bytes>, Status>> {
        futures::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
    }

    #[tokio::test]
    async fn a_message_that_does_not_become_whole_gives_its_memory_back_in_time() {
        let memory = Memory::new(1_000);
        let (half, short) = ([&[0, 0, 0, 0, 100][..], &[7; 50]].concat(), Some(Duration::from_millis(50)));
        for (stall, deadline) in [(short, None), (None, short)] {
            let mut body = body(half.clone(), stall, deadline, &memory);
            assert!(next(&mut body).await.unwrap().is_ok() && memory.taken() == 50);
            let late = tokio::time::timeout(Duration::from_secs(10), next(&mut body)).await.unwrap();
            assert_eq!(late.unwrap().unwrap_err().code(), tonic::Code::DeadlineExceeded);
            assert_eq!(memory.taken(), 0);
        }
        // A call of one message is over with it, however long its client leaves it open.
        let mut one = body([0; HEADER].to_vec(), None, Some(Duration::from_mins(1)), &memory);
        assert!(next(&mut one).await.unwrap().is_ok());
        let over = tokio::time::timeout(Duration::from_secs(10), next(&mut one)).await;
        assert!(over.expect("it does not wait for the client").is_none());
        // Between its messages a stream may be silent.
        let mut whole = body([0; HEADER].to_vec(), short, None, &memory);
        assert!(next(&mut whole).await.unwrap().is_ok());
        assert!(tokio::time::timeout(Duration::from_millis(300), next(&mut whole)).await.is_err());
    }
}
