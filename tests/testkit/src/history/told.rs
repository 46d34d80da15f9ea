//! An answer, reduced to what it claims about the log.

use contract::ConsistencyToken;
use contract::code::Code;
use uuid::Uuid;

use crate::Reply;

/// What a client was told. `at` is the offset in the answer's consistency token: of the record itself, or of the last
/// record that an answer without one rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Accepted {
        version: u64,
        event_id: Uuid,
        replayed: bool,
        partition: i32,
        at: i64,
    },
    NoEffect {
        version: u64,
        partition: i32,
        at: i64,
    },
    Conflict {
        actual: u64,
        partition: i32,
        at: i64,
    },
    /// By the domain, with this code.
    Rejected {
        code: Code,
        version: u64,
        partition: i32,
        at: i64,
    },
    /// This attempt wrote nothing that counts: it may be tried again.
    NothingWritten(Code),
    /// It may have been written, or not: it may be tried again.
    Unknown(&'static str),
    /// What no client should ever be told.
    Wrong(String),
}

impl Told {
    /// The connection failed.
    pub const DISCONNECTED: Self = Self::Unknown("disconnected");
    /// The client waited no longer.
    pub const GIVEN_UP: Self = Self::Unknown("given-up");

    /// What an answer says.
    pub fn of(reply: &Reply) -> Self {
        Self::parse(reply).unwrap_or_else(|| Self::Wrong(format!("{} {}", reply.status, reply.body)))
    }

    fn parse(reply: &Reply) -> Option<Self> {
        let body = &reply.body;
        let Some(code) = Code::from_name(reply.code()) else {
            let version = body["version"].as_u64()?;
            let (partition, at) = place(reply)?;
            return match body["outcome"].as_str()? {
                "accepted" => {
                    let event_id = body["event_id"].as_str()?.parse().ok()?;
                    let replayed = body["replayed"].as_bool()?;
                    Some(Self::Accepted { version, event_id, replayed, partition, at })
                }
                "no_effect" => Some(Self::NoEffect { version, partition, at }),
                _ => None,
            };
        };
        match code {
            Code::OutcomeUnknown => Some(Self::Unknown("outcome-unknown")),
            Code::Contended | Code::DeadlineExceeded | Code::Overloaded | Code::NotReady => {
                Some(Self::NothingWritten(code))
            }
            _ => {
                let (partition, at) = place(reply)?;
                let version = body["current_version"].as_u64()?;
                Some(match code {
                    Code::VersionConflict => Self::Conflict { actual: version, partition, at },
                    _ => Self::Rejected { code, version, partition, at },
                })
            }
        }
    }

    /// For tallies: `accepted`, or the code.
    pub fn name(&self) -> &str {
        match self {
            Self::Accepted { replayed: false, .. } => "accepted",
            Self::Accepted { .. } => "replayed",
            Self::NoEffect { .. } => "no_effect",
            Self::Conflict { .. } => Code::VersionConflict.name(),
            Self::Rejected { code, .. } | Self::NothingWritten(code) => code.name(),
            Self::Unknown(what) => what,
            Self::Wrong(_) => "wrong",
        }
    }

    /// Whether the client need not ask again.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::NothingWritten(_) | Self::Unknown(_))
    }

    /// The partition and offset it speaks of, if it says something about the log.
    pub fn place(&self) -> Option<(i32, i64)> {
        match *self {
            Self::Accepted { partition, at, .. }
            | Self::NoEffect { partition, at, .. }
            | Self::Conflict { partition, at, .. }
            | Self::Rejected { partition, at, .. } => Some((partition, at)),
            Self::NothingWritten(_) | Self::Unknown(_) | Self::Wrong(_) => None,
        }
    }

    /// The highest version of the product that it names.
    pub fn version(&self) -> Option<u64> {
        match *self {
            Self::Accepted { version, .. }
            | Self::NoEffect { version, .. }
            | Self::Conflict { actual: version, .. }
            | Self::Rejected { version, .. } => Some(version),
            Self::NothingWritten(_) | Self::Unknown(_) | Self::Wrong(_) => None,
        }
    }
}

fn place(reply: &Reply) -> Option<(i32, i64)> {
    let token = ConsistencyToken::decode(reply.body["consistency_token"].as_str()?).ok()?;
    Some((token.partition, token.offset))
}
