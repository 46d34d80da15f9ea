//! Programs of others that documents and examples name. Promises that a test has them: fetched where they are missing, or else
//! the test fails and says what to install.

use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::{Context, ensure};
use local_servers::project_root;

/// The last that the Go of Debian 12 builds. Go's checksum database says what this version holds.
const GRPCURL: &str = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.8.9";

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
    succeeded(out, &format!("this test needs what `apt-get install {packages}` brings: install it"))
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

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn succeeded(out: std::io::Result<Output>, or_else: &str) -> anyhow::Result<()> {
    let out = out.with_context(|| or_else.to_owned())?;
    ensure!(out.status.success(), "{or_else}: {}", String::from_utf8_lossy(&out.stderr));
    Ok(())
}
