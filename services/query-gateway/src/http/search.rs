//! Full-text search with filters and facets, and completion of a prefix.

use actix_web::{HttpRequest, HttpResponse, web};
use read_models::search::{Facet, Filters, SearchRequest, Sort};
use read_models::{CategoryPath, Currency, Status};
use serde_json::json;

use super::asked::{answer, freshness, head, page, page_answer};
use super::params::Params;
use super::views;
use crate::ask::{Questions, facets};

const SORTS: [(&str, Sort); 5] = [
    ("relevance", Sort::Relevance),
    ("price_asc", Sort::PriceAscending),
    ("price_desc", Sort::PriceDescending),
    ("name", Sort::NameAscending),
    ("newest", Sort::Newest),
];

/// `GET /v1/search?q=...`
pub(super) async fn search(request: HttpRequest, questions: web::Data<Questions>) -> HttpResponse {
    answer(&request, async {
        let mut params = Params::parse(request.query_string())?;
        let asked = freshness(&request, &mut params, &questions)?;
        let wanted = SearchRequest {
            text: params.one("q").filter(|text| !text.trim().is_empty()),
            filters: filters(&mut params),
            sort: params.choice("sort", &SORTS).unwrap_or_default(),
            facets: facets(&mut params),
            page: page(&mut params),
        };
        params.finish()?;
        let found = questions.search(&wanted, &asked.freshness).await?;
        let body = json!({
            "total": found.total,
            "items": found.hits.iter().map(views::hit).collect::<Vec<_>>(),
            "facets": found.facets.iter().map(views::facet).collect::<Vec<_>>(),
            "next_page_token": found.next,
        });
        Ok(page_answer(&request, &asked, found.next.as_deref(), &body))
    })
    .await
}

/// `GET /v1/suggest?q=dia`
pub(super) async fn suggest(request: HttpRequest, questions: web::Data<Questions>) -> HttpResponse {
    answer(&request, async {
        let mut params = Params::parse(request.query_string())?;
        let asked = freshness(&request, &mut params, &questions)?;
        let prefix = params.one("q").unwrap_or_default();
        if prefix.trim().is_empty() {
            params.fault("q", "is missing: give the beginning of a name".to_owned());
        }
        let size = params.read::<u32>("size").unwrap_or_default();
        params.finish()?;
        let found = questions.suggest(&prefix, size, &asked.freshness).await?;
        let items: Vec<_> = found.iter().map(views::suggestion).collect();
        Ok(head(&asked).json(json!({ "items": items })))
    })
    .await
}

fn filters(params: &mut Params) -> Filters {
    let category =
        params.one("category").and_then(|text| params.check("category", CategoryPath::parse(&text)));
    let mut statuses = Vec::new();
    for text in params.all("status") {
        statuses.extend(params.check("status", Status::parse(&text)));
    }
    let currency = params.one("currency").and_then(|text| params.check("currency", Currency::parse(&text)));
    let (price_min, price_max) = (params.read("price_min"), params.read("price_max"));
    let attributes = params.with_prefix("attr.").into_iter();
    Filters {
        category,
        brands: params.all("brand"),
        statuses,
        currency,
        price_min,
        price_max,
        attributes: attributes
            .flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value)))
            .collect(),
        tags: params.all("tag"),
    }
}

/// `facets=category,brand,status,tags,price,attr,attr.color`; `price_bounds=1000,5000` says where price ranges begin.
fn facets(params: &mut Params) -> Vec<Facet> {
    let bounds = price_bounds(params);
    let mut found = Vec::new();
    for name in params.all("facets").iter().flat_map(|list| list.split(',')).filter(|name| !name.is_empty()) {
        if let Some(facet) = params.check("facets", facets::facet(name, &bounds))
            && !found.contains(&facet)
        {
            found.push(facet);
        }
    }
    if found.len() > facets::MOST {
        params.fault("facets", format!("names {} facets: give at most {}", found.len(), facets::MOST));
    }
    found
}

fn price_bounds(params: &mut Params) -> Vec<u64> {
    let Some(text) = params.one("price_bounds") else { return Vec::new() };
    let bounds: Result<Vec<u64>, _> = text.split(',').map(str::parse).collect();
    let bounds = bounds.map_err(|_| format!("\"{text}\" is not a list of minor units, as in 1000,5000"));
    params.check("price_bounds", bounds).unwrap_or_default()
}
