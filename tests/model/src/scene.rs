//! A scene: who writes, what clients want, what may go wrong and how often. All its runs are one model.

use ledger::{CommandId, Limits, Subject, Submission};
use ledger_sim::Law;
use uuid::Uuid;

use crate::product::Order;
use crate::state::{Bounds, State};

/// Behind every command's deadline.
pub(crate) const DEADLINE_MS: u64 = 1_000_000;
/// Tickets of one request: the first submission and its retries.
const SUBMISSIONS: u64 = 16;

/// What all runs of one model have in common.
#[derive(Debug, Clone)]
pub struct Scene {
    pub name: &'static str,
    pub writers: usize,
    pub requests: Vec<CommandRequest>,
    /// Commands may lose this many races.
    pub max_attempts: u32,
    pub bounds: Bounds,
    /// The law that the writers break, if any.
    pub broken: Option<Law>,
    /// What must happen in some run: else the scene is worth less than it seems.
    pub sights: Vec<Sight>,
}

/// Something to be seen in a run.
pub type Sight = (&'static str, fn(&Scene, &State) -> bool);

/// A command that a client wants done.
#[derive(Debug, Clone, Copy)]
pub struct CommandRequest {
    pub product: &'static str,
    /// Wishes with the same number have the same command id.
    pub command: u8,
    pub order: Order,
    pub expected: Option<u64>,
    /// The writer it is first asked of. Retries go anywhere.
    pub at: usize,
}

impl CommandRequest {
    /// A command with its own id that expects nothing.
    pub const fn new(command: u8, at: usize, product: &'static str, order: Order) -> Self {
        Self { product, command, order, expected: None, at }
    }

    #[must_use]
    pub const fn expecting(self, version: u64) -> Self {
        Self { expected: Some(version), ..self }
    }
}

impl Scene {
    pub(crate) fn limits(&self) -> Limits {
        Limits { max_attempts: self.max_attempts, ..Limits::default() }
    }

    /// The ticket of the request's `nth` submission.
    pub(crate) fn ticket(request: usize, nth: usize) -> u64 {
        request as u64 * SUBMISSIONS + nth as u64
    }

    pub(crate) fn request(&self, ticket: u64) -> &CommandRequest {
        &self.requests[(ticket / SUBMISSIONS) as usize]
    }

    /// How often the request was submitted.
    pub(crate) fn submissions(state: &State, request: usize) -> usize {
        state.tickets.range(Self::ticket(request, 0)..Self::ticket(request + 1, 0)).count()
    }

    pub(crate) fn submission(&self, ticket: u64) -> Submission<Order> {
        let request = self.request(ticket);
        Submission {
            context: ticket,
            subject: request.subject(),
            command_id: request.command_id(),
            command_hash: Some(request.order.hash()),
            expected: request.expected.into(),
            command: request.order,
            deadline_ms: DEADLINE_MS,
        }
    }
}

impl CommandRequest {
    pub(crate) fn subject(&self) -> Subject {
        Subject::parse(self.product).expect("scenes name products with plain text")
    }

    pub(crate) fn command_id(&self) -> CommandId {
        CommandId(Uuid::from_u128(u128::from(self.command) + 1))
    }
}
