//! The engine's answer as clients see it. Promises that every answer about a product carries its version and a
//! consistency token, also when it is a problem.

use contract::ConsistencyToken;
use contract::code::Code;
use domain::{ProductId, Rejection, Version};
use edge::problem::Problem;
use ledger::{Answer, LogId, Offset, Partition};
use uuid::Uuid;

use super::overloaded;

/// A command that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub kind: Kind,
    pub product: ProductId,
    /// The product's version after the command.
    pub version: u64,
    /// The event; none if there was nothing to change.
    pub event_id: Option<Uuid>,
    /// Encoded: opaque to clients.
    pub token: String,
    /// An earlier submission of the same command did it.
    pub replayed: bool,
    /// The command creates products.
    pub creates: bool,
}

/// What became of a command that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Accepted,
    NoEffect,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::NoEffect => "no_effect",
        }
    }
}

impl Outcome {
    /// 201 if the command's event created the product, else 200.
    pub fn http_status(&self) -> u16 {
        if self.creates && self.kind == Kind::Accepted { 201 } else { 200 }
    }
}

/// Translates an answer of this partition, which is of this log. `creates`: the command is a creation.
pub(super) fn of(
    answer: Answer<Rejection>,
    product: ProductId,
    (partition, log): (Partition, Option<LogId>),
    creates: bool,
) -> Result<Outcome, Problem> {
    // A token names the last record its answer rests on.
    let token = |offset: Offset, version| {
        let version = Version(version);
        ConsistencyToken { partition: partition.0, offset, product: product.clone(), version, log }.encode()
    };
    // An answer without a record is true of the records below `at`.
    let token_below = |at: Offset, version| token(at - 1, version);
    let with = |it: Problem| it.with("product_id", product.as_str());
    let failed = |code, detail: &str| Err(with(Problem::new(code, detail)));
    match answer {
        Answer::Accepted { version, event_id, offset, replayed } => {
            let token = token(offset, version);
            Ok(Outcome {
                kind: Kind::Accepted,
                product,
                version,
                event_id: Some(event_id),
                token,
                replayed,
                creates,
            })
        }
        Answer::NoEffect { version, at } => {
            let token = token_below(at, version);
            let kind = Kind::NoEffect;
            Ok(Outcome { kind, product, version, event_id: None, token, replayed: false, creates })
        }
        Answer::Rejected { rejection, version, at } => {
            let code = Code::from(&rejection);
            Err(with(Problem::new(code, rejection.to_string()))
                .with("current_version", version)
                .with("consistency_token", token_below(at, version)))
        }
        Answer::Conflict { expected, actual, at } => {
            let has = match actual {
                0 => "the product does not exist".to_owned(),
                version => format!("the product has version {version}"),
            };
            let detail = format!(
                "{has}, the request expects {expected}: read it again and decide whether the command still fits"
            );
            let problem = with(Problem::new(Code::VersionConflict, detail))
                .with("current_version", actual)
                .with("consistency_token", token_below(at, actual));
            Err(match expected.only() {
                Some(version) => problem.with("expected_version", version),
                None => problem,
            })
        }
        Answer::KeyReused { version, event_id, offset } => {
            let detail = format!(
                "another command with this idempotency key made version {version}: use a new key for a new command"
            );
            Err(with(Problem::new(Code::IdempotencyKeyReused, detail))
                .with("version", version)
                .with("event_id", event_id.to_string())
                .with("consistency_token", token(offset, version)))
        }
        Answer::Contended { version, at } => {
            let detail =
                "other commands on this product were faster every time; nothing was written, try again";
            Err(with(Problem::new(Code::Contended, detail))
                .with("current_version", version)
                .with("consistency_token", token_below(at, version)))
        }
        Answer::OutcomeUnknown => failed(
            Code::OutcomeUnknown,
            "the log did not say in time whether the command counts: retry it with the same idempotency key, which is \
             safe; without a key, read the product first",
        ),
        Answer::Overloaded => Err(with(overloaded())),
        Answer::Unreadable => failed(
            Code::ProductUnreadable,
            "a record of this product cannot be read, so that no command on it can be decided until it can",
        ),
        Answer::Quarantined => failed(
            Code::ProductQuarantined,
            "the log holds a record of this product that no correct writer wrote: an operator must look",
        ),
        Answer::Withheld => failed(
            Code::NotReady,
            "this instance cannot decide commands on this product now: a record of it names a schema id that the registry has \
             not told yet; this attempt has written nothing, try again",
        ),
        Answer::TooLarge(reason) => {
            failed(Code::CommandTooLarge, &format!("the event cannot be written: {reason}"))
        }
        Answer::Defect(reason) => {
            tracing::error!(product.id = %product, reason, "a command could not be decided: a defect");
            failed(
                Code::Internal,
                "the command could not be decided because of a defect; nothing was written",
            )
        }
        Answer::DeadlineExceeded => failed(
            Code::DeadlineExceeded,
            "the command could not be decided within its deadline; nothing was written, try again",
        ),
    }
}
