//! What the chart's documents say: its values, their schema and README, its alerts, dashboards and runbooks. Needs no tool.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use toolkit::telemetry::names::{self, Kind};

use super::chart;

/// Where the table of values stands in the README.
const TABLE: (&str, &str) =
    ("<!-- values: made by tests/it/the_chart_renders -->\n", "<!-- end of values -->\n");
/// Objects that Kubernetes, not the chart, says all about, have this comment in the schema.
const NOT_OURS: [&str; 2] =
    ["Kubernetes' own: its API server says what is in it", "Helm gives it to every chart"];

pub(super) fn schema() -> anyhow::Result<Value> {
    Ok(serde_json::from_str(&fs::read_to_string(chart().join("values.schema.json"))?)?)
}

/// The path of every value: the first column of the README's table, which another test here compares with values.yaml.
pub(super) fn values_in_the_readme() -> anyhow::Result<Vec<String>> {
    let readme = fs::read_to_string(chart().join("README.md"))?;
    let table = readme.split_once(TABLE.0).and_then(|(_, rest)| rest.split_once(TABLE.1));
    let (table, _) = table.context("README.md has no table of values")?;
    let value = |row: &str| Some(row.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    let found: Vec<String> = table.lines().filter_map(value).collect();
    ensure!(found.len() > 100, "only {found:?} are in the table: this test does not find them");
    Ok(found)
}

#[test]
fn the_readme_and_the_schema_say_what_the_values_say() -> anyhow::Result<()> {
    let text = fs::read_to_string(chart().join("values.yaml"))?;
    let (values, schema): (Value, Value) = (serde_yaml_ng::from_str(&text)?, schema()?);
    for (path, comment) in comments(&text) {
        let described = description(&schema, &path);
        ensure!(
            described.as_deref() == Some(comment),
            "{}: values.yaml says {comment:?}, and values.schema.json {described:?}",
            path.join(".")
        );
    }
    let mut table = "| value | default | what it is |\n| --- | --- | --- |\n".to_owned();
    rows(&schema, &values, &mut Vec::new(), &mut table)?;
    let file = chart().join("README.md");
    let readme = fs::read_to_string(&file)?;
    let (before, rest) = readme.split_once(TABLE.0).context("README.md has no table of values")?;
    let (_, after) = rest.split_once(TABLE.1).context("README.md: the table of values has no end")?;
    let made = [before, TABLE.0, &table, TABLE.1, after].concat();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &made)?;
        return Ok(());
    }
    ensure!(
        made == readme,
        "README.md of the chart is not made of these values: run this test with UPDATE_GOLDEN=1"
    );
    Ok(())
}

#[test]
fn the_schema_is_closed_and_describes_every_value() -> anyhow::Result<()> {
    let schema = schema()?;
    let mut faults = Vec::new();
    closed(&schema, &schema, "", &mut faults);
    let definitions = schema["definitions"].as_object().context("definitions")?;
    for (name, definition) in definitions {
        closed(&schema, definition, name, &mut faults);
    }
    ensure!(faults.is_empty(), "values.schema.json:\n- {}", faults.join("\n- "));
    Ok(())
}

#[test]
fn alerts_and_dashboards_ask_for_metrics_that_are_there_and_every_alert_has_a_runbook() -> anyhow::Result<()>
{
    let alerts = fs::read_to_string(chart().join("files/alerts.yaml"))?;
    let mut asked = metrics_in(&alerts);
    for file in fs::read_dir(chart().join("files/dashboards"))? {
        let text = fs::read_to_string(file?.path())?;
        let dashboard: Value = serde_json::from_str(&text)?;
        ensure!(
            dashboard["panels"].as_array().is_some_and(|panels| !panels.is_empty()),
            "a dashboard without panels: {text}"
        );
        asked.append(&mut metrics_in(&text));
    }
    ensure!(asked.len() > 20, "only {asked:?} are asked for: this test does not find them");
    let unknown: Vec<&String> = asked.iter().filter(|name| !is_metric(name)).collect();
    ensure!(unknown.is_empty(), "there are no such metrics (toolkit::telemetry::names): {unknown:?}");

    let alerts: Value = serde_yaml_ng::from_str(&alerts)?;
    let groups = alerts["groups"].as_array().context("groups")?;
    let rules = groups.iter().filter_map(|group| group["rules"].as_array()).flatten();
    let named: BTreeSet<String> = rules.filter_map(|rule| Some(rule["alert"].as_str()?.to_owned())).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/runbooks");
    let mut written = BTreeSet::new();
    for file in fs::read_dir(&folder)? {
        let path = file?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).context("a name")?.to_owned();
        let page = fs::read_to_string(&path)?;
        for part in
            [&format!("# {name}\n"), "\n## What it means\n", "\n## What to look at\n", "\n## What to do\n"]
        {
            ensure!(page.contains(part), "{}: there is no `{}`", path.display(), part.trim());
        }
        let is_told = |name: &str| is_metric(name) || names::find(name).is_some();
        let unknown: Vec<String> = metrics_in(&page).into_iter().filter(|name| !is_told(name)).collect();
        ensure!(unknown.is_empty(), "{}: there are no such metrics: {unknown:?}", path.display());
        written.insert(name);
    }
    ensure!(named == written, "alerts {named:?}, and runbooks {written:?}");
    Ok(())
}

#[test]
fn the_chart_and_the_image_have_the_topic_and_the_versions_that_folio_has() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (copy, declared) = (chart().join("files/topics.yaml"), root.join("deploy/topics.yaml"));
    ensure!(
        fs::read_to_string(&copy)? == fs::read_to_string(&declared)?,
        "{} is not a copy of {}: copy it again",
        copy.display(),
        declared.display()
    );
    let about: Value = serde_yaml_ng::from_str(&fs::read_to_string(chart().join("Chart.yaml"))?)?;
    ensure!(
        about["appVersion"] == env!("CARGO_PKG_VERSION"),
        "appVersion in Chart.yaml is {}",
        about["appVersion"]
    );
    let toolchain = fs::read_to_string(root.join("rust-toolchain.toml"))?;
    let channel = toolchain.split('"').nth(1).context("rust-toolchain.toml names no channel")?;
    let image = fs::read_to_string(root.join("deploy/Dockerfile"))?;
    ensure!(
        image.lines().any(|line| line == format!("ARG RUST={channel}")),
        "deploy/Dockerfile builds with another Rust than {channel}, that of rust-toolchain.toml"
    );
    Ok(())
}

/// The comments `# -- ...` of values, each with the path of the key below it.
fn comments(text: &str) -> Vec<(Vec<&str>, &str)> {
    let (mut found, mut path, mut comment) = (Vec::new(), Vec::new(), None);
    for line in text.lines() {
        let entry = line.trim_start();
        if let Some(said) = entry.strip_prefix("# -- ") {
            comment = Some(said);
            continue;
        }
        if let Some((key, _)) = entry.split_once(':').filter(|_| !entry.starts_with('#')) {
            path.truncate((line.len() - entry.len()) / 2);
            path.push(key);
            found.extend(comment.map(|comment| (path.clone(), comment)));
        }
        comment = None;
    }
    found
}

/// The part of the schema that a node is, or points at.
fn resolved<'s>(schema: &'s Value, node: &'s Value) -> &'s Value {
    let name = node["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/definitions/"));
    name.map_or(node, |name| &schema["definitions"][name])
}

/// What the schema says of a value: where it stands, else where that points.
fn description(schema: &Value, path: &[&str]) -> Option<String> {
    let node = path.iter().try_fold(schema, |node, key| resolved(schema, node)["properties"].get(key))?;
    let said = node.get("description").or_else(|| resolved(schema, node).get("description"))?;
    said.as_str().map(str::to_owned)
}

/// A row for every value that the schema takes apart no further.
fn rows<'v>(
    schema: &Value,
    values: &'v Value,
    path: &mut Vec<&'v str>,
    table: &mut String,
) -> anyhow::Result<()> {
    for (key, value) in values.as_object().context("values are a map")? {
        path.push(key);
        let node = path.iter().try_fold(schema, |node, key| resolved(schema, node)["properties"].get(*key));
        let node = node
            .with_context(|| format!("{} is in values.yaml and not in values.schema.json", path.join(".")))?;
        let has_parts = resolved(schema, node).get("properties").is_some();
        if has_parts && value.as_object().is_some_and(|parts| !parts.is_empty()) {
            rows(schema, value, path, table)?;
        } else {
            let said =
                description(schema, path).with_context(|| format!("{} is not described", path.join(".")))?;
            let cell = |text: &str| text.replace('|', "\\|");
            let row =
                ["| `", &path.join("."), "` | `", &cell(&value.to_string()), "` | ", &cell(&said), " |\n"];
            table.push_str(&row.concat());
        }
        path.pop();
    }
    Ok(())
}

/// Finds objects that take any key, and values that are not described.
fn closed(schema: &Value, node: &Value, name: &str, faults: &mut Vec<String>) {
    let is_ours = node["$comment"].as_str().is_none_or(|comment| !NOT_OURS.contains(&comment));
    let is_map = node["additionalProperties"].is_object();
    if node["type"] == "object" && is_ours && !is_map && node["additionalProperties"] != false {
        faults.push(format!("{name} takes any key"));
    }
    for (key, part) in node["properties"].as_object().into_iter().flatten() {
        let path = format!("{name}.{key}");
        if part.get("description").or_else(|| resolved(schema, part).get("description")).is_none() {
            faults.push(format!("{path} is not described"));
        }
        closed(schema, part, &path, faults);
    }
    if is_ours && node["items"].is_object() {
        closed(schema, &node["items"], &format!("{name}[]"), faults);
    }
}

/// Every name in a text that looks like one of our metrics.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
    words
        .filter(|word| word.starts_with("folio_") || word.starts_with("ledger_"))
        .map(str::to_owned)
        .collect()
}

/// Whether Prometheus knows a series of this name.
fn is_metric(name: &str) -> bool {
    let is_histogram = |metric: &names::Metric| matches!(metric.kind, Kind::Histogram(_));
    let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
    names::find(name).is_some_and(|metric| !is_histogram(metric))
        || of_histogram.and_then(names::find).is_some_and(is_histogram)
}
