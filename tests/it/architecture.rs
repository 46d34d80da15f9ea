//! The architecture, held: who may use whom, who may name which driver, and that documents and files agree.
//!
//! Promises: each rule names the file that breaks it and what to do. Needs no server.

mod files;
mod manifests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use edge::auth::Scope;
use files::{files_of_this_binary, heading, promise_id, read, root, rust_files, table_rows};
use manifests::{collect_used, packages};

/// What each crate may use of ours, in the words of ARCHITECTURE.md's map (which is compared).
const MAY_USE: [(&str, &str); 21] = [
    ("domain", "nothing of ours"),
    ("ledger", "nothing of ours"),
    ("toolkit", "nothing of ours"),
    ("event-reader", "contract, ledger, toolkit"),
    ("adapter-kafka", "ledger, toolkit, event-reader"),
    ("adapter-registry", "contract, toolkit, event-reader"),
    ("persons", "toolkit"),
    ("adapter-cql", "toolkit"),
    ("adapter-person-keys", "persons, toolkit, adapter-cql"),
    ("adapter-search", "toolkit"),
    ("adapter-embedded", "ledger, toolkit, event-reader, persons"),
    ("contract", "domain, ledger"),
    ("edge", "contract, toolkit"),
    ("read-models", "domain, contract, toolkit, adapter-cql, adapter-search"),
    ("embedded-read-models", "domain, toolkit, read-models, adapter-embedded"),
    (
        "command-service",
        "domain, contract, ledger, toolkit, edge, event-reader, persons, adapter-kafka, adapter-registry, adapter-person-keys, adapter-embedded",
    ),
    (
        "projector",
        "read-models, contract, ledger, toolkit, edge, event-reader, adapter-kafka, adapter-registry, adapter-cql, adapter-search",
    ),
    (
        "query-gateway",
        "read-models, contract, ledger, toolkit, edge, persons, adapter-cql, adapter-person-keys, adapter-search",
    ),
    (
        "folio-dev",
        "domain, contract, ledger, toolkit, edge, event-reader, persons, read-models, command-service, projector, query-gateway, adapter-registry, adapter-embedded, embedded-read-models",
    ),
    ("local-servers", "nothing of ours"),
    ("cli", "all of the above"),
];
/// Crates of tests: they may use anything, and nobody may need them.
const TESTS_ONLY: [&str; 9] = [
    "testkit",
    "promises",
    "ledger-sim",
    "folio-model",
    "folio-mutations",
    "folio-sim",
    "folio-chaos",
    "folio-kube",
    "folio-bench",
];
/// Drivers of servers and stores, and the one crate that may name each.
const DRIVERS: [(&str, &str); 5] = [
    ("rdkafka", "adapter-kafka"),
    ("scylla", "adapter-cql"),
    ("elasticsearch", "adapter-search"),
    ("fjall", "adapter-embedded"),
    ("tantivy", "embedded-read-models"),
];
/// Adapters that a service must not take, by itself or through a crate it uses.
const MUST_NOT_TAKE: [(&str, &[&str]); 3] = [
    ("command-service", &["adapter-cql", "adapter-search", "embedded-read-models"]),
    ("projector", &["adapter-embedded", "embedded-read-models"]),
    ("query-gateway", &["adapter-kafka", "adapter-registry", "adapter-embedded", "embedded-read-models"]),
];
/// What one of them takes all the same, and through which crate: the keys of persons (decision 22), and nothing else of a store.
const BUT_THROUGH: [(&str, &str, &str); 1] = [("command-service", "adapter-cql", "adapter-person-keys")];
/// No file may have this many lines. There are no exceptions.
const TOO_MANY_LINES: usize = 500;

#[test]
fn a_crate_uses_only_what_its_row_of_the_table_allows() {
    let packages = packages();
    let rows: BTreeMap<_, _> = MAY_USE.into_iter().collect();
    let mut faults = Vec::new();
    for package in packages.values().filter(|package| !TESTS_ONLY.contains(&package.name.as_str())) {
        let Some(row) = rows.get(package.name.as_str()) else {
            faults.push(format!(
                "crate `{}` has no row: add one to MAY_USE here and to ARCHITECTURE.md",
                package.name
            ));
            continue;
        };
        let allowed = allowed(&package.name, row);
        for used in
            package.dependencies.iter().filter(|used| used.normal && packages.contains_key(&used.name))
        {
            if !allowed.contains(used.name.as_str()) {
                faults.push(format!(
                    "`{}` uses `{}`, but may use only: {row}; remove it from {}, or take what you need from an \
                     allowed crate",
                    package.name,
                    used.name,
                    package.manifest.display()
                ));
            }
        }
    }
    report(faults);
}

#[test]
fn the_map_in_the_architecture_page_says_the_same() {
    let page = read(&root().join("ARCHITECTURE.md"));
    let rows = table_rows(&page);
    let mut faults = Vec::new();
    for (name, row) in MAY_USE {
        let named = format!("`{name}`");
        match rows.iter().find(|cells| cells.len() == 3 && cells[0] == named) {
            Some(cells) if cells[2] == row => {}
            Some(cells) => faults.push(format!(
                "ARCHITECTURE.md lets {named} use \"{}\", this test \"{row}\": make them equal",
                cells[2]
            )),
            None => faults.push(format!("ARCHITECTURE.md's map has no row for {named}: add one")),
        }
    }
    report(faults);
}

#[test]
fn a_driver_is_named_by_its_adapter_only() {
    let mut faults = Vec::new();
    for package in packages().values() {
        for used in &package.dependencies {
            let Some((driver, adapter)) = DRIVERS.into_iter().find(|(driver, _)| *driver == used.name) else {
                continue;
            };
            if package.name != adapter {
                faults.push(format!(
                    "{} names `{driver}`: only {adapter} may; use or extend it",
                    package.manifest.display()
                ));
            }
        }
    }
    report(faults);
}

#[test]
fn the_write_side_takes_no_store_client_and_the_read_side_no_kafka_client() {
    let packages = packages();
    let mut faults = Vec::new();
    for (name, forbidden) in MUST_NOT_TAKE {
        let taken = collect_used(&packages, name);
        for (used, by) in taken.iter().filter(|(used, _)| forbidden.contains(&used.as_str())) {
            if BUT_THROUGH.contains(&(name, used, by)) {
                continue;
            }
            faults.push(format!(
                "`{name}` gets `{used}` through `{by}`: remove it from the manifest of `{by}`"
            ));
        }
    }
    report(faults);
}

#[test]
fn crates_of_tests_are_dev_dependencies_only() {
    let mut faults = Vec::new();
    for package in packages().values().filter(|package| !TESTS_ONLY.contains(&package.name.as_str())) {
        for used in package.dependencies.iter().filter(|used| TESTS_ONLY.contains(&used.name.as_str())) {
            if !used.dev {
                faults.push(format!(
                    "{} needs `{}` outside its tests: move it to [dev-dependencies]",
                    package.manifest.display(),
                    used.name
                ));
            }
        }
    }
    report(faults);
}

#[test]
fn every_crate_takes_the_workspaces_lints() {
    let without = packages().into_values().filter(|package| {
        let manifest = read(&package.manifest);
        let mut lines = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
        lines.next() != Some("workspace = true")
    });
    report(without.map(|package| {
        format!("{} has other lints: give it `[lints]` with `workspace = true`", package.manifest.display())
    }));
}

#[test]
fn every_file_is_short_and_says_what_it_is_for() {
    let mut faults = Vec::new();
    for file in rust_files() {
        let text = read(&root().join(&file));
        let lines = text.lines().count();
        if lines >= TOO_MANY_LINES {
            faults.push(format!(
                "{} has {lines} lines: split it by responsibility (under {TOO_MANY_LINES}, no exceptions)",
                file.display()
            ));
        }
        // Modules of unit tests are read beside the module they test, and their names are promises already.
        let unit_tests = file.components().any(|part| part.as_os_str() == "src")
            && file
                .components()
                .any(|part| ["tests", "tests.rs"].contains(&&*part.as_os_str().to_string_lossy()));
        if !unit_tests && !text.starts_with("//! ") {
            faults.push(format!(
                "{} does not start with `//! `: say what the module is for and what it promises",
                file.display()
            ));
        }
    }
    report(faults);
}

#[test]
fn every_promise_has_its_file_and_every_file_its_promise() {
    let page = read(&root().join("docs/promises.md"));
    let mut listed: BTreeMap<String, (String, String)> = BTreeMap::new();
    for cells in
        table_rows(&page).into_iter().filter(|cells| cells.len() == 3 && promise_id(&cells[0]).is_some())
    {
        listed.insert(cells[2].trim_matches('`').to_owned(), (cells[0].clone(), cells[1].clone()));
    }
    let mut faults = Vec::new();
    for (file, text) in files_of_this_binary() {
        let heading = heading(&text);
        let Some(id) = promise_id(&heading) else { continue };
        match listed.remove(&file) {
            None => faults.push(format!(
                "tests/it/{file} holds {id}, but docs/promises.md does not list it: add a row"
            )),
            Some((listed_id, promise)) => {
                let told = heading[id.len()..].trim_start_matches([':', '.', ' ']);
                if listed_id != id || !told.starts_with(promise.as_str()) {
                    faults.push(format!(
                        "tests/it/{file} begins \"{heading}\", docs/promises.md says \"{listed_id}: {promise}\": make \
                         the file begin `//! {listed_id}: {promise}`"
                    ));
                }
            }
        }
    }
    faults.extend(listed.into_iter().map(|(file, (id, promise))| {
        format!(
            "docs/promises.md lists {id}, but no tests/it/{file} begins `//! {id}: {promise}`: write the test"
        )
    }));
    report(faults);
}

#[test]
fn every_file_of_this_binary_is_compiled_into_it() {
    let main = read(&root().join("tests/it/main.rs"));
    let unknown = files_of_this_binary().into_keys().filter(|file| {
        let module = file.trim_end_matches(".rs");
        module != "main" && !main.lines().any(|line| line.trim() == format!("mod {module};"))
    });
    report(unknown.map(|file| format!("tests/it/{file} never runs: add its `mod` line to tests/it/main.rs")));
}

#[test]
fn every_error_code_has_its_page_and_every_page_its_code() {
    let codes: BTreeSet<String> =
        contract::code::Code::ALL.iter().map(|code| code.name().to_owned()).collect();
    let pages: BTreeSet<String> = fs::read_dir(root().join("docs/errors"))
        .expect("docs/errors is a folder")
        .filter_map(|entry| entry.ok()?.file_name().to_string_lossy().strip_suffix(".md").map(str::to_owned))
        .filter(|name| !["README", "index"].contains(&name.as_str()))
        .collect();
    let missing = codes.difference(&pages).map(|code| {
        format!("contract::code has `{code}`, but docs/errors/{code}.md is missing: say what it means and what to do")
    });
    let stale = pages.difference(&codes).map(|page| {
        format!("docs/errors/{page}.md explains a code that contract::code does not have: remove it")
    });
    report(missing.chain(stale));
}

#[test]
fn every_error_code_is_in_the_document_of_a_door() {
    let doors = ["command-service", "query-gateway"];
    let documents = doors.map(|door| {
        let text = read(&root().join(format!("schemas/openapi/{door}.json")));
        serde_json::from_str::<serde_json::Value>(&text).expect("a document is JSON")
    });
    let has = |code: &contract::code::Code| {
        documents.iter().any(|document| {
            let place = format!(
                "/components/responses/Problem{}/content/application~1problem+json/examples/{code}",
                code.http()
            );
            document.pointer(&place).is_some()
        })
    };
    // The admin API has no document but its page.
    let page = read(&root().join("docs/operating.md"));
    let is_told = |code: &contract::code::Code| page.contains(&format!("](errors/{code}.md)"));
    let missing = contract::code::Code::ALL.iter().filter(|code| !has(code) && !is_told(code));
    report(missing.map(|code| {
        format!(
            "no document in schemas/openapi has `{code}`: add it to the codes of its door's http/openapi.rs"
        )
    }));
}

#[test]
fn every_route_and_call_has_its_row_in_the_security_page() {
    let mut expected = BTreeSet::new();
    let http = [
        ("command service", command_service::Core::PATHS),
        ("query gateway", query_gateway::Core::PATHS),
        ("projector, ops port", projector::Admin::PATHS),
        ("every ops port", edge::OPS_PATHS),
        ("both services, ops port", &[edge::openapi::DOCUMENT]),
    ];
    for (place, paths) in http {
        for taken in paths {
            let path = shown(taken.path);
            expected.insert(format!("{place} | `{} {path}` | {}", taken.methods.join(", "), taken.needs));
        }
    }
    let grpc = [
        ("command service", "CommandService", command_service::Core::CALLS),
        ("query gateway", "QueryService", query_gateway::Core::CALLS),
    ];
    for (place, service, calls) in grpc {
        for call in calls {
            expected.insert(format!("{place} | `catalog.v1.{service}/{}` | {}", call.method, call.needs));
        }
    }
    let page = read(&root().join("docs/security.md"));
    let rows: BTreeSet<String> = table_rows(&page)
        .into_iter()
        .filter(|cells| cells.len() == 3 && (cells[1].contains(" /") || cells[1].contains("catalog.v1.")))
        .map(|cells| cells.join(" | "))
        .collect();
    let missing =
        expected.difference(&rows).map(|row| format!("docs/security.md has no row `| {row} |`: add it"));
    let stale = rows
        .difference(&expected)
        .map(|row| format!("docs/security.md has `| {row} |`, which is not so: remove it"));
    report(missing.chain(stale));
}

#[test]
fn every_scope_is_in_the_security_page_and_in_the_charts_schema() {
    let page = read(&root().join("docs/security.md"));
    let rows = table_rows(&page);
    let schema = read(&root().join("helm/folio/values.schema.json"));
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("a schema is JSON");
    let known = schema["definitions"]["scopes"]["items"]["enum"].as_array().expect("the schema lists scopes");
    let mut faults = Vec::new();
    for scope in Scope::ALL {
        let says = scope.says().trim_end_matches('.');
        let says = says[..1].to_lowercase() + &says[1..];
        if !rows.contains(&vec![format!("`{scope}`"), says.clone()]) {
            faults.push(format!("docs/security.md has no row `| `{scope}` | {says} |`: add it"));
        }
    }
    let (mine, its): (BTreeSet<&str>, BTreeSet<&str>) = (
        Scope::ALL.iter().map(|scope| scope.name()).collect(),
        known.iter().filter_map(serde_json::Value::as_str).collect(),
    );
    if mine != its {
        faults
            .push(format!("helm/folio/values.schema.json knows the scopes {its:?}, and edge::auth {mine:?}"));
    }
    report(faults);
}

#[test]
fn every_risk_of_owasps_ten_has_tests_and_every_test_that_the_security_page_names_is_there() {
    let page = read(&root().join("docs/security.md"));
    let files: Vec<_> =
        rust_files().into_iter().map(|file| (file.clone(), read(&root().join(&file)))).collect();
    // `module::test`: the module's name is that of its file or of a folder above it.
    let is_there = |module: &str, test: &str| {
        let declared = [format!("fn {test}("), format!("fn {test}<")];
        files.iter().any(|(file, text)| {
            let stem = file.with_extension("");
            let is_of_it = stem.components().any(|it| it.as_os_str() == module);
            is_of_it && declared.iter().any(|it| text.contains(it))
        })
    };
    let quoted = |text: &str| -> Vec<(String, String)> {
        let quoted = text.split('`').skip(1).step_by(2).filter_map(|it| it.split_once("::"));
        quoted.map(|(module, test)| (module.to_owned(), test.to_owned())).collect()
    };
    let mut faults: Vec<String> = quoted(&page)
        .into_iter()
        .filter(|(module, test)| !is_there(module, test))
        .map(|(module, test)| format!("docs/security.md names `{module}::{test}`, which is not there"))
        .collect();
    let rows = table_rows(&page);
    for number in 1..=10 {
        let named = format!("API{number} ");
        match rows.iter().find(|cells| cells.len() == 3 && cells[0].starts_with(&named)) {
            None => faults.push(format!("docs/security.md says nothing of API{number}")),
            Some(cells) if quoted(&cells[2]).is_empty() => {
                faults.push(format!("docs/security.md names no test of API{number}"));
            }
            Some(_) => {}
        }
    }
    report(faults);
}

/// A path as documents write it: `{id}` and not `{id:[^/:]+}`.
fn shown(path: &str) -> String {
    let parts = path.split('{').enumerate().map(|(n, part)| {
        let Some((parameter, rest)) = part.split_once('}').filter(|_| n > 0) else { return part.to_owned() };
        format!("{{{}}}{rest}", parameter.split(':').next().unwrap_or_default())
    });
    parts.collect()
}

/// Who takes a route takes it by [`edge::http::Taken`], which says what it needs.
#[test]
fn no_route_is_taken_without_saying_what_it_needs() {
    const ALLOWED: [&str; 2] = ["services/edge/src/http/paths.rs", "services/edge/src/openapi.rs"];
    let taking = ["web::resource(", "web::scope(", ".route(", "web::redirect("];
    let mut faults = Vec::new();
    for file in rust_files() {
        let name = file.display().to_string();
        let is_test = name.contains("/tests") || name.starts_with("tests/") || name.starts_with("deploy/");
        if is_test || ALLOWED.contains(&name.as_str()) {
            continue;
        }
        let text = read(&root().join(&file));
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        faults.extend(taking.iter().filter(|it| text.contains(**it)).map(|it| {
            format!(
                "{name} has `{it}`: make a `Taken` that says what it needs of its callers, and its `resource`"
            )
        }));
    }
    report(faults);
}

fn allowed<'a>(name: &str, row: &'a str) -> BTreeSet<&'a str> {
    match row {
        "nothing of ours" => BTreeSet::new(),
        "all of the above" => {
            MAY_USE.iter().map(|(above, _)| *above).take_while(|above| *above != name).collect()
        }
        _ => row.split(", ").collect(),
    }
}

/// Fails with every fault at once, so that one run tells all there is to do.
fn report(faults: impl IntoIterator<Item = String>) {
    let faults: Vec<String> = faults.into_iter().collect();
    assert!(
        faults.is_empty(),
        "the architecture is broken in {} place(s):\n- {}",
        faults.len(),
        faults.join("\n- ")
    );
}
