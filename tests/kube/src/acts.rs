//! The life of a release, step by step, with the client at work in all of them.

mod later_release;

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::client::LINES;
use crate::cluster::Given;
use crate::control::{Order, Remote};
use crate::report::Report;
use crate::stage::{OURS, Pod, RELEASE, Stage, WORKLOADS};

/// How long anything on a few shared processors may take.
const PATIENCE: Duration = Duration::from_mins(3);
/// Kills during the import: of the components in turn, each by force (all of its pods) and by asking it to end (one).
const KILLS: u64 = 12;
/// Components, by how they come to be killed.
const COMPONENTS: [&str; 6] = [
    "command-service",
    "query-gateway",
    "projector-products",
    "command-service",
    "projector-search",
    "projector-history",
];
/// Up and down, and back to what the values say.
const SCALES: [(usize, u32); 8] = [(0, 3), (1, 1), (2, 2), (0, 1), (1, 3), (2, 1), (0, 2), (1, 2)];

/// Does everything, and judges it.
///
/// # Errors
/// If a step fails, or the report says that something is wrong.
pub(crate) async fn act(stage: &mut Stage<'_>, report: &mut Report, given: &Given) -> anyhow::Result<()> {
    let seed = given.seed.unwrap_or_else(|| rand::random_range(0..1_000_000));
    println!("seed {seed}; the same commands and kills again: SEED={seed} make test-kube");
    println!("starting the servers on {}, and making the images ...", stage.cluster.host);
    stage.start_servers().await?;
    stage.prepare().await?;
    println!("namespace {}: it enforces Pod Security restricted", stage.namespace);

    install(stage, report).await?;
    let mut client = stage.start_client(seed).await?;
    let mut play = Play { stage, report, client: &mut client, begin: Instant::now() };
    play.test().await?;
    play.goes_on().await?;
    play.done("the client writes and reads");
    play.import_and_kill(seed).await?;
    play.scale().await?;
    play.upgrade_and_roll_back().await?;
    play.upgrade_to_other_rows().await?;
    play.uninstall().await?;
    play.install_again().await?;
    play.test().await?;
    play.goes_on().await?;
    play.done("the client writes and reads");
    play.finish().await?;
    let failures = report.failures();
    ensure!(failures.is_empty(), "{}", failures.join("\n- "));
    Ok(())
}

/// Measures from the command until everything is ready.
async fn install(stage: &Stage<'_>, report: &mut Report) -> anyhow::Result<()> {
    let begin = Instant::now();
    stage.helm_with_values("install", &["--wait"]).await?;
    stage.is_ready().await?;
    report.installs.push(begin.elapsed());
    let counts = report.counts.clone();
    report.step("helm install --wait, until all is ready", begin.elapsed(), counts);
    Ok(())
}

struct Play<'a, 'b> {
    stage: &'a Stage<'b>,
    report: &'a mut Report,
    client: &'a mut Remote,
    begin: Instant,
}

impl Play<'_, '_> {
    /// The step that began when the last one was done is done.
    fn done(&mut self, name: &str) {
        self.report.step(name, self.begin.elapsed(), self.client.counts());
        self.begin = Instant::now();
    }

    async fn test(&mut self) -> anyhow::Result<()> {
        self.stage.helm(&["test", RELEASE, "--timeout", "2m"]).await?;
        self.done("helm test");
        Ok(())
    }

    /// Waits until the client has got on, whatever is done to it.
    async fn goes_on(&mut self) -> anyhow::Result<()> {
        let before = self.client.counts();
        let all = |now: &crate::control::State| {
            now.counts.commands >= before.commands + 60 && now.counts.reads >= before.reads + 60
        };
        self.client.until("commands and reads are answered", PATIENCE, all).await.map(drop)
    }

    async fn import_and_kill(&mut self, seed: u64) -> anyhow::Result<()> {
        self.client.order(Order::Import).await?;
        let mut dice = StdRng::seed_from_u64(seed);
        for kill in 0..KILLS {
            // Spread over the import by its progress, not by a clock.
            let due = LINES as u64 * (kill + 1) / (KILLS + 2);
            self.client.until("the import goes on", PATIENCE, |now| now.counts.imported >= due).await?;
            let component = COMPONENTS[kill as usize % COMPONENTS.len()];
            self.kill(component, (kill + kill / COMPONENTS.len() as u64).is_multiple_of(2), &mut dice)
                .await?;
        }
        self.client.until("the import is done", PATIENCE, |now| now.has_imported).await?;
        self.stage.is_ready().await?;
        self.done(&format!("an import of {LINES} lines, {KILLS} kills of pods"));
        Ok(())
    }

    async fn kill(&mut self, component: &str, by_force: bool, dice: &mut StdRng) -> anyhow::Result<()> {
        let selector = format!("{OURS},app.kubernetes.io/component={component}");
        let pods = self.stage.pods(&selector).await?;
        ensure!(!pods.is_empty(), "no pod of {component} is there to be killed");
        let one = dice.random_range(0..pods.len());
        // By force all of the component at once, so that clients feel it: one pod alone hardly shows, and asked to end it must not.
        let (killed, how): (_, &[&str]) = if by_force {
            (&pods[..], &["--grace-period=0", "--force"])
        } else {
            (&pods[one..=one], &["--wait=false"])
        };
        let names: Vec<&str> = killed.iter().map(|it| it.name.as_str()).collect();
        self.stage.kubectl(&[&["delete", "pod"], &names[..], how].concat()).await?;
        *if by_force { &mut self.report.forced } else { &mut self.report.ended } += killed.len() as u64;
        Ok(())
    }

    async fn scale(&mut self) -> anyhow::Result<()> {
        for (workload, replicas) in SCALES {
            let (workload, replicas) = (WORKLOADS[workload], format!("--replicas={replicas}"));
            self.stage.kubectl(&["scale", workload, &replicas]).await?;
            self.stage.kubectl(&["rollout", "status", workload, "--timeout=3m"]).await?;
            self.goes_on().await?;
            self.done(&format!("scale {workload} {replicas}"));
        }
        Ok(())
    }

    async fn upgrade_and_roll_back(&mut self) -> anyhow::Result<()> {
        let before = self.stage.pods(OURS).await?;
        // Every pod's configuration has it.
        self.stage.helm_with_values("upgrade", &["--set", "telemetry.log=json", "--wait"]).await?;
        let upgraded = self.others_than(&before).await?;
        self.goes_on().await?;
        self.done("helm upgrade --wait, every pod replaced");
        self.stage.helm(&["rollback", RELEASE, "1", "--wait", "--timeout", "5m"]).await?;
        self.others_than(&upgraded).await?;
        self.goes_on().await?;
        self.done("helm rollback --wait, every pod replaced");
        Ok(())
    }

    /// The pods there are, none of which may be one of `before`.
    async fn others_than(&self, before: &[Pod]) -> anyhow::Result<Vec<Pod>> {
        self.stage.is_ready().await?;
        let now = self.stage.pods(OURS).await?;
        let kept: Vec<&Pod> = now.iter().filter(|pod| before.contains(pod)).collect();
        ensure!(kept.is_empty(), "pods that still have the old configuration: {kept:?}");
        ensure!(now.len() >= before.len(), "there were {before:?}, and now {now:?}");
        Ok(now)
    }

    async fn uninstall(&mut self) -> anyhow::Result<()> {
        self.client.order(Order::Pause).await?;
        self.client.until("the last commands and reads are answered", PATIENCE, |now| now.is_paused).await?;
        self.stage.helm(&["uninstall", RELEASE, "--wait", "--timeout", "3m"]).await?;
        self.stage.until_pods_are_gone().await?;
        let config = self.stage.config()?;
        let log = adapter_kafka::read_topic(&config.kafka, &config.topic).await?;
        let audit = log.audit(|_, _, _| {}).await?;
        let answered = self.client.counts();
        if audit.records < answered.imported {
            bail!("the topic has {} records, fewer than were acknowledged: {answered:?}", audit.records);
        }
        self.report.stayed = Some(audit.records);
        self.done("helm uninstall, until no pod is left");
        Ok(())
    }

    async fn install_again(&mut self) -> anyhow::Result<()> {
        let begin = Instant::now();
        self.stage.helm_with_values("install", &["--wait"]).await?;
        self.stage.is_ready().await?;
        self.report.installs.push(begin.elapsed());
        self.client.order(Order::Resume).await?;
        self.done("helm install --wait, on the topic that was there");
        Ok(())
    }

    /// The client checks everything.
    async fn finish(&mut self) -> anyhow::Result<()> {
        self.client.order(Order::Finish).await?;
        let state =
            self.client.until("everything is checked", PATIENCE * 2, |now| now.verdict.is_some()).await?;
        self.report.verdict = state.verdict.map(|verdict| *verdict);
        self.done("last answers, and all checked by the client");
        Ok(())
    }
}
