//! The questions `search` answers: full text with typo tolerance, filters, facets, and completion of a prefix.

use domain::{CategoryPath, ProductId, ValueError};
use serde::Deserialize;
use serde_json::Value;
use toolkit::search::Search;

use super::body;
use super::document::ProductDocument;
use super::request::{Bucket, Facet, FacetCounts, Hit, SearchRequest, SearchResponse, Suggestion};
use super::store::INDEX;
use crate::positions::SearchPositions;
use crate::{GENERATION, QueryError, StoredProduct, page};

/// Asks `search`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queries {
    search: Search,
    alias: String,
    index: String,
    positions: SearchPositions,
}

impl Queries {
    pub fn new(search: &Search) -> Self {
        Self {
            search: search.clone(),
            alias: INDEX.alias(search.prefix()),
            index: INDEX.index(search.prefix(), GENERATION),
            positions: SearchPositions::open(search),
        }
    }

    /// Finds products. What was written is found after the next refresh, about a second later at most; see [`Self::refresh`].
    pub async fn search(&self, request: &SearchRequest) -> Result<SearchResponse, QueryError> {
        check(request)?;
        let question = body::question(request);
        let cursor = request.page.token.as_ref().map(|token| page::decode(&question, token)).transpose()?;
        let size = request.page.effective_size();
        let body = body::search(request, size + 1, cursor)?;
        let mut answer: Answer<ProductDocument<'static>> = self.search.search(&self.alias, body).await?;
        let more = answer.hits.hits.len() > size;
        answer.hits.hits.truncate(size);
        let next = match answer.hits.hits.last() {
            Some(last) if more => Some(page::encode(&question, &last.sort)?),
            _ => None,
        };
        let facets = request.facets.iter().enumerate().map(|(i, facet)| {
            let counted = answer.aggregations.remove(&i.to_string()).unwrap_or_default();
            FacetCounts {
                facet: facet.to_string(),
                buckets: counted.buckets.into_iter().map(|b| b.of(facet)).collect(),
            }
        });
        let facets = facets.collect();
        let hits =
            answer.hits.hits.into_iter().map(|hit| Ok(Hit { found: hit.source.parse()?, score: hit.score }));
        let hits = hits.collect::<Result<_, crate::Error>>()?;
        Ok(SearchResponse { hits, total: answer.hits.total.map_or(0, |t| t.value), facets, next })
    }

    /// Products whose names begin like this: the last word may be unfinished. At most 50.
    pub async fn suggest(&self, prefix: &str, size: u32) -> Result<Vec<Suggestion>, QueryError> {
        let prefix = prefix.trim();
        if prefix.is_empty() {
            return Ok(Vec::new());
        }
        let body = body::suggest(prefix, size.clamp(1, 50));
        let answer: Answer<NameDocument> = self.search.search(&self.alias, body).await?;
        let suggestions = answer.hits.hits.into_iter().map(|hit| {
            let document = hit.source;
            Ok(Suggestion {
                product_id: ProductId::parse(&document.product_id)?,
                name: document.name,
                category: CategoryPath::parse(&document.category)?,
            })
        });
        suggestions
            .collect::<Result<_, ValueError>>()
            .map_err(|e| QueryError::Internal(format!("reading a document of {}: {e}", self.alias)))
    }

    /// The product as `search` holds it, in real time; also a deleted one.
    pub async fn product(&self, id: &ProductId) -> Result<Option<StoredProduct>, QueryError> {
        let found: Vec<Option<ProductDocument<'static>>> =
            self.search.mget(&self.index, &[id.as_str()]).await?;
        Ok(found.into_iter().flatten().next().map(ProductDocument::parse).transpose()?)
    }

    /// Everything of the partition below this offset is applied by the group; 0 if nothing is. It is searchable after the
    /// next refresh.
    pub async fn position(&self, group: &str, partition: i32) -> Result<i64, QueryError> {
        Ok(self.positions.read(group, partition).await?.unwrap_or_default().applied)
    }

    /// Makes everything applied so far searchable.
    pub async fn refresh(&self) -> Result<(), QueryError> {
        Ok(self.search.refresh(&self.index).await?)
    }
}

/// What the server would refuse less clearly.
fn check(request: &SearchRequest) -> Result<(), QueryError> {
    for facet in &request.facets {
        if let Facet::Attribute { name } = facet {
            domain::AttributeName::parse(name)
                .map_err(|e| QueryError::BadQuestion(format!("facet attributes.{name}: {e}")))?;
        }
    }
    if request.text.as_ref().is_some_and(|text| text.len() > 1_000) {
        return Err(QueryError::BadQuestion(
            "the text to search for must have at most 1,000 bytes".to_owned(),
        ));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(bound = "T: serde::de::DeserializeOwned")]
struct Answer<T> {
    hits: Hits<T>,
    #[serde(default)]
    aggregations: std::collections::HashMap<String, Counted>,
}

#[derive(Deserialize)]
#[serde(bound = "T: serde::de::DeserializeOwned")]
struct Hits<T> {
    total: Option<Total>,
    hits: Vec<Found<T>>,
}

#[derive(Deserialize)]
struct Total {
    value: u64,
}

#[derive(Deserialize)]
#[serde(bound = "T: serde::de::DeserializeOwned")]
struct Found<T> {
    #[serde(rename = "_source")]
    source: T,
    #[serde(rename = "_score")]
    score: Option<f64>,
    #[serde(default)]
    sort: Vec<Value>,
}

#[derive(Deserialize)]
struct NameDocument {
    product_id: String,
    name: String,
    category: String,
}

#[derive(Deserialize, Default)]
struct Counted {
    #[serde(default)]
    buckets: Vec<RawBucket>,
}

#[derive(Deserialize)]
struct RawBucket {
    key: Value,
    doc_count: u64,
    from: Option<f64>,
    to: Option<f64>,
}

impl RawBucket {
    fn of(self, facet: &Facet) -> Bucket {
        let bound = |bound: Option<f64>| bound.map(|b| b as u64);
        let (from, to) = (bound(self.from), bound(self.to));
        let text = |bound: Option<u64>| bound.map_or_else(String::new, |b| b.to_string());
        let key = self.key.as_str().map_or_else(|| self.key.to_string(), str::to_owned);
        let value = match facet {
            Facet::Price { .. } => format!("{}-{}", text(from), text(to)),
            Facet::Attribute { .. } => key.split_once('=').map_or(key.clone(), |(_, value)| value.to_owned()),
            Facet::Category | Facet::Brand | Facet::Status | Facet::Tags | Facet::AttributeNames => key,
        };
        Bucket { value, count: self.doc_count, from, to }
    }
}
