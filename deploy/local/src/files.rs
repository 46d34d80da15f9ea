//! Small helpers on files, with errors that name the path.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context;

pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

pub(super) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// Writes a file that another process may be reading: it sees the old text or the new one.
pub(super) fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    write(&new, text)?;
    std::fs::rename(&new, path).with_context(|| format!("renaming {} to {}", new.display(), path.display()))
}

/// Makes `dir` and returns its one absolute name.
pub(super) fn make_dir(dir: &Path) -> anyhow::Result<PathBuf> {
    let dir = std::path::absolute(dir).with_context(|| format!("resolving {}", dir.display()))?;
    std::fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    dir.canonicalize().with_context(|| format!("resolving {}", dir.display()))
}

/// Adds text at the end of a file.
pub(super) fn append(path: &Path, text: &str) -> anyhow::Result<()> {
    let whole = format!("{}\n{text}\n", read(path)?);
    write(path, &whole)
}

/// Removes `dir` with all it holds; none there is fine.
pub(super) fn remove_dir(dir: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// Is `file` still the one that `path` names?
pub(super) fn is_file_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), path.metadata()) else { return false };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

/// Replaces each `{{name}}` of a template.
///
/// # Errors
/// If a placeholder has no value.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> anyhow::Result<String> {
    let mut text = template.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("{{{{{name}}}}}"), value);
    }
    // Comments talk about `{{...}}`.
    if let Some(left) = text.lines().find(|line| !line.starts_with('#') && line.contains("{{")) {
        anyhow::bail!("filling in a configuration template: no value for {left:?}");
    }
    Ok(text)
}
