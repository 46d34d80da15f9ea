//! Reading the work tree: sources, tables of documents, headings of promises.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The root of the work tree.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the root").to_owned()
}

pub(super) fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()))
}

/// Every Rust source of the crates, relative to the root. Not by `git ls-files`: an unpacked archive is held too.
pub(super) fn rust_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = ["deploy", "services", "tests"].map(|folder| root().join(folder)).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("folders of sources can be listed").flatten() {
            let path = entry.path();
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            if path.is_dir() && !hidden && entry.file_name() != "target" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path.strip_prefix(root()).expect("it lies below the root").to_owned());
            }
        }
    }
    assert!(!files.is_empty(), "no sources below {}", root().display());
    files.sort();
    files
}

/// Name and text of each file in tests/it/.
pub(super) fn files_of_this_binary() -> BTreeMap<String, String> {
    let of_this_binary = |path: &PathBuf| path.parent() == Some(Path::new("tests/it"));
    rust_files()
        .into_iter()
        .filter(of_this_binary)
        .filter_map(|path| {
            Some((path.file_name()?.to_string_lossy().into_owned(), read(&root().join(&path))))
        })
        .collect()
}

/// The first paragraph of a file's own documentation, on one line.
pub(super) fn heading(text: &str) -> String {
    let paragraph = text.lines().map_while(|line| line.strip_prefix("//! ")).map(str::trim);
    paragraph.collect::<Vec<_>>().join(" ")
}

/// `P7` of `P7: A poisoned record ...`.
pub(super) fn promise_id(text: &str) -> Option<String> {
    let digits: String = text.strip_prefix('P')?.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then(|| format!("P{digits}"))
}

/// The rows of a page's Markdown tables, cell by cell.
pub(super) fn table_rows(page: &str) -> Vec<Vec<String>> {
    let rows = page.lines().filter_map(|line| line.trim().strip_prefix('|')?.strip_suffix('|'));
    rows.map(|row| row.split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}
