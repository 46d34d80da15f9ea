//! Who may give which command, by API keys of a file.

use std::io::Write;

use edge::auth::{Access, Auth, AuthConfig, Scope, hashed_key};
use serde_json::json;

use super::super::PATHS;
use super::{Answer, door_of};
use crate::testing::{World, diamond};

/// A key for each of these callers.
fn key(name: &str) -> String {
    format!("folio-test-key-{name:-<32}")
}

/// A world whose callers have these scopes.
async fn world_of(callers: &[(&str, &[Scope], &str)]) -> World {
    let mut world = World::start().await;
    let path = std::env::temp_dir().join(format!("folio-keys-{}.yaml", uuid::Uuid::new_v4()));
    let mut file = std::fs::File::create(&path).unwrap();
    writeln!(file, "keys:").unwrap();
    for (name, scopes, tenant) in callers {
        let mut line = json!({ "name": name, "sha256": hashed_key(&key(name)), "scopes": scopes });
        if !tenant.is_empty() {
            line["tenant"] = (*tenant).into();
        }
        writeln!(file, "- {line}").unwrap();
    }
    drop(file);
    let config = AuthConfig { keys_file: Some(path.clone()), ..AuthConfig::default() };
    world.auth = Auth::open(&config, &world.lifecycle, &world.telemetry).unwrap();
    std::fs::remove_file(path).unwrap();
    world
}

/// `POST`, in JSON, as this caller.
async fn post(
    world: &World,
    name: &str,
    path: &str,
    more: &[(&str, &str)],
    body: &serde_json::Value,
) -> Answer {
    let bearer = format!("Bearer {}", key(name));
    let headers: Vec<_> =
        [("authorization", bearer.as_str())].into_iter().chain(more.iter().copied()).collect();
    door_of(world).await.send("POST", path, &headers, body).await
}

#[actix_web::test]
async fn every_route_lets_in_whom_it_says() {
    let all: Vec<(String, Vec<Scope>)> =
        Scope::ALL.iter().map(|scope| (scope.name().replace(':', "-"), vec![*scope])).collect();
    let callers: Vec<_> = all.iter().map(|(name, scopes)| (name.as_str(), &scopes[..], "")).collect();
    let world = world_of(&callers).await;
    let door = door_of(&world).await;
    for taken in PATHS {
        let path = taken.path.replace("{id:[^/:]+}", "p-1").replace("{action:[^/:]+}", "list");
        let needed = match taken.needs {
            Access::Anyone => panic!("no command is for anyone"),
            Access::Needs(scope) => vec![scope],
            Access::NeedsOneOf(scopes) => scopes.to_vec(),
        };
        for method in taken.methods {
            let nobody = door.ask(method, &path, &[], b"").await;
            assert_eq!((nobody.status, nobody.code()), (401, "unauthenticated"), "{method} {path}");
            assert!(nobody.header("www-authenticate").unwrap().starts_with("Bearer"), "{method} {path}");
            let wrong = door.ask(method, &path, &[("authorization", "Bearer wrong")], b"").await;
            assert_eq!((wrong.status, &wrong.body["reason"]), (401, &json!("invalid")), "{method} {path}");
            for (name, scopes) in &all {
                let bearer = format!("Bearer {}", key(name));
                let answer = door.ask(method, &path, &[("authorization", &bearer)], b"").await;
                // `list` is a change: to delete is another thing.
                let may = needed.contains(&scopes[0]) && scopes[0] != Scope::Delete;
                assert_eq!(answer.status != 403, may, "{method} {path} {name}: {}", answer.body);
                assert_ne!(answer.status, 401, "{method} {path} {name}");
            }
        }
    }
}

#[actix_web::test]
async fn who_deletes_needs_to_be_let_and_who_writes_is_the_actor() {
    let front: &[Scope] = &[Scope::Write, Scope::OnBehalf];
    let world =
        world_of(&[("ada", &[Scope::Write], ""), ("janitor", &[Scope::Delete], ""), ("front", front, "")])
            .await;
    let create = |id: &str| {
        let mut body = diamond();
        body["product_id"] = id.into();
        body
    };
    let keyed = [("idempotency-key", "k")];
    assert_eq!(post(&world, "ada", "/v1/products", &keyed, &create("p-1")).await.status, 201);
    let refused = post(&world, "ada", "/v1/products/p-1:delete", &[], &json!({})).await;
    assert_eq!((refused.code(), &refused.body["missing_scope"]), ("forbidden", &json!("products:delete")));
    let refused = post(&world, "janitor", "/v1/products/p-1:list", &[], &json!({})).await;
    assert_eq!((refused.code(), &refused.body["missing_scope"]), ("forbidden", &json!("products:write")));

    let grace = [("x-folio-actor", "grace")];
    assert_eq!(post(&world, "ada", "/v1/products/p-1:list", &grace, &json!({})).await.status, 403);
    let itself = [("x-folio-actor", "key:ada")];
    assert_eq!(post(&world, "ada", "/v1/products/p-1:list", &itself, &json!({})).await.status, 200);
    assert_eq!(post(&world, "front", "/v1/products", &grace, &create("p-2")).await.status, 201);
    // Both are in the record: for whom, and by whom; of who acts for itself it is said once.
    let recorded = |id: &str| {
        let records = world.live.topic.records(ledger::partition_of(id, 4));
        let first =
            records.into_iter().find(|record| record.key.starts_with(format!("{id}/1/").as_bytes())).unwrap();
        let meta = contract::envelope::read_meta(&first.headers);
        (meta.actor.map(str::to_owned), meta.principal.map(str::to_owned))
    };
    assert_eq!(recorded("p-1"), (Some("key:ada".to_owned()), None));
    assert_eq!(recorded("p-2"), (Some("grace".to_owned()), Some("key:front".to_owned())));
    assert_eq!(post(&world, "janitor", "/v1/products/p-1:delete", &[], &json!({})).await.status, 200);

    // The same key of another caller is another key.
    let foreign = post(&world, "front", "/v1/products", &keyed, &create("p-2")).await;
    assert_eq!((foreign.status, foreign.code()), (409, "product-already-exists"));
    let own = post(&world, "ada", "/v1/products", &keyed, &create("p-1")).await;
    assert_eq!((own.status, own.header("idempotency-replayed")), (201, Some("true")));
}

#[actix_web::test]
async fn a_tenants_commands_are_for_its_products() {
    let world = world_of(&[("acme", &[Scope::Write], "acme"), ("other", &[Scope::Write], "other")]).await;
    let mut body = diamond();
    body["product_id"] = "acme.1".into();
    assert_eq!(post(&world, "acme", "/v1/products", &[], &body).await.status, 201);
    for id in ["acme.1", "acme.missing", "acme"] {
        let answer = post(&world, "other", &format!("/v1/products/{id}:list"), &[], &json!({})).await;
        assert_eq!((answer.status, answer.code()), (403, "forbidden"), "{id}");
        assert!(
            answer.body["current_version"].is_null() && answer.header("consistency-token").is_none(),
            "{id}"
        );
    }
    let made = post(&world, "other", "/v1/products", &[("idempotency-key", "k")], &diamond()).await;
    assert!(made.body["product_id"].as_str().unwrap().starts_with("other."), "{}", made.body);
}

#[actix_web::test]
async fn each_line_of_an_upload_needs_its_own_scope() {
    let world = world_of(&[("ada", &[Scope::Write, Scope::Bulk], "")]).await;
    let lines = [
        json!({"command": "create_product", "product_id": "p-1", "payload": diamond()}),
        json!({"command": "delete_product", "product_id": "p-1"}),
        json!({"command": "list_product", "product_id": "p-1"}),
    ];
    let upload = lines.map(|line| format!("{line}\n")).concat();
    let bearer = format!("Bearer {}", key("ada"));
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/x-ndjson")];
    let answer = door_of(&world).await.ask("POST", "/v1/commands:bulk", &headers, upload.as_bytes()).await;
    let answers = std::str::from_utf8(&answer.text).unwrap();
    let statuses: Vec<_> = answers
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["status"].clone())
        .collect();
    assert_eq!(statuses, [json!(201), json!(403), json!(200)], "{answers}");
}
