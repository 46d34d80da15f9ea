//! What both doors read beside the command itself: who calls, which key, which version.

use std::time::Duration;

use contract::code::Code;
use contract::{ConsistencyToken, FieldErrors, IdempotencyKey};
use edge::problem::Problem;
use toolkit::telemetry::TraceContext;

/// The principal of every caller, until there is authentication.
const ANONYMOUS: &str = "anonymous";
/// The most bytes of an actor.
pub(super) const LONGEST_ACTOR: usize = 200;

/// Who calls, and in which context.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Whom idempotency keys belong to.
    pub principal: &'static str,
    /// Who it says it acts for: information, not proof.
    pub actor: Option<String>,
    pub trace: TraceContext,
    /// What the client calls the work this belongs to.
    pub correlation_id: Option<String>,
    /// The caller waits no longer than this.
    pub deadline: Option<Duration>,
}

impl Caller {
    /// Reads the headers' values. The client's `request_id` is kept if it is a short visible text.
    pub fn new(actor: Option<&str>, trace: TraceContext, request_id: Option<&str>) -> Result<Self, Problem> {
        let visible = |text: &str| text.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        let correlation_id =
            request_id.filter(|id| (1..=128).contains(&id.len()) && visible(id)).map(str::to_owned);
        let actor = actor.map(str::trim).filter(|actor| !actor.is_empty()).map(str::to_owned);
        if actor.as_ref().is_some_and(|actor| actor.len() > LONGEST_ACTOR || actor.contains(char::is_control))
        {
            let detail =
                format!("the actor must have at most {LONGEST_ACTOR} bytes and no control characters");
            return Err(problem(Code::InvalidHeader, detail));
        }
        Ok(Self { principal: ANONYMOUS, actor, trace, correlation_id, deadline: None })
    }
}

/// Takes a consistency token that came with a command: it holds already, for a command is decided on all that was
/// acknowledged before it. One that is none is refused.
pub fn consistency_token(token: &str) -> Result<(), Problem> {
    ConsistencyToken::decode(token.trim()).map(|_| ()).map_err(|error| {
        problem(
            Code::BadConsistencyToken,
            format!("the consistency token of the command cannot be understood: {error}"),
        )
    })
}

/// A problem of `code` with this detail. One that may be retried says after what time.
pub fn problem(code: Code, detail: impl Into<String>) -> Problem {
    let problem = Problem::new(code.name(), code.title(), code.http(), code.grpc(), detail);
    match code.retry_after() {
        Some(after) => problem.retry_after(after),
        None => problem,
    }
}

/// The problem with the name of the caller's trace, so that a client's report leads to the logs.
pub fn traced(problem: Problem, caller: &Caller) -> Problem {
    problem.with("trace_id", caller.trace.trace_id())
}

/// What could not be read at all.
pub fn malformed(detail: impl Into<String>) -> Problem {
    problem(Code::MalformedRequest, detail)
}

/// The faults of a body or message, each with its place.
pub fn faults(errors: FieldErrors) -> Problem {
    let code = errors.code();
    let detail = match errors.as_slice() {
        [] => code.title().to_owned(),
        [only] => only.to_string(),
        [first, ..] => format!("{first} (and {} more faults)", errors.total() - 1),
    };
    errors
        .into_vec()
        .into_iter()
        .fold(problem(code, detail), |it, error| it.field(error.pointer, error.detail))
}

/// Reads an idempotency key: the quoted string of the draft standard, or the bare text most clients send.
pub fn idempotency_key(text: &str) -> Result<IdempotencyKey, Problem> {
    let text = text.trim();
    let key = match text.strip_prefix('"') {
        Some(rest) => unquoted(rest),
        None => Some(text.to_owned()),
    };
    let Some(key) = key else {
        return Err(problem(Code::InvalidHeader, "the idempotency key is a quoted string that does not end"));
    };
    IdempotencyKey::parse(&key)
        .map_err(|error| problem(Code::InvalidHeader, format!("the idempotency key {}", error.problem)))
}

fn unquoted(rest: &str) -> Option<String> {
    let inner = rest.strip_suffix('"')?;
    let mut key = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => key.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            '"' => return None,
            c => key.push(c),
        }
    }
    Some(key)
}
