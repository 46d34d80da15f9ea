//! The cluster, and the programs that speak to it: kubectl, helm, and the tool that makes a cluster, if one was named.
//!
//! Promises: what is missing is named with what to do; a cluster that the tool had to start is down again at the end.

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::images::{self, Image, Images};

/// What the command line says, or the environment.
#[derive(Debug, clap::Args)]
pub(crate) struct Given {
    /// How to reach a cluster that is there. Then host and image have to be given too.
    #[arg(long, env = "KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// A program that makes a cluster: it knows `up`, `image NAME:TAG FILE...`, `env`, `host` and `down`.
    #[arg(long, env = "KUBE_TOOL")]
    tool: Option<PathBuf>,
    /// The address of this machine at which pods reach it; the tool knows its own.
    #[arg(long, env = "KUBE_HOST")]
    host: Option<Ipv4Addr>,
    /// An image that the cluster can pull, with `folio`, the services and `folio-kube` in /usr/local/bin; the tool makes its own.
    #[arg(long, env = "KUBE_IMAGE")]
    image: Option<String>,
    /// The same image of a later release: its `projector` is `later-projector` of the build. Without it, and without a tool, no
    /// read model is changed by an upgrade.
    #[arg(long, env = "KUBE_LATER_IMAGE")]
    later_image: Option<String>,
    /// What decides the commands and which pods are killed; random without.
    #[arg(long, env = "SEED")]
    pub(crate) seed: Option<u64>,
}

/// A cluster that answers.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// For every program that is started.
    environment: Vec<(&'static str, String)>,
    tool: Option<PathBuf>,
    /// The tool had to start it.
    is_ours: bool,
    /// Where pods reach this machine.
    pub(crate) host: Ipv4Addr,
    /// Without a tool.
    given_images: Option<Images>,
}

impl Cluster {
    /// Finds the cluster, or lets the tool make it.
    ///
    /// # Errors
    /// If something is missing: what, and what to do.
    pub(crate) async fn find(given: &Given) -> anyhow::Result<Self> {
        match &given.tool {
            Some(tool) => Self::made_by(tool, given.host).await,
            None => Self::given(given).await,
        }
    }

    async fn given(given: &Given) -> anyhow::Result<Self> {
        let Some(kubeconfig) = &given.kubeconfig else {
            bail!(
                "there is no cluster: give KUBE_TOOL=<program that makes one>, or KUBECONFIG=<file> with KUBE_HOST=<address of this \
                 machine for pods>, KUBE_IMAGE=<image with Folio and folio-kube> and KUBE_LATER_IMAGE=<the same with later-projector as \
                 projector> (CONTRIBUTING.md, \"The chart on a cluster\")"
            );
        };
        let host = given.host.context(
            "KUBE_HOST is missing: the servers run on this machine, so give the address at which pods reach it",
        )?;
        let this = given.image.as_ref().context(
            "KUBE_IMAGE is missing: give an image that the cluster can pull, with folio, command-service, projector, query-gateway \
             and folio-kube in /usr/local/bin",
        )?;
        let image = |name: &String| Image::named(name, "IfNotPresent");
        let images = Images { this: image(this), later: given.later_image.as_ref().map(image) };
        let environment = vec![("KUBECONFIG", kubeconfig.display().to_string())];
        let cluster = Self { environment, tool: None, is_ours: false, host, given_images: Some(images) };
        cluster.needs_programs()?;
        ensure!(cluster.answers().await, "the cluster of {} does not answer", kubeconfig.display());
        Ok(cluster)
    }

    async fn made_by(tool: &Path, host: Option<Ipv4Addr>) -> anyhow::Result<Self> {
        let tool = tool.canonicalize().with_context(|| format!("KUBE_TOOL={}", tool.display()))?;
        let script = r#"eval "$("$0" env)" && printf '%s\n%s' "$KUBECONFIG" "$PATH""#;
        let told = Self::output(Command::new("bash").args(["-c", script]).arg(&tool)).await?;
        let (kubeconfig, path) =
            told.split_once('\n').with_context(|| format!("{} env gives no KUBECONFIG", tool.display()))?;
        let environment = vec![("KUBECONFIG", kubeconfig.to_owned()), ("PATH", path.to_owned())];
        let host = match host {
            Some(host) => host,
            None => Self::output(Command::new(&tool).arg("host")).await?.trim().parse()?,
        };
        let mut cluster =
            Self { environment, tool: Some(tool.clone()), is_ours: false, host, given_images: None };
        if !cluster.answers().await {
            println!(
                "starting a cluster: {} up (the first time it is built, which may take half an hour) ...",
                tool.display()
            );
            let status = Command::new(&tool).arg("up").stdin(Stdio::null()).status().await?;
            cluster.is_ours = true;
            if !status.success() {
                cluster.leave().await?;
                bail!("{} up failed, {status}: see above", tool.display());
            }
        }
        cluster.needs_programs()?;
        Ok(cluster)
    }

    /// Leaves it as it was found.
    ///
    /// # Errors
    /// If the tool cannot stop it.
    pub(crate) async fn leave(&self) -> anyhow::Result<()> {
        match &self.tool {
            Some(tool) if self.is_ours => {
                println!("stopping the cluster that was started for this: {} down", tool.display());
                Self::output(Command::new(tool).arg("down")).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    /// The images with Folio and this program.
    ///
    /// # Errors
    /// If a binary is missing, or the tool cannot make them.
    pub(crate) async fn images(&self) -> anyhow::Result<Images> {
        if let Some(images) = &self.given_images {
            return Ok(images.clone());
        }
        let tool = self.tool.as_ref().context("no tool and no image")?;
        let binaries = images::binaries().await?;
        let this = Self::image_of(tool, "folio:test", &binaries.this).await?;
        let later = Self::image_of(tool, "folio:later", &binaries.later).await?;
        Ok(Images { this, later: Some(later) })
    }

    async fn image_of(tool: &Path, name: &str, binaries: &[PathBuf]) -> anyhow::Result<Image> {
        let mut command = Command::new(tool);
        command.args(["image", name]).args(binaries);
        let name = Self::output(&mut command).await?;
        Ok(Image::named(name.trim(), "Never"))
    }

    async fn answers(&self) -> bool {
        self.kubectl(&["get", "--raw", "/readyz"]).await.is_ok()
    }

    fn needs_programs(&self) -> anyhow::Result<()> {
        let path = self.environment.iter().find(|(name, _)| *name == "PATH");
        let path = path.map_or_else(|| std::env::var("PATH").unwrap_or_default(), |(_, path)| path.clone());
        let is_there = |program: &&str| std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
        let missing: Vec<&str> = ["kubectl", "helm"].into_iter().filter(|it| !is_there(it)).collect();
        ensure!(missing.is_empty(), "not on the PATH: {}; install it (helm 3)", missing.join(" and "));
        Ok(())
    }

    /// Runs kubectl; what it printed.
    ///
    /// # Errors
    /// If it fails: with what it complained of.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        Self::output(&mut self.command("kubectl", arguments)).await
    }

    /// Gives an object to `kubectl apply`.
    ///
    /// # Errors
    /// If it is refused.
    pub(crate) async fn apply(&self, object: &Value) -> anyhow::Result<()> {
        let mut command = self.command("kubectl", &["apply", "--filename", "-"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut input = child.stdin.take().context("the input of kubectl")?;
        input.write_all(object.to_string().as_bytes()).await?;
        drop(input);
        let out = child.wait_with_output().await?;
        ensure!(out.status.success(), "kubectl apply: {}", String::from_utf8_lossy(&out.stderr));
        Ok(())
    }

    /// Runs helm; what it printed.
    ///
    /// # Errors
    /// If it fails: with what it complained of.
    pub(crate) async fn helm(&self, arguments: &[&str]) -> anyhow::Result<String> {
        Self::output(&mut self.command("helm", arguments)).await
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let path = self.environment.iter().find(|(name, _)| *name == "PATH");
        // The program itself is looked for on our own PATH, not on that of its environment.
        let found = path.and_then(|(_, path)| {
            std::env::split_paths(path).map(|dir| dir.join(program)).find(|file| file.is_file())
        });
        let mut command = Command::new(found.unwrap_or_else(|| program.into()));
        command.args(arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    async fn output(command: &mut Command) -> anyhow::Result<String> {
        let words = |command: &Command| -> Vec<String> {
            let command = command.as_std();
            let all = std::iter::once(command.get_program()).chain(command.get_args());
            all.map(OsStr::to_string_lossy).map(Into::into).collect()
        };
        let what = words(command).join(" ");
        let out = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
        let out = out.with_context(|| format!("running {what}"))?;
        let (told, complained) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        ensure!(out.status.success(), "{what}: {}\n{complained}{}", out.status, tail(&told));
        Ok(told.into_owned())
    }
}

/// The end of what a program printed.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
