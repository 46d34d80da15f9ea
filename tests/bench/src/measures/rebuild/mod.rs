//! Builds beside what is read: how long one takes over what its store alone needs for the same rows, what it costs whoever writes
//! and reads meanwhile, and how long what is read stands still for a switch.

mod build;
mod live;
mod switches;
mod time;

use cli::system::Listens;
use read_models::ReadModel;
use testkit::memory;

use super::megabytes;
use crate::bench::Bench;
use crate::moving::{self, Readers, Reads};
use crate::pairs;
use crate::read_side::{PATIENCE, ReadSide};
use crate::report::Row;
use crate::stores::Stores;
use crate::workload::Workload;

/// Events of each product where there are few products.
const EACH: usize = 20;
/// Gateways that are read from.
const GATEWAYS: usize = 2;

/// Builds on catalogs at rest.
pub(crate) fn time(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let stores = Stores::start(&bench.servers)?;
    let mut workload = Workload::new()?;
    let (mut rows, mut most) = (Vec::new(), Vec::new());
    for (name, each) in [("rebuild-few", EACH), ("rebuild-many", 1)] {
        let served = Served::start(bench, &stores, name, &mut workload, each)?;
        rows.extend(time::measure(&served.side, bench.commands / each)?);
        most.extend(served.end()?);
    }
    rows.push(memory_of(&most));
    Ok(rows)
}

/// Builds and switches beside clients.
pub(crate) fn beside(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let stores = Stores::start(&bench.servers)?;
    let mut workload = Workload::new()?;
    let mut served = Served::start(bench, &stores, "rebuild-beside", &mut workload, 1)?;
    let (mut rows, reads) = served.under_load(&mut workload)?;
    let row = |name, reads: u64, of: u64| {
        Row::cost(name, "reads", &pairs::alone(&[reads as f64]), Some(0.0)).noting(format!("of {of}"))
    };
    rows.push(row("reads that failed, rebuilds and switches beside them", reads.failed, reads.asked));
    rows.push(row("reads older than one before, the same", reads.older, reads.asked));
    rows.push(memory_of(&served.end()?));
    Ok(rows)
}

fn memory_of(projectors: &[(&'static str, f64)]) -> Row {
    let most = projectors.iter().map(|(_, most)| *most).fold(0.0, f64::max);
    let whose = projectors.iter().find(|(_, it)| *it >= most).map_or("", |(name, _)| *name);
    let row = Row::cost("projector's memory, the most", "MB", &pairs::alone(&[most]), Some(256.0));
    row.noting(format!("that of {whose}; each made what is read and its builds"))
}

/// A catalog, its command service, and a projector of each read model.
struct Served<'a> {
    side: ReadSide<'a>,
    commands: Listens,
    projectors: Vec<(&'static str, i32)>,
}

impl<'a> Served<'a> {
    /// A catalog of the run's events, so many of each product, that all projectors have applied.
    fn start(
        bench: &'a Bench,
        stores: &Stores,
        name: &str,
        workload: &mut Workload,
        each: usize,
    ) -> anyhow::Result<Self> {
        let mut side = ReadSide::new(bench, stores, name)?;
        let (commands, _) = side.catalog.service()?;
        let products = bench.commands / each;
        eprintln!("  {name}: {} events of {products} products", products * each);
        side.send(&commands, &workload.lives(products, each)?)?;
        let mut projectors = Vec::new();
        for read_model in ReadModel::ALL {
            projectors.push((read_model.name(), side.catalog.projector(*read_model)?));
        }
        side.check(ReadModel::ALL)?;
        Ok(Self { side, commands, projectors })
    }

    /// What a rebuild and a switch cost whoever writes and reads, and the reads that went on all the while.
    fn under_load(&mut self, workload: &mut Workload) -> anyhow::Result<(Vec<Row>, Reads)> {
        let Self { side, commands, .. } = self;
        let bench = side.bench;
        side.send(commands, &moving::creations()?)?;
        side.check(ReadModel::ALL)?;
        let mut gateways = Vec::new();
        for _ in 0..GATEWAYS {
            gateways.push(side.catalog.query_gateway()?);
        }
        let readers = Readers::start(&bench.runtime, &gateways);
        let mut reads = Reads::default();
        let mut rows = Vec::new();
        rows.extend(live::measure(side, (&*commands, &gateways[0]), workload, &mut reads)?);
        rows.extend(switches::measure(side, (&*commands, &gateways[0]), &mut reads)?);
        let without_token = readers.end(&bench.runtime)?;
        reads.asked += without_token.asked;
        reads.failed += without_token.failed;
        reads.older += without_token.older;
        Ok((rows, reads))
    }

    /// Checks that all is as the log says; what each projector took of memory, at most.
    fn end(self) -> anyhow::Result<Vec<(&'static str, f64)>> {
        self.side.check(ReadModel::ALL)?;
        let most = |(name, pid): &(&'static str, i32)| Ok((*name, megabytes(memory::peak(*pid)?)));
        self.projectors.iter().map(most).collect()
    }
}
