//! How much one caller may have, so that nobody keeps others from being answered: one place for every door, over HTTP and over gRPC,
//! and for the operators' port.
//!
//! ```text
//! Principal, or the peer's address ──> Account ──> rate, in flight, bytes ──> what the door has room for, by Shares
//! ```
//!
//! Promises: a caller is counted by its name, and by its address where nobody is checked; what goes beyond a limit is answered at once, and
//! told when to come back; when a door is full, whoever has less than its share is let in all the same; what is counted is bounded, however
//! many callers there are.

mod account;
mod accounts;
mod bucket;
mod config;
mod load;
mod peers;
mod shares;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use toolkit::telemetry::{Telemetry, names};

use crate::auth::Principal;
use crate::problem::Problem;
use accounts::Accounts;
pub(crate) use peers::{Peers, Visit};

pub use account::{Account, Place};
pub use config::LimitsConfig;
pub use load::Load;
pub use shares::{Seat, Shares};

/// What was beyond its limit, as answers and metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Rate,
    InFlight,
    Bytes,
    Connections,
}

impl Limit {
    const ALL: [Self; 4] = [Self::Rate, Self::InFlight, Self::Bytes, Self::Connections];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::InFlight => "in-flight",
            Self::Bytes => "bytes",
            Self::Connections => "connections",
        }
    }
}

/// The limits of a process. Cheap to clone; the default bounds nobody.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    shared: Option<Arc<Shared>>,
    /// Of all callers, where nobody is bounded.
    all: Account,
}

#[derive(Debug)]
struct Shared {
    config: LimitsConfig,
    accounts: Accounts,
    refused: Refusals,
}

/// Counts who was beyond what.
#[derive(Clone, Debug)]
pub(crate) struct Refusals(Counter<u64>);

impl Refusals {
    pub(crate) fn count(&self, limit: Limit) {
        self.0.add(1, &[KeyValue::new("limit", limit.name())]);
    }
}

impl Limits {
    pub fn new(config: &LimitsConfig, telemetry: &Telemetry) -> Self {
        for limit in Limit::ALL {
            telemetry.shows(names::LIMITED_TOTAL, &[("limit", limit.name())]);
        }
        let refused = Refusals(telemetry.meter().u64_counter(names::LIMITED_TOTAL).build());
        let accounts = Accounts::new(config, &refused);
        let shared = Some(Arc::new(Shared { config: config.clone(), accounts, refused }));
        Self { shared, all: Account::default() }
    }

    /// The account of who calls: by its name, or by its address if nobody knows who it is.
    pub(crate) fn account(&self, principal: &Principal, address: Option<IpAddr>) -> Account {
        let Some(shared) = &self.shared else { return self.all.clone() };
        let now = Instant::now();
        if principal.is_checked() {
            shared.accounts.of_name(principal.name(), now)
        } else {
            shared.accounts.of_address(address, now)
        }
    }

    /// A place for one more request of who calls, with its account.
    ///
    /// # Errors
    /// 429, if it has too many.
    pub(crate) fn enter(
        &self,
        principal: &Principal,
        address: Option<IpAddr>,
    ) -> Result<(Account, Place), Problem> {
        let account = self.account(principal, address);
        let place = account.enter(Instant::now())?;
        Ok((account, place))
    }

    /// What counts the connections of a door by their peers.
    pub(crate) fn peers(&self) -> Peers {
        self.shared.as_ref().map_or_else(Peers::default, |shared| {
            Peers::new(shared.config.connections_per_peer, shared.refused.clone())
        })
    }
}
