//! Where a page of a search ended.
//!
//! Promise: a cursor holds what the question's order can be continued from and nothing else, whoever wrote the token: a
//! value of another type would be an error of the server.

use domain::ProductId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Sort;
use super::texts::Similar;
use crate::{QueryError, page};

/// Where a page ended, and how its words were looked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    pub(super) similar: Similar,
    pub(super) cursor: Cursor,
}

impl Place {
    /// The place in a token of this question.
    pub(super) fn decode(question: &str, sort: Sort, token: &str) -> Result<Self, QueryError> {
        let (similar, values) = page::decode::<(u32, Value)>(question, token)?;
        let forged = || QueryError::BadPageToken("page token holds no place of this order".to_owned());
        let cursor = Cursor::of(sort, values).ok_or_else(forged)?;
        Ok(Self { similar: Similar(similar), cursor })
    }

    pub(super) fn encode(&self, question: &str) -> Result<String, QueryError> {
        page::encode(question, (self.similar.0, &self.cursor))
    }
}

/// The sort values of the last product of a page; the product's id makes every order total.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cursor {
    /// A price, or a time in milliseconds. Before scores: a whole number is a score too.
    Number(i64, String),
    Score(f64, String),
    Name(String, String),
}

impl Cursor {
    /// The sort values that the server gave with a document, or that a token holds; none if they are of another order.
    pub(super) fn of(sort: Sort, values: Value) -> Option<Self> {
        let cursor = match (sort, serde_json::from_value(values).ok()?) {
            (Sort::Relevance, Self::Number(score, id)) => Self::Score(score as f64, id),
            (Sort::Relevance, cursor @ Self::Score(..))
            | (Sort::NameAscending, cursor @ Self::Name(..))
            | (Sort::PriceAscending | Sort::PriceDescending | Sort::Newest, cursor @ Self::Number(..)) => {
                cursor
            }
            _ => return None,
        };
        let (Self::Number(_, id) | Self::Score(_, id) | Self::Name(_, id)) = &cursor;
        ProductId::parse(id).is_ok().then_some(cursor)
    }

    /// As the server takes it.
    pub(super) fn search_after(&self) -> Value {
        json!(self)
    }
}
