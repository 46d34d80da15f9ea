//! The index as questions ask it.
//!
//! Promises: answers are of what is committed, all of one moment; a product by its id and positions are as they were written
//! last; a page is read as far as it can be shown.

use domain::ProductId;
use futures::FutureExt;
use read_models::marks::Marks;
use read_models::model::Position;
use read_models::page::Budget;
use read_models::search::{
    Counted, Cursor, Find, Found, Hit, Index, Plan, SearchRequest, Similar, Sort, SuggestRequest, Suggestion,
    Text, Values,
};
use read_models::{Answer, Error, StoredProduct};
use tantivy::Searcher;
use tantivy::collector::Count;

use super::EmbeddedSearch;
use super::counting::{Counts, Tally};
use super::ordering::{First, Ordered};
use super::queries::Maker;
use super::writing::Shared;

impl Index for EmbeddedSearch {
    fn find<'a>(&'a self, find: Find<'a>) -> Answer<'a, Found> {
        let plan = find.plan();
        let size = find.request.page.effective_size();
        let first = First { sort: find.request.sort, count: size + 1, behind: find.behind.cloned() };
        let facets = find.request.facets.clone();
        async move {
            let found = self.blocking(move |shared| {
                let searcher = shared.searcher()?;
                let maker = Maker { fields: &shared.fields, searcher: &searcher };
                let (ordered, tallies) =
                    found(&maker, &plan, &first).map_err(|error| shared.failed(&error))?;
                let counted = facets.iter().zip(&plan.facets).zip(tallies);
                let counted = counted.map(|((facet, plan), tally)| tally.counted(facet, &plan.chosen));
                shared.page(&searcher, ordered, size, counted.collect())
            });
            Ok(found.await?)
        }
        .boxed()
    }

    fn unknown<'a>(&'a self, request: &'a SearchRequest, text: &'a Text<'a>) -> Answer<'a, Similar> {
        let (among, words) = request.doubtful_words(text);
        async move {
            let unknown = self.blocking(move |shared| {
                let searcher = shared.searcher()?;
                let maker = Maker { fields: &shared.fields, searcher: &searcher };
                let mut unknown = Vec::new();
                for (at, word) in &words {
                    let count = maker.all([&among, word]).and_then(|query| searcher.search(&query, &Count));
                    if count.map_err(|error| shared.failed(&error))? == 0 {
                        unknown.push(*at);
                    }
                }
                Ok(Similar::of_unknown(unknown))
            });
            Ok(unknown.await?)
        }
        .boxed()
    }

    fn suggest<'a>(&'a self, request: &'a SuggestRequest, text: &'a Text<'a>) -> Answer<'a, Vec<Suggestion>> {
        let (needed, better) = request.plan(text);
        let first = First { sort: Sort::Relevance, count: request.effective_size() as usize, behind: None };
        async move {
            let suggestions = self.blocking(move |shared| {
                let searcher = shared.searcher()?;
                let maker = Maker { fields: &shared.fields, searcher: &searcher };
                let query = maker.all(&needed).and_then(|needed| maker.scored(needed, &better));
                let found = query.and_then(|query| first.hits_of(&searcher, &*query));
                let hits = found.map_err(|error| shared.failed(&error))?.hits.into_iter();
                hits.map(|(place, _)| shared.at(&searcher, place).map(suggestion)).collect()
            });
            Ok(suggestions.await?)
        }
        .boxed()
    }

    fn product<'a>(&'a self, id: &'a ProductId) -> Answer<'a, Option<StoredProduct>> {
        let id = id.clone();
        async move {
            let found = self.blocking(move |shared| shared.products(&[id])).await?;
            Ok(found.into_iter().flatten().next())
        }
        .boxed()
    }

    fn position<'a>(&'a self, group: &'a str, partition: i32) -> Answer<'a, Position> {
        let position = self.shared.position(group, partition).unwrap_or_default();
        let there = self.shared.is_there();
        async move {
            there?;
            Ok(position)
        }
        .boxed()
    }

    fn marks(&self) -> &dyn Marks {
        &*self.marks
    }

    fn refresh(&self) -> Answer<'_, ()> {
        async move { Ok(self.blocking(Shared::refresh).await?) }.boxed()
    }
}

/// The first hits, and what each facet counts, in the order of the facets.
fn found(maker: &Maker<'_>, plan: &Plan, first: &First) -> tantivy::Result<(Ordered, Vec<Tally>)> {
    let needed = maker.all(plan.all.iter().chain(&plan.products))?;
    let query = if first.sort == Sort::Relevance { maker.scored(needed, &plan.better)? } else { needed };
    let ordered = first.hits_of(maker.searcher, &*query)?;
    let mut tallies: Vec<Option<Tally>> = plan.facets.iter().map(|_| None).collect();
    for at in 0..plan.facets.len() {
        if tallies[at].is_some() {
            continue;
        }
        // Facets of the same products are counted together.
        let within = &plan.facets[at].within;
        let alike: Vec<usize> =
            (at..plan.facets.len()).filter(|at| plan.facets[*at].within == *within).collect();
        let values: Vec<Values> = alike.iter().map(|at| plan.facets[*at].values.clone()).collect();
        let query = maker.all(plan.all.iter().chain(within))?;
        let counted = maker.searcher.search(&query, &Counts(values))?;
        for (at, tally) in alike.into_iter().zip(counted) {
            tallies[at] = Some(tally);
        }
    }
    Ok((ordered, tallies.into_iter().flatten().collect()))
}

impl Shared {
    /// The page of at most `size` hits, of which one more was looked for.
    fn page(
        &self,
        searcher: &Searcher,
        ordered: Ordered,
        size: usize,
        facets: Vec<Counted>,
    ) -> Result<Found, Error> {
        let Ordered { total, hits: ordered } = ordered;
        let mut more = ordered.len() > size;
        let mut budget = Budget::of_a_page();
        let mut hits = Vec::with_capacity(ordered.len().min(size));
        for (place, cursor) in ordered.into_iter().take(size) {
            let found = self.at(searcher, place)?;
            // What has no room in the answer need not be read.
            if !budget.takes(found.size()) {
                more = true;
                break;
            }
            let score = if let Cursor::Score(score, _) = cursor { Some(score) } else { None };
            hits.push((Hit { found, score }, cursor));
        }
        Ok(Found { total, hits, more, facets })
    }
}

fn suggestion(stored: StoredProduct) -> Suggestion {
    let product = stored.product;
    Suggestion {
        product_id: product.id,
        sku: product.sku.as_str().to_owned(),
        name: product.name.as_str().to_owned(),
        category: product.category,
        status: product.status,
    }
}
