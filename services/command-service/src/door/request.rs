//! What both doors read beside the command itself: who calls, which key, which version.

use std::time::Duration;

use contract::code::Code;
use contract::{ConsistencyToken, FieldError, FieldErrors, IdempotencyKey};
use edge::auth::{Principal, Scope};
use edge::context::Context;
use edge::limits::Account;
use edge::problem::Problem;
use persons::{Persons, Unavailable};

/// The most bytes of an actor.
pub(super) const MAX_ACTOR: usize = 200;

/// Who calls, and in which context. The default is the process itself.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// Who it is: whom idempotency keys belong to, and what it may do.
    pub principal: Principal,
    /// Who the command is for: the caller, or whom it may act for. Where callers are not checked, what it says: information, not proof.
    pub actor: Option<String>,
    /// What is counted of the caller.
    pub account: Account,
    /// What the request is known by.
    pub context: Context,
    /// The caller waits no longer than this.
    pub deadline: Option<Duration>,
    /// What events say of it, where names are sealed.
    pub(crate) recorded: Option<Recorded>,
}

/// Who gave a command, and for whom, as its event says it.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    actor: Option<String>,
    principal: Option<String>,
}

impl Caller {
    /// Reads what the caller says of itself beside what it has shown.
    pub fn new(principal: Principal, actor: Option<&str>, context: Context) -> Result<Self, Problem> {
        let actor = actor.map(str::trim).filter(|actor| !actor.is_empty()).map(str::to_owned);
        if actor.as_ref().is_some_and(|actor| actor.len() > MAX_ACTOR || actor.contains(char::is_control)) {
            let detail = format!("the actor must have at most {MAX_ACTOR} bytes and no control characters");
            return Err(Problem::new(Code::InvalidHeader, detail));
        }
        if let Some(actor) = &actor {
            principal.act_for(actor)?;
        }
        let itself = || principal.is_checked().then(|| principal.name().to_owned());
        let actor = actor.or_else(itself);
        Ok(Self { principal, actor, account: Account::default(), context, deadline: None, recorded: None })
    }

    /// Whether it may give this command, by its name.
    pub(crate) fn may_give(&self, command: &str) -> Result<(), Problem> {
        let deletes = ["delete_product", "restore_product"].contains(&command);
        self.principal.allow(if deletes { Scope::Delete } else { Scope::Write })
    }

    /// Who gives the command, where that is somebody else than whom it is for.
    pub(crate) fn on_behalf(&self) -> Option<String> {
        let name = self.principal.name();
        let differs = self.principal.is_checked() && self.actor.as_deref() != Some(name);
        differs.then(|| name.to_owned())
    }

    /// The caller with what its events say of it.
    pub(super) async fn sealed(self, persons: &Persons) -> Result<Self, Problem> {
        if !persons.is_on() {
            return Ok(self);
        }
        let sealed = async |name: &str, is_person: bool| {
            if !is_person {
                return Ok(name.to_owned());
            }
            persons.seal(name).await.map(|sealed| sealed.to_string()).map_err(|error| {
                // A name is never written plain instead. What exactly is wrong is for operators.
                match &error {
                    Unavailable::Store(_) => {
                        tracing::debug!(%error, "a command is refused: its caller's name cannot be sealed");
                    }
                    // By itself it does not end, and readiness does not know.
                    Unavailable::Ring(_) => {
                        tracing::error!(%error, "a command is refused: its caller's name cannot be sealed");
                    }
                }
                let detail = "this instance cannot record now who gave the command, for the keys of persons cannot be had; nothing was \
                              written, try again later";
                Problem::new(Code::NotReady, detail)
            })
        };
        let own = self.principal.is_checked().then(|| self.principal.name());
        let actor = match &self.actor {
            // Whatever somebody is called by others may be a person's name.
            Some(actor) => {
                let is_itself = own == Some(actor);
                Some(sealed(actor, !is_itself || self.principal.is_person()).await?)
            }
            None => None,
        };
        let principal = match self.on_behalf() {
            Some(name) => Some(sealed(&name, self.principal.is_person()).await?),
            None => None,
        };
        Ok(Self { recorded: Some(Recorded { actor, principal }), ..self })
    }

    /// Who the command is for and who gave it, as its event says it.
    pub(super) fn recorded(&self, is_sealing: bool) -> Result<(Option<String>, Option<String>), Problem> {
        match &self.recorded {
            Some(Recorded { actor, principal }) => Ok((actor.clone(), principal.clone())),
            // Nobody forgets it: but no name is written plain if somebody does.
            None if is_sealing && (self.actor.is_some() || self.on_behalf().is_some()) => {
                Err(Problem::new(Code::Internal, "the caller's name was not sealed before the command"))
            }
            None => Ok((self.actor.clone(), self.on_behalf())),
        }
    }
}

/// Takes a consistency token that came with a command: it holds already, for a command is decided on all that was
/// acknowledged before it. One that is none is refused.
pub(super) fn consistency_token(token: &str) -> Result<(), Problem> {
    ConsistencyToken::decode(token.trim()).map(|_| ()).map_err(|error| {
        Problem::new(
            Code::BadConsistencyToken,
            format!("the consistency token of the command cannot be understood: {error}"),
        )
    })
}

/// The problem with the names of the caller's request, so that a client's report leads to the logs.
pub fn traced(problem: Problem, caller: &Caller) -> Problem {
    caller.context.name(problem)
}

/// What could not be read at all.
pub fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(Code::MalformedRequest, detail)
}

/// The faults of a body, each with its place.
pub fn faults(errors: FieldErrors) -> Problem {
    faults_at(errors, |error| error.pointer.clone())
}

/// The same, their places written so.
pub(crate) fn faults_at(errors: FieldErrors, place: impl Fn(&FieldError) -> String) -> Problem {
    let (code, more) = (errors.code(), errors.total() - 1);
    let told: Vec<_> = errors.into_vec().into_iter().map(|error| (place(&error), error.detail)).collect();
    let detail = match &told[..] {
        [] => code.title().to_owned(),
        [(place, detail)] => format!("{place} {detail}"),
        [(place, detail), ..] => format!("{place} {detail} (and {more} more faults)"),
    };
    let problem = Problem::new(code, detail.trim_start());
    told.into_iter().fold(problem, |it, (place, detail)| it.field(place, detail))
}

/// Reads an idempotency key: the quoted string of the draft standard, or the bare text most clients send.
pub(super) fn idempotency_key(text: &str) -> Result<IdempotencyKey, Problem> {
    let text = text.trim();
    let key = match text.strip_prefix('"') {
        Some(rest) => unquoted(rest),
        None => Some(text.to_owned()),
    };
    let Some(key) = key else {
        return Err(Problem::new(
            Code::InvalidHeader,
            "the idempotency key is a quoted string that does not end",
        ));
    };
    IdempotencyKey::parse(&key)
        .map_err(|error| Problem::new(Code::InvalidHeader, format!("the idempotency key {}", error.problem)))
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
