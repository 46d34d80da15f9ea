import shutil,json,os
os.chdir('/tmp/h4-dry')
def sub(p,*prs):
    s=open(p).read()
    for a,b in prs:
        assert s.count(a)>=1,(p,a)
        s=s.replace(a,b,1)
    open(p,'w').write(s)
A='services/projector/src/admin.rs'
S=open(A).read()
sub(A,
('/// How it stands with one read model.\n#[derive(Debug, Serialize)]\nstruct View {','''/// How it stands with every read model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReadModels)]
struct ModelsView {
    read_models: Vec<View>,
}

/// How it stands with one read model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReadModelBuilds)]
struct View {'''),
('    /// The build that gateways read.\n','    /// The build that gateways read.\n    #[schema(value_type = u32)]\n'),
('#[derive(Debug, Serialize)]\nstruct BuildView {\n    generation','''/// One build.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Build)]
struct BuildView {
    #[schema(value_type = u32)]
    generation'''),
('    #[serde(skip_serializing_if = "Option::is_none")]\n    compared:','    /// What a comparison of its rows found.\n    #[serde(skip_serializing_if = "Option::is_none")]\n    #[schema(nullable = false)]\n    compared:'),
('    #[serde(skip_serializing_if = "Option::is_none")]\n    as_of: Option<AsOfView>','    /// Of a build as of some time.\n    #[serde(skip_serializing_if = "Option::is_none")]\n    #[schema(nullable = false)]\n    as_of: Option<AsOfView>'),
('    #[serde(skip_serializing_if = "Option::is_none")]\n    applied:','    #[serde(skip_serializing_if = "Option::is_none")]\n    #[schema(nullable = false, value_type = Option<Vec<u64>>)]\n    applied:'),
('#[derive(Debug, Serialize)]\nstruct ComparedView','/// What a comparison with the build that is read has found.\n#[derive(Debug, Serialize, ToSchema)]\n#[schema(as = Compared)]\nstruct ComparedView'),
('#[derive(Debug, Serialize)]\nstruct AsOfView','/// What a build as of some time is made of, and how long it is there.\n#[derive(Debug, Serialize, ToSchema)]\n#[schema(as = AsOf)]\nstruct AsOfView'),
('#[derive(Debug, Default, Deserialize)]\n#[serde(default, deny_unknown_fields)]\nstruct Wish','#[derive(Debug, Default, Deserialize, ToSchema)]\n#[serde(default, deny_unknown_fields)]\n#[schema(as = BuildWish)]\nstruct Wish'),
('    switch: Switch,','    #[schema(schema_with = switches)]\n    switch: Switch,'),
('    as_of: Option<Timestamp>,','    #[schema(value_type = Option<String>, nullable = false, example = "2026-11-27T08:00:00Z")]\n    as_of: Option<Timestamp>,'),
('    expires: Option<SignedDuration>,\n}\n','''    #[schema(value_type = Option<String>, nullable = false, example = "24h")]
    expires: Option<SignedDuration>,
}

fn switches() -> Object {
    schemas::one_of(
        ["when-equal", "always", "by-hand"],
        "Of `rebuild`: when the new build takes the place of the one that is read; `when-equal` if it is not said.",
    )
}

/// Why a request is not done (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminProblem)]
struct ProblemView<'a> {
    #[serde(rename = "type")]
    type_uri: &'a str,
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What happened this time, and what to do.
    detail: &'a str,
}
'''),
('''        let body = serde_json::json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
''','''        let body = ProblemView { type_uri: "about:blank", title, status: status.as_u16(), detail };
'''),
('Ok(HttpResponse::Ok().json(serde_json::json!({ "read_models": views })))','Ok(HttpResponse::Ok().json(ModelsView { read_models: views }))'),
('mod letters;\n','mod letters;\n#[cfg(test)]\nmod openapi;\n'),
('    /// Adds its routes.\n    pub fn show','''    /// Its document, in OpenAPI, as it is committed; `openapi` makes it from the code, and holds it.
    pub const OPENAPI: &str = include_str!("../../../schemas/openapi/projector-admin.json");

    /// Adds its routes.
    pub fn show'''),
('use edge::auth::{Access','use contract::json::schemas;\nuse edge::auth::{Access'),
('use toolkit::journal::Journal;\n','use toolkit::journal::Journal;\nuse utoipa::ToSchema;\nuse utoipa::openapi::schema::Object;\n'),
)
L='services/projector/src/admin/letters.rs'
sub(L,
('#[derive(Debug, Default, Deserialize)]\n#[serde(default, deny_unknown_fields)]\nstruct Wish','#[derive(Debug, Default, Deserialize, ToSchema)]\n#[serde(default, deny_unknown_fields)]\n#[schema(as = DeadLetterWish)]\nstruct Wish'),
('    by: Option<String>,\n    product: Option<String>,\n    kind: Option<Kind>,\n    id: Option<String>,','''    by: Option<String>,
    product: Option<String>,
    #[schema(schema_with = kinds)]
    kind: Option<Kind>,
    /// `<partition>/<offset>`
    id: Option<String>,'''),
('#[derive(Debug, Serialize)]\nstruct Shown','/// What is parked of a read model.\n#[derive(Debug, Serialize, ToSchema)]\n#[schema(as = DeadLetters)]\nstruct Shown'),
('#[derive(Debug, Serialize)]\nstruct DecidedView','/// What was decided about dead letters.\n#[derive(Debug, Serialize, ToSchema)]\n#[schema(as = Decision)]\nstruct DecidedView'),
('#[derive(Debug, Serialize)]\nstruct TrialView','#[derive(Debug, Serialize, ToSchema)]\n#[schema(as = Trial)]\nstruct TrialView'),
('    would_succeed: Option<bool>,','    /// Null: only the log, or another projector, can tell.\n    #[schema(required)]\n    would_succeed: Option<bool>,'),
('#[derive(Debug, Serialize)]\nstruct LetterView {\n    generation: Generation,','''/// What would become of products.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Trials)]
struct TrialsView {
    products: usize,
    would: Vec<TrialView>,
}

/// What was decided just now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Decided)]
struct JustDecided {
    decided: String,
    by: String,
    /// So many are meant.
    products: usize,
}

/// A letter, of every build that has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Letters)]
struct LettersView {
    letters: Vec<LetterView>,
}

/// One letter.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Letter)]
struct LetterView {
    #[schema(value_type = u32)]
    generation: Generation,'''),
('    product: String,\n    kind: Kind,\n','    product: String,\n    #[schema(schema_with = kinds)]\n    kind: Kind,\n'),
('    headers: Vec<(String, String)>,\n    value_bytes','    #[schema(value_type = Vec<Vec<String>>)]\n    headers: Vec<(String, String)>,\n    /// Null: it has none.\n    #[schema(required)]\n    value_bytes'),
('/// A group, and where','''/// Why something is parked.
pub(crate) fn kinds() -> Object {
    schemas::one_of(Kind::ALL.map(Kind::name), "Why.")
}

/// Adds what it takes and answers to the document.
#[cfg(test)]
pub(super) fn add_to(document: &mut edge::openapi::Document) {
    document.add::<Wish>();
    document.add::<Shown>();
    document.add::<LettersView>();
    document.add::<TrialsView>();
    document.add::<JustDecided>();
}

/// A group, and where'''),
('Ok(HttpResponse::Ok().json(serde_json::json!({ "letters": found })))','Ok(HttpResponse::Ok().json(LettersView { letters: found }))'),
('return Ok(HttpResponse::Ok().json(serde_json::json!({ "products": products, "would": trials })));','return Ok(HttpResponse::Ok().json(TrialsView { products, would: trials }));'),
('''        let answer = serde_json::json!({ "decided": step.to_string(), "by": by, "products": products });
        Ok(HttpResponse::Ok().json(answer))''','''        Ok(HttpResponse::Ok().json(JustDecided { decided: step.to_string(), by, products }))'''),
('use edge::auth::{Access, Auth, Scope};','use contract::json::schemas;\nuse edge::auth::{Access, Auth, Scope};'),
('use toolkit::dead_letters::{DeadLetterError, DeadLetters, Kind, Letter};\n','use toolkit::dead_letters::{DeadLetterError, DeadLetters, Kind, Letter};\nuse utoipa::ToSchema;\nuse utoipa::openapi::schema::Object;\n'),
)
P='services/projector/src/letters.rs'
sub(P,
('#[derive(Clone, Debug, PartialEq, Eq, Serialize)]\npub struct ParkedView {','#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]\n#[schema(as = ParkedProduct)]\npub struct ParkedView {'),
('    pub generation: Generation,\n    pub partition: i32,\n','    #[schema(value_type = u32)]\n    pub generation: Generation,\n    pub partition: i32,\n'),
('    /// Why that is there.\n    pub kind: Kind,','    /// Why that is there.\n    #[schema(schema_with = crate::admin::kinds)]\n    pub kind: Kind,'),
('use toolkit::dead_letters::{DeadLetterError, DeadLetters, Kind, Outline};\n','use toolkit::dead_letters::{DeadLetterError, DeadLetters, Kind, Outline};\nuse utoipa::ToSchema;\n'),
)
sub(A,('#[cfg(test)]\nmod openapi;\n','#[cfg(test)]\nmod openapi;\n\npub(crate) use letters::kinds;\n'))
shutil.copy('/tmp/h4-draft/openapi.rs','services/projector/src/admin/openapi.rs')
if not os.path.exists('schemas/openapi/projector-admin.json'): open('schemas/openapi/projector-admin.json','w').write('{}\n')
sub('services/projector/Cargo.toml',('tracing.workspace = true\nuuid','tracing.workspace = true\nutoipa.workspace = true\nuuid'))
s=open('Cargo.lock').read()
i=s.index('name = "projector"'); j=s.index('\n]\n',i)
blk=s[i:j]
assert '"utoipa"' not in blk
blk=blk.replace(' "uuid",',' "utoipa",\n "uuid",')
s=s[:i]+blk+s[j:]; open('Cargo.lock','w').write(s)
sub('services/projector/src/application.rs',('                routes.show(app, auth);\n','                routes.show(app, auth);\n                edge::openapi::show(app, auth, Admin::OPENAPI);\n'))
sub('services/dev/src/doors.rs',('''        (document_at("/openapi/query-gateway.json"), Queries::OPENAPI),
''','''        (document_at("/openapi/query-gateway.json"), Queries::OPENAPI),
        (document_at("/openapi/projector-admin.json"), projector::Admin::OPENAPI),
'''),('/// Shows the documents of both on','/// Shows the documents of both, and of the admin API, on'))
sub('tests/it/architecture.rs',('''        ("both services, ops port", &[edge::openapi::DOCUMENT]),
''','''        ("both services, ops port", &[edge::openapi::DOCUMENT]),
        ("projector, ops port", &[edge::openapi::DOCUMENT]),
'''))
sub('docs/security.md',('| every ops port | `GET /livez` | anyone |','| projector, ops port | `GET /openapi.json` | anyone |\n| every ops port | `GET /livez` | anyone |'))
sub('docs/operating.md',('- Any projector answers for every read model. How far','- Its OpenAPI document is `schemas/openapi/projector-admin.json`; where the API is on, `/openapi.json` and `/docs/` show it.\n- Any projector answers for every read model. How far'))
sub('CHANGELOG.md',('Lists and searches are answered also where','The admin API has an OpenAPI document (`schemas/openapi/projector-admin.json`, on the ops port as `/openapi.json`). `as-of` looks where the log was in eight partitions side by side.\nLists and searches are answered also where'))
import re
s=open(A).read()
i=s.index('/// How it stands with every read model.'); j=s.index('/// Why a request is not done (RFC 9457).\n#[derive(Debug)]\nstruct Problem(')
block=s[i:j]
s=s[:i]+s[j:]
block=re.sub(r'(?m)^struct ','pub(super) struct ',block)
block=re.sub(r'(?m)^    ([a-z_]+): ',r'    pub(super) \1: ',block)
block=block.replace('fn switches','fn switches')
open('services/projector/src/admin/views.rs','w').write('''//! What the admin API takes and answers about builds.

use contract::json::schemas;
use jiff::{SignedDuration, Timestamp};
use read_models::Generation;
use read_models::control::Switch;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

'''+block.rstrip()+'\n')
s=s.replace('use contract::json::schemas;\n','').replace('use utoipa::ToSchema;\nuse utoipa::openapi::schema::Object;\n','').replace('use serde::{Deserialize, Serialize};\n','')
s=s.replace('use read_models::control::{AsOf, AsOfWish, Builds, Desk, Refused, Stage, Step, Switch};','use read_models::control::{AsOf, AsOfWish, Builds, Desk, Refused, Stage, Step};')
s=s.replace('#[cfg(test)]\nmod openapi;\n','#[cfg(test)]\nmod openapi;\nmod views;\n')
s=s.replace('pub(crate) use letters::kinds;\n','pub(crate) use letters::kinds;\nuse views::{AsOfView, BuildView, ComparedView, ModelsView, ProblemView, View, Wish};\n')
s=s.replace('use jiff::{SignedDuration, Timestamp};','use jiff::Timestamp;')
open(A,'w').write(s)
