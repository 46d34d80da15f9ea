//! What the run stands on: the servers on this machine, a namespace that enforces Pod Security *restricted*, the release's
//! values, and the client's pod. Promises that all of it goes at the end.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use cli::config::Config;
use cli::system::Names;
use local_servers::{Installation, Stack, Watchdog, project_root};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::servers::test_prefix;
use tokio::net::TcpListener;

use crate::cluster::Cluster;
use crate::control::{self, Remote};
use crate::images::{Image, Images};

/// What the release is called; the chart names its objects after it.
pub(crate) const RELEASE: &str = "folio";
pub(crate) const WORKLOADS: [&str; 5] = [
    "statefulset/folio-command-service",
    "deployment/folio-query-gateway",
    "deployment/folio-projector-products",
    "deployment/folio-projector-history",
    "deployment/folio-projector-search",
];
const CLIENT: &str = "client";
/// What picks the pods that run; what a hook left to be looked at is none of them, and not uninstalled either.
pub(crate) const OURS: &str =
    "app.kubernetes.io/instance=folio,app.kubernetes.io/component notin (setup,test)";
/// What is told of a pod's log when the run fails.
const TAIL: &str = "--tail=40";

pub(crate) struct Stage<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) namespace: String,
    has_namespace: bool,
    /// The values of the release.
    values: PathBuf,
    /// Those of a later one that differ, if there is an image of it.
    later_values: Option<PathBuf>,
    chart: PathBuf,
    image: Option<Image>,
    servers: Option<Stack>,
    // Ends the servers, whatever happens.
    watchdog: Option<Watchdog>,
    dir: TempDir,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(cluster: &'a Cluster) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("making a folder for the run")?;
        Ok(Self {
            cluster,
            namespace: format!("folio-{}", test_prefix()),
            has_namespace: false,
            values: dir.path().join("values.json"),
            later_values: None,
            chart: project_root()?.join("helm/folio"),
            image: None,
            servers: None,
            watchdog: None,
            dir,
        })
    }

    /// Starts the servers at the address at which pods reach this machine.
    pub(crate) async fn start_servers(&mut self) -> anyhow::Result<()> {
        let watchdog = Watchdog::over(&self.dir.path().join("servers"))?;
        let (dir, host) = (watchdog.dir().join("stack"), self.cluster.host);
        self.watchdog = Some(watchdog);
        let start = move || {
            let installation = Installation::prepare(&project_root()?)?.for_tests().on(host);
            Stack::start(&installation, &dir)
        };
        let started = tokio::task::spawn_blocking(start).await?;
        let servers = started.with_context(|| {
            format!("starting the servers on {host}, where pods reach this machine: it has to be an address of this machine")
        })?;
        self.servers = Some(servers);
        Ok(())
    }

    /// Makes images, namespace and values.
    pub(crate) async fn prepare(&mut self) -> anyhow::Result<()> {
        let Images { this: image, later } = self.cluster.images().await?;
        let servers = &self.servers.as_ref().context("the servers are started first")?.addresses;
        let values = json!({
            "image": image.values(),
            "kafka": { "bootstrapServers": servers.kafka_bootstrap },
            "registry": { "url": servers.registry_url },
            "cql": { "contactPoints": [servers.cql_contact_point] },
            "search": { "url": servers.elasticsearch_url },
            // Two of each door, which say that they go before they go: so a pod may end and nobody notices.
            "commandService": { "replicaCount": 2 },
            "queryGateway": { "replicaCount": 2 },
            "shutdown": { "drainDelaySeconds": 3, "graceSeconds": 25 },
        });
        std::fs::write(&self.values, values.to_string()).context("writing the release's values")?;
        self.image = Some(image);
        if let Some(later) = later {
            let path = self.dir.path().join("later-values.json");
            let values = json!({ "image": later.values() });
            std::fs::write(&path, values.to_string()).context("writing the later release's values")?;
            self.later_values = Some(path);
        }
        let name = &self.namespace;
        let enforce = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": enforce } });
        self.has_namespace = true;
        self.cluster.apply(&namespace).await
    }

    /// `helm install` or `helm upgrade` with the release's values and `more`: if `--wait` is in it, until all is ready.
    pub(crate) async fn helm_with_values(&self, what: &str, more: &[&str]) -> anyhow::Result<()> {
        let dev = self.chart.join("values-dev.yaml");
        let paths = [&self.chart, &dev, &self.values].map(|path| path.display().to_string());
        let [chart, dev, values] = paths.each_ref().map(String::as_str);
        let mut arguments = vec![what, RELEASE, chart, "--values", dev, "--values", values];
        arguments.extend(["--timeout", "5m"]);
        arguments.extend(more);
        self.helm(&arguments).await.map(drop)
    }

    pub(crate) async fn helm(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.cluster.helm(&[&["--namespace", self.namespace.as_str()], arguments].concat()).await
    }

    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.cluster.kubectl(&[&["--namespace", self.namespace.as_str()], arguments].concat()).await
    }

    /// The file of values that make the release a later one, with other rows of a read model; none if there is no image of that.
    pub(crate) fn later_values(&self) -> Option<String> {
        self.later_values.as_ref().map(|path| path.display().to_string())
    }

    /// How `folio` would be configured here.
    pub(crate) fn config(&self) -> anyhow::Result<Config> {
        let servers = self.servers.as_ref().context("the servers are started first")?;
        Ok(Config::local(&servers.addresses, &Names::default()))
    }

    /// Starts the client and waits until it has called.
    pub(crate) async fn start_client(&self, seed: u64) -> anyhow::Result<Remote> {
        let listener: TcpListener = control::listen(self.cluster.host).await?;
        let (image, servers) = (self.image.as_ref(), self.servers.as_ref());
        let (image, servers) = image.zip(servers).context("servers and image come first")?;
        let arguments = [
            "client".to_owned(),
            format!("--commands=http://{RELEASE}-command-service:8080"),
            format!("--queries=http://{RELEASE}-query-gateway:8080"),
            format!("--control={}", listener.local_addr()?),
            format!("--servers={}", serde_json::to_string(&servers.addresses)?),
            format!("--seed={seed}"),
        ];
        let restricted = json!({
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] },
        });
        let container = json!({
            "name": CLIENT, "image": image.name(), "imagePullPolicy": image.pull_policy,
            "command": ["/usr/local/bin/folio-kube"], "args": arguments, "securityContext": restricted,
            "resources": { "requests": { "cpu": "100m", "memory": "128Mi" }, "limits": { "memory": "1Gi" } },
        });
        let user = json!({
            "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": { "type": "RuntimeDefault" },
        });
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": CLIENT, "namespace": self.namespace },
            "spec": {
                "restartPolicy": "Never", "automountServiceAccountToken": false, "enableServiceLinks": false,
                "securityContext": user, "containers": [container],
            },
        });
        self.cluster.apply(&pod).await?;
        Remote::accept(&listener).await
    }

    /// The release's pods that are not on their way out: name and uid, and whether they are ready.
    pub(crate) async fn pods(&self, selector: &str) -> anyhow::Result<Vec<Pod>> {
        let told = self.kubectl(&["get", "pods", "--selector", selector, "--output", "json"]).await?;
        let told: Value = serde_json::from_str(&told).context("reading what kubectl told of pods")?;
        let items = told["items"].as_array().cloned().unwrap_or_default();
        let staying = items.iter().filter(|it| it["metadata"]["deletionTimestamp"].is_null());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let pod = |it: &Value| Pod { name: text(&it["metadata"]["name"]), uid: text(&it["metadata"]["uid"]) };
        Ok(staying.map(pod).collect())
    }

    /// Waits until every pod of the release is ready. (For Helm a Deployment of one pod that may be away is ready without it.)
    pub(crate) async fn is_ready(&self) -> anyhow::Result<()> {
        for workload in WORKLOADS {
            self.kubectl(&["rollout", "status", workload, "--timeout=3m"]).await?;
        }
        Ok(())
    }

    /// Waits until none of the release's pods is left.
    pub(crate) async fn until_pods_are_gone(&self) -> anyhow::Result<()> {
        const TRIES: usize = 240;
        for _ in 0..TRIES {
            let left = self.kubectl(&["get", "pods", "--selector", OURS, "--output", "name"]).await?;
            if left.trim().is_empty() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        bail!("pods of the release are still there two minutes after it was uninstalled")
    }

    /// For whoever has to find out why the run failed.
    pub(crate) async fn show_what_matters(&self) {
        if !self.has_namespace {
            return;
        }
        println!("\n--- pods, events, and the end of each log, of namespace {} ---", self.namespace);
        let looks: [&[&str]; 3] = [
            &["get", "pods,jobs", "--output", "wide"],
            &["get", "events", "--sort-by", ".lastTimestamp"],
            &["get", "pods", "--output", "name"],
        ];
        let mut pods = String::new();
        for look in looks {
            match self.kubectl(look).await {
                Ok(told) => {
                    println!("{}", last_lines(&told, 60));
                    pods = told;
                }
                Err(error) => println!("{error:#}"),
            }
        }
        for pod in pods.lines().filter(|it| it.starts_with("pod/")) {
            let log =
                self.kubectl(&["logs", pod, "--all-containers", "--ignore-errors", "--prefix", TAIL]).await;
            println!("--- {pod} ---\n{}", log.unwrap_or_else(|error| format!("{error:#}")));
        }
    }

    /// Removes the namespace with all in it, and the servers.
    ///
    /// # Errors
    /// If something could not be removed: what to remove by hand.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        let name = &self.namespace;
        let removed = if self.has_namespace {
            // Pods at once: nobody is answered by them any more.
            drop(self.kubectl(&["delete", "pods", "--all", "--grace-period=0", "--force"]).await);
            self.cluster.kubectl(&["delete", "namespace", name, "--timeout=2m"]).await.map(drop)
        } else {
            Ok(())
        };
        let watchdog = self.watchdog.take();
        tokio::task::spawn_blocking(move || drop(watchdog)).await?;
        removed.with_context(|| format!("namespace {name} is left behind: kubectl delete namespace {name}"))
    }
}

/// A pod of the release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) name: String,
    /// Another pod of the same name has another.
    pub(crate) uid: String,
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
