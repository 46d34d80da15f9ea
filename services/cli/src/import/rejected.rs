//! The file of what was left out: in the format of the file it is from, with the line and the reason beside each row, so
//! that it can be mended and imported again. What a row took from others is filled in; parents come along.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Map as Json, Value};

use super::catalog::{Catalog, Entry};
use super::row::Row;
use crate::say::say;

/// What is added to each row; an import passes over it.
pub(crate) const ADDED: [&str; 2] = ["import_line", "import_reason"];

/// Where what was left out goes. The file is made with the first row.
#[derive(Debug)]
pub struct Rejected {
    path: PathBuf,
    names: Vec<String>,
    is_table: bool,
    separator: u8,
    file: Option<File>,
    bytes: u64,
    parents: HashSet<u64>,
}

impl Rejected {
    /// The file beside `input`: `products.csv` has `products.rejected.csv`.
    pub fn path_beside(input: &Path) -> PathBuf {
        let name = input.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, "csv"));
        input.with_file_name(format!("{stem}.rejected.{extension}"))
    }

    /// Begins, or goes on after the first `bytes` of what an earlier run wrote.
    ///
    /// # Errors
    /// If the file of the run that goes on is not there as it was, or cannot be cut.
    pub fn open(path: PathBuf, catalog: &Catalog, bytes: u64) -> anyhow::Result<Self> {
        let names = catalog.columns().names().to_vec();
        let is_table = !names.is_empty();
        let separator = catalog.separator();
        let mut rejected =
            Self { path, names, is_table, separator, file: None, bytes: 0, parents: HashSet::new() };
        if bytes > 0 {
            rejected.go_on(bytes).with_context(|| format!("going on with {}", rejected.path.display()))?;
        }
        Ok(rejected)
    }

    fn go_on(&mut self, bytes: u64) -> anyhow::Result<()> {
        let length = std::fs::metadata(&self.path)?.len();
        if length < bytes {
            bail!(
                "it was changed since the import stopped: move it away, and import without --resume (what is in already stays as it is)"
            );
        }
        // Behind what was acknowledged there may be what someone wrote.
        if length > bytes
            && let Some(old) = self.renamed()?
        {
            std::io::copy(&mut File::open(old)?.take(bytes), &mut File::create(&self.path)?)?;
        }
        self.file = Some(File::options().append(true).open(&self.path)?);
        self.bytes = bytes;
        Ok(())
    }

    /// Renames what an earlier run left here, or someone else: it may have been mended, and is never lost. Call it when this run
    /// has got answers; what this run wrote stays.
    ///
    /// # Errors
    /// If it cannot be renamed.
    pub fn set_aside(&mut self) -> anyhow::Result<()> {
        if self.file.is_none()
            && let Some(old) = self.renamed()?
        {
            say!("{} of an earlier import is now {}", self.path.display(), old.display());
        }
        Ok(())
    }

    fn renamed(&self) -> anyhow::Result<Option<PathBuf>> {
        if !self.path.exists() {
            return Ok(None);
        }
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut old = self.path.with_file_name(format!("{name}.old"));
        let mut number = 1;
        while old.exists() {
            number += 1;
            old.set_file_name(format!("{name}.old{number}"));
        }
        std::fs::rename(&self.path, &old)
            .with_context(|| format!("renaming {} to {}", self.path.display(), old.display()))?;
        Ok(Some(old))
    }

    /// How long it is.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The file, if anything was left out.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|_| self.path.as_path())
    }

    /// Adds a row with why it was left out.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn add(&mut self, entry: &Entry, reason: &str) -> anyhow::Result<()> {
        self.set_aside()?;
        let mut text = Vec::new();
        if self.file.is_none() && self.is_table {
            let names: Vec<&str> = ADDED.into_iter().chain(self.own_names().map(|(_, name)| name)).collect();
            self.record(&mut text, names.into_iter().map(str::as_bytes))?;
        }
        if let Some(parent) = entry.parent.as_deref().filter(|parent| !self.parents.contains(&parent.line)) {
            self.parents.insert(parent.line);
            self.row(&mut text, parent, "no product: rows below refer to it")?;
        }
        // A parent that came along with a child is there already.
        if !(entry.is_parent && self.parents.contains(&entry.row.line)) {
            self.row(&mut text, &entry.row, reason)?;
        }
        if entry.is_parent {
            self.parents.insert(entry.row.line);
        }
        let mut write = || -> std::io::Result<()> {
            if self.file.is_none() {
                self.file = Some(File::create(&self.path)?);
            }
            self.file.as_mut().map_or(Ok(()), |file| file.write_all(&text))
        };
        write().with_context(|| format!("writing {}", self.path.display()))?;
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// The columns that are the file's own: an import of such a file has ours already.
    fn own_names(&self) -> impl Iterator<Item = (usize, &str)> {
        self.names.iter().map(String::as_str).enumerate().filter(|(_, name)| !ADDED.contains(name))
    }

    fn row(&self, text: &mut Vec<u8>, row: &Row, reason: &str) -> anyhow::Result<()> {
        let line = row.line.to_string();
        if !self.is_table {
            text.extend_from_slice(of_json(row, reason).to_string().as_bytes());
            text.push(b'\n');
            return Ok(());
        }
        if let Some(raw) = &row.raw {
            // Beyond the last column, so that it is no row before someone has mended it.
            let blanks = self.own_names().map(|_| &b""[..]);
            let cells = [line.as_bytes(), reason.as_bytes()].into_iter().chain(blanks);
            return self.record(text, cells.chain([raw.as_slice()]));
        }
        let cell = |at: usize| match row.broken.iter().find(|(broken, _)| *broken == at) {
            Some((_, bytes)) => bytes.as_slice(),
            None => row.cells.get(at).map(String::as_bytes).unwrap_or_default(),
        };
        // What stands beyond the last column is kept too: it is what is wrong.
        let beyond = self.names.len()..row.cells.len();
        let cells = self.own_names().map(|(at, _)| at).chain(beyond).map(cell);
        self.record(text, [line.as_bytes(), reason.as_bytes()].into_iter().chain(cells))
    }

    fn record<'a>(&self, text: &mut Vec<u8>, cells: impl Iterator<Item = &'a [u8]>) -> anyhow::Result<()> {
        let mut writer = csv::WriterBuilder::new().delimiter(self.separator).from_writer(text);
        writer.write_record(cells)?;
        writer.flush()?;
        Ok(())
    }
}

fn of_json(row: &Row, reason: &str) -> Value {
    let text = row.json.as_deref().unwrap_or_default();
    let mut fields = Json::new();
    fields.insert(ADDED[0].to_owned(), row.line.into());
    fields.insert(ADDED[1].to_owned(), reason.into());
    match serde_json::from_str(text) {
        // What says a field twice has no right reading: whoever mends it sees both.
        Ok(Value::Object(own)) if row.fault.is_none() => {
            fields.extend(own.into_iter().filter(|(name, _)| !ADDED.contains(&name.as_str())));
        }
        _ => drop(fields.insert("import_text".to_owned(), text.into())),
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_beside_the_input() {
        for (input, rejected) in [
            ("a/products.csv", "a/products.rejected.csv"),
            ("products.ndjson", "products.rejected.ndjson"),
            ("products.csv.gz", "products.rejected.csv"),
            ("products", "products.rejected.csv"),
        ] {
            assert_eq!(Rejected::path_beside(Path::new(input)), Path::new(rejected), "{input}");
        }
    }
}
