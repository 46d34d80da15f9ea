//! Carries out one fault, heals it, and waits until what it fell on works again.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use local_servers::Running;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testkit::kafka_proxy::{ApiKey, Attack, Whose};
use testkit::{PATIENCE, Started};
use tokio::time::{Instant, sleep};

use crate::plan::{Fault, Kind};
use crate::stage::{BROKERS, INSTANCES, PARTITIONS, Stage, client_id};

/// How long after its end a fault may still be felt.
const RECOVERED_WITHIN: Duration = Duration::from_mins(1);

/// What came of a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Injected {
    pub(crate) kind: Kind,
    /// In [`Kind::unit`]s.
    pub(crate) effect: u64,
    pub(crate) recovered: Recovered,
}

/// How long after the end of the fault (its process started again or going on, its attack over).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovered {
    /// The slowest of the instances it fell on: until it accepted the first command sent since. For a projector: until it
    /// was ready.
    pub(crate) first: Duration,
    /// The same until each of them had accepted a command in every partition.
    pub(crate) everywhere: Duration,
}

/// A broker's id at Kafka, of its number counted round from 0.
const fn node(broker: usize) -> i32 {
    (broker % BROKERS) as i32 + 1
}

impl Stage {
    /// # Errors
    /// If something does not come back.
    pub(crate) async fn inject(&mut self, fault: Fault) -> anyhow::Result<Injected> {
        let kind = fault.kind;
        let (effect, recovered) = match kind {
            Kind::KillService | Kind::FreezeService => self.service(fault).await?,
            Kind::KillProjector | Kind::FreezeProjector => self.projector(fault).await?,
            Kind::KillBroker | Kind::StopBroker | Kind::FreezeBroker => self.broker(fault).await?,
            Kind::KillCassandra | Kind::KillElasticsearch | Kind::StopElasticsearch => {
                self.store(fault).await?
            }
            Kind::LoseMinInSync => self.two_brokers(fault).await?,
            Kind::LostAnswerBesideTimeout => self.lost_answer_beside_timeout(fault).await?,
            Kind::CutConnections => self.attack(fault, None, Attack::CutAtRequest).await?,
            Kind::DelayProduce => self.produce(fault, Attack::DelayRequest(fault.delay)).await?,
            Kind::HoldProduce => self.produce(fault, Attack::HoldRequest).await?,
            Kind::DropProduceAnswers => self.produce(fault, Attack::DropAnswer).await?,
            Kind::CutProduceAnswers => self.produce(fault, Attack::CutAtAnswer).await?,
            Kind::DelayFetch => {
                self.attack(fault, Some(ApiKey::FETCH), Attack::DelayAnswer(fault.delay)).await?
            }
            Kind::DelayEndOffsets => {
                self.attack(fault, Some(ApiKey::LIST_OFFSETS), Attack::DelayAnswer(fault.delay)).await?
            }
        };
        Ok(Injected { kind, effect, recovered })
    }

    async fn service(&mut self, fault: Fault) -> anyhow::Result<(u64, Recovered)> {
        let instance = fault.victim % INSTANCES;
        let service = self.services[instance].clone();
        let healed;
        if fault.kind == Kind::KillService {
            end(&service).await?;
            sleep(fault.lasts).await;
            healed = self.catalog.now();
            self.services[instance] = self.system.start((service.service.plan, service.listens))?;
        } else {
            freeze(&service)?;
            sleep(fault.lasts).await;
            healed = self.catalog.now();
            service.service.signal(Signal::SIGCONT);
        }
        Ok((1, self.recovered(&[instance], healed).await?))
    }

    async fn projector(&mut self, fault: Fault) -> anyhow::Result<(u64, Recovered)> {
        let number = fault.victim % self.projectors.len();
        let projector = self.projectors[number].clone();
        let healed;
        if fault.kind == Kind::KillProjector {
            end(&projector).await?;
            sleep(fault.lasts).await;
            healed = Instant::now();
            self.projectors[number] = self.system.start((projector.service.plan, projector.listens))?;
        } else {
            freeze(&projector)?;
            sleep(fault.lasts).await;
            healed = Instant::now();
            projector.service.signal(Signal::SIGCONT);
        }
        self.projectors[number].service.wait_ready(PATIENCE).await?;
        let ready = healed.elapsed();
        Ok((1, Recovered { first: ready, everywhere: ready }))
    }

    /// Writing goes on without the stores; what they forget is found at the end, if it is not written again.
    async fn store(&mut self, fault: Fault) -> anyhow::Result<(u64, Recovered)> {
        let server =
            if fault.kind == Kind::KillCassandra { &mut self.cassandra } else { &mut self.elasticsearch };
        tokio::task::block_in_place(|| match fault.kind {
            Kind::StopElasticsearch => server.stop(),
            _ => server.kill(),
        })?;
        sleep(fault.lasts).await;
        tokio::task::block_in_place(|| server.start_again())?;
        let healed = Instant::now();
        let mut first = None;
        for projector in &self.projectors {
            projector.service.wait_ready(PATIENCE).await?;
            first.get_or_insert(healed.elapsed());
        }
        let everywhere = healed.elapsed();
        Ok((1, Recovered { first: first.unwrap_or(everywhere), everywhere }))
    }

    async fn broker(&mut self, fault: Fault) -> anyhow::Result<(u64, Recovered)> {
        let (changes, victim) = (self.leaders.changes(), self.leading(fault.victim));
        let broker = self.kafka.brokers()[victim].clone();
        match fault.kind {
            Kind::KillBroker => tokio::task::block_in_place(|| broker.kill())?,
            Kind::StopBroker => tokio::task::block_in_place(|| broker.stop())?,
            _ => signal(&broker, Signal::SIGSTOP)?,
        }
        sleep(fault.lasts).await;
        let healed = self.catalog.now();
        if fault.kind == Kind::FreezeBroker {
            signal(&broker, Signal::SIGCONT)?;
        } else {
            tokio::task::block_in_place(|| self.kafka.brokers()[victim].start_again())?;
        }
        let recovered = self.recovered(&[0, 1, 2], healed).await?;
        self.all_in_sync().await?;
        Ok((self.leaders.changes() - changes, recovered))
    }

    /// The first broker from this one on that leads a partition: who leads none, as after a fault of its own, is missed by nobody.
    fn leading(&self, from: usize) -> usize {
        let leaders: Vec<_> = self.leaders.latest().into_iter().filter_map(|it| it.leader).collect();
        let mut round = (0..BROKERS).map(|step| (from + step) % BROKERS);
        round.find(|broker| leaders.contains(&node(*broker))).unwrap_or(from % BROKERS)
    }

    /// More brokers than the topic can spare: nothing is acknowledged any more.
    async fn two_brokers(&mut self, fault: Fault) -> anyhow::Result<(u64, Recovered)> {
        let spared = fault.victim % BROKERS;
        let frozen: Vec<Running> = self
            .kafka
            .brokers()
            .iter()
            .enumerate()
            .filter(|(n, _)| *n != spared)
            .map(|(_, it)| it.clone())
            .collect();
        for broker in &frozen {
            signal(broker, Signal::SIGSTOP)?;
        }
        // What was in flight may still end well.
        sleep(Duration::from_millis(200)).await;
        let since = self.catalog.now();
        sleep(fault.lasts).await;
        let accepting: BTreeSet<i32> =
            (0..INSTANCES).flat_map(|instance| self.catalog.accepted_since(instance, since)).collect();
        let healed = self.catalog.now();
        for broker in &frozen {
            signal(broker, Signal::SIGCONT)?;
        }
        let recovered = self.recovered(&[0, 1, 2], healed).await?;
        self.all_in_sync().await?;
        Ok((PARTITIONS as u64 - accepting.len() as u64, recovered))
    }

    async fn produce(&mut self, fault: Fault, attack: Attack) -> anyhow::Result<(u64, Recovered)> {
        self.attack(fault, Some(ApiKey::PRODUCE), attack).await
    }

    /// Attacks one instance at all brokers.
    async fn attack(
        &mut self,
        fault: Fault,
        api: Option<ApiKey>,
        attack: Attack,
    ) -> anyhow::Result<(u64, Recovered)> {
        let instance = fault.victim % INSTANCES;
        let before = self.done(attack);
        let attacking =
            self.proxies.attack(Whose { api, client: Some(client_id(instance)), node: None }, attack);
        sleep(fault.lasts).await;
        let healed = self.catalog.now();
        drop(attacking);
        let recovered = self.recovered(&[instance], healed).await?;
        Ok((self.done(attack) - before, recovered))
    }

    /// At one broker an instance's records are appended and their answers lost; at another its records wait until they time
    /// out; then the first connection ends. An idempotent producer would now bump its epoch and append the first again.
    async fn lost_answer_beside_timeout(&mut self, fault: Fault) -> anyhow::Result<(u64, Recovered)> {
        let instance = fault.victim % INSTANCES;
        let whose =
            |node| Whose { api: Some(ApiKey::PRODUCE), client: Some(client_id(instance)), node: Some(node) };
        let (losing, waiting) = (whose(node(fault.victim)), whose(node(fault.victim + 1)));
        let before = (self.done(Attack::DropAnswer), self.done(Attack::HoldRequest));
        let (lost, held) = (
            self.proxies.attack(losing.clone(), Attack::DropAnswer),
            self.proxies.attack(waiting, Attack::HoldRequest),
        );
        sleep(fault.lasts).await;
        let cut = self.proxies.attack(losing, Attack::CutAtRequest);
        drop(lost);
        sleep(Duration::from_millis(300)).await;
        let healed = self.catalog.now();
        drop((cut, held));
        let recovered = self.recovered(&[instance], healed).await?;
        let (lost, held) =
            (self.done(Attack::DropAnswer) - before.0, self.done(Attack::HoldRequest) - before.1);
        Ok((lost.min(held), recovered))
    }

    /// How often the proxies have done this.
    fn done(&self, attack: Attack) -> u64 {
        let counts = self.proxies.counts();
        counts.iter().filter(|((_, name), _)| *name == attack.name()).map(|(_, count)| count).sum()
    }

    async fn recovered(&self, instances: &[usize], healed: Duration) -> anyhow::Result<Recovered> {
        let mut first = None;
        loop {
            let accepted: Vec<usize> =
                instances.iter().map(|it| self.catalog.accepted_since(*it, healed).len()).collect();
            let since = self.catalog.now().saturating_sub(healed);
            if accepted.iter().all(|it| *it > 0) {
                first.get_or_insert(since);
            }
            if let Some(first) = first.filter(|_| accepted.iter().all(|it| *it == PARTITIONS as usize)) {
                return Ok(Recovered { first, everywhere: since });
            }
            if since > RECOVERED_WITHIN {
                bail!(
                    "{RECOVERED_WITHIN:?} after the fault was over, instances {instances:?} accept commands in {accepted:?} of \
                     {PARTITIONS} partitions"
                );
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// One fault at a time: the next broker's may come when no replica is missing.
    async fn all_in_sync(&self) -> anyhow::Result<()> {
        let since = Instant::now();
        while !self.leaders.all_in_sync() {
            ensure!(since.elapsed() < PATIENCE, "replicas are missing: {:?}", self.leaders.latest());
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

async fn end(started: &Started) -> anyhow::Result<()> {
    started.service.kill();
    let ended = started.service.wait_ended(Duration::from_secs(10)).await;
    ensure!(ended, "{} survives SIGKILL", started.service.plan.name);
    Ok(())
}

fn freeze(started: &Started) -> anyhow::Result<()> {
    ensure!(started.service.is_running(), "{} has ended by itself", started.service.plan.name);
    started.service.signal(Signal::SIGSTOP);
    Ok(())
}

fn signal(broker: &Running, signal: Signal) -> anyhow::Result<()> {
    ensure!(broker.is_running(), "broker {} has ended by itself", broker.node);
    kill(Pid::from_raw(broker.pid), signal)
        .with_context(|| format!("sending {signal} to broker {}", broker.node))
}
