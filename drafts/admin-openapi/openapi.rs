//! The admin API's OpenAPI document, made of its types and tables. Promises that the committed one is this one, and that each of its
//! routes is in it.

use std::path::Path;

use edge::openapi::{Document, free, hold, number, parameter};
use serde_json::{Value, json};
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::OneOfBuilder;
use utoipa::openapi::{ContentBuilder, HttpMethod, OpenApi, Ref, RefOr, Required, Schema};

use super::*;

const DESCRIPTION: &str = "Builds of read models and dead letters, on the operators' port of a projector whose `admin.enabled` is true: what \
    `folio rebuild`, `folio read-models` and `folio dlq` do. It only decides; the work goes on after that. docs/operating.md says what each \
    step means.";

/// What an operation is: its path with the verb, its name, what it does, an example of its body if it has one, and its answer.
struct About {
    path: &'static str,
    id: &'static str,
    does: &'static str,
    needs: Access,
    body: Option<(&'static str, Value)>,
    answer: &'static [&'static str],
}

const OF_ONE: &str = "/admin/v1/read-models/{name}";

fn operations() -> Vec<About> {
    let mut all = of_builds();
    all.extend(of_letters());
    all
}

fn see(path: &'static str, id: &'static str, does: &'static str, answer: &'static [&'static str]) -> About {
    About { path, id, does, needs: SEE, body: None, answer }
}

fn of_builds() -> Vec<About> {
    const REBUILD: Access = Access::Needs(Scope::AdminRebuild);
    const PAUSE: Access = Access::Needs(Scope::AdminPause);
    let build = |path, id, does, needs, example| {
        let (body, answer) = (Some(("BuildWish", example)), &["ReadModelBuilds"][..]);
        About { path, id, does, needs, body, answer }
    };
    let as_of = json!({"as_of": "2026-11-27T08:00:00Z", "name": "before-the-sale", "expires": "24h"});
    vec![
        see("/admin/v1/read-models", "listReadModels", "Tell of every read model", &["ReadModels"]),
        see(OF_ONE, "getReadModel", "Tell of one read model", &["ReadModelBuilds"]),
        build(
            "/admin/v1/read-models/{name}:rebuild",
            "rebuild",
            "Begin a further build",
            REBUILD,
            json!({"switch": "by-hand"}),
        ),
        build(
            "/admin/v1/read-models/{name}:rollback",
            "rollBack",
            "Let the build be read again that was read before",
            REBUILD,
            json!({}),
        ),
        build(
            "/admin/v1/read-models/{name}:abort",
            "abort",
            "Drop the build that is being made",
            REBUILD,
            json!({"by": "Ada"}),
        ),
        build(
            "/admin/v1/read-models/{name}:as-of",
            "buildAsOf",
            "Begin a build as of some time",
            REBUILD,
            as_of,
        ),
        build(
            "/admin/v1/read-models/{name}/builds/{generation}:pause",
            "pauseBuild",
            "Leave a build as it is",
            PAUSE,
            json!({}),
        ),
        build(
            "/admin/v1/read-models/{name}/builds/{generation}:resume",
            "resumeBuild",
            "Go on with a build",
            PAUSE,
            json!({}),
        ),
        build(
            "/admin/v1/read-models/{name}/builds/{generation}:switch",
            "switchToBuild",
            "Let a build be read as soon as it has come as far as the one that is",
            REBUILD,
            json!({"force": true}),
        ),
        build(
            "/admin/v1/read-models/{name}/builds/{generation}:retire",
            "retireBuild",
            "Drop a build that is not read",
            REBUILD,
            json!({}),
        ),
        build(
            "/admin/v1/read-models/{name}/builds/{generation}:adopt",
            "adoptBuild",
            "Where the topic of decisions was lost: say that this build is read",
            REBUILD,
            json!({}),
        ),
    ]
}

fn of_letters() -> Vec<About> {
    let letters = |path, id, does, example| {
        let needs = Access::Needs(Scope::AdminDeadLetters);
        let (body, answer) = (Some(("DeadLetterWish", example)), &["Decided", "Trials"][..]);
        About { path, id, does, needs, body, answer }
    };
    vec![
        see(
            "/admin/v1/read-models/{name}/dead-letters",
            "listDeadLetters",
            "Tell what is parked, and what was decided about it",
            &["DeadLetters"],
        ),
        see(
            "/admin/v1/read-models/{name}/dead-letters/{partition}/{offset}",
            "getDeadLetter",
            "Show one letter, of every build that has it",
            &["Letters"],
        ),
        letters(
            "/admin/v1/read-models/{name}/dead-letters:redrive",
            "redrive",
            "Have products tried again; with `dry_run`, say what would become of them",
            json!({"product": "lamp-1", "reason": "4.2 reads it", "dry_run": true}),
        ),
        letters(
            "/admin/v1/read-models/{name}/dead-letters:discard",
            "discard",
            "Give products up; with `dry_run`, say what would become of them",
            json!({"kind": "undecodable", "reason": "forged"}),
        ),
    ]
}

fn in_path(name: &str) -> Parameter {
    let (says, schema): (_, RefOr<Schema>) = match name {
        "name" => ("The read model.", free(32, "products").into()),
        "generation" => ("The number of the build.", number(1, u64::from(u32::MAX), 2).into()),
        "partition" => ("The partition of the record.", number(0, i32::MAX as u64, 3).into()),
        "offset" => ("Its offset.", number(0, i64::MAX as u64, 1024).into()),
        _ => panic!("say here what {name} is"),
    };
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path);
    parameter.required(Required::True).description(Some(says)).schema(Some(schema)).build()
}

fn in_query() -> [Parameter; 3] {
    let query = |name, says, example| parameter(ParameterIn::Query, name, says, free(200, example));
    [
        query("product", "Only this product.", "lamp-1"),
        query("kind", "Only what was parked for this, as in `kind`.", "undecodable"),
        query("id", "Only the product of this letter: `<partition>/<offset>`.", "3/1024"),
    ]
}

fn refused(says: &str, schema: impl Into<RefOr<Schema>>) -> RefOr<Response> {
    let problem = ContentBuilder::new().schema(Some(schema)).build();
    RefOr::T(ResponseBuilder::new().description(says).content("application/problem+json", problem).build())
}

fn document() -> OpenApi {
    let mut document = Document::new([], &[]);
    document.add::<ModelsView>();
    document.add::<View>();
    document.add::<Wish>();
    document.add::<ProblemView<'_>>();
    letters::add_to(&mut document);
    for About { path, id, does, needs, body, answer } in operations() {
        let schema: RefOr<Schema> = match answer {
            [one] => Ref::from_schema_name(*one).into(),
            several => {
                let one_of = several
                    .iter()
                    .fold(OneOfBuilder::new(), |one_of, name| one_of.item(Ref::from_schema_name(*name)));
                one_of.into()
            }
        };
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let answered =
            ResponseBuilder::new().description("How it stands then.").content("application/json", content);
        let mut operation =
            OperationBuilder::new().operation_id(Some(id)).summary(Some(does)).response("200", answered);
        for name in path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
            operation = operation.parameter(in_path(name));
        }
        if id == "listDeadLetters" {
            for parameter in in_query() {
                operation = operation.parameter(parameter);
            }
        }
        let own = |says| refused(says, Ref::from_schema_name("AdminProblem"));
        operation = operation.response("404", own("There is no such read model, build, letter or verb."));
        let method = if body.is_some() { HttpMethod::Post } else { HttpMethod::Get };
        if let Some((schema, example)) = body {
            let content =
                ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).example(Some(example));
            let body = RequestBodyBuilder::new().content("application/json", content.build());
            operation = operation
                .request_body(Some(body.required(Some(Required::True)).build()))
                .response("400", own("The body says what cannot be meant."))
                .response("409", own("It cannot be done now, and nothing is changed."))
                .response("415", own("The body does not say that it is JSON."));
        } else if id == "listDeadLetters" {
            operation = operation.response("400", own("The query says what cannot be meant."));
        }
        document.operation((method, path), needs, operation, &[]);
    }
    let mut made = document.build("Folio: admin API of projectors", DESCRIPTION);
    // Whoever cannot be checked is told by the port, and what cannot be read or decided by the API.
    let either = || {
        let names = ["AdminProblem", "Problem"].map(Ref::from_schema_name);
        let one_of = names.into_iter().fold(OneOfBuilder::new(), OneOfBuilder::item);
        refused("What is decided cannot be read or written now, or callers cannot be checked.", one_of)
    };
    for item in made.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            operation.responses.responses.insert("503".to_owned(), either());
        }
    }
    made
}

#[test]
fn the_committed_document_is_what_the_code_says() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/openapi/projector-admin.json");
    hold(&document(), &committed);
}

#[test]
fn every_route_is_in_the_document() {
    let paths: Vec<&str> = operations().iter().map(|it| it.path).collect();
    for taken in Admin::PATHS {
        let path = taken.path.replace("{name:[^/:]+}", "{name}");
        let is_it = |shown: &&&str| match path.strip_suffix("{verb}") {
            Some(before) => shown.starts_with(before) && !shown[before.len()..].contains('/'),
            None => **shown == path,
        };
        assert!(paths.iter().any(|shown| is_it(&shown)), "{path} is in {paths:?}");
    }
}
