//! The copy of the tree that is mutated: the files git tracks, as they are in the work tree. Its build is kept from run
//! to run, so files that did not change are not touched.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::mutant::Mutant;

/// `target/mutations` of the work tree.
#[derive(Debug)]
pub(crate) struct Copy {
    root: PathBuf,
    /// Everything of a run lies below.
    pub(crate) out: PathBuf,
    /// The tree.
    pub(crate) tree: PathBuf,
    /// Its own target directory.
    pub(crate) build: PathBuf,
}

impl Copy {
    pub(crate) fn make(root: &Path) -> anyhow::Result<Self> {
        let out = root.join("target/mutations");
        let copy = Self { root: root.to_owned(), tree: out.join("tree"), build: out.join("build"), out };
        let listed =
            Command::new("git").args(["ls-files", "-z"]).current_dir(root).output().context("git")?;
        ensure!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
        let listed = String::from_utf8(listed.stdout).context("paths are UTF-8")?;
        let files: BTreeSet<PathBuf> =
            listed.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from).collect();
        for file in &files {
            copy.restore(file)?;
        }
        copy.remove_others(&copy.tree, &files)?;
        Ok(copy)
    }

    /// Whether the patch still applies.
    pub(crate) fn check(&self, mutant: &Mutant) -> anyhow::Result<()> {
        self.git_apply(&["--check"], mutant)
            .with_context(|| format!("{} no longer applies: make it anew", mutant.file.display()))
    }

    pub(crate) fn apply(&self, mutant: &Mutant) -> anyhow::Result<()> {
        self.git_apply(&[], mutant)
    }

    /// Takes the defect out again.
    pub(crate) fn mend(&self, mutant: &Mutant) -> anyhow::Result<()> {
        mutant.touched.iter().try_for_each(|file| self.restore(file))
    }

    fn git_apply(&self, options: &[&str], mutant: &Mutant) -> anyhow::Result<()> {
        let done = Command::new("git")
            .arg("apply")
            .args(options)
            .arg(&mutant.file)
            .current_dir(&self.tree)
            // The copy is no repository: git must not take paths to be the work tree's.
            .env("GIT_CEILING_DIRECTORIES", &self.out)
            .output()
            .context("git")?;
        ensure!(done.status.success(), "git apply: {}", String::from_utf8_lossy(&done.stderr).trim());
        Ok(())
    }

    /// Makes the copy's file equal to the work tree's.
    fn restore(&self, file: &Path) -> anyhow::Result<()> {
        let (from, to) = (self.root.join(file), self.tree.join(file));
        // A tracked file may be deleted in the work tree.
        let Ok(content) = fs::read(&from) else { return Ok(()) };
        if fs::read(&to).is_ok_and(|there| there == content) {
            return Ok(());
        }
        fs::create_dir_all(to.parent().context("files lie in folders")?)?;
        // Not a copy of the time: cargo must see that the file has changed.
        fs::write(&to, content).with_context(|| format!("writing {}", to.display()))?;
        fs::set_permissions(&to, fs::metadata(&from)?.permissions())?;
        Ok(())
    }

    fn remove_others(&self, folder: &Path, files: &BTreeSet<PathBuf>) -> anyhow::Result<()> {
        for entry in fs::read_dir(folder)?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                self.remove_others(&path, files)?;
            } else if !path
                .strip_prefix(&self.tree)
                .is_ok_and(|path| files.contains(path) && self.root.join(path).exists())
            {
                fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
            }
        }
        Ok(())
    }
}
