//! The accounts of all callers. Promises that there is one for each, and that they are bounded: who has done nothing for a while is
//! forgotten, and beyond a number of callers those who come new are counted together.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::{Account, LimitsConfig, Refusals};
use crate::auth::is_machine;

/// How many have an account of their own. Names are those that were granted; of addresses somebody may have many.
const MAX: usize = 65_536;
/// Fewer are never looked through.
const MIN: usize = 1_024;

#[derive(Debug)]
pub(super) struct Accounts {
    config: LimitsConfig,
    refused: Refusals,
    known: Mutex<Known>,
    /// Of all for whom there is no room.
    others: Account,
}

#[derive(Debug)]
struct Known {
    by_name: HashMap<String, Account>,
    by_address: HashMap<IpAddr, Account>,
    /// When there are so many, idle ones are forgotten.
    look_at: usize,
}

impl Known {
    /// Whether there is room for one more.
    fn has_room(&mut self, now: Instant, max: usize) -> bool {
        let count = |known: &Self| known.by_name.len() + known.by_address.len();
        if count(self) >= self.look_at {
            self.by_name.retain(|_, it| !it.is_idle(now));
            self.by_address.retain(|_, it| !it.is_idle(now));
            // So that each look is paid for by as many that came.
            self.look_at = (count(self) * 2).clamp(MIN, max.max(MIN));
        }
        count(self) < max
    }
}

impl Accounts {
    pub(super) fn new(config: &LimitsConfig, refused: &Refusals) -> Self {
        let known = Known { by_name: HashMap::new(), by_address: HashMap::new(), look_at: MIN };
        let others = Account::new(Some("others".to_owned()), config, refused.clone());
        Self { config: config.clone(), refused: refused.clone(), known: Mutex::new(known), others }
    }

    pub(super) fn of_name(&self, name: &str, now: Instant) -> Account {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = known.by_name.get(name) {
            return account.clone();
        }
        if !known.has_room(now, MAX) {
            return self.others.clone();
        }
        let shown = is_machine(name).then(|| name.to_owned());
        let account = Account::new(shown, &self.config, self.refused.clone());
        known.by_name.insert(name.to_owned(), account.clone());
        account
    }

    pub(super) fn of_address(&self, address: Option<IpAddr>, now: Instant) -> Account {
        let address = address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), of_one);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = known.by_address.get(&address) {
            return account.clone();
        }
        if !known.has_room(now, MAX) {
            return self.others.clone();
        }
        let account = Account::new(Some(address.to_string()), &self.config, self.refused.clone());
        known.by_address.insert(address, account.clone());
        account
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        let known = self.known.lock().unwrap();
        known.by_name.len() + known.by_address.len()
    }
}

/// The address by which somebody is counted: of IPv6 the network, for a host has all addresses of it.
pub(super) fn of_one(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}
