//! What a read model is, and what it needs of a store.
//!
//! Promise: a read model sees effective records only, each product's in the order of their versions; of a record that comes
//! again it writes every row again, for a state that is there does not prove that its other rows are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;

use domain::{FoldError, ProductId, Version};
use toolkit::lanes::Lane;
use toolkit::retry::{GaveUp, Retry};
use uuid::Uuid;

use crate::declared::Declared;
use crate::marks::Marks;
use crate::{Error, Generation, LogId, RefusedProducts};

/// What a read model sees.
pub use contract::effective::{EffectiveEvent, LogPosition, Meta};

/// The last event a state has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub version: Version,
    pub event_id: Uuid,
}

/// What a read model must remember of a product to fold its next event: the product's state row.
pub trait State: Clone + Debug + PartialEq + Send + Sync + 'static {
    fn product(&self) -> &ProductId;
    fn head(&self) -> Head;
    /// About how many bytes it takes in memory.
    fn size(&self) -> usize;
}

/// A pure fold: state and event in, next state and changes of further rows out.
pub trait Fold: Clone + Debug + Send + Sync + Sized + 'static {
    /// The read model that it builds.
    const DECLARED: &'static Declared;
    type State: State;
    /// The key of a further row.
    type Key: Clone + Debug + Eq + Hash + Send + Sync;
    /// The whole content of a further row.
    type Row: Clone + Debug + PartialEq + Send + Sync;
    /// About how many bytes a further row takes in memory that waits to be written.
    const ROW_BYTES: usize = 500;

    /// Folds a record into the state of its product, whose next version it is.
    fn fold(state: Option<Self::State>, record: &EffectiveEvent) -> Result<Folded<Self>, FoldError>;

    /// The rows to write again because of a record whose version `state` has seen already.
    fn again(state: &Self::State, record: &EffectiveEvent) -> Vec<RowChange<Self>>;

    /// The state as a further row tells it, of when that row's event was the newest; see [`rewound`].
    #[cfg(test)]
    const TOLD_BY: Option<ToldBy<Self>> = None;
}

#[cfg(test)]
pub(crate) type ToldBy<M> = fn(&<M as Fold>::Key, &<M as Fold>::Row) -> <M as Fold>::State;

/// What a record makes of a state.
#[derive(Debug, Clone)]
pub struct Folded<M: Fold> {
    pub state: M::State,
    /// Each key at most once: the row to put there, or `None` to delete what is there.
    pub changes: Vec<(M::Key, Option<M::Row>)>,
}

/// A row to put, or (`None`) to delete, because of the event that gave its product this version.
#[derive(Debug, Clone)]
pub struct RowChange<M: Fold> {
    pub key: M::Key,
    pub product: ProductId,
    pub version: Version,
    pub row: Option<M::Row>,
}

/// What a batch of records changes: at most one change per row key, and the last state per product.
#[derive(Debug)]
pub struct Writes<M: Fold> {
    pub rows: Vec<RowChange<M>>,
    pub states: Vec<M::State>,
}

impl<M: Fold> Writes<M> {
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.states.is_empty()
    }

    /// How many rows or documents are written.
    pub fn len(&self) -> usize {
        self.rows.len() + self.states.len()
    }

    /// What a write comes to of which these products were refused, for the reasons that come with them, and all others taken.
    pub fn outcome(&self, refused: BTreeMap<String, String>) -> Result<(), Error> {
        if refused.is_empty() {
            return Ok(());
        }
        let products = self.rows.iter().map(|it| &it.product).chain(self.states.iter().map(State::product));
        let taken: BTreeSet<&ProductId> = products.filter(|it| !refused.contains_key(it.as_str())).collect();
        Err(Error::Refused(RefusedProducts { taken: taken.len(), products: refused }))
    }
}

/// A product whose state is needed, to apply a record to it: this event, which gives it this version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub product: ProductId,
    pub version: Version,
    pub event_id: Uuid,
}

/// The state to fold the wanted record on, where the product's state has passed its version and rows tell earlier ones: the
/// one with the version before. Of another event with the same version the projection has to see that. For stores: `before` and
/// `same` are what the rows tell of the version before and of the wanted one.
pub fn rewound<S: State>(wanted: &Wanted, before: Option<S>, same: Option<S>) -> Option<S> {
    same.filter(|same| same.head().event_id != wanted.event_id).or(before)
}

impl From<&EffectiveEvent> for Wanted {
    fn from(record: &EffectiveEvent) -> Self {
        Self { product: record.product.clone(), version: record.version, event_id: record.event_id }
    }
}

/// How far a group has come with a partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    /// Everything below is applied, and the store has acknowledged it.
    pub applied: i64,
    /// Everything below was acknowledged so long ago that the store has it on disk, whatever becomes of its processes.
    pub durable: i64,
    /// Which log it is a position in. `None`: nothing is applied yet, or an earlier release wrote it.
    pub log: Option<LogId>,
}

/// Processes of a store by their names, and when each was started.
pub type Starts = std::collections::BTreeMap<String, String>;

/// Where a read model's rows lie. A write takes effect only if it is newer, by version, than what is there.
pub trait Store<M: Fold>: Clone + Debug + Send + Sync + 'static {
    type Positions: Positions;

    /// The products' states, in their order: just before the wanted version where the store can tell, else as they are.
    fn load(&self, wanted: &[Wanted]) -> impl Future<Output = Result<Vec<Option<M::State>>, Error>> + Send;

    /// Writes the rows and then, when all of them are acknowledged, the states: a state says that its rows are there. Products that
    /// the store refuses ([`Error::Refused`]: all of this write) hold back no other; of theirs the state is not written.
    fn write(
        &self,
        writes: Writes<M>,
        retry: &Retry,
    ) -> impl Future<Output = Result<(), GaveUp<Error>>> + Send;

    /// How far it has come.
    fn positions(&self) -> &Self::Positions;

    /// Which products are parked.
    fn marks(&self) -> &dyn Marks;
}

/// How far groups have come, told beside the rows of one read model; and what becomes of the store that holds both.
pub trait Positions: Clone + Debug + Send + Sync + 'static {
    /// How far the group has come with the partition; `None`: it never wrote a position.
    fn read(
        &self,
        group: &str,
        partition: i32,
    ) -> impl Future<Output = Result<Option<Position>, Error>> + Send;

    /// Says that everything below the position is applied and written. A lower position than the stored one is no change.
    fn write(
        &self,
        group: &str,
        partition: i32,
        position: Position,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// An error, [`Error::is_missing`], if any table or index of the read model is not there.
    fn is_there(&self) -> impl Future<Output = Result<(), Error>> + Send;

    /// When each process of the store that answers was started: another value after each start. `None` if the store does not
    /// tell; no process at all if none can lose what was acknowledged, and then all that is applied is durable; an error if none
    /// answers.
    fn starts(&self) -> impl Future<Output = Result<Option<Starts>, Error>> + Send;
}

/// Where a read model's rows can lie.
pub trait Opens<M: Fold>: Clone + Debug + Send + Sync + 'static {
    type Store: Store<M>;

    /// Which format its rows have: what the read model declares. (A test that stands for a later release says another.)
    fn format(&self) -> u32 {
        M::DECLARED.format
    }

    /// Opens the store of a generation, to build it. What it needs must be there: `folio stores apply`.
    fn open(&self, generation: Generation) -> impl Future<Output = Result<Self::Store, Error>> + Send;

    /// The same, whose rows are read and written in this lane: those of a build that is not read give way.
    #[must_use]
    fn in_lane(&self, _lane: &Lane) -> Self {
        // Where nothing is in flight nothing gives way.
        self.clone()
    }

    /// Opens how far groups have come with a generation, and nothing else of it: what other rows it has does not matter.
    fn positions(
        &self,
        generation: Generation,
    ) -> impl Future<Output = Result<<Self::Store as Store<M>>::Positions, Error>> + Send {
        async move { Ok(self.open(generation).await?.positions().clone()) }
    }
}
