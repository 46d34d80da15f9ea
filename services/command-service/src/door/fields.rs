//! What stands beside a command: headers over HTTP, metadata over gRPC, read in one place.
//!
//! Promises: a name means the same on both wires, or is refused; none of it is passed over; a problem names what it is about.

use contract::AddressedCommand;
use contract::code::Code;
use edge::auth::Principal;
use edge::context::Context;
use edge::entity_tags::Tags;
use edge::fields::{misspelt, one};
use edge::problem::Problem;

use super::request::{consistency_token, idempotency_key};
use super::{Caller, RequestedCommand, preconditions};

/// Who it is for: the name both wires have, and a shorter one over gRPC.
const ACTORS: [&str; 2] = ["x-folio-actor", "folio-actor"];
const IDEMPOTENCY_KEY: &str = "idempotency-key";
const IF_MATCH: &str = "if-match";
const IF_NONE_MATCH: &str = "if-none-match";
const IF_UNMODIFIED_SINCE: &str = "if-unmodified-since";
pub(crate) const CONSISTENCY_TOKEN: &str = "consistency-token";

/// What another name means, and what says it.
const MEANINGS: [(&str, &str); 11] = [
    ("actor", "x-folio-actor"),
    (IDEMPOTENCY_KEY, "idempotency-key, or the field idempotency_key"),
    (CONSISTENCY_TOKEN, "consistency-token"),
    (IF_MATCH, "if-match"),
    (IF_NONE_MATCH, "if-none-match"),
    ("if-modified-since", "if-match, or the field expected_version"),
    (IF_UNMODIFIED_SINCE, "if-match, or the field expected_version"),
    ("expected-version", "if-match, or the field expected_version"),
    ("etag", "if-match, or the field expected_version"),
    ("product-id", "the field product_id"),
    ("prefer", "nothing: a command is answered when it is decided"),
];

/// What a command came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Http,
    Grpc,
}

impl Wire {
    /// Names that are read, or that the wire's standard wants ignored beside a command.
    pub(crate) fn read(self) -> &'static [&'static str] {
        const HTTP: [&str; 8] = [
            ACTORS[0],
            IDEMPOTENCY_KEY,
            CONSISTENCY_TOKEN,
            IF_MATCH,
            IF_NONE_MATCH,
            "if-modified-since",
            IF_UNMODIFIED_SINCE,
            "prefer",
        ];
        const GRPC: [&str; 6] =
            [ACTORS[0], ACTORS[1], IDEMPOTENCY_KEY, CONSISTENCY_TOKEN, IF_MATCH, IF_NONE_MATCH];
        match self {
            Self::Http => &HTTP,
            Self::Grpc => &GRPC,
        }
    }
}

/// The headers or metadata of a command.
pub(crate) struct CommandFields<'r, F> {
    fields: &'r F,
    wire: Wire,
}

impl<'r, F: edge::fields::Fields> CommandFields<'r, F> {
    pub(crate) fn new(fields: &'r F, wire: Wire) -> Self {
        Self { fields, wire }
    }

    /// Who calls: `principal`, whom the server let in. `context` is what it knows the request by.
    pub(crate) fn caller(
        &self,
        principal: Option<Principal>,
        context: Option<Context>,
    ) -> Result<Caller, Problem> {
        // Never nobody in particular, who may do everything.
        let missing = || Problem::new(Code::Internal, "it is not known who calls: a defect");
        let principal = principal.ok_or_else(missing)?;
        let mut actor: Option<(&str, &str)> = None;
        for name in ACTORS.into_iter().filter(|name| self.wire.read().contains(name)) {
            let Some(said) = self.one(name)? else { continue };
            if actor.is_some_and(|(_, other)| other != said) {
                return Err(self.refused(name, "differs from x-folio-actor: give one of them"));
            }
            actor = actor.or(Some((name, said)));
        }
        let context = context.unwrap_or_else(|| Context::of(self.fields));
        Caller::new(principal, actor.map(|(_, said)| said), context)
            .map_err(|problem| self.at(actor.map_or(ACTORS[0], |(name, _)| name), problem))
    }

    /// Refuses names that mean something and are not read, and a token that is none.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if let Some((name, instead)) = misspelt(self.fields, self.wire.read(), &MEANINGS) {
            return Err(self.refused(name, &format!("is not read: give {instead}")));
        }
        // A command is decided on everything acknowledged before it, so that any token holds.
        match self.one(CONSISTENCY_TOKEN)? {
            Some(token) => consistency_token(token).map_err(|problem| self.at(CONSISTENCY_TOKEN, problem)),
            None => Ok(()),
        }
    }

    /// The command with what stands beside its own fields.
    pub(crate) fn requested(&self, mut command: AddressedCommand) -> Result<RequestedCommand, Problem> {
        if let Some(text) = self.one(IDEMPOTENCY_KEY)? {
            let key = idempotency_key(text).map_err(|problem| self.at(IDEMPOTENCY_KEY, problem))?;
            if command.idempotency_key.as_ref().is_some_and(|field| *field != key) {
                return Err(
                    self.refused(IDEMPOTENCY_KEY, "differs from the field idempotency_key: give one of them")
                );
            }
            command.idempotency_key = Some(key);
        }
        let tags = |name| Tags::of(self.fields, name).map_err(|why| self.refused(name, &why));
        let (if_match, if_none_match) = (tags(IF_MATCH)?, tags(IF_NONE_MATCH)?);
        let at_fault = if if_match.is_some() { IF_MATCH } else { IF_NONE_MATCH };
        let field = match self.wire {
            Wire::Http => "/expected_version",
            Wire::Grpc => "expected_version",
        };
        preconditions::requested(command, if_match.as_ref(), if_none_match.as_ref(), field)
            .map_err(|problem| self.at(at_fault, problem))
    }

    /// Refuses what many commands in one stream cannot have as a whole.
    pub(crate) fn each_has_its_own(&self) -> Result<(), Problem> {
        let item = match self.wire {
            Wire::Http => "line",
            Wire::Grpc => "request",
        };
        let names = [IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE];
        match names.into_iter().find(|name| self.fields.all(name).next().is_some()) {
            None => Ok(()),
            Some(name) => {
                let field = if name == IDEMPOTENCY_KEY { "idempotency_key" } else { "expected_version" };
                Err(self.refused(name, &format!("cannot be said of a stream: give {field} of each {item}")))
            }
        }
    }

    /// The value of a name that may be given once.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&'r str>, Problem> {
        one(self.fields, name).map_err(|why| self.refused(name, why))
    }

    fn refused(&self, name: &str, why: &str) -> Problem {
        let what = match self.wire {
            Wire::Http => "header",
            Wire::Grpc => "metadata",
        };
        self.at(name, Problem::new(Code::InvalidHeader, format!("the {what} {name} {why}")))
    }

    /// Over gRPC a problem names the metadata it is about.
    fn at(&self, name: &str, problem: Problem) -> Problem {
        match self.wire {
            Wire::Http => problem,
            Wire::Grpc => problem.with("metadata_key", name),
        }
    }
}
