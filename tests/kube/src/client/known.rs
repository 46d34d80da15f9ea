//! What was acknowledged last of each product: what a read with a consistency token must see.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use contract::ConsistencyToken;
use domain::{ProductId, Version};
use rand::RngExt as _;
use rand::rngs::StdRng;
use testkit::history::{Recorded, Told};

/// What was acknowledged of a product.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) product: String,
    pub(crate) version: u64,
    pub(crate) token: String,
}

#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<BTreeMap<String, Acknowledged>>);

impl Known {
    pub(crate) fn note(&self, recorded: &[Recorded]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (product, told) in
            recorded.iter().flat_map(|it| it.attempts.iter().map(|a| (&it.product, &a.told)))
        {
            let Told::Accepted { version, partition, at, .. } = *told else { continue };
            let Ok(id) = ProductId::parse(product) else { continue };
            if known.get(product).is_none_or(|it| it.version < version) {
                let token = ConsistencyToken {
                    partition,
                    offset: at,
                    product: id,
                    version: Version(version),
                    log: None,
                };
                let product = product.clone();
                known.insert(product.clone(), Acknowledged { product, version, token: token.encode() });
            }
        }
    }

    /// One of the products; none while none was acknowledged.
    pub(crate) fn any(&self, dice: &mut StdRng) -> Option<Acknowledged> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = dice.random_range(0..known.len().max(1));
        known.values().nth(number).cloned()
    }
}
