//! A command on its way through the engine, and what its caller is owed. From the inbox to the answer it is one value, which
//! the sequencer keeps.

use std::time::{Duration, Instant};

use domain::{Command, Rejection};
use ledger::{Answer, CommandHash, CommandId, Expected, Partition, Subject};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use toolkit::memory::Share;
use toolkit::telemetry::TraceContext;
use tracing::Span;

/// A command for its sequencer.
#[derive(Debug)]
pub struct CommandRequest {
    pub subject: Subject,
    pub command: Command,
    pub command_id: CommandId,
    /// Of a command with an idempotency key: no other can come twice.
    pub command_hash: Option<CommandHash>,
    /// The versions the client wants the product to have.
    pub expected: Expected,
    /// The command is answered within this time.
    pub deadline: Duration,
    pub origin: Origin,
    pub transport: Transport,
    /// Its place among the commands of uploads, given back when it is answered.
    pub room: Option<OwnedSemaphorePermit>,
}

/// Who asked, in which trace: goes into the record's headers, where there is something to say.
#[derive(Debug, Clone)]
pub struct Origin {
    pub actor: Option<String>,
    /// Who gave the command, where that is somebody else.
    pub principal: Option<String>,
    /// None: the client named no trace, and none is exported.
    pub trace: Option<TraceContext>,
    pub correlation_id: Option<String>,
}

/// The door a command came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Http,
    HttpBulk,
    Grpc,
    GrpcBulk,
    /// From the process itself.
    Local,
}

impl Transport {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::HttpBulk => "http_bulk",
            Self::Grpc => "grpc",
            Self::GrpcBulk => "grpc_bulk",
            Self::Local => "local",
        }
    }
}

/// Why a command did not reach a sequencer. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Its inbox is full, or commands take too much memory already.
    Full,
    /// Its partition cannot be decided yet, or not now.
    NotReady(String),
}

impl Refusal {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Full => "overloaded",
            Self::NotReady(_) => "not_ready",
        }
    }
}

/// What the engine says to a command.
pub(super) type Answered = Result<Answer<Rejection>, Refusal>;

/// Whose answer is owed: the context that a command carries through its sequencer.
#[derive(Debug)]
pub(super) struct Ticket {
    /// The command's name.
    pub(super) command: &'static str,
    pub(super) transport: Transport,
    pub(super) origin: Origin,
    pub(super) arrived: Instant,
    deadline: Duration,
    pub(super) reply: oneshot::Sender<Answered>,
    /// Held until the answer is given.
    room: Option<OwnedSemaphorePermit>,
    _share: Share,
    /// When it was appended last, until that is reported; how often; and whether the last outcome was unknown.
    pub(super) appended: Option<Instant>,
    pub(super) appends: u32,
    pub(super) unknown: bool,
    /// Of the record on its way to the log, if the command is sampled.
    pub(super) producing: Span,
}

/// A command in the inbox.
#[derive(Debug)]
pub(super) struct Submitted {
    pub(super) partition: Partition,
    pub(super) submission: Box<ledger::Submission<Command, Ticket>>,
}

/// The engine's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now_ms(self) -> u64 {
        self.ms_at(Instant::now())
    }

    fn ms_at(self, instant: Instant) -> u64 {
        instant.saturating_duration_since(self.0).as_millis() as u64
    }
}

impl Submitted {
    /// `share` is the memory the request takes. Also the way its answer comes.
    pub(super) fn new(
        request: CommandRequest,
        partition: Partition,
        share: Share,
        clock: Clock,
    ) -> (Self, oneshot::Receiver<Answered>) {
        let (reply, answer) = oneshot::channel();
        let arrived = Instant::now();
        let CommandRequest {
            subject,
            command,
            command_id,
            command_hash,
            expected,
            deadline,
            origin,
            transport,
            room,
        } = request;
        let ticket = Ticket {
            command: command.name(),
            transport,
            origin,
            arrived,
            deadline,
            reply,
            room,
            _share: share,
            appended: None,
            appends: 0,
            unknown: false,
            producing: Span::none(),
        };
        let submission = ledger::Submission {
            context: ticket,
            subject,
            command_id,
            command_hash,
            expected,
            command,
            deadline_ms: clock.ms_at(arrived + deadline),
        };
        (Self { partition, submission: Box::new(submission) }, answer)
    }

    /// As it came. The memory is given back.
    pub(super) fn into_request(self) -> CommandRequest {
        let ledger::Submission { context, subject, command_id, command_hash, expected, command, .. } =
            *self.submission;
        let Ticket { origin, transport, deadline, room, .. } = context;
        CommandRequest {
            subject,
            command,
            command_id,
            command_hash,
            expected,
            deadline,
            origin,
            transport,
            room,
        }
    }
}

#[cfg(test)]
impl Submitted {
    /// A command whose answer nobody awaits.
    pub(super) fn for_test() -> Self {
        let request = CommandRequest {
            subject: Subject::parse("p").unwrap(),
            command: Command::ListProduct,
            command_id: CommandId(uuid::Uuid::nil()),
            command_hash: None,
            expected: Expected::default(),
            deadline: Duration::from_secs(1),
            origin: Origin { actor: None, principal: None, trace: None, correlation_id: None },
            transport: Transport::Local,
            room: None,
        };
        let share = toolkit::memory::Memory::new(0).empty();
        Self::new(request, Partition(0), share, Clock::start()).0
    }
}
