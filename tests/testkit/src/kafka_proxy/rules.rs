//! What is done to which frames, now; and how often it was done.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::ApiKey;
use super::frame::RequestHeader;

/// Whose frames. What is not named may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whose {
    pub api: Option<ApiKey>,
    /// The client id that the request names.
    pub client: Option<String>,
    /// The broker's node id.
    pub node: Option<i32>,
}

impl Whose {
    fn includes(&self, node: i32, request: &RequestHeader) -> bool {
        self.api.is_none_or(|api| api == request.api)
            && self.client.as_ref().is_none_or(|client| *client == request.client)
            && self.node.is_none_or(|it| it == node)
    }
}

/// What can be done to a frame. A connection keeps its order: what waits holds back what comes behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// The request reaches the broker this much later.
    DelayRequest(Duration),
    /// The request reaches the broker when the attack is over, whether its client still waits or not.
    HoldRequest,
    /// The answer reaches the client this much later.
    DelayAnswer(Duration),
    /// The request is carried out, its answer never comes, and the connection lives.
    DropAnswer,
    /// The request is carried out, and instead of the answer the connection ends.
    CutAtAnswer,
    /// The request does not reach the broker: the connection ends. With any request named, there is no connection.
    CutAtRequest,
}

impl Attack {
    pub const fn name(self) -> &'static str {
        match self {
            Self::DelayRequest(_) => "requests delayed",
            Self::HoldRequest => "requests held back",
            Self::DelayAnswer(_) => "answers delayed",
            Self::DropAnswer => "answers dropped",
            Self::CutAtAnswer => "connections cut instead of an answer",
            Self::CutAtRequest => "connections cut at a request",
        }
    }
}

/// How often each thing was done to each kind of request.
pub type Counts = BTreeMap<(ApiKey, &'static str), u64>;

/// An attack that goes on while this lives.
#[derive(Debug)]
#[must_use = "dropped, the attack is over"]
pub struct Attacking {
    id: u64,
    rules: Arc<Rules>,
}

impl Drop for Attacking {
    fn drop(&mut self) {
        self.rules.now.send_modify(|now| now.attacks.retain(|it| it.id != self.id));
    }
}

#[derive(Debug)]
pub(super) struct Rules {
    now: watch::Sender<Now>,
    ids: AtomicU64,
    counts: Mutex<Counts>,
}

#[derive(Clone, Debug, Default)]
struct Now {
    attacks: Vec<Rule>,
    is_closed: bool,
}

#[derive(Clone, Debug)]
struct Rule {
    id: u64,
    whose: Whose,
    attack: Attack,
}

impl Rules {
    pub(super) fn new() -> Self {
        Self { now: watch::Sender::new(Now::default()), ids: AtomicU64::new(0), counts: Mutex::default() }
    }

    pub(super) fn add(rules: &Arc<Self>, whose: Whose, attack: Attack) -> Attacking {
        let id = rules.ids.fetch_add(1, Ordering::Relaxed);
        rules.now.send_modify(|now| now.attacks.push(Rule { id, whose, attack }));
        Attacking { id, rules: Arc::clone(rules) }
    }

    pub(super) fn close(&self) {
        self.now.send_modify(|now| now.is_closed = true);
    }

    /// Waits until the proxies are over.
    pub(super) async fn closed(&self) {
        let mut now = self.now.subscribe();
        // The sender lives as long as `self`.
        drop(now.wait_for(|now| now.is_closed).await);
    }

    /// Every attack that is on for a request at a broker.
    pub(super) fn on(&self, node: i32, request: &RequestHeader) -> Vec<Attack> {
        let now = self.now.borrow();
        now.attacks.iter().filter(|it| it.whose.includes(node, request)).map(|it| it.attack).collect()
    }

    /// Waits until the request is not held back.
    pub(super) async fn let_go(&self, node: i32, request: &RequestHeader) {
        let holds = |it: &Rule| it.attack == Attack::HoldRequest && it.whose.includes(node, request);
        let mut now = self.now.subscribe();
        // The sender lives as long as `self`.
        drop(now.wait_for(|now| !now.attacks.iter().any(holds)).await);
    }

    pub(super) fn done(&self, api: ApiKey, what: &'static str) {
        *self.lock().entry((api, what)).or_default() += 1;
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
