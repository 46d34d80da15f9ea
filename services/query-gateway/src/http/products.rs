//! Products: one by id (now or as it was), several by id, those of a category.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use edge::entity_tags::EntityTag;
use read_models::history::Past;
use read_models::{CategoryPath, ProductId, Status, Version};

use super::asked::{answer, caller, head, page, page_answer, product_id, terms};
use super::conditions::{Conditions, Validators, coding, last_modified};
use super::params::Params;
use super::views::{BatchView, CategoryView, ReadView};
use crate::ask::limits::{self, MAX_IDS, MAX_VALUES};
use crate::ask::{Answer, Moment, Queries, Read};

/// `GET /v1/products/{product_id}`
pub(super) async fn product(request: HttpRequest, questions: web::Data<Queries>) -> HttpResponse {
    answer(async {
        let id = product_id(&request)?;
        let mut params = Params::parse(request.query_string())?;
        let asked = terms(&request, &mut params, &questions)?;
        let past = past(&mut params);
        params.finish()?;
        let conditions = Conditions::read(&request)?;
        let Answer { found, build } = match past {
            None => questions.product(&id, &asked.terms).await?,
            Some(past) => questions.product_at(&id, past, &asked.terms).await?,
        };
        let Read { found, stale } = found;
        let validators = Validators::of(&found, stale, build, coding(&request));
        let held = conditions.judge(&validators)?;
        let tag = held.clone().unwrap_or_else(|| EntityTag::strong(&validators.state, None));
        let mut answer = head(&asked, build);
        answer.insert_header((header::ETAG, tag.to_string()));
        if let Some(changed) = validators.changed {
            answer.insert_header((header::LAST_MODIFIED, last_modified(changed)));
        }
        if held.is_some() {
            return Ok(answer.status(StatusCode::NOT_MODIFIED).finish());
        }
        Ok(answer.json(ReadView::new(&found, stale)))
    })
    .await
}

/// `GET /v1/products:batchGet?ids=a,b`
pub(super) async fn batch(request: HttpRequest, questions: web::Data<Queries>) -> HttpResponse {
    answer(async {
        let mut params = Params::parse(request.query_string())?;
        let asked = terms(&request, &mut params, &questions)?;
        let ids = ids(&mut params);
        params.finish()?;
        Conditions::none_apply(&request)?;
        let caller = caller(&request)?;
        for id in &ids {
            caller.allow_product(id.as_str())?;
        }
        let Answer { found, build } = questions.products(&ids, &asked.terms).await?;
        Ok(head(&asked, build).json(BatchView::from(found)))
    })
    .await
}

/// `GET /v1/products?category=a/b&status=listed`
pub(super) async fn category(request: HttpRequest, questions: web::Data<Queries>) -> HttpResponse {
    answer(async {
        let mut params = Params::parse(request.query_string())?;
        let asked = terms(&request, &mut params, &questions)?;
        let category = params.required("category", "say which category to list, or use /v1/search");
        let category = category.and_then(|text| params.check("category", CategoryPath::parse(&text)));
        let statuses = params.list("status", MAX_VALUES, |text| {
            let status = Status::parse(text).map_err(|error| error.to_string());
            status.and_then(limits::listed_status)
        });
        let page = page(&mut params);
        let category = params.finish_with(category)?;
        Conditions::none_apply(&request)?;
        caller(&request)?.allow_every_product()?;
        let Answer { found, build } = questions.category(&category, &statuses, &page, &asked.terms).await?;
        let view = CategoryView::from(&found);
        Ok(page_answer(&request, head(&asked, build), found.found.next.as_deref(), &view))
    })
    .await
}

/// `version=3` or `as_of=2026-11-24T10:00:00Z`.
fn past(params: &mut Params) -> Option<Past> {
    let version = params.read::<u64>("version");
    let version = version.and_then(|version| params.check("version", limits::version(version)));
    let time = params.read::<Moment>("as_of").map(|moment| moment.0);
    if version.is_some() && time.is_some() {
        params.fault("as_of", "is given together with version: give one of them".to_owned());
    }
    version.map(|version| Past::Version(Version(version))).or(time.map(Past::Time))
}

/// `ids=a,b`, also repeated; each once.
fn ids(params: &mut Params) -> Vec<ProductId> {
    let texts = params.all("ids");
    let texts: Vec<&str> =
        texts.iter().flat_map(|list| list.split(',')).filter(|text| !text.is_empty()).collect();
    if texts.len() > MAX_IDS {
        params.fault("ids", format!("names {} products: ask for at most {MAX_IDS} at once", texts.len()));
        return Vec::new();
    }
    let mut ids = Vec::new();
    for text in &texts {
        if let Some(id) = params.check("ids", ProductId::parse(text))
            && !ids.contains(&id)
        {
            ids.push(id);
        }
    }
    if texts.is_empty() {
        params.fault("ids", "names no product: give ids with commas between them".to_owned());
    }
    ids
}
