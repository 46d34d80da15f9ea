//! What tests stand on: records for the folds, and doubles of ports for the crates that use them (feature `testing`, which nothing that
//! ships asks for).

#[cfg(test)]
mod records;

use std::collections::BTreeMap;

use domain::ProductId;
use futures::FutureExt;
use futures::future::BoxFuture;
use toolkit::retry::{GaveUp, Retry};

use crate::error::{Answered, Error};
use crate::marks::{Mark, Marking, Marks};
#[cfg(test)]
pub(crate) use records::*;

/// Where nothing is ever parked.
#[derive(Debug)]
pub struct Unmarked;

impl Marks for Unmarked {
    /// # Panics
    /// Always: there is nothing to be written.
    fn write<'a>(
        &'a self,
        _: &'a str,
        _: i32,
        marks: &'a Marking,
        _: &'a Retry,
    ) -> BoxFuture<'a, Result<(), GaveUp<Error>>> {
        panic!("nothing is parked: {marks:?}")
    }

    fn of_partition<'a>(&'a self, _: &'a str, _: i32) -> Answered<'a, BTreeMap<String, Mark>> {
        async { Ok(BTreeMap::new()) }.boxed()
    }

    fn of_products<'a>(&'a self, _: &'a str, ids: &'a [ProductId]) -> Answered<'a, Vec<Option<Mark>>> {
        async { Ok(vec![None; ids.len()]) }.boxed()
    }

    fn count<'a>(&'a self, _: &'a str) -> Answered<'a, u64> {
        async { Ok(0) }.boxed()
    }
}
