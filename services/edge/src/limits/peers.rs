//! The connections of a door by their peers' addresses. Promise: no address has more than it may, and one that ends makes room.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::accounts::of_one;
use super::{Limit, Refusals};

/// Who has how many. Cheap to clone; the default counts nobody.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peers(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    max: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
    refused: Refusals,
}

/// A connection among those of its peer, until it is dropped.
#[derive(Debug)]
pub(crate) struct Visit(Option<(Arc<Shared>, IpAddr)>);

impl Peers {
    /// At most `max` of each; 0: any number.
    pub(super) fn new(max: usize, refused: Refusals) -> Self {
        Self((max > 0).then(|| Arc::new(Shared { max, open: Mutex::default(), refused })))
    }

    /// One more; none if there are too many.
    pub(crate) fn connect(&self, address: Option<IpAddr>) -> Option<Visit> {
        let Some((shared, address)) = self.0.as_ref().zip(address.map(of_one)) else {
            return Some(Visit(None));
        };
        let mut open = shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        let its = open.entry(address).or_default();
        if *its >= shared.max {
            shared.refused.count(Limit::Connections);
            return None;
        }
        *its += 1;
        Some(Visit(Some((Arc::clone(shared), address))))
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let Some((shared, address)) = self.0.take() else { return };
        let mut open = shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(its) = open.get_mut(&address) {
            *its -= 1;
            if *its == 0 {
                open.remove(&address);
            }
        }
    }
}
