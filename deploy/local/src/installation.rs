//! The servers' programs: fetched once per project, used by every instance. Promises that a server's folder is used only
//! when it is complete and was fetched by today's POM, and that two processes preparing at once do not meet.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::server::Kind;
use super::{fetch, files};

const OLDEST_JAVA: u32 = 17;

/// Where the jars and the configuration templates are.
#[derive(Clone, Debug)]
pub struct Installation {
    /// `<project>/.folio/servers`.
    servers: PathBuf,
    /// `<project>/deploy/local`.
    templates: PathBuf,
    /// For every server, after those of its `jvm.options`.
    java_options: Vec<String>,
    /// Where clients connect.
    host: Ipv4Addr,
}

impl Installation {
    /// Makes sure that the programs of all four servers are there, fetching from Maven Central what is not.
    ///
    /// # Errors
    /// If `java` is missing or older than 17, `mvn` or `javac` is missing when they are needed, or fetching fails.
    pub fn prepare(project_root: &Path) -> anyhow::Result<Self> {
        check_java()?;
        let templates = project_root.join("deploy/local");
        if !templates.join("pom.xml").is_file() {
            bail!("looking for the servers' POMs: {} is not the project's root", project_root.display());
        }
        let servers = files::make_dir(&project_root.join(".folio/servers"))?;
        let templates = files::make_dir(&templates)?;
        let installation = Self { servers, templates, java_options: Vec::new(), host: Ipv4Addr::LOCALHOST };
        if installation.missing().is_empty() {
            return Ok(installation);
        }
        let lock = installation.servers.join("lock");
        let lock = File::create(&lock).with_context(|| format!("making {}", lock.display()))?;
        lock.lock().context("waiting for another process that fetches the servers")?;
        // Looked at again: whoever held the lock may have fetched everything.
        let missing = installation.missing();
        if !missing.is_empty() {
            fetch::fetch(&installation, &missing)?;
        }
        Ok(installation)
    }

    fn missing(&self) -> Vec<Kind> {
        Kind::ALL.into_iter().filter(|kind| !self.is_complete(*kind)).collect()
    }

    fn is_complete(&self, kind: Kind) -> bool {
        let fetched = std::fs::read_to_string(self.marker(kind)).ok();
        fetched.is_some() && fetched == self.recipe(kind).ok()
    }

    /// Everything that decides what is fetched and built for a server; its marker holds it.
    pub(super) fn recipe(&self, kind: Kind) -> anyhow::Result<String> {
        let mut recipe = files::read(&self.template(kind, "pom.xml"))?;
        if kind == Kind::Elasticsearch {
            recipe += &files::read(&self.template(kind, "Launcher.java"))?;
        }
        Ok(recipe)
    }

    /// Written last, when all else is there.
    pub(super) fn marker(&self, kind: Kind) -> PathBuf {
        self.home(kind).join(".complete")
    }

    /// The folder of all servers' programs.
    pub(super) fn servers(&self) -> &Path {
        &self.servers
    }

    /// The folder of one server's programs.
    pub(super) fn home(&self, kind: Kind) -> PathBuf {
        self.servers.join(format!("{}-{}", kind.name(), kind.version()))
    }

    /// A file of `deploy/local/<server>`.
    pub(super) fn template(&self, kind: Kind, file: &str) -> PathBuf {
        self.templates.join(kind.name()).join(file)
    }

    /// `deploy/local/pom.xml`.
    pub(super) fn pom(&self) -> PathBuf {
        self.templates.join("pom.xml")
    }

    /// The class path of all jars of a server.
    pub(super) fn class_path(&self, kind: Kind) -> String {
        self.home(kind).join("libs/*").display().to_string()
    }

    /// The options of `java` for a server; what is to run follows them.
    pub(super) fn java_options(&self, kind: Kind) -> Vec<String> {
        let file = format!("@{}", self.template(kind, "jvm.options").display());
        [file].into_iter().chain(self.archive_option(kind)).chain(self.java_options.iter().cloned()).collect()
    }

    /// For clients that are not on loopback: servers take them on `host`, an address of this machine, tell it to those who ask
    /// where they are, and take nobody on 127.0.0.1. (What is between servers stays there.)
    #[must_use]
    pub fn on(self, host: Ipv4Addr) -> Self {
        Self { host, ..self }
    }

    pub(super) fn host(&self) -> Ipv4Addr {
        self.host
    }

    pub(super) fn with_java_option(mut self, option: &str) -> Self {
        self.java_options.push(option.to_owned());
        self
    }

    /// For servers that live for a test run: no optimising compiler, which at first takes more of the processor's time
    /// than it saves. Not for measuring.
    #[must_use]
    pub fn for_tests(self) -> Self {
        self.with_java_option("-XX:TieredStopAtLevel=1")
    }
}

/// The project this program was built from, or the one that the working directory is in.
///
/// # Errors
/// If neither holds `deploy/local/pom.xml`.
pub fn project_root() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir().context("asking for the working directory")?;
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    here.ancestors()
        .chain([built.as_path()])
        .find(|dir| dir.join("deploy/local/pom.xml").is_file())
        .with_context(|| {
            format!("no deploy/local/pom.xml in {} or above it: run it in the project", here.display())
        })?
        .canonicalize()
        .context("resolving the project's root")
}

fn check_java() -> anyhow::Result<()> {
    let output = Command::new("java").arg("-version").output().context(
        "running java -version: the local servers need a JDK of version 17 or later on the PATH (openjdk-17-jdk-headless)",
    )?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match java_version(&said) {
        Some(version) if version >= OLDEST_JAVA => Ok(()),
        Some(version) => bail!("java is version {version}, the local servers need {OLDEST_JAVA} or later"),
        None => bail!("cannot tell the version of java from {said:?}"),
    }
}

/// The major version in what `java -version` prints; `1.8.0` is 8.
pub(super) fn java_version(said: &str) -> Option<u32> {
    let quoted = said.lines().find_map(|line| line.split_once("version \"")?.1.split('"').next())?;
    let mut numbers = quoted.split(|character: char| !character.is_ascii_digit());
    match numbers.next()?.parse().ok()? {
        1 => numbers.next()?.parse().ok(),
        version => Some(version),
    }
}
