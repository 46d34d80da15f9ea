//! The read models there are: one folder and one line each.
//!
//! Promise: whatever is done with each of them runs over [`ReadModel`]; what has to know one of them matches it exhaustively, so
//! that the compiler names every place that a further one must come to.

use std::fmt;
use std::str::FromStr;

use crate::declared::Generation;
use crate::model::{Fold, Opens};
use crate::{history, products, search};

/// Makes an enum of read models from the fold of each.
macro_rules! read_models {
    ($(#[$meta:meta])* $visibility:vis enum $name:ident { $($model:ident => $fold:ty,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visibility enum $name { $($model,)+ }

        impl $name {
            $visibility const ALL: &[Self] = &[$(Self::$model,)+];

            /// What the read model declares beside its fold.
            $visibility const fn declared(self) -> &'static $crate::declared::Declared {
                match self {
                    $(Self::$model => <$fold as $crate::model::Fold>::DECLARED,)+
                }
            }
        }
    };
}
read_models! {
    /// A read model.
    pub enum ReadModel {
        Products => products::Products,
        History => history::HistoryModel,
        Search => search::SearchModel,
    }
}

impl ReadModel {
    /// The name used in configuration and metrics.
    pub const fn name(self) -> &'static str {
        self.declared().name
    }

    /// The consumer group that builds a generation: `<prefix>.<read model>.g<generation>`.
    pub fn group_id(self, prefix: &str, generation: Generation) -> String {
        format!("{prefix}.{self}.{generation}")
    }

    /// Does with the read model's types what `visitor` does with any.
    pub fn visit<A: Adapter, V: Visitor<A>>(self, visitor: V) -> V::Output {
        match self {
            Self::Products => visitor.visit::<products::Products>(),
            Self::History => visitor.visit::<history::HistoryModel>(),
            Self::Search => visitor.visit::<search::SearchModel>(),
        }
    }
}

/// What opens the store of every read model.
pub trait Adapter:
    Opens<products::Products> + Opens<history::HistoryModel> + Opens<search::SearchModel>
{
}

impl<A> Adapter for A where
    A: Opens<products::Products> + Opens<history::HistoryModel> + Opens<search::SearchModel>
{
}

/// What can be done with any read model.
pub trait Visitor<A> {
    type Output;

    fn visit<M: Fold>(self) -> Self::Output
    where
        A: Opens<M>;
}

impl fmt::Display for ReadModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// There is no such read model.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no read model `{0}`")]
pub struct Unknown(String);

impl FromStr for ReadModel {
    type Err = Unknown;

    fn from_str(name: &str) -> Result<Self, Unknown> {
        let found = Self::ALL.iter().find(|it| it.name() == name);
        found.copied().ok_or_else(|| Unknown(name.to_owned()))
    }
}

#[cfg(test)]
mod tests;
