//! What is parked, over the admin API: shown, tried, and decided about. What `folio dlq` does, for a console.
//!
//! Promises: what is asked is answered of every build that the read model has; `dry_run` decides nothing.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use contract::code::Code;
use edge::auth::{Access, Auth, Scope};
use edge::http::Taken;
use read_models::control::{Builds, Fate, LetterId, Selection, Step};
use read_models::{Error, Generation, ReadModel};
use serde::{Deserialize, Serialize};
use toolkit::dead_letters::{DeadLetterError, DeadLetters, Kind, Letter};

use super::{Admin, GET, Opened, POST, Problem, SEE, answered, body_of, decided_by, named, no_verb};
use crate::application::LettersOf;
use crate::letters::{ParkedProduct, ParkedView, time};
use crate::trial::{Question, Trial};

pub(super) const LIST: Taken =
    Taken { path: "/admin/v1/read-models/{name}/dead-letters", methods: GET, needs: SEE };
pub(super) const ONE: Taken = Taken {
    path: "/admin/v1/read-models/{name}/dead-letters/{partition}/{offset}",
    methods: GET,
    needs: SEE,
};
pub(super) const CHANGE: Taken = Taken {
    path: "/admin/v1/read-models/{name}/dead-letters:{verb}",
    methods: POST,
    needs: Access::Needs(Scope::AdminDeadLetters),
};

/// So many products are shown at once.
const SHOWN: usize = 1_000;
/// So many are tried in one question.
const TRIED: usize = 100;

/// What of it is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Which {
    product: Option<String>,
    kind: Option<Kind>,
    /// `<partition>/<offset>`
    id: Option<String>,
}

/// What is to become of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Requested {
    /// Who wants it, for people.
    by: Option<String>,
    product: Option<String>,
    kind: Option<Kind>,
    id: Option<String>,
    /// Everything that is parked; else one of the above has to be said.
    all: bool,
    /// Why, for people.
    reason: String,
    /// Of `redrive`: products a second in each partition at most.
    per_second: Option<u32>,
    /// Say what would happen, and decide nothing.
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct Shown {
    read_model: String,
    /// Products and records of every build,
    products: usize,
    records: usize,
    /// of which some are shown.
    parked: Vec<ParkedView>,
    /// What was decided about it last.
    decided: Vec<DecidedView>,
}

#[derive(Debug, Serialize)]
struct DecidedView {
    at: String,
    what: String,
    by: String,
    reason: String,
}

/// Letters at one place, of every build.
#[derive(Debug, Serialize)]
struct Found {
    letters: Vec<LetterView>,
}

/// What was decided, and about how many products that are parked now.
#[derive(Debug, Serialize)]
struct Done {
    decided: String,
    by: String,
    products: usize,
}

/// The same, if it were decided: of some of them what would become.
#[derive(Debug, Serialize)]
struct Tried {
    products: usize,
    would: Vec<TrialView>,
}

/// What would become of a product.
#[derive(Debug, Serialize)]
struct TrialView {
    #[serde(flatten)]
    parked: ParkedView,
    would_succeed: Option<bool>,
    would: String,
}

#[derive(Debug, Serialize)]
struct LetterView {
    generation: Generation,
    id: String,
    product: String,
    kind: Kind,
    reason: String,
    attempts: u32,
    first_failed: String,
    last_failed: String,
    is_discarded: bool,
    topic: String,
    appended: String,
    /// As text; what is none is replaced.
    key: String,
    headers: Vec<(String, String)>,
    value_bytes: Option<usize>,
}

/// A group, and where its letters lie.
type Place = (String, Arc<dyn DeadLetters>);

impl From<DeadLetterError> for Problem {
    fn from(error: DeadLetterError) -> Self {
        Self::new(Code::StoreUnavailable, error.to_string())
    }
}

/// Adds its routes.
pub(super) fn show(app: &mut web::ServiceConfig, auth: &Auth) {
    app.service(LIST.resource(auth).to(list))
        .service(CHANGE.resource(auth).to(change))
        .service(ONE.resource(auth).to(one));
}

impl Opened {
    fn letters_of(&self, read_model: ReadModel, generation: Generation) -> Result<Option<Place>, Problem> {
        let (group, partitions) = (read_model.group_id(&self.group_prefix, generation), self.partitions);
        let of = LettersOf { read_model, generation, group: group.clone(), partitions };
        match (self.letters)(&of) {
            Ok(letters) => Ok(Some((group, letters))),
            // It is being made, or dropped.
            Err(error) if error.downcast_ref().is_some_and(Error::is_missing) => Ok(None),
            Err(error) => Err(Problem::new(Code::StoreUnavailable, format!("{error:#}"))),
        }
    }

    /// What is parked in any build.
    async fn parked(
        &self,
        read_model: ReadModel,
        builds: &Builds,
        which: &Selection,
    ) -> Result<Vec<ParkedProduct>, Problem> {
        let mut all = Vec::new();
        for (generation, _) in builds.all() {
            let Some((group, letters)) = self.letters_of(read_model, generation)? else { continue };
            let products = ParkedProduct::all(generation, &group, &*letters, self.partitions).await?;
            all.extend(products.into_iter().filter(|it| it.is_of(which)));
        }
        Ok(all)
    }
}

fn selection(product: Option<String>, kind: Option<Kind>, id: Option<String>) -> Result<Selection, Problem> {
    let id: Result<Option<LetterId>, _> = id.map(|it| it.parse()).transpose();
    let id = id.map_err(|error: read_models::control::NoLetterId| {
        Problem::new(Code::MalformedRequest, error.to_string())
    })?;
    Ok(Selection { product, kind, id })
}

async fn list(admin: web::Data<Admin>, path: web::Path<String>, request: HttpRequest) -> HttpResponse {
    let work = async {
        let read_model = named(&path)?;
        let which = web::Query::<Which>::from_query(request.query_string())
            .map_err(|error| Problem::new(Code::MalformedRequest, format!("the query: {error}")))?
            .into_inner();
        let which = selection(which.product, which.kind, which.id)?;
        let opened = admin.opened(read_model)?.0;
        let desk = opened.desk().await?;
        let builds = desk.builds(read_model);
        let parked = opened.parked(read_model, builds, &which).await?;
        let decided = builds.asked().iter().map(|it| DecidedView {
            at: time(it.at_ms),
            what: match it.fate {
                Fate::Redriven { .. } => format!("redrive {}", it.which),
                Fate::Discarded => format!("discard {}", it.which),
            },
            by: it.by.clone(),
            reason: it.why.clone(),
        });
        let shown = Shown {
            read_model: read_model.to_string(),
            products: parked.len(),
            records: parked.iter().map(|it| it.letters.len()).sum(),
            parked: parked.iter().filter_map(ParkedProduct::view).take(SHOWN).collect(),
            decided: decided.collect(),
        };
        Ok(HttpResponse::Ok().json(shown))
    };
    answered(work.await)
}

async fn one(admin: web::Data<Admin>, path: web::Path<(String, i32, i64)>) -> HttpResponse {
    let work = async {
        let (name, partition, offset) = path.into_inner();
        let read_model = named(&name)?;
        let opened = admin.opened(read_model)?.0;
        let desk = opened.desk().await?;
        let mut found = Vec::new();
        for (generation, _) in desk.builds(read_model).all() {
            let Some((_, letters)) = opened.letters_of(read_model, generation)? else { continue };
            let letters = letters.letters(partition, vec![offset]).await?;
            found.extend(letters.iter().map(|letter| LetterView::of(generation, letter)));
        }
        if found.is_empty() {
            let problem = format!("no letter {partition}/{offset} of {read_model} is there");
            return Err(Problem::new(Code::NotFound, problem));
        }
        Ok(HttpResponse::Ok().json(Found { letters: found }))
    };
    answered(work.await)
}

async fn change(
    admin: web::Data<Admin>,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    let work = async {
        let (name, verb) = path.into_inner();
        let (read_model, requested): (_, Requested) = (named(&name)?, body_of(&request, &body)?);
        if !["redrive", "discard"].contains(&verb.as_str()) {
            return Err(no_verb(&verb, "redrive or discard"));
        }
        let Requested { by, product, kind, id, all, reason, per_second, dry_run } = requested;
        let which = selection(product, kind, id)?;
        if which.is_all() != all {
            let problem = "the body: say one of `product`, `kind` and `id`, or `all`: true";
            return Err(Problem::new(Code::MalformedRequest, problem.to_owned()));
        }
        if per_second == Some(0) {
            return Err(Problem::new(
                Code::MalformedRequest,
                "the body: `per_second` is 1 at least".to_owned(),
            ));
        }
        let opened = admin.opened(read_model)?.0;
        let mut desk = opened.desk().await?;
        let parked = opened.parked(read_model, desk.builds(read_model), &which).await?;
        let products = parked.len();
        if dry_run {
            let trials = tried(&admin, &opened, read_model, &parked, &verb).await?;
            return Ok(HttpResponse::Ok().json(Tried { products, would: trials }));
        }
        let step = match verb.as_str() {
            "redrive" => Step::Redrive { which, per_second, why: reason },
            _ => Step::Discard { which, why: reason },
        };
        let by = decided_by(&request, by.as_deref())?;
        let step = desk.decide(read_model, &by, |_| Ok(step.clone())).await??;
        tracing::info!(by, "decided about {read_model}: {step}");
        Ok(HttpResponse::Ok().json(Done { decided: step.to_string(), by, products }))
    };
    answered(work.await)
}

/// What would become of the first of these.
async fn tried(
    admin: &Admin,
    opened: &Opened,
    read_model: ReadModel,
    parked: &[ParkedProduct],
    verb: &str,
) -> Result<Vec<TrialView>, Problem> {
    let is_own = admin.opened(read_model)?.1;
    let mut trials = Vec::new();
    for product in parked.iter().take(TRIED) {
        let Some(view) = product.view() else { continue };
        let (would_succeed, would) = if verb == "discard" {
            (
                Some(true),
                "would be given up: its rows stay as they are, and nothing more of it is applied".to_owned(),
            )
        } else if is_own {
            let Some((_, letters)) = opened.letters_of(read_model, product.generation)? else { continue };
            let question =
                Question { generation: product.generation, letters: &*letters, outlines: &product.letters };
            let trial = opened.trials.would(question).await;
            let trial = trial.map_err(|error| Problem::new(Code::StoreUnavailable, format!("{error:#}")))?;
            let would_succeed = match trial {
                Trial::Succeeds => Some(true),
                Trial::Fails { .. } => Some(false),
                // The log will tell.
                Trial::FromLog { .. } => None,
            };
            (would_succeed, trial.to_string())
        } else {
            (None, format!("only a projector of {read_model} can tell"))
        };
        trials.push(TrialView { parked: view, would_succeed, would });
    }
    Ok(trials)
}

impl LetterView {
    fn of(generation: Generation, Letter { outline, original }: &Letter) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = original.headers.iter();
        Self {
            generation,
            id: format!("{}/{}", outline.partition, outline.offset),
            product: outline.subject.clone(),
            kind: outline.kind,
            reason: outline.reason.clone(),
            attempts: outline.attempts,
            first_failed: time(outline.first_failed_ms),
            last_failed: time(outline.last_failed_ms),
            is_discarded: outline.is_discarded,
            topic: original.topic.clone(),
            appended: time(original.timestamp_ms),
            key: text(&original.key),
            headers: headers.map(|(name, value)| (name.clone(), text(value))).collect(),
            value_bytes: original.value.as_ref().map(bytes::Bytes::len),
        }
    }
}
