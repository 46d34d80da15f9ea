//! The images: their names, and the binaries that go into them. Promises that they are small, where `strip` is there: the symbols of
//! a build for tests are most of it.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

/// `folio` is the first: an image's entry point.
const PROGRAMS: [&str; 5] = ["folio", "command-service", "projector", "query-gateway", "folio-kube"];
/// What is called so in the image of a later release is another program.
const PROJECTOR: &str = "projector";
const LATER_PROJECTOR: &str = "later-projector";

/// What is deployed.
#[derive(Clone, Debug)]
pub(crate) struct Images {
    pub(crate) this: Image,
    /// A later release, which makes other rows of a read model.
    pub(crate) later: Option<Image>,
}

/// An image, as the chart's values name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) repository: String,
    pub(crate) tag: String,
    pub(crate) digest: String,
    pub(crate) pull_policy: &'static str,
}

impl Image {
    pub(crate) fn named(name: &str, pull_policy: &'static str) -> Self {
        let (name, digest) = name.split_once('@').unwrap_or((name, ""));
        // A colon before the last slash is a port's.
        let (repository, tag) =
            name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).unwrap_or((name, "latest"));
        Self {
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            digest: digest.to_owned(),
            pull_policy,
        }
    }

    /// The name, as a pod has it.
    pub(crate) fn name(&self) -> String {
        match self.digest.as_str() {
            "" => format!("{}:{}", self.repository, self.tag),
            digest => format!("{}@{digest}", self.repository),
        }
    }

    /// The chart's value `image`.
    pub(crate) fn values(&self) -> Value {
        let Self { repository, tag, digest, pull_policy } = self;
        json!({ "repository": repository, "tag": tag, "digest": digest, "pullPolicy": pull_policy })
    }
}

/// Copies of the binaries; gone with this.
pub(crate) struct Binaries {
    pub(crate) this: Vec<PathBuf>,
    pub(crate) later: Vec<PathBuf>,
    _dir: TempDir,
}

/// Copies the binaries that lie beside this program, without what only a debugger reads.
///
/// # Errors
/// If one is not there.
pub(crate) async fn binaries() -> anyhow::Result<Binaries> {
    let here = std::env::current_exe().context("asking where this program is")?;
    let from = here.parent().context("a program lies in a folder")?;
    let dir = tempfile::tempdir().context("making a folder for the binaries")?;
    let mut this = Vec::new();
    for program in PROGRAMS {
        let path = dir.path().join(program);
        copy(&from.join(program), &path).await?;
        this.push(path);
    }
    // A folder of its own: a file's name is the program's in the image.
    let folder = dir.path().join("later");
    tokio::fs::create_dir(&folder).await.context("making a folder for the later projector")?;
    let projector = folder.join(PROJECTOR);
    copy(&from.join(LATER_PROJECTOR), &projector).await?;
    let stripped = Command::new("strip").arg("--strip-debug").args(&this).arg(&projector).output().await;
    if !stripped.is_ok_and(|out| out.status.success()) {
        println!("strip (of binutils) is not there, or failed: the images are large");
    }
    let in_place = |path: &PathBuf| if path.ends_with(PROJECTOR) { projector.clone() } else { path.clone() };
    let later = this.iter().map(in_place).collect();
    Ok(Binaries { this, later, _dir: dir })
}

async fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    if let Err(error) = tokio::fs::copy(from, to).await {
        bail!("{}: {error}; `make build` makes it", from.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images_come_apart_and_together_again() {
        for (name, repository, tag) in [
            ("folio:test", "folio", "test"),
            ("registry:5000/a/folio", "registry:5000/a/folio", "latest"),
            ("registry:5000/a/folio:1.2", "registry:5000/a/folio", "1.2"),
        ] {
            let image = Image::named(name, "Never");
            assert_eq!((image.repository.as_str(), image.tag.as_str()), (repository, tag));
            assert_eq!(image.name(), format!("{repository}:{tag}"));
        }
        let pinned = Image::named("a/folio:1@sha256:00", "Always");
        assert_eq!((pinned.digest.as_str(), pinned.name().as_str()), ("sha256:00", "a/folio@sha256:00"));
    }
}
