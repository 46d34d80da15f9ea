//! `QueryService`: each call is read, asked and shown.

use contract::proto::catalog::v1;
use contract::proto::catalog::v1::query_service_server::QueryService;
use edge::auth::Principal;
use edge::problem::Problem;
use read_models::history::Order;
use tonic::{Extensions, Request, Response, Status};

use super::asked::{Reading, page, terms};
use super::views;
use crate::ask::{Answer, ApiError, Found, Listed, Queries, Read};

#[derive(Clone, Debug)]
pub(crate) struct Service {
    questions: Queries,
}

impl Service {
    pub(crate) fn new(questions: Queries) -> Self {
        Self { questions }
    }
}

/// Says in the metadata which build answered, where the request named one.
const FOLIO_GENERATION: &str = "folio-generation";

/// Who asks: the server let it in.
pub(super) fn caller(extensions: &Extensions) -> Result<&Principal, ApiError> {
    extensions.get().ok_or_else(|| ApiError::Internal("it is not known who asks".to_owned()))
}

async fn answer<T>(call: impl Future<Output = Result<Answer<T>, ApiError>>) -> Result<Response<T>, Status> {
    let Answer { found, build } = call.await.map_err(|error| Status::from(Problem::from(error)))?;
    let mut response = Response::new(found);
    if let Some(build) = build.and_then(|build| build.to_string().parse().ok()) {
        response.metadata_mut().insert(FOLIO_GENERATION, build);
    }
    Ok(response)
}

#[tonic::async_trait]
impl QueryService for Service {
    async fn get_product(
        &self,
        request: Request<v1::GetProductRequest>,
    ) -> Result<Response<v1::GetProductResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let call = async {
            let caller = caller(&extensions)?;
            let mut reading = Reading::default();
            let build = reading.build(request.generation);
            let past = reading.past(request.past);
            let id = reading.product_id("product_id", &request.product_id);
            let id = reading.finish(id)?;
            caller.allow_product(id.as_str())?;
            let terms = terms(&self.questions, (&metadata, &extensions), request.freshness, build)?;
            let found = match past {
                None => self.questions.product(&id, &terms).await?,
                Some(past) => self.questions.product_at(&id, past, &terms).await?,
            };
            Ok(found.map(|Read { found, stale }| v1::GetProductResponse {
                product: Some(views::stored_product(&found)),
                stale: stale.map(views::stale),
            }))
        };
        answer(call).await
    }

    async fn batch_get_products(
        &self,
        request: Request<v1::BatchGetProductsRequest>,
    ) -> Result<Response<v1::BatchGetProductsResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let call = async {
            let caller = caller(&extensions)?;
            let mut reading = Reading::default();
            let build = reading.build(request.generation);
            let ids = reading.product_ids(&request.product_ids);
            let ids = reading.finish(ids)?;
            for id in &ids {
                caller.allow_product(id.as_str())?;
            }
            let terms = terms(&self.questions, (&metadata, &extensions), request.freshness, build)?;
            let found = self.questions.products(&ids, &terms).await?;
            Ok(found.map(|Listed { found: batch, parked }| {
                let remaining_product_ids = batch.remaining.iter().map(ToString::to_string).collect();
                let items = batch.each().map(|(found, mark)| {
                    let (id, product) = match found {
                        Found::Here(found) => (found.product.id.clone(), Some(views::stored_product(&found))),
                        Found::Gone(id) | Found::Missing(id) => (id, None),
                    };
                    v1::BatchItem { product_id: id.to_string(), product, stale: mark.map(views::stale) }
                });
                let items = items.collect();
                let (parked, parked_unknown) = (parked.unwrap_or_default(), parked.is_none());
                v1::BatchGetProductsResponse { items, remaining_product_ids, parked, parked_unknown }
            }))
        };
        answer(call).await
    }

    async fn list_products(
        &self,
        request: Request<v1::ListProductsRequest>,
    ) -> Result<Response<v1::ListProductsResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let call = async {
            let caller = caller(&extensions)?;
            let mut reading = Reading::default();
            let build = reading.build(request.generation);
            let category = reading.category(&request.category);
            let statuses = reading.listed_statuses(&request.statuses);
            let category = reading.finish(category)?;
            caller.allow_every_product()?;
            let terms = terms(&self.questions, (&metadata, &extensions), request.freshness, build)?;
            let page = page(request.page_size, request.page_token);
            let found = self.questions.category(&category, &statuses, &page, &terms).await?;
            Ok(found.map(|Listed { found, parked }| v1::ListProductsResponse {
                items: found.items.iter().map(views::category_item).collect(),
                next_page_token: found.next.unwrap_or_default(),
                parked: parked.unwrap_or_default(),
                parked_unknown: parked.is_none(),
            }))
        };
        answer(call).await
    }

    async fn get_history(
        &self,
        request: Request<v1::GetHistoryRequest>,
    ) -> Result<Response<v1::GetHistoryResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let call = async {
            let caller = caller(&extensions)?;
            let mut reading = Reading::default();
            let build = reading.build(request.generation);
            let id = reading.product_id("product_id", &request.product_id);
            let id = reading.finish(id)?;
            caller.allow_product(id.as_str())?;
            let terms = terms(&self.questions, (&metadata, &extensions), request.freshness, build)?;
            let order = if request.oldest_first { Order::OldestFirst } else { Order::NewestFirst };
            let page = page(request.page_size, request.page_token);
            let Answer { found, build } = self.questions.history(&id, order, &page, &terms).await?;
            let Read { found, stale } = found;
            let entries = found.items.into_iter().map(views::history_entry).collect::<Result<_, _>>()?;
            let next_page_token = found.next.unwrap_or_default();
            let stale = stale.map(views::stale);
            Ok(Answer { found: v1::GetHistoryResponse { entries, next_page_token, stale }, build })
        };
        answer(call).await
    }

    async fn search(
        &self,
        request: Request<v1::SearchRequest>,
    ) -> Result<Response<v1::SearchResponse>, Status> {
        let (metadata, extensions, mut request) = request.into_parts();
        let call = async {
            let caller = caller(&extensions)?;
            let asked = request.freshness.take();
            let mut reading = Reading::default();
            let build = reading.build(request.generation.take());
            let search = reading.search(request);
            let search = reading.finish(Some(search))?;
            caller.allow_every_product()?;
            let terms = terms(&self.questions, (&metadata, &extensions), asked, build)?;
            Ok(self.questions.search(search, &terms).await?.map(views::found))
        };
        answer(call).await
    }

    async fn suggest(
        &self,
        request: Request<v1::SuggestRequest>,
    ) -> Result<Response<v1::SuggestResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let call = async {
            let caller = caller(&extensions)?;
            let mut reading = Reading::default();
            let build = reading.build(request.generation);
            let asked = reading.suggest(request.prefix, request.size, &request.statuses);
            let asked = reading.finish(asked)?;
            caller.allow_every_product()?;
            let terms = terms(&self.questions, (&metadata, &extensions), request.freshness, build)?;
            let found = self.questions.suggest(asked, &terms).await?;
            Ok(found.map(|Listed { found, parked }| v1::SuggestResponse {
                suggestions: found.into_iter().map(views::suggestion).collect(),
                parked: parked.unwrap_or_default(),
                parked_unknown: parked.is_none(),
            }))
        };
        answer(call).await
    }
}
