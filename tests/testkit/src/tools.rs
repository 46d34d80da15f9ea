//! Programs of others that documents and examples name. Promises that a test has them: fetched where they are missing, or else
//! the test fails and says what to install.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, ensure};
use local_servers::project_root;

/// The last that the Go of Debian 12 builds. Go's checksum database says what this version holds.
const GRPCURL: &str = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.8.9";

/// What judges the chart: programs, each with its module and version. They need Go 1.26, which is newer than Debian's.
const OF_CHARTS: [(&str, &str); 3] = [
    ("helm", "helm.sh/helm/v3@v3.22.0"),
    ("helm-unittest", "github.com/helm-unittest/helm-unittest@v1.1.2"),
    ("kubeconform", "github.com/yannh/kubeconform@v0.8.0"),
];
const GO_OF_CHARTS: u32 = 26;
/// Set for the tests if the runner could not build the tools of charts: none of them tries again.
pub const HAVE_FAILED: &str = "FOLIO_NO_CHART_TOOLS";

/// Makes sure of these programs; those that are not on the `PATH` are installed as Debian packages them.
///
/// # Errors
/// If one is missing and cannot be installed.
pub fn require(programs: &[&str]) -> anyhow::Result<()> {
    let missing = programs.iter().filter(|it| !is_there(it));
    let packages: Vec<&str> = missing.map(|&it| if it == "go" { "golang-go" } else { it }).collect();
    if packages.is_empty() {
        return Ok(());
    }
    let packages = packages.join(" ");
    let script = format!("apt-get update -qq && apt-get install -y -qq {packages}");
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|it| it.stdout == b"0\n");
    let (shell, arguments): (_, &[&str]) = if is_root { ("sh", &[]) } else { ("sudo", &["-n", "sh"]) };
    let out = Command::new(shell).args(arguments).args(["-c", &script]).output();
    succeeded(out, &format!("this test needs what `apt-get install {packages}` brings: install it")).map(drop)
}

/// The folder that holds `grpcurl`: built there, once, if it is not on the `PATH`.
///
/// # Errors
/// If it cannot be built.
pub fn grpcurl() -> anyhow::Result<PathBuf> {
    let folder = project_root()?.join(".folio/tools");
    if !is_there("grpcurl") && !folder.join("grpcurl").is_file() {
        require(&["go"])?;
        let out = Command::new("go").args(["install", GRPCURL]).env("GOBIN", &folder).output();
        succeeded(out, "this test needs grpcurl: install it, or Go 1.19 or later to build it")?;
    }
    Ok(folder)
}

/// The programs that judge the chart.
#[derive(Clone, Debug)]
pub struct ChartTools {
    pub helm: PathBuf,
    pub unittest: PathBuf,
    pub kubeconform: PathBuf,
}

/// Helm, its tests, and what knows the kinds of Kubernetes: built once, which takes two processors for some minutes; the runner
/// does it before the first test. `None`, said aloud, where there is no Go that builds them, or nowhere to fetch them from.
///
/// # Errors
/// If the project's folder cannot be found.
pub fn of_charts() -> anyhow::Result<Option<ChartTools>> {
    // Tests run side by side.
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let there = OF_CHARTS.map(|(program, module)| built(program, module).map(|path| path.is_file()));
    let are_there = there.into_iter().collect::<anyhow::Result<Vec<_>>>()?.into_iter().all(|it| it);
    if !are_there {
        let skipped = "SKIPPED: the chart is not rendered, linted and tested";
        if std::env::var_os(HAVE_FAILED).is_some() {
            eprintln!("{skipped}: its tools could not be built, as was said when the tests began");
            return Ok(None);
        }
        if !has_go(GO_OF_CHARTS) {
            eprintln!(
                "{skipped}: install Go 1.{GO_OF_CHARTS} or later, which builds helm, helm-unittest and kubeconform"
            );
            return Ok(None);
        }
        eprintln!("building helm, helm-unittest and kubeconform, once: some minutes");
    }
    let [helm, unittest, kubeconform] = OF_CHARTS.map(|(program, module)| build(program, module));
    match (helm, unittest, kubeconform) {
        (Ok(helm), Ok(unittest), Ok(kubeconform)) => Ok(Some(ChartTools { helm, unittest, kubeconform })),
        (Err(error), ..) | (_, Err(error), _) | (_, _, Err(error)) => {
            eprintln!("SKIPPED: the chart is not rendered, linted and tested: {error:#}");
            Ok(None)
        }
    }
}

/// Where a program is, or will be: another version is another file.
fn built(program: &str, module: &str) -> anyhow::Result<PathBuf> {
    let version = module.rsplit('@').next().unwrap_or_default();
    Ok(project_root()?.join(format!(".folio/tools/{program}-{version}/{program}")))
}

/// Builds `cmd/<program>` of a module inside the module, so that what it says of its dependencies holds (`go install` refuses modules
/// that replace some).
fn build(program: &str, module: &str) -> anyhow::Result<PathBuf> {
    let path = built(program, module)?;
    if !path.is_file() {
        let out = go().args(["mod", "download", "-json", module]).output();
        let told = succeeded(out, &format!("this test needs {module} of Go's module proxy"))?;
        let told: serde_json::Value = serde_json::from_slice(&told)?;
        let dir =
            told["Dir"].as_str().with_context(|| format!("Go does not say where it put {module}: {told}"))?;
        let out = go()
            .args(["build", "-ldflags", "-s -w", "-o"])
            .arg(&path)
            .arg(format!("./cmd/{program}"))
            .current_dir(dir)
            .env("CGO_ENABLED", "0")
            .output();
        succeeded(out, &format!("this test needs {program}, which Go could not build"))?;
    }
    Ok(path)
}

/// Go, which may wait for ever for a proxy that says nothing.
fn go() -> Command {
    let mut command = Command::new("timeout");
    command.args(["900", "go"]);
    command
}

fn has_go(least: u32) -> bool {
    let told =
        Command::new("go").args(["env", "GOVERSION"]).output().map(|out| out.stdout).unwrap_or_default();
    let version = String::from_utf8(told).ok();
    let minor =
        version.as_deref().and_then(|text| text.trim().strip_prefix("go1.")?.split('.').next()?.parse().ok());
    minor.is_some_and(|minor: u32| minor >= least)
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// What a program that succeeded said.
fn succeeded(out: std::io::Result<Output>, or_else: &str) -> anyhow::Result<Vec<u8>> {
    let out = out.with_context(|| or_else.to_owned())?;
    ensure!(out.status.success(), "{or_else}: {}", String::from_utf8_lossy(&out.stderr));
    Ok(out.stdout)
}
