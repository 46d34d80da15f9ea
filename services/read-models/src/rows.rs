//! Every row of a table or document of an index as text, page by page: two builds of a read model can be compared row for row.
//!
//! Promises: the same row is the same text in every generation; rows of two generations come in about the same order; where rows
//! are large, pages have few.

use adapter_cql::{Cql, PageState, Prepared};
use adapter_search::Search;
use futures::FutureExt;
use serde_json::{Value, json};

use crate::declared::{Declared, On, Table};
use crate::{Answered, Error, Generation, Servers};

/// How many rows a page has at most,
const MAX_ROWS: usize = 1_000;
/// and the first one: nothing is known of their size, which may be a quarter of a megabyte.
const FIRST_ROWS: usize = 32;
/// About how many bytes of text a page is.
const PAGE_BYTES: usize = 8 << 20;

/// Where the rows of builds can be read.
pub trait RowSource: Sync {
    /// All rows of a table, deleted products' too, where it keeps them; whatever was written before is among them.
    fn row_pages(
        &self,
        declared: &'static Declared,
        table: &'static Table,
        generation: Generation,
    ) -> Answered<'_, Box<dyn Pages>>;
}

/// Pages of rows, from the first.
pub trait Pages: Send {
    /// The next rows; `None` after the last.
    fn next(&mut self) -> Answered<'_, Option<Vec<String>>>;
}

/// The rows of one table of one generation.
#[derive(Debug)]
struct RowPages {
    source: Source,
    /// Rows of the next page.
    size: usize,
}

#[derive(Debug)]
enum Source {
    /// JSON as CQL gives it, in the order of the keys' tokens.
    Cql { cql: Cql, select: Prepared, next: Option<PageState> },
    /// `"<id>" v<version> <source>`, in the order of product ids.
    Search { search: Search, index: String, after: Option<Value> },
}

impl RowSource for Servers {
    /// An index is refreshed first.
    fn row_pages(
        &self,
        declared: &'static Declared,
        table: &'static Table,
        generation: Generation,
    ) -> Answered<'_, Box<dyn Pages>> {
        async move {
            let source = self.source(declared, table, generation).await?;
            Ok(Box::new(RowPages { source, size: FIRST_ROWS }) as Box<dyn Pages>)
        }
        .boxed()
    }
}

impl Servers {
    async fn source(
        &self,
        declared: &Declared,
        table: &Table,
        generation: Generation,
    ) -> Result<Source, Error> {
        Ok(match declared.on {
            On::Cql(_) => {
                let cql = self.cql().await?.clone();
                let select = format!("SELECT JSON * FROM {{keyspace}}.{}", table.on_cql(generation));
                let select = cql.prepare(&select).await?;
                Source::Cql { select, cql, next: Some(PageState::default()) }
            }
            On::Search { index, .. } => {
                let search = self.search().await?.clone();
                let index = index.index(search.prefix(), generation.get());
                search.refresh(&index).await?;
                Source::Search { search, index, after: Some(Value::Null) }
            }
        })
    }
}

impl Pages for RowPages {
    fn next(&mut self) -> Answered<'_, Option<Vec<String>>> {
        async {
            let page = self.source.next(self.size).await?;
            if let Some(rows) = &page {
                self.size = next_size(self.size, rows);
            }
            Ok(page)
        }
        .boxed()
    }
}

/// How many rows like the largest of these make a page; of what is not known yet, not many more than there were.
fn next_size(size: usize, rows: &[String]) -> usize {
    let largest = rows.iter().map(String::len).max().unwrap_or_default();
    (PAGE_BYTES / largest.max(1)).min(size * 2).clamp(1, MAX_ROWS)
}

impl Source {
    async fn next(&mut self, size: usize) -> Result<Option<Vec<String>>, Error> {
        match self {
            Self::Cql { cql, select, next } => {
                let Some(from) = next.take() else { return Ok(None) };
                let (rows, following) = cql.page::<(String,)>(select, (), size, from).await?;
                *next = following;
                Ok(Some(rows.into_iter().map(|(row,)| row).collect()))
            }
            Self::Search { search, index, after } => {
                let Some(from) = after.take() else { return Ok(None) };
                let mut body = json!({ "size": size, "version": true, "sort": [{ "product_id": "asc" }] });
                if !from.is_null() {
                    body["search_after"] = from;
                }
                let mut answer: Value = search.search(index, body).await?;
                let Value::Array(hits) = answer["hits"]["hits"].take() else { return Ok(None) };
                *after = hits.last().map(|last| last["sort"].clone());
                let text = |hit: &Value| format!("{} v{} {}", hit["_id"], hit["_version"], hit["_source"]);
                Ok((!hits.is_empty()).then(|| hits.iter().map(text).collect()))
            }
        }
    }
}

/// The product that a row is about; empty if it tells none.
pub fn product_of(row: &str) -> String {
    json_of(row)["product_id"].as_str().unwrap_or_default().to_owned()
}

/// The same, with the version that the row gives it, as JSON; `None` if it tells none.
pub(crate) fn version_of(row: &str) -> Option<String> {
    let row = json_of(row);
    let (product, version) = (row["product_id"].as_str()?, row["version"].as_u64()?);
    Some(json!({ "product_id": product, "version": version }).to_string())
}

fn json_of(row: &str) -> Value {
    let json = row.find('{').map_or("", |at| &row[at..]);
    serde_json::from_str(json).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_its_product_and_version_whatever_else_it_has() {
        let cql = r#"{"product_id": "p-1", "name": "a {b}", "version": 3}"#;
        let search = r#""p-1" v3 {"version":3,"product_id":"p-1","title":"x"}"#;
        assert_eq!((version_of(cql), product_of(search)), (version_of(search), "p-1".to_owned()));
        assert!(version_of(cql).is_some_and(|it| product_of(&it) == "p-1"));
        assert_eq!((version_of(r#"{"product_id":"p-1"}"#), product_of("nonsense")), (None, String::new()));
    }

    #[test]
    fn pages_of_large_rows_have_few() {
        let (large, small) = ("x".repeat(256 << 10), "{}".to_owned());
        assert_eq!(next_size(1_000, &[small.clone(), large]), 32);
        assert_eq!(next_size(32, &["x".repeat(20 << 20)]), 1);
        let small = [small];
        assert_eq!((next_size(32, &small), next_size(600, &small)), (64, MAX_ROWS));
    }
}
