//! Fetches the servers' programs from Maven Central and makes them runnable.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, bail};

use super::installation::Installation;
use super::process::run;
use super::server::Kind;
use super::{archive, files, stack};

/// Maven Central now and then drops a connection.
const ATTEMPTS: u32 = 3;

/// Fetches `kinds` anew, all in one run of Maven (its local repository is not safe for several), and writes their markers.
pub(super) fn fetch(installation: &Installation, kinds: &[Kind]) -> anyhow::Result<()> {
    require("mvn", "-v", "Maven (maven)")?;
    if kinds.contains(&Kind::Elasticsearch) {
        require("javac", "-version", "a JDK, not only a Java runtime (openjdk-17-jdk-headless)")?;
    }
    let names: Vec<String> =
        kinds.iter().map(|kind| format!("{} {}", kind.title(), kind.version())).collect();
    stack::report(format_args!("fetching {} from Maven Central, once", names.join(", ")));
    let begin = Instant::now();
    for kind in kinds {
        files::remove_dir(&installation.home(*kind))?;
    }
    maven(installation, kinds)?;
    for kind in kinds {
        match kind {
            Kind::Elasticsearch => compile_launcher(installation)?,
            Kind::Registry => unpack_registry(installation)?,
            Kind::Kafka | Kind::Cassandra => {}
        }
    }
    archive::record(installation, kinds)?;
    for kind in kinds {
        files::replace(&installation.marker(*kind), &installation.recipe(*kind)?)?;
    }
    let seconds = begin.elapsed().as_secs_f64();
    stack::report(format_args!("fetched into {} in {seconds:.1} s", installation.servers().display()));
    Ok(())
}

fn require(tool: &str, question: &str, what: &str) -> anyhow::Result<()> {
    let found = Command::new(tool).arg(question).output();
    if !found.is_ok_and(|output| output.status.success()) {
        bail!("running {tool} {question}: fetching the local servers needs {what} on the PATH");
    }
    Ok(())
}

fn maven(installation: &Installation, kinds: &[Kind]) -> anyhow::Result<()> {
    let modules: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    let log = installation.servers().join("maven.log");
    for attempt in 1.. {
        let mut command = Command::new("mvn");
        command
            .args(["-q", "-B", "-T", "4", "generate-resources"])
            .arg(format!("-Dfolio.servers={}", installation.servers().display()))
            .args(["-pl", &modules.join(",")])
            .arg("-f")
            .arg(installation.pom());
        match run(&mut command, &log) {
            Err(error) if attempt < ATTEMPTS => {
                stack::report(format_args!("attempt {attempt} of {ATTEMPTS} failed: {error:#}"));
            }
            result => return result.context("fetching jars from Maven Central"),
        }
    }
    Ok(())
}

/// Into a jar: folders of classes cannot be archived.
fn compile_launcher(installation: &Installation) -> anyhow::Result<()> {
    let kind = Kind::Elasticsearch;
    let classes = installation.home(kind).join("classes");
    let log = installation.servers().join("javac.log");
    let mut javac = Command::new("javac");
    javac
        .arg("-d")
        .arg(&classes)
        .args(["-cp", &installation.class_path(kind)])
        .arg(installation.template(kind, "Launcher.java"));
    run(&mut javac, &log).context("compiling Elasticsearch's launcher")?;
    let mut jar = Command::new("jar");
    jar.arg("--create")
        .arg("--file")
        .arg(installation.home(kind).join("libs/launcher.jar"))
        .arg("-C")
        .arg(&classes)
        .arg(".");
    run(&mut jar, &log).context("packing Elasticsearch's launcher")
}

fn unpack_registry(installation: &Installation) -> anyhow::Result<()> {
    let home = installation.home(Kind::Registry);
    let libs = home.join("libs");
    let archive = only_file(&libs)?;
    let mut command = Command::new("tar");
    command.arg("-xzf").arg(&archive).arg("-C").arg(&home);
    run(&mut command, &installation.servers().join("tar.log")).context("unpacking the registry")?;
    files::remove_dir(&libs)
}

fn only_file(dir: &Path) -> anyhow::Result<std::path::PathBuf> {
    let mut entries = std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))?;
    let first = entries.next().with_context(|| format!("{} is empty", dir.display()))?;
    Ok(first.with_context(|| format!("reading {}", dir.display()))?.path())
}
