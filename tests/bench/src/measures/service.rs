//! Throughput through a command service that is a process of its own, against bare produces.

use std::time::{Duration, Instant};

use cli::system::Listens;
use contract::AddressedCommand;
use uuid::Uuid;

use super::flood;
use crate::bench::Bench;
use crate::cpu;
use crate::pairs::{self, Summary};
use crate::workload::Workload;

/// What was measured.
pub(crate) struct Throughput {
    /// Commands a second by bare produces a second.
    pub rate: Summary,
    /// Microseconds of the service's processor time for each command.
    pub cost: Summary,
    /// The same of this process: the load generator's.
    pub generator: f64,
    /// Bytes of the log on disk for each command.
    pub bytes_each: f64,
}

/// How commands reach the service.
pub(crate) trait Client {
    /// Requests, made before the clock starts.
    type Requests;
    /// Answers, read after it stops.
    type Answers;

    fn prepare(&self, commands: Vec<AddressedCommand>) -> anyhow::Result<Self::Requests>;
    /// Sends all and waits for all answers.
    fn drive(&self, to: &Listens, requests: Self::Requests) -> anyhow::Result<Self::Answers>;
    /// The events of all answers; an error if a command was not accepted.
    fn events(&self, answers: Self::Answers) -> anyhow::Result<Vec<Uuid>>;
}

/// Measures `number` commands at a time, and bare records with `outstanding` of them in flight.
pub(crate) fn measure<C: Client>(
    bench: &Bench,
    name: &str,
    number: usize,
    outstanding: usize,
    client: &C,
) -> anyhow::Result<Throughput> {
    let mut catalog = bench.catalog(name)?;
    let (listens, pid) = catalog.service()?;
    let mut workload = Workload::new()?;
    let run = |workload: &mut Workload| {
        let commands = workload.commands(number)?;
        let commanded = commands.len();
        let requests = client.prepare(commands)?;
        let (spent, own, begun) = (cpu::of(pid)?, cpu::own()?, Instant::now());
        let answers = client.drive(&listens, requests)?;
        let took = begun.elapsed();
        let costs = (cpu::of(pid)?.saturating_sub(spent), cpu::own()?.saturating_sub(own));
        anyhow::Ok((client.events(answers)?, commanded, took, costs))
    };
    catalog.acknowledged.extend(run(&mut workload)?.0);
    let records = catalog.sample(number)?;
    let mut bare = catalog.bare()?;
    flood(&mut bare, &records, outstanding)?;
    let (mut costs, mut generators) = (Vec::new(), Vec::new());
    let measured = pairs::measure(
        bench.pairs,
        || flood(&mut bare, &records, outstanding),
        |_| {
            let (events, commanded, took, (service, generator)): (_, _, Duration, _) = run(&mut workload)?;
            catalog.acknowledged.extend(events);
            costs.push(cpu::each_us(service, commanded));
            generators.push(cpu::each_us(generator, commanded));
            Ok(commanded as f64 / took.as_secs_f64())
        },
    )?;
    catalog.check()?;
    Ok(Throughput {
        rate: pairs::summary(&measured, |pair| pair.system / pair.ceiling),
        cost: pairs::alone(&costs),
        generator: pairs::median(&mut generators),
        bytes_each: catalog.bytes_each()?,
    })
}
