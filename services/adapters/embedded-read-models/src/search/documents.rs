//! All documents of the index as text, in the order of product ids, for comparisons.
//!
//! Promise: what is read, page by page, is what was written before the first page, all of one moment.

use std::sync::Arc;

use read_models::Error;
use serde_json::json;
use tantivy::columnar::Column;
use tantivy::schema::IndexRecordOption;
use tantivy::termdict::TermStreamer;
use tantivy::{DocAddress, DocSet, Searcher, TERMINATED, TantivyDocument, TantivyError};

use super::EmbeddedSearch;
use super::schema::VERSION;
use super::writing::Shared;
use crate::row_pages::{MAX_ROWS, PAGE_BYTES, Page};

/// The documents of one moment.
pub(crate) struct Documents {
    shared: Arc<Shared>,
    searcher: Searcher,
}

impl EmbeddedSearch {
    /// All that are written by now. Blocks on the disk.
    pub(crate) fn documents(&self) -> Result<Documents, Error> {
        self.shared.refresh()?;
        Ok(Documents { shared: Arc::clone(&self.shared), searcher: self.shared.searcher()? })
    }
}

impl Documents {
    /// The first documents behind this product id, as servers' are told: `"<id>" v<version> <source>`.
    pub(crate) fn texts(&self, after: Option<&[u8]>) -> Result<Page, Error> {
        let page = self.page(after);
        // Afterwards: its files may be gone, and that is no damage then.
        self.shared.is_there()?;
        page
    }

    fn page(&self, after: Option<&[u8]>) -> Result<Page, Error> {
        let failed = |error: TantivyError| self.shared.failed(&error);
        let (mut page, mut bytes) = (Page::new(), 0);
        for (id, place) in self.places(after).map_err(failed)? {
            let DocAddress { segment_ord, doc_id } = place;
            let versions = self.versions(segment_ord).map_err(failed)?;
            let document: TantivyDocument = self.searcher.doc(place).map_err(failed)?;
            let source = self.shared.source(&document)?;
            let version = versions.first(doc_id).unwrap_or_default();
            let text = format!("{} v{version} {source}", json!(String::from_utf8_lossy(&id)));
            bytes += text.len();
            page.push((id, text));
            if bytes >= PAGE_BYTES {
                break;
            }
        }
        Ok(page)
    }

    fn versions(&self, segment: u32) -> tantivy::Result<Column<u64>> {
        self.searcher.segment_reader(segment).fast_fields().u64(VERSION)
    }

    /// Where documents lie, [`MAX_ROWS`] of them, in the order of their product ids.
    fn places(&self, after: Option<&[u8]>) -> tantivy::Result<Vec<(Vec<u8>, DocAddress)>> {
        let field = self.shared.fields.product_id;
        let segments = self.searcher.segment_readers();
        let ids = segments.iter().map(|it| it.inverted_index(field)).collect::<tantivy::Result<Vec<_>>>()?;
        // Of each segment the ids that are still to come.
        let mut left: Vec<(usize, TermStreamer<'_>)> = Vec::with_capacity(ids.len());
        for (segment, ids) in ids.iter().enumerate() {
            let range = ids.terms().range();
            let mut stream = after.map_or(ids.terms().range(), |after| range.gt(after)).into_stream()?;
            if stream.advance() {
                left.push((segment, stream));
            }
        }
        let mut places = Vec::new();
        while places.len() < MAX_ROWS {
            let Some(first) = left.iter().map(|(_, stream)| stream.key()).min() else { break };
            let first = first.to_vec();
            let mut still = Vec::with_capacity(left.len());
            for (segment, mut stream) in left {
                if stream.key() == first {
                    // In others it is of documents that were replaced.
                    let reader = &segments[segment];
                    let mut documents =
                        ids[segment].read_postings_from_terminfo(stream.value(), IndexRecordOption::Basic)?;
                    while documents.doc() != TERMINATED {
                        if !reader.is_deleted(documents.doc()) {
                            let place = DocAddress::new(segment as u32, documents.doc());
                            places.push((first.clone(), place));
                        }
                        documents.advance();
                    }
                    if !stream.advance() {
                        continue;
                    }
                }
                still.push((segment, stream));
            }
            left = still;
        }
        Ok(places)
    }
}
