//! The questions `search` answers: full text, filters, facets, and completion of a prefix; and the index that they ask.
//!
//! A text is looked for as it is written. Only if that finds nothing, the words that no product has are looked for with typos;
//! the answer says so, and its pages go on that way.

use std::fmt::Debug;
use std::sync::Arc;

use domain::ProductId;

use super::body;
use super::cursor::{Cursor, Place};
use super::found::{Found, response};
use super::request::{SearchRequest, SearchResponse, SuggestRequest, Suggestion};
use super::texts::{Similar, Text};
use crate::marks::Marks;
use crate::model::Position;
use crate::{Answer, Asked, QueryError, ReadModel, StoredProduct};

/// The index of `search`, wherever it lies.
pub trait Index: Debug + Send + Sync {
    /// One page of what is searchable.
    fn find<'a>(&'a self, find: Find<'a>) -> Answer<'a, Found>;

    /// The words of a text that no product has, of those that may have typos.
    fn unknown<'a>(&'a self, request: &'a SearchRequest, text: &'a Text<'a>) -> Answer<'a, Similar>;

    /// Products whose names or SKUs begin like the text.
    fn suggest<'a>(&'a self, request: &'a SuggestRequest, text: &'a Text<'a>) -> Answer<'a, Vec<Suggestion>>;

    /// The product as the index holds it, searchable or not; also a deleted one.
    fn product<'a>(&'a self, id: &'a ProductId) -> Answer<'a, Option<StoredProduct>>;

    /// See [`Asked::position`]. What is applied is searchable after the next refresh.
    fn position<'a>(&'a self, group: &'a str, partition: i32) -> Answer<'a, Position>;

    /// See [`Asked::marks`].
    fn marks(&self) -> &dyn Marks;

    /// Makes everything applied so far searchable.
    fn refresh(&self) -> Answer<'_, ()>;
}

/// What a page is asked for with.
#[derive(Debug, Clone, Copy)]
pub struct Find<'a> {
    /// Filters, order, facets and the size of the page.
    pub request: &'a SearchRequest,
    /// Its words.
    pub text: Option<&'a Text<'a>>,
    /// Those that may have typos.
    pub similar: Similar,
    /// Where the page before ended.
    pub behind: Option<&'a Cursor>,
}

/// Asks `search`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queries {
    index: Arc<dyn Index>,
}

impl Queries {
    pub fn new(index: impl Index + 'static) -> Self {
        Self { index: Arc::new(index) }
    }

    /// Finds products. What was written is found after the next refresh, about a second later at most; see [`Self::refresh`].
    /// A page ends early, with a next one, where its products have come to [`crate::page::MAX_PAGE_BYTES`].
    pub async fn search(&self, request: &SearchRequest) -> Result<SearchResponse, QueryError> {
        request.check()?;
        let question = body::question(request);
        let decoded = request.page.token.as_ref().map(|token| Place::decode(&question, request.sort, token));
        let place = decoded.transpose()?;
        let text = request.text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(Text::of);
        let mut similar = place.as_ref().map(|place| place.similar).unwrap_or_default();
        let behind = place.as_ref().map(|place| &place.cursor);
        let find = Find { request, text: text.as_ref(), similar, behind };
        let mut found = self.index.find(find).await?;
        if found.total == 0
            && place.is_none()
            && let Some(text) = &text
        {
            let unknown = self.index.unknown(request, text).await?;
            if unknown != Similar::default() {
                let nearly = self.index.find(Find { similar: unknown, ..find }).await?;
                if nearly.total > 0 {
                    (found, similar) = (nearly, unknown);
                }
            }
        }
        response(found, request, &question, similar)
    }

    /// Products whose names or SKUs begin like this: the last word may be unfinished.
    pub async fn suggest(&self, request: &SuggestRequest) -> Result<Vec<Suggestion>, QueryError> {
        request.check()?;
        let text = Text::of(request.prefix.trim());
        // What shows nothing is the beginning of everything.
        if text.is_nothing() { Ok(Vec::new()) } else { self.index.suggest(request, &text).await }
    }

    /// The product as `search` holds it, in real time; also a deleted one.
    pub async fn product(&self, id: &ProductId) -> Result<Option<StoredProduct>, QueryError> {
        self.index.product(id).await
    }

    /// Makes everything applied so far searchable.
    pub async fn refresh(&self) -> Result<(), QueryError> {
        self.index.refresh().await
    }
}

impl Asked for Queries {
    const READ_MODEL: ReadModel = ReadModel::Search;

    fn position<'a>(&'a self, group: &'a str, partition: i32) -> Answer<'a, Position> {
        self.index.position(group, partition)
    }

    fn marks(&self) -> &dyn Marks {
        self.index.marks()
    }
}
