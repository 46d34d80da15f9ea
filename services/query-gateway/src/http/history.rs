//! What happened to a product.

use actix_web::{HttpRequest, HttpResponse, web};
use read_models::history::Order;

use super::asked::{answer, head, page, page_answer, product_id, terms};
use super::conditions::Conditions;
use super::params::Params;
use super::views::HistoryView;
use crate::ask::{Answer, Queries};

/// `GET /v1/products/{product_id}/history?order=asc|desc`
pub(super) async fn history(request: HttpRequest, questions: web::Data<Queries>) -> HttpResponse {
    answer(async {
        let id = product_id(&request)?;
        let mut params = Params::parse(request.query_string())?;
        let asked = terms(&request, &mut params, &questions)?;
        let orders = [("asc", Order::OldestFirst), ("desc", Order::NewestFirst)];
        let order = params.choice("order", &orders).unwrap_or_default();
        let page = page(&mut params);
        params.finish()?;
        Conditions::none_apply(&request)?;
        let Answer { found, build } = questions.history(&id, order, &page, &asked.terms).await?;
        let view = HistoryView::new(&id, &found);
        Ok(page_answer(&request, head(&asked, build), found.found.next.as_deref(), &view))
    })
    .await
}
