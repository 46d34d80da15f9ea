//! The admin API on the operators' port: how it stands with the builds of the read models, and what is to become of them. What
//! `folio rebuild` and `folio read-models` do, for a console.
//!
//! Promises: it only decides, and the work goes on without it; what cannot be done now is answered with 409 and the reason, and
//! changes nothing; how far a build is, is told of this process's own read model.

use std::sync::{Arc, OnceLock};

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use read_models::control::{Builds, Desk, Refused, Stage, Step, Switch};
use read_models::{Error, Generation, ReadModel};
use serde::{Deserialize, Serialize};
use toolkit::journal::Journal;

use crate::builds::Reached;

/// A request says a few words at most.
const MAX_BODY: usize = 4 << 10;

/// The API, which answers 503 until it is known where builds are decided.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admin(Arc<OnceLock<Opened>>);

/// What it works on.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) reached: Arc<dyn Reached>,
    /// The read model of this process.
    pub(crate) own: ReadModel,
    pub(crate) group_prefix: String,
    pub(crate) partitions: i32,
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

/// What a request may say beside its path.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wish {
    /// Who wants it, for people.
    by: Option<String>,
    /// Of `rebuild`: when the new build takes the place of the one that is read.
    switch: Switch,
    /// Of `switch`: whatever a comparison found.
    force: bool,
}

/// Why a request is not done (RFC 9457).
#[derive(Debug)]
struct Problem(StatusCode, String);

impl Problem {
    fn answer(&self) -> HttpResponse {
        let Self(status, detail) = self;
        let title = status.canonical_reason().unwrap_or_default();
        let body = serde_json::json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
        HttpResponse::build(*status).content_type("application/problem+json").json(body)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self(StatusCode::CONFLICT, refused.to_string())
    }
}

impl Admin {
    /// It can be answered from now on.
    pub(crate) fn open(&self, opened: Opened) {
        // Once in the life of a process.
        drop(self.0.set(opened));
    }

    /// Adds its routes.
    pub(crate) fn show(&self, app: &mut web::ServiceConfig) {
        let all = "/admin/v1/read-models";
        let resource = |path: &str| web::resource(format!("{all}{path}"));
        let unknown = || async {
            Problem(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method".to_owned()).answer()
        };
        app.app_data(web::Data::new(self.clone()))
            .app_data(web::PayloadConfig::new(MAX_BODY))
            .service(resource("").route(web::get().to(list)).default_service(web::to(unknown)))
            .service(
                resource("/{name}:{verb}").route(web::post().to(of_model)).default_service(web::to(unknown)),
            )
            .service(resource("/{name}").route(web::get().to(one)).default_service(web::to(unknown)))
            .service(
                resource("/{name}/builds/{generation}:{verb}")
                    .route(web::post().to(of_build))
                    .default_service(web::to(unknown)),
            );
    }

    fn opened(&self) -> Result<&Opened, Problem> {
        let problem = || {
            Problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "it is not known yet what is decided about builds".to_owned(),
            )
        };
        self.0.get().ok_or_else(problem)
    }
}

impl Opened {
    async fn desk(&self) -> Result<Desk, Problem> {
        let mut desk = Desk::new(Arc::clone(&self.journal));
        desk.look().await?;
        Ok(desk)
    }

    async fn view(&self, read_model: ReadModel, builds: &Builds) -> Result<View, Problem> {
        let mut views = Vec::new();
        for (generation, build) in builds.all() {
            let compared = match &build.stage {
                Stage::Compared { rows, differences, told } => {
                    Some(ComparedView { rows: *rows, differences: *differences, products: told.clone() })
                }
                Stage::Building | Stage::Read | Stage::Previous => None,
            };
            let is_told = read_model == self.own && generation != builds.read;
            let applied = if is_told { self.applied(builds.read, generation).await.ok() } else { None };
            views.push(BuildView {
                generation,
                phase: builds.phase(generation).unwrap_or_default(),
                is_paused: build.is_paused,
                since_ms: build.since_ms,
                by: build.by.clone(),
                compared,
                applied,
            });
        }
        let (revision, read) = (builds.revision, builds.read);
        Ok(View { read_model: read_model.to_string(), revision, read, builds: views })
    }

    async fn applied(&self, read: Generation, generation: Generation) -> Result<[u64; 2], Error> {
        let mut sums = [0; 2];
        for (sum, generation) in sums.iter_mut().zip([generation, read]) {
            let group = self.own.group_id(&self.group_prefix, generation);
            for partition in 0..self.partitions {
                let position = self.reached.position(generation, &group, partition).await?;
                *sum += position.unwrap_or_default().applied.unsigned_abs();
            }
        }
        Ok([sums[0].min(sums[1]), sums[1]])
    }
}

fn answered(outcome: Result<HttpResponse, Problem>) -> HttpResponse {
    outcome.unwrap_or_else(|problem| problem.answer())
}

async fn list(admin: web::Data<Admin>) -> HttpResponse {
    let work = async {
        let opened = admin.opened()?;
        let desk = opened.desk().await?;
        let mut views = Vec::new();
        for read_model in ReadModel::ALL {
            views.push(opened.view(*read_model, desk.builds(*read_model)).await?);
        }
        Ok(HttpResponse::Ok().json(serde_json::json!({ "read_models": views })))
    };
    answered(work.await)
}

async fn one(admin: web::Data<Admin>, path: web::Path<String>) -> HttpResponse {
    let work = async {
        let (opened, read_model) = (admin.opened()?, named(&path)?);
        let desk = opened.desk().await?;
        Ok(HttpResponse::Ok().json(opened.view(read_model, desk.builds(read_model)).await?))
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
        let (read_model, wish) = (named(&name)?, wish(&request, &body)?);
        let format = read_model.declared().format;
        let none = |what: &str| Refused(format!("no build of {read_model} {what}"));
        let step = |builds: &Builds| match verb.as_str() {
            "rebuild" => Ok(Step::Build { generation: builds.next(), format, switch: wish.switch }),
            "rollback" => {
                let to = builds.previous().ok_or_else(|| none("was read before"))?;
                Ok(Step::Hold { to, force: false })
            }
            _ => {
                let (generation, _) = builds.candidate().ok_or_else(|| none("is being made"))?;
                Ok(Step::Drop { generation })
            }
        };
        if !["rebuild", "rollback", "abort"].contains(&verb.as_str()) {
            return Err(no_verb(&verb, "rebuild, rollback or abort"));
        }
        decided(&admin, &request, read_model, &wish, step).await
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
        let (read_model, wish) = (named(&name)?, wish(&request, &body)?);
        let generation: Generation =
            number.parse().map_err(|error: read_models::declared::NoGeneration| {
                Problem(StatusCode::NOT_FOUND, error.to_string())
            })?;
        let step = match verb.as_str() {
            "pause" => Step::Pause { generation },
            "resume" => Step::Resume { generation },
            "switch" => Step::Hold { to: generation, force: wish.force },
            "retire" => Step::Drop { generation },
            "adopt" => Step::Adopt { generation, format: read_model.declared().format },
            _ => return Err(no_verb(&verb, "pause, resume, switch, retire or adopt")),
        };
        decided(&admin, &request, read_model, &wish, |_| Ok(step.clone())).await
    };
    answered(work.await)
}

/// Has it decided, and answers how things stand then.
async fn decided(
    admin: &Admin,
    request: &HttpRequest,
    read_model: ReadModel,
    wish: &Wish,
    step: impl Fn(&Builds) -> Result<Step, Refused>,
) -> Result<HttpResponse, Problem> {
    let opened = admin.opened()?;
    let mut desk = opened.desk().await?;
    let peer = request.peer_addr().map(|it| it.ip().to_string()).unwrap_or_default();
    let by = format!("{} (admin API, from {peer})", wish.by.as_deref().unwrap_or("somebody"));
    let step = desk.decide(read_model, &by, step).await??;
    tracing::info!(by, "decided about {read_model}: {step}");
    Ok(HttpResponse::Ok().json(opened.view(read_model, desk.builds(read_model)).await?))
}

fn named(name: &str) -> Result<ReadModel, Problem> {
    name.parse().map_err(|error: read_models::Unknown| {
        let all: Vec<&str> = ReadModel::ALL.iter().map(|it| it.name()).collect();
        Problem(StatusCode::NOT_FOUND, format!("{error}: there are {}", all.join(", ")))
    })
}

fn no_verb(verb: &str, there_are: &str) -> Problem {
    Problem(StatusCode::NOT_FOUND, format!("there is no `{verb}`: say {there_are}"))
}

/// A body must say that it is JSON, which a form of a web page on another site cannot.
fn wish(request: &HttpRequest, body: &[u8]) -> Result<Wish, Problem> {
    let kind = request.headers().get("content-type").and_then(|it| it.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        let problem = "say content-type: application/json; the body may be {}".to_owned();
        return Err(Problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, problem));
    }
    serde_json::from_slice(body)
        .map_err(|error| Problem(StatusCode::BAD_REQUEST, format!("the body: {error}")))
}

#[cfg(test)]
mod tests;
