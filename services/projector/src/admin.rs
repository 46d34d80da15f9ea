//! The admin API on the operators' port: how it stands with the builds of the read models, and what is to become of them. What
//! `folio rebuild`, `folio read-models` and `folio dlq` do, for a console.
//!
//! Promises: it only decides, and the work goes on without it; what cannot be done now is answered with 409 and the reason, and
//! changes nothing; how far a build is, is told of the read models that this process makes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use contract::code::Code;
use edge::auth::{Access, Auth, Principal, Scope};
use edge::http::Taken;
use event_reader::LogReader;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use read_models::control::{AsOf, AsOfRequest, Builds, Desk, Refused, Stage, Step, Switch};
use read_models::{Error, Generation, ReadModel};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toolkit::journal::Journal;

use crate::application::OpenLetters;
use crate::builds::Reached;
use crate::trial::Trials;

mod letters;

const GET: &[&str] = &["GET"];
const POST: &[&str] = &["POST"];
const SEE: Access = Access::Needs(Scope::AdminRead);
const LIST: Taken = Taken { path: "/admin/v1/read-models", methods: GET, needs: SEE };
const ONE: Taken = Taken { path: "/admin/v1/read-models/{name:[^/:]+}", methods: GET, needs: SEE };
const OF_MODEL: Taken = Taken {
    path: "/admin/v1/read-models/{name}:{verb}",
    methods: POST,
    needs: Access::Needs(Scope::AdminRebuild),
};
/// `pause` and `resume` need the one, everything else the other.
const OF_BUILD: Taken = Taken {
    path: "/admin/v1/read-models/{name}/builds/{generation}:{verb}",
    methods: POST,
    needs: Access::NeedsOneOf(&[Scope::AdminRebuild, Scope::AdminPause]),
};

/// A request says a few words at most.
const MAX_BODY: usize = 4 << 10;

/// The API, which answers 503 until it is known where builds are decided. Cheap to clone; one for all projectors of a process.
#[derive(Clone, Debug, Default)]
pub struct Admin(Arc<Mutex<BTreeMap<ReadModel, Arc<Opened>>>>);

/// Asks the store of the rows for [`read_models::control::adoption`].
pub(crate) type Adoption =
    Arc<dyn Fn(ReadModel, Generation) -> BoxFuture<'static, Result<Step, Error>> + Send + Sync>;

/// What it works on, by a projector of one read model.
pub(crate) struct Opened {
    pub(crate) journal: Arc<dyn Journal>,
    /// The step that says that a build is what is read.
    pub(crate) adoption: Adoption,
    pub(crate) reached: Arc<dyn Reached>,
    pub(crate) group_prefix: String,
    pub(crate) partitions: i32,
    /// Opens all of the log, to look where it was at some time.
    pub(crate) read: Arc<dyn Fn() -> anyhow::Result<LogReader> + Send + Sync>,
    /// Opens what is parked.
    pub(crate) letters: OpenLetters,
    /// Tells whether it would be applied now.
    pub(crate) trials: Arc<dyn Trials>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("journal", &self.journal).finish_non_exhaustive()
    }
}

/// How it stands with all of them.
#[derive(Debug, Serialize)]
struct All {
    read_models: Vec<View>,
    /// Records of the journal that no Folio wrote, and why they count for nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    damaged: Vec<String>,
}

/// How it stands with one read model.
#[derive(Debug, Serialize)]
struct View {
    read_model: String,
    /// How many steps were decided.
    revision: u64,
    /// The build that gateways read.
    read: Generation,
    builds: Vec<BuildView>,
}

#[derive(Debug, Serialize)]
struct BuildView {
    generation: Generation,
    /// For people.
    phase: String,
    is_paused: bool,
    /// When it came to its stage, in milliseconds since 1970.
    since_ms: i64,
    by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    compared: Option<ComparedView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<AsOfView>,
    /// Records of the log that it has applied, of those that the build that is read has.
    #[serde(skip_serializing_if = "Option::is_none")]
    applied: Option<[u64; 2]>,
}

#[derive(Debug, Serialize)]
struct ComparedView {
    rows: u64,
    /// Products whose rows differ,
    differences: u64,
    /// and some of them.
    products: Vec<String>,
}

#[derive(Debug, Serialize)]
struct AsOfView {
    /// It is read by this name.
    name: String,
    as_of: String,
    expires: String,
    is_complete: bool,
}

/// What a request may say beside its path.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Requested {
    /// Who wants it, for people.
    by: Option<String>,
    /// Of `rebuild`: when the new build takes the place of the one that is read.
    switch: Switch,
    /// Of `switch`: whatever a comparison found.
    force: bool,
    /// Of `as-of`: the time, the build's name, and how long it is needed.
    as_of: Option<Timestamp>,
    name: String,
    expires: Option<SignedDuration>,
}

/// Why a request is not done.
#[derive(Debug)]
struct Problem(Box<edge::problem::Problem>);

impl Problem {
    fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(edge::problem::Problem::new(code, detail)))
    }

    fn answer(self) -> HttpResponse {
        HttpResponse::from_error(*self.0)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::new(Code::StoreUnavailable, error.to_string())
    }
}

impl From<edge::problem::Problem> for Problem {
    fn from(refused: edge::problem::Problem) -> Self {
        Self(Box::new(refused))
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::new(Code::DecisionRefused, refused.to_string())
    }
}

impl Admin {
    /// It can be answered from now on.
    pub(crate) fn open(&self, read_model: ReadModel, opened: Opened) {
        self.all().insert(read_model, Arc::new(opened));
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<ReadModel, Arc<Opened>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds its routes.
    pub fn show(&self, app: &mut web::ServiceConfig, auth: &Auth) {
        app.app_data(web::Data::new(self.clone()))
            .app_data(web::PayloadConfig::new(MAX_BODY))
            .service(LIST.resource(auth).to(list))
            .service(OF_MODEL.resource(auth).to(of_model))
            .service(ONE.resource(auth).to(one))
            .service(OF_BUILD.resource(auth).to(of_build));
        letters::show(app, auth);
        // Whoever asks by another method hears that.
        for path in Self::PATHS.iter().map(|taken| taken.path) {
            app.service(edge::http::otherwise(path).to(|| async {
                let detail = "this path does not take this method".to_owned();
                Problem::new(Code::MethodNotAllowed, detail).answer()
            }));
        }
    }

    /// All that it takes.
    pub const PATHS: &[Taken] =
        &[LIST, OF_MODEL, ONE, OF_BUILD, letters::LIST, letters::CHANGE, letters::ONE];

    /// Of this read model, if a projector of it runs here, else of any other: decisions are the same for all.
    fn opened(&self, read_model: ReadModel) -> Result<(Arc<Opened>, bool), Problem> {
        let all = self.all();
        let (known, opened) =
            all.get_key_value(&read_model).or_else(|| all.first_key_value()).ok_or_else(|| {
                Problem::new(Code::NotReady, "it is not known yet what is decided about builds")
            })?;
        Ok((Arc::clone(opened), *known == read_model))
    }

    async fn view(&self, read_model: ReadModel, builds: &Builds) -> Result<View, Problem> {
        let (opened, is_own) = self.opened(read_model)?;
        opened.view(read_model, is_own, builds).await
    }
}

impl Opened {
    async fn desk(&self) -> Result<Desk, Problem> {
        let mut desk = Desk::new(Arc::clone(&self.journal));
        desk.look().await?;
        Ok(desk)
    }

    async fn view(&self, read_model: ReadModel, is_own: bool, builds: &Builds) -> Result<View, Problem> {
        let mut views = Vec::new();
        for (generation, build) in builds.all() {
            let compared = match &build.stage {
                Stage::Compared { rows, differences, told } => {
                    Some(ComparedView { rows: *rows, differences: *differences, products: told.clone() })
                }
                Stage::Building | Stage::Read | Stage::Previous | Stage::AsOf(_) => None,
            };
            let as_of = match &build.stage {
                Stage::AsOf(as_of) => Some(AsOfView::of(as_of)),
                Stage::Building | Stage::Compared { .. } | Stage::Read | Stage::Previous => None,
            };
            let is_told = is_own && generation != builds.read;
            let all = as_of.is_none().then_some(builds.read);
            let applied =
                if is_told { self.applied(read_model, builds, generation, all).await.ok() } else { None };
            views.push(BuildView {
                generation,
                phase: builds.phase(generation).unwrap_or_default(),
                is_paused: build.is_paused,
                since_ms: build.since_ms,
                by: build.by.clone(),
                compared,
                as_of,
                applied,
            });
        }
        let (revision, read) = (builds.revision, builds.read);
        Ok(View { read_model: read_model.to_string(), revision, read, builds: views })
    }

    /// Records that a build has applied, of those that the one has that is read; or, as of some time, of those until then.
    async fn applied(
        &self,
        read_model: ReadModel,
        builds: &Builds,
        generation: Generation,
        of: Option<Generation>,
    ) -> Result<[u64; 2], Error> {
        let position = async |generation: Generation, partition: i32| {
            let group = read_model.group_id(&self.group_prefix, generation);
            let position = self.reached.position(generation, &group, partition).await?;
            Ok::<_, Error>(position.unwrap_or_default().applied)
        };
        let mut sums = [0; 2];
        for partition in 0..self.partitions {
            let all = match of {
                Some(read) => position(read, partition).await?,
                None => builds.end(generation, partition),
            };
            let applied = position(generation, partition).await?;
            for (sum, count) in sums.iter_mut().zip([applied.min(all), all]) {
                *sum += count.unsigned_abs();
            }
        }
        Ok(sums)
    }
}

impl AsOfView {
    fn of(as_of: &AsOf) -> Self {
        let time = |ms| Timestamp::from_millisecond(ms).map(|it| it.to_string()).unwrap_or_default();
        Self {
            name: as_of.name.clone(),
            as_of: time(as_of.as_of_ms),
            expires: time(as_of.expires_ms),
            is_complete: as_of.is_complete,
        }
    }
}

fn answered(outcome: Result<HttpResponse, Problem>) -> HttpResponse {
    outcome.unwrap_or_else(Problem::answer)
}

async fn list(admin: web::Data<Admin>) -> HttpResponse {
    let work = async {
        let (any, _) = admin.opened(ReadModel::Products)?;
        let mut desk = any.desk().await?;
        let mut views = Vec::new();
        for read_model in ReadModel::ALL {
            views.push(admin.view(*read_model, desk.builds(*read_model)).await?);
        }
        Ok(HttpResponse::Ok().json(All { read_models: views, damaged: desk.take_damaged() }))
    };
    answered(work.await)
}

async fn one(admin: web::Data<Admin>, path: web::Path<String>) -> HttpResponse {
    let work = async {
        let read_model = named(&path)?;
        let desk = admin.opened(read_model)?.0.desk().await?;
        Ok(HttpResponse::Ok().json(admin.view(read_model, desk.builds(read_model)).await?))
    };
    answered(work.await)
}

async fn of_model(
    admin: web::Data<Admin>,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    let work = async {
        let (name, verb) = path.into_inner();
        let (read_model, requested) = (named(&name)?, body_of::<Requested>(&request, &body)?);
        let format = read_model.declared().format;
        let none = |what: &str| Refused(format!("no build of {read_model} {what}"));
        let verbs = ["rebuild", "rollback", "abort", "as-of"];
        if !verbs.contains(&verb.as_str()) {
            return Err(no_verb(&verb, "rebuild, rollback, abort or as-of"));
        }
        if verb == "as-of" {
            let (as_of, ends) = as_of(&admin, read_model, &requested).await?;
            let step = |builds: &Builds| Ok(as_of.step(builds, format, ends.clone(), Timestamp::now()));
            return decided(&admin, &request, read_model, &requested, step).await;
        }
        let step = |builds: &Builds| match verb.as_str() {
            "rebuild" => Ok(Step::Build { generation: builds.next(), format, switch: requested.switch }),
            "rollback" => {
                let to = builds.previous().ok_or_else(|| none("was read before"))?;
                Ok(Step::Hold { to, force: false })
            }
            _ => builds.abort(read_model),
        };
        decided(&admin, &request, read_model, &requested, step).await
    };
    answered(work.await)
}

async fn of_build(
    admin: web::Data<Admin>,
    path: web::Path<(String, String, String)>,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    let work = async {
        let (name, number, verb) = path.into_inner();
        let caller = caller(&request)?;
        let scope = if ["pause", "resume"].contains(&verb.as_str()) {
            Scope::AdminPause
        } else {
            Scope::AdminRebuild
        };
        caller.allow(scope)?;
        let (read_model, requested) = (named(&name)?, body_of::<Requested>(&request, &body)?);
        let generation: Generation =
            number.parse().map_err(|error: read_models::declared::NoGeneration| {
                Problem::new(Code::NotFound, error.to_string())
            })?;
        let step = match verb.as_str() {
            "pause" => Step::Pause { generation },
            "resume" => Step::Resume { generation },
            "switch" => Step::Hold { to: generation, force: requested.force },
            "retire" => Step::Drop { generation },
            "adopt" => (admin.opened(read_model)?.0.adoption)(read_model, generation).await?,
            _ => return Err(no_verb(&verb, "pause, resume, switch, retire or adopt")),
        };
        decided(&admin, &request, read_model, &requested, |_| Ok(step.clone())).await
    };
    answered(work.await)
}

/// Has it decided, and answers how things stand then.
async fn decided(
    admin: &Admin,
    request: &HttpRequest,
    read_model: ReadModel,
    requested: &Requested,
    step: impl Fn(&Builds) -> Result<Step, Refused>,
) -> Result<HttpResponse, Problem> {
    let by = decided_by(request, requested.by.as_deref())?;
    let mut desk = admin.opened(read_model)?.0.desk().await?;
    let step = desk.decide(read_model, &by, step).await??;
    tracing::info!(by, "decided about {read_model}: {step}");
    Ok(HttpResponse::Ok().json(admin.view(read_model, desk.builds(read_model)).await?))
}

/// Who asks: the route let it in.
fn caller(request: &HttpRequest) -> Result<Principal, Problem> {
    request
        .extensions()
        .get::<Principal>()
        .cloned()
        .ok_or_else(|| Problem::new(Code::Internal, "it is not known who asks: a defect".to_owned()))
}

/// Who decides: the caller, or whom it may act for; where callers are not checked, whom it names.
fn decided_by(request: &HttpRequest, by: Option<&str>) -> Result<String, Problem> {
    let (caller, peer) = (caller(request)?, request.peer_addr());
    let peer = peer.map(|it| it.ip().to_string()).unwrap_or_default();
    if !caller.is_checked() {
        return Ok(format!("{} (admin API, from {peer})", by.unwrap_or("somebody")));
    }
    let name = caller.name();
    match by.filter(|by| *by != name) {
        None => Ok(format!("{name} (admin API, from {peer})")),
        Some(by) => {
            caller.act_for(by)?;
            Ok(format!("{by}, by {name} (admin API, from {peer})"))
        }
    }
}

/// Where the log was at the time that is requested, and how it is proposed.
async fn as_of(
    admin: &Admin,
    read_model: ReadModel,
    requested: &Requested,
) -> Result<(AsOfRequest, Vec<i64>), Problem> {
    let say = |what: &str| Problem::new(Code::MalformedRequest, format!("the body: {what}"));
    let requested = AsOfRequest {
        as_of: requested.as_of.ok_or_else(|| say("give `as_of`, a time such as 2026-11-27T00:00:00Z"))?,
        name: requested.name.clone(),
        expires: requested
            .expires
            .ok_or_else(|| say("give `expires`, how long it is needed, such as \"24h\""))?,
    };
    requested.check(Timestamp::now()).map_err(|refused| say(&refused.to_string()))?;
    let away = |error: String| Problem::new(Code::StoreUnavailable, error);
    let opened = admin.opened(read_model)?.0;
    let logs = LogReader::several(&*opened.read).map_err(|error| away(format!("{error:#}")))?;
    let ends = LogReader::first_after(&logs, requested.as_of.as_millisecond()).await;
    let ends = ends.map_err(|error| away(error.to_string()))?;
    Ok((requested, ends))
}

fn named(name: &str) -> Result<ReadModel, Problem> {
    name.parse().map_err(|error: read_models::Unknown| {
        let all: Vec<&str> = ReadModel::ALL.iter().map(|it| it.name()).collect();
        Problem::new(Code::NotFound, format!("{error}: there are {}", all.join(", ")))
    })
}

fn no_verb(verb: &str, there_are: &str) -> Problem {
    Problem::new(Code::NotFound, format!("there is no `{verb}`: say {there_are}"))
}

/// A body must say that it is JSON, which a form of a web page on another site cannot.
fn body_of<W: DeserializeOwned>(request: &HttpRequest, body: &[u8]) -> Result<W, Problem> {
    let kind = request.headers().get("content-type").and_then(|it| it.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        let problem = "say content-type: application/json; the body may be {}".to_owned();
        return Err(Problem::new(Code::UnsupportedMediaType, problem));
    }
    serde_json::from_slice(body)
        .map_err(|error| Problem::new(Code::MalformedRequest, format!("the body: {error}")))
}

#[cfg(test)]
mod tests;
