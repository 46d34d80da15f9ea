//! Durable commands a second through the door of an application in this process, against bare produces.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use command_service::door::{Caller, CommandHandler, Submitted};
use command_service::engine::Transport;
use command_service::{Application, Config};
use contract::AddressedCommand;
use tokio_util::sync::CancellationToken;
use toolkit::config::ListenConfig;
use uuid::Uuid;

use super::OUTSTANDING;
use crate::bench::{Bench, Catalog};
use crate::report::Row;
use crate::workload::Workload;
use crate::{cpu, pairs};

/// Commands without an answer: well below what is refused.
const WINDOW: usize = 8_000;

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut catalog = bench.catalog("in-process")?;
    let application = bench.runtime.block_on(Application::build(config(&catalog)))?;
    let (readiness, door) = (application.process.lifecycle.readiness().clone(), application.door.clone());
    let stop = CancellationToken::new();
    let running = bench.runtime.spawn(application.process.run_until_stopped(stop.clone()));
    super::wait_ready(&readiness)?;
    let mut workload = Workload::new()?;
    let warm = workload.commands(bench.commands)?;
    let (events, _) = drive(&door, warm)?;
    catalog.acknowledged.extend(events);
    let records = catalog.sample(bench.commands)?;
    let mut bare = catalog.bare()?;
    super::flood(&mut bare, &records, OUTSTANDING)?;
    let (mut costs, mut bare_costs) = (Vec::new(), Vec::new());
    let measured = pairs::measure(
        bench.pairs,
        || {
            let before = cpu::own()?;
            let rate = super::flood(&mut bare, &records, OUTSTANDING)?;
            bare_costs.push(cpu::each_us(cpu::own()?.saturating_sub(before), records.len()));
            Ok(rate)
        },
        |_| {
            let commands = workload.commands(bench.commands)?;
            let number = commands.len();
            let before = cpu::own()?;
            let (events, took) = drive(&door, commands)?;
            costs.push(cpu::each_us(cpu::own()?.saturating_sub(before), number));
            catalog.acknowledged.extend(events);
            Ok(number as f64 / took.as_secs_f64())
        },
    )?;
    stop.cancel();
    bench.runtime.block_on(running)??;
    catalog.check()?;
    let bytes_each = catalog.bytes_each()?;
    let rate = pairs::summary(&measured, |pair| pair.system / pair.ceiling);
    let cost = pairs::alone(&costs);
    let bare_cost = pairs::median(&mut bare_costs);
    Ok(vec![
        Row::rate("durable commands in process", "commands/s", &rate, 0.70),
        Row::cost("CPU per command, in process", "us", &cost, Some(6.0))
            .noting(format!("whole process, generator included; a bare produce costs {bare_cost:.1} us")),
        Row::bytes("log on disk per event, in process", bytes_each),
    ])
}

/// Hands all commands over, at most a window of them without an answer; their events, and the time to the last answer.
fn drive(door: &CommandHandler, commands: Vec<AddressedCommand>) -> anyhow::Result<(Vec<Uuid>, Duration)> {
    let caller = Caller::default();
    let mut events = Vec::with_capacity(commands.len());
    let mut waiting: VecDeque<Submitted> = VecDeque::with_capacity(WINDOW);
    let begun = Instant::now();
    for command in commands {
        if waiting.len() == WINDOW {
            // Half of them at once and the last of these first, so that this thread is woken seldom.
            for submitted in waiting.drain(..WINDOW / 2).rev() {
                events.push(answer(submitted)?);
            }
        }
        let submitted = door.submit(command, &caller, Transport::Local);
        waiting.push_back(submitted.map_err(|problem| anyhow!("{problem}"))?);
    }
    for submitted in waiting.into_iter().rev() {
        events.push(answer(submitted)?);
    }
    Ok((events, begun.elapsed()))
}

fn answer(submitted: Submitted) -> anyhow::Result<Uuid> {
    let outcome = futures::executor::block_on(submitted.outcome());
    outcome.map_err(|problem| anyhow!("{problem}"))?.event_id.context("a command had no effect")
}

/// The application's configuration: defaults, but where the servers are.
pub(super) fn config(catalog: &Catalog<'_>) -> Config {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut config = Config {
        listen: ListenConfig { http: any, grpc: any, ops: any, ..ListenConfig::default() },
        kafka: catalog.config.kafka.clone(),
        registry: catalog.config.registry.clone(),
        topic: catalog.config.topic.clone(),
        ..Config::default()
    };
    config.auth.allow_anonymous = true;
    config
}
