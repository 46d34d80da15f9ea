//! Full-text search with filters and facets, and completion of a prefix.

use actix_web::{HttpRequest, HttpResponse, web};
use read_models::search::{
    AttributeName, AttributeValue, Brand, Facet, Filters, SearchRequest, Sort, SuggestRequest, Tag,
    check_text, currency_needed,
};
use read_models::{CategoryPath, Currency, Status};

use super::asked::{answer, caller, head, page, page_answer, terms};
use super::conditions::Conditions;
use super::params::Params;
use super::views::{SearchView, SuggestionsView};
use crate::ask::limits::{self, MAX_FACETS, MAX_VALUES, shown};
use crate::ask::{Answer, Queries, facets};

pub(super) const SORTS: [(&str, Sort); 5] = [
    ("relevance", Sort::Relevance),
    ("price_asc", Sort::PriceAscending),
    ("price_desc", Sort::PriceDescending),
    ("name", Sort::NameAscending),
    ("newest", Sort::Newest),
];

/// `GET /v1/search?q=...`
pub(super) async fn search(request: HttpRequest, questions: web::Data<Queries>) -> HttpResponse {
    answer(async {
        let mut params = Params::parse(request.query_string())?;
        let asked = terms(&request, &mut params, &questions)?;
        let currency = params.one("currency");
        let wanted = SearchRequest {
            text: text(&mut params),
            filters: filters(&mut params, currency.as_deref()),
            sort: params.choice("sort", &SORTS).unwrap_or_default(),
            facets: facets(&mut params),
            facet_size: facet_size(&mut params),
            page: page(&mut params),
        };
        if let (Some(what), None) = (wanted.compares_amounts(), currency) {
            params.required("currency", &currency_needed(what));
        }
        params.finish()?;
        Conditions::none_apply(&request)?;
        caller(&request)?.allow_every_product()?;
        let Answer { found, build } = questions.search(wanted, &asked.terms).await?;
        let view = SearchView::from(&found);
        Ok(page_answer(&request, head(&asked, build), found.found.next.as_deref(), &view))
    })
    .await
}

/// `GET /v1/suggest?q=dia`
pub(super) async fn suggest(request: HttpRequest, questions: web::Data<Queries>) -> HttpResponse {
    answer(async {
        let mut params = Params::parse(request.query_string())?;
        let asked = terms(&request, &mut params, &questions)?;
        let prefix = params.required("q", "give the beginning of a name or SKU");
        let prefix = prefix.and_then(|prefix| params.check("q", check_text(&prefix)).map(|()| prefix));
        let statuses = params.list("status", MAX_VALUES, Status::parse);
        let size = params.read::<u32>("size").unwrap_or_default();
        let prefix = params.finish_with(prefix)?;
        Conditions::none_apply(&request)?;
        caller(&request)?.allow_every_product()?;
        let wanted = SuggestRequest { prefix, size, statuses };
        let Answer { found, build } = questions.suggest(wanted, &asked.terms).await?;
        Ok(head(&asked, build).json(SuggestionsView::from(&found)))
    })
    .await
}

fn text(params: &mut Params) -> Option<String> {
    let text = params.one("q")?;
    params.check("q", check_text(&text)).map(|()| text)
}

fn filters(params: &mut Params, currency: Option<&str>) -> Filters {
    let category =
        params.one("category").and_then(|text| params.check("category", CategoryPath::parse(&text)));
    let statuses = params.list("status", MAX_VALUES, Status::parse);
    let currency = currency.and_then(|text| params.check("currency", Currency::parse(text)));
    let (price_min, price_max) = (price(params, "price_min"), price(params, "price_max"));
    if let (Some(min), Some(max)) = (price_min, price_max)
        && min > max
    {
        params.fault("price_min", format!("{min} is above price_max, {max}"));
    }
    Filters {
        category,
        brands: params.list("brand", MAX_VALUES, Brand::parse),
        statuses,
        currency,
        price_min,
        price_max,
        attributes: attributes(params),
        tags: params.list("tag", MAX_VALUES, Tag::parse),
    }
}

fn price(params: &mut Params, name: &str) -> Option<u64> {
    let price = params.read::<u64>(name)?;
    params.check(name, limits::price(price))
}

/// `attr.color=E`: the parameter's name holds the attribute's.
fn attributes(params: &mut Params) -> Vec<(AttributeName, AttributeValue)> {
    let given = params.with_prefix("attr.");
    let count = given.values().map(Vec::len).sum();
    if params.check("attr", limits::count(count, MAX_VALUES)).is_none() {
        return Vec::new();
    }
    let mut attributes = Vec::with_capacity(count);
    for (name, values) in given {
        let parameter = format!("attr.{name}");
        let Some(name) = params.check(&parameter, AttributeName::parse(&name)) else { continue };
        for value in values {
            let value = params.check(&parameter, AttributeValue::parse(&value));
            attributes.extend(value.map(|value| (name.clone(), value)));
        }
    }
    attributes
}

/// `facets=category,brand,status,tags,currency,price,attr,attr.color`, also repeated; `facet=attr.a,b` is one facet, whose name
/// may hold a comma. `price_bounds=1000,5000` says where price ranges begin.
fn facets(params: &mut Params) -> Vec<Facet> {
    let bounds = price_bounds(params);
    let (lists, single) = (params.all("facets"), params.all("facet"));
    let listed = lists.iter().flat_map(|list| list.split(',')).filter(|name| !name.is_empty());
    let names = listed.map(|name| ("facets", name)).chain(single.iter().map(|name| ("facet", name.as_str())));
    let names: Vec<_> = names.collect();
    if names.len() > MAX_FACETS {
        params.fault("facets", format!("names {} facets: give at most {MAX_FACETS}", names.len()));
        return Vec::new();
    }
    let mut found = Vec::new();
    for (parameter, name) in names {
        if let Some(facet) = params.check(parameter, facets::facet(name, &bounds))
            && !found.contains(&facet)
        {
            found.push(facet);
        }
    }
    found
}

/// `facet_size=200`: how many values of each facet.
fn facet_size(params: &mut Params) -> usize {
    let size = params.read::<usize>("facet_size");
    size.and_then(|size| params.check("facet_size", limits::facet_size(size))).unwrap_or_default()
}

fn price_bounds(params: &mut Params) -> Vec<u64> {
    let Some(text) = params.one("price_bounds") else { return Vec::new() };
    let count = text.split(',').count();
    if count > MAX_FACETS {
        params.fault("price_bounds", format!("names {count} bounds: give at most {MAX_FACETS}"));
        return Vec::new();
    }
    let bounds: Result<Vec<u64>, _> = text.split(',').map(str::parse).collect();
    let bounds =
        bounds.map_err(|_| format!("\"{}\" is not a list of minor units, as in 1000,5000", shown(&text)));
    // Also where no price facet asks for them.
    let bounds = bounds.and_then(|bounds| facets::facet("price", &bounds).map(|_| bounds));
    params.check("price_bounds", bounds).unwrap_or_default()
}
