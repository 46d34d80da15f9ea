//! The crates of this workspace, as cargo understands their manifests.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::files::root;

pub(super) struct Package {
    pub(super) name: String,
    pub(super) manifest: PathBuf,
    pub(super) dependencies: Vec<Dependency>,
}

pub(super) struct Dependency {
    pub(super) name: String,
    pub(super) normal: bool,
    pub(super) dev: bool,
}

/// The crates of this workspace by name, as cargo understands their manifests.
pub(super) fn packages() -> BTreeMap<String, Package> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let dependency = |value: &Value| Dependency {
        name: text(&value["name"]),
        normal: value["kind"].is_null(),
        dev: value["kind"] == "dev",
    };
    list(&metadata["packages"])
        .iter()
        .map(|value| Package {
            name: text(&value["name"]),
            manifest: text(&value["manifest_path"]).into(),
            dependencies: list(&value["dependencies"]).iter().map(dependency).collect(),
        })
        .map(|package| (package.name.clone(), package))
        .collect()
}

/// Every crate of ours that `name` gets in a build of its own, with the crate that asks for it.
pub(super) fn collect_used(packages: &BTreeMap<String, Package>, name: &str) -> BTreeMap<String, String> {
    let mut used_by = BTreeMap::new();
    let mut left = vec![name.to_owned()];
    while let Some(by) = left.pop() {
        for used in packages.get(&by).into_iter().flat_map(|package| &package.dependencies) {
            if used.normal && packages.contains_key(&used.name) && !used_by.contains_key(&used.name) {
                used_by.insert(used.name.clone(), by.clone());
                left.push(used.name.clone());
            }
        }
    }
    used_by
}
