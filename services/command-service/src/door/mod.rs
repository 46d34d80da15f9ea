//! What both doors do with a command, whatever wire it came over: find its product and its id, submit it, and turn the
//! engine's answer into an outcome or a problem.
//!
//! Promises: a command with the same principal and idempotency key gets the same id on every instance; none is submitted whose caller may
//! not give it, or not for this product; nothing here waits but for the engine's answer; no error leaves without a code of `contract::code`.

mod admission;
mod fields;
#[cfg(test)]
mod limits_tests;
mod outcome;
mod preconditions;
mod request;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use contract::AddressedCommand;
use contract::code::Code;
use domain::{Command, ProductId};
use edge::problem::Problem;
use ledger::{CommandId, Subject};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};
use persons::Persons;
use toolkit::lifecycle::Dependency;
use toolkit::telemetry::{TRACES_ONLY, names};
use tracing::Span;

use crate::config::OverloadConfig;
use crate::engine::{CommandRequest, Engine, Origin, Pending, Refusal, ServedLog, Transport};
use admission::{Admission, Permit};

pub(crate) use fields::{CONSISTENCY_TOKEN, CommandFields, Wire};
pub use outcome::{Kind, Outcome};
pub use preconditions::RequestedCommand;
pub(crate) use request::faults_at;
pub use request::{Caller, faults, malformed, traced};
pub(crate) use state::State;

/// The way in, behind both doors. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CommandHandler {
    shared: Arc<Shared>,
    /// What the names of callers are sealed with.
    persons: Persons,
}

#[derive(Debug)]
struct Shared {
    engine: Engine,
    admission: Admission,
    /// What a command needs to be answered at all.
    kafka: Dependency,
    deadline: Duration,
    stalled: Counter<u64>,
}

/// Which side of an upload stood still for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stalled {
    Sending,
    Reading,
}

/// A command that was handed over.
#[derive(Debug)]
pub struct Submitted {
    pending: Pending,
    /// Which log its answer is of.
    log: ServedLog,
    /// None for commands that are counted elsewhere: those of uploads, and the process's own.
    permit: Option<Permit>,
    beside: Beside,
}

/// What the answer needs beside the engine's.
#[derive(Debug)]
struct Beside {
    product: ProductId,
    creates: bool,
    /// From the command's arrival to its answer, in the caller's trace.
    span: Span,
}

impl Submitted {
    /// Waits for the engine's answer.
    pub async fn outcome(self) -> Result<Outcome, Problem> {
        let Beside { product, creates, span } = self.beside;
        let partition = self.pending.partition;
        let answered = self.pending.await;
        if let Some(permit) = self.permit {
            permit.answered();
        }
        let outcome = match answered {
            Ok(answer) => outcome::of(answer, product, (partition, self.log.of(partition)), creates),
            Err(refusal) => Err(refused(&refusal)),
        };
        span.record(
            "folio.outcome",
            outcome.as_ref().map_or_else(|problem| problem.code, |it| it.kind.name()),
        );
        if outcome.as_ref().is_err_and(|problem| problem.status >= 500) {
            span.record("otel.status_code", "error");
        }
        outcome
    }
}

impl CommandHandler {
    pub fn new(
        engine: Engine,
        kafka: Dependency,
        deadline: Duration,
        overload: OverloadConfig,
        meter: &Meter,
    ) -> Self {
        let admission = Admission::new(overload);
        admission.watch(meter);
        let stalled = meter.u64_counter(names::UPLOADS_STALLED_TOTAL).build();
        Self {
            shared: Arc::new(Shared { engine, admission, kafka, deadline, stalled }),
            persons: Persons::off(),
        }
    }

    /// The same, which seals the names of callers.
    #[must_use]
    pub fn sealing(self, persons: Persons) -> Self {
        Self { persons, ..self }
    }

    /// The caller with what is written of it, where names are sealed. To be asked for before a command of it is submitted.
    ///
    /// # Errors
    /// If the key of a person who is not known here yet cannot be had: the command may be sent again.
    pub async fn sealed(&self, caller: Caller) -> Result<Caller, Problem> {
        caller.sealed(&self.persons).await
    }

    /// An upload ends because its client does nothing. `number` is the first line or request that was not read.
    pub(crate) fn stalled(
        &self,
        side: Stalled,
        transport: Transport,
        number: u64,
        after: Duration,
    ) -> Problem {
        let (reason, what) = match side {
            Stalled::Sending => ("sending", "nothing more came"),
            Stalled::Reading => ("reading", "no answers were taken, and those that waited were dropped"),
        };
        let labels = [KeyValue::new("transport", transport.name()), KeyValue::new("reason", reason)];
        self.shared.stalled.add(1, &labels);
        tracing::warn!(
            transport = transport.name(),
            reason,
            number,
            "an upload stood still for too long: it is ended"
        );
        let detail = format!(
            "{what} for {} ms: what comes from number {number} on was not read, send it again",
            after.as_millis()
        );
        Problem::new(Code::RequestTimeout, detail)
    }

    /// Turns a single command away before its body is read, if there are too many.
    pub fn turn_away_if_full(
        &self,
        command: &'static str,
        caller: &Caller,
        transport: Transport,
    ) -> Result<(), Problem> {
        if self.shared.admission.is_full(&caller.account, Instant::now()) {
            return Err(self.turned_away(command, transport));
        }
        Ok(())
    }

    fn turned_away(&self, command: &'static str, transport: Transport) -> Problem {
        self.shared.engine.count_refused(command, transport, &Refusal::Full);
        overloaded()
    }

    /// Hands a command over, or says at once why not. Never waits.
    pub fn submit(
        &self,
        requested: impl Into<RequestedCommand>,
        caller: &Caller,
        transport: Transport,
    ) -> Result<Submitted, Problem> {
        let (request, beside) = self.request(requested.into(), caller, transport)?;
        let permit = match transport {
            Transport::Local => None,
            _ => match self.shared.admission.enter(&caller.account, Instant::now()) {
                Some(permit) => Some(permit),
                None => return Err(self.turned_away(request.command.name(), transport)),
            },
        };
        let pending = self.shared.engine.submit(request).map_err(|refusal| refused(&refusal))?;
        let log = self.shared.engine.served_log().clone();
        Ok(Submitted { pending, log, permit, beside })
    }

    /// Like [`CommandHandler::submit`], but waits for room: an upload is slowed down, not refused.
    pub async fn submit_when_there_is_room(
        &self,
        requested: AddressedCommand,
        caller: &Caller,
        transport: Transport,
    ) -> Result<Submitted, Problem> {
        let (mut request, beside) = self.request(requested.into(), caller, transport)?;
        caller.account.pace().await;
        request.room = self.shared.admission.wait().await;
        let command = request.command.name();
        let until = tokio::time::Instant::now() + request.deadline;
        loop {
            request = match self.shared.engine.try_submit(request) {
                Ok(pending) => {
                    let log = self.shared.engine.served_log().clone();
                    return Ok(Submitted { pending, log, permit: None, beside });
                }
                Err((Refusal::Full, request)) if tokio::time::Instant::now() < until => *request,
                Err((refusal, _)) => {
                    self.shared.engine.count_refused(command, transport, &refusal);
                    return Err(refused(&refusal));
                }
            };
            // The engine empties its inbox in milliseconds.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn request(
        &self,
        RequestedCommand { addressed: requested, expected }: RequestedCommand,
        caller: &Caller,
        transport: Transport,
    ) -> Result<(CommandRequest, Beside), Problem> {
        caller.may_give(requested.command.name())?;
        let giver = &caller.principal;
        let creates = matches!(requested.command, Command::CreateProduct(_));
        let product = match (requested.product_id, &requested.idempotency_key) {
            (Some(product), _) => product,
            (None, Some(key)) if creates => {
                contract::product_id_for_key(giver.name(), giver.product_prefix(), key)
            }
            (None, None) if creates => {
                return Err(Problem::new(
                    Code::IdempotencyKeyRequired,
                    "a product without an id gets one made of the idempotency key, so that a retry meets its own \
                     product: give an Idempotency-Key, or a product_id",
                ));
            }
            (None, _) => {
                return Err(malformed("product_id is missing: say which product the command is for")
                    .field("/product_id", "is required"));
            }
        };
        giver.allow_product(product.as_str())?;
        if !self.shared.kafka.is_up() {
            return Err(refused(&Refusal::NotReady("Kafka cannot be reached".to_owned())));
        }
        // Both types have the same character rule.
        let subject = Subject::parse(product.as_str())
            .map_err(|error| refused(&Refusal::NotReady(error.to_string())))?;
        let command_id = match &requested.idempotency_key {
            Some(key) => contract::command_id(giver.name(), key),
            None => CommandId(uuid::Uuid::new_v4()),
        };
        let asked = caller.context.trace;
        let span = if asked.is_sampled() {
            span_of(requested.command.name(), &product, transport)
        } else {
            Span::none()
        };
        let (actor, principal) = caller.recorded(self.persons.is_on())?;
        let trace = asked.adopt(&span).if_known_elsewhere();
        let request = CommandRequest {
            subject,
            command_id,
            command_hash: requested
                .idempotency_key
                .is_some()
                .then(|| contract::command_hash(&requested.command)),
            command: requested.command,
            expected,
            deadline: caller.deadline.map_or(self.shared.deadline, |asked| asked.min(self.shared.deadline)),
            origin: Origin {
                actor,
                principal,
                trace,
                correlation_id: caller.context.given_id().map(str::to_owned),
            },
            transport,
            room: None,
        };
        Ok((request, Beside { product, creates, span }))
    }
}

/// Nothing is logged inside it, and there is one for each command that is sampled.
fn span_of(command: &'static str, product: &ProductId, transport: Transport) -> Span {
    tracing::info_span!(
        target: TRACES_ONLY,
        "command",
        otel.name = command,
        otel.status_code = tracing::field::Empty,
        folio.command = command,
        folio.product.id = %product,
        folio.transport = transport.name(),
        folio.outcome = tracing::field::Empty
    )
}

fn refused(refusal: &Refusal) -> Problem {
    match refusal {
        Refusal::Full => overloaded(),
        Refusal::NotReady(reason) => {
            Problem::new(Code::NotReady, format!("this instance cannot decide the command now: {reason}"))
        }
    }
}

fn overloaded() -> Problem {
    Problem::new(Code::Overloaded, "too many commands wait already; nothing was written, try again later")
}
