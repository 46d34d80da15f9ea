//! Every value of the chart is used by a template, and set by a suite or an example. Needs no tool.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::documents::values_in_the_readme;
use super::{EXAMPLES, chart, values};

/// Maps that templates hand on as a whole: nobody names what is in them.
const HANDED_ON: [&str; 2] = ["resources", "readModels"];

#[test]
fn every_value_is_used_by_a_template() -> anyhow::Result<()> {
    let mut templates = String::new();
    for file in files(&chart().join("templates"))? {
        templates.push_str(&fs::read_to_string(file)?);
    }
    let is_used = |value: &String| {
        let mut keys = value.rsplit('.');
        let (key, within) = (keys.next().unwrap_or_default(), keys.next().unwrap_or_default());
        is_named(&templates, if HANDED_ON.contains(&within) { within } else { key })
    };
    let unused: Vec<String> = values_in_the_readme()?.into_iter().filter(|value| !is_used(value)).collect();
    ensure!(unused.is_empty(), "no template of the chart names these values: {unused:?}");
    Ok(())
}

#[test]
fn every_value_is_set_by_a_suite_or_an_example() -> anyhow::Result<()> {
    let mut set = BTreeSet::new();
    for example in EXAMPLES {
        leaves(&read(&values(example))?, "", &mut set);
    }
    for file in files(&chart().join("tests"))? {
        if !file.to_string_lossy().ends_with("_test.yaml") {
            continue;
        }
        let suite = read(&file)?;
        let cases = suite["tests"].as_array().with_context(|| format!("{}: tests", file.display()))?;
        // A dot in a key goes one deeper there, so the path reads the same.
        for case in cases {
            leaves(&case["set"], "", &mut set);
        }
    }
    let is_set = |value: &String| {
        let within = format!("{value}.");
        set.iter().any(|path| path == value || path.starts_with(&within))
    };
    let forgotten: Vec<String> = values_in_the_readme()?.into_iter().filter(|value| !is_set(value)).collect();
    ensure!(
        forgotten.is_empty(),
        "no suite (helm/folio/tests) and no example sets these values: {forgotten:?}"
    );
    Ok(())
}

/// Does a template name a key, as `.key` or as `"key"`?
fn is_named(templates: &str, key: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_');
    let field = format!(".{key}");
    templates.contains(&format!("\"{key}\"")) || templates.split(&field).skip(1).any(ends)
}

/// The paths of all that is no map, or an empty one.
fn leaves(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value.as_object().filter(|map| !map.is_empty()) {
        Some(map) => {
            for (key, below) in map {
                let dot = if path.is_empty() { "" } else { "." };
                leaves(below, &format!("{path}{dot}{key}"), found);
            }
        }
        None => {
            found.insert(path.to_owned());
        }
    }
}

fn read(file: &Path) -> anyhow::Result<Value> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    serde_yaml_ng::from_str(&text).with_context(|| file.display().to_string())
}

/// All files in a folder and those in it.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.append(&mut files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}
