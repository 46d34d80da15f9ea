//! `folio dlq`: what projectors could not apply, why, whether it would be applied now, and what is to become of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use adapter_kafka::{KafkaDeadLetters, describe_topic};
use adapter_registry::Registry;
use anyhow::{bail, ensure};
use projector::letters::{ParkedProduct, time};
use projector::{Question, Trial, Trials, trials};
use read_models::control::{Builds, Fate, LetterId, Selection, Step};
use read_models::{Generation, ReadModel};
use toolkit::dead_letters::{DeadLetters, Kind, Letter};

use super::rebuild::{decide, open};
use super::stores::servers;
use crate::args;
use crate::config::Config;
use crate::say::say;

/// How often it is looked how a redrive goes on,
const LOOK: Duration = Duration::from_millis(250);
/// and after how long nobody seems to do it.
const NOBODY: Duration = Duration::from_mins(1);
/// Letters of a product that are shown.
const SHOWN: usize = 20;

/// What of it.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Which {
    /// Only of this read model; may be repeated. Of all of them if none is given.
    #[arg(long = "read-model", value_name = "NAME")]
    pub read_models: Vec<ReadModel>,
    /// Only this product.
    #[arg(long, value_name = "ID")]
    pub product: Option<String>,
    /// Only products whose first letter is there for this: undecodable, schema-unavailable, unfoldable, refused-by-store, gap, diverged.
    #[arg(long, value_name = "KIND")]
    pub kind: Option<Kind>,
    /// Only the product of this letter.
    #[arg(long, value_name = "PARTITION/OFFSET")]
    pub id: Option<LetterId>,
}

/// What is to become of it.
#[derive(Clone, Debug, clap::Args)]
pub struct Change {
    #[command(flatten)]
    pub which: Which,
    /// Everything that is parked.
    #[arg(long, conflicts_with_all = ["product", "kind", "id"])]
    pub all: bool,
    /// Say what would happen, and whether it would succeed now. Decides nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Why: it is kept with who decided it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// Wait until projectors have done it, and tell what came of it.
    #[arg(long)]
    pub wait: bool,
}

impl Which {
    fn read_models(&self) -> Vec<ReadModel> {
        if self.read_models.is_empty() { ReadModel::ALL.to_vec() } else { self.read_models.clone() }
    }

    fn selection(&self) -> Selection {
        Selection { product: self.product.clone(), kind: self.kind, id: self.id }
    }
}

/// What is parked in one group, and where.
struct Group {
    generation: Generation,
    name: String,
    letters: Arc<dyn DeadLetters>,
}

/// Does what is said.
///
/// # Errors
/// If a server cannot be reached, or it cannot be done now: why.
pub async fn run(config: &Config, action: args::Dlq) -> anyhow::Result<()> {
    match action {
        args::Dlq::List { which, limit } => list(config, &which, limit).await,
        args::Dlq::Show { which, limit } => show(config, &which, limit).await,
        args::Dlq::Redrive { change, limit } => {
            ensure!(limit != Some(0), "--limit is 1 at least: so many products a second in each partition");
            let step = |which, why| Step::Redrive { which, per_second: limit, why };
            decide_about(config, &change, "redrive", step).await
        }
        args::Dlq::Discard { change } => {
            let step = |which, why| Step::Discard { which, why };
            decide_about(config, &change, "discard", step).await
        }
    }
}

/// What is parked in any build of a read model.
///
/// # Errors
/// If a server cannot be reached.
pub async fn parked(
    config: &Config,
    read_model: ReadModel,
    which: &Which,
) -> anyhow::Result<Vec<ParkedProduct>> {
    let (groups, partitions) = groups(config, read_model).await?;
    let (which, mut all) = (which.selection(), Vec::new());
    for Group { generation, name, letters } in groups {
        let products = ParkedProduct::all(generation, &name, &*letters, partitions).await?;
        all.extend(products.into_iter().filter(|it| it.is_of(&which)));
    }
    Ok(all)
}

/// The groups that make builds of a read model, and how many partitions there are.
async fn groups(config: &Config, read_model: ReadModel) -> anyhow::Result<(Vec<Group>, i32)> {
    let partitions = describe_topic(&config.kafka, &config.topic).await?.partitions;
    let mut groups = Vec::new();
    for build in servers(config).builds(read_model).await? {
        for name in build.groups.into_keys() {
            let letters = KafkaDeadLetters::new(&config.kafka, &config.topic, &name, partitions);
            let (generation, letters) = (build.generation, Arc::new(letters));
            groups.push(Group { generation, name, letters });
        }
    }
    Ok((groups, partitions))
}

async fn list(config: &Config, which: &Which, limit: usize) -> anyhow::Result<()> {
    let (mut products, mut records) = (0, 0);
    let columns = ("read model", "build", "id", "kind", "records", "product");
    let (model, build, id, kind, count, product) = columns;
    say!("{model:<12} {build:<6} {id:<14} {kind:<16} {count:>8}  {product:<24} reason");
    for read_model in which.read_models() {
        for parked in parked(config, read_model, which).await? {
            products += 1;
            records += parked.letters.len();
            let Some(view) = parked.view().filter(|_| products <= limit) else { continue };
            let (generation, id, kind) = (view.generation.to_string(), &view.id, view.kind);
            let reason = if view.is_discarded { "given up" } else { view.reason.as_str() };
            say!(
                "{read_model:<12} {generation:<6} {id:<14} {kind:<16} {:>8}  {:<24} {reason}",
                view.records,
                view.product
            );
        }
    }
    if products > limit {
        say!("... and {} more products (--limit)", products - limit);
    }
    say!("{products} products are parked, with {records} records");
    Ok(())
}

async fn show(config: &Config, which: &Which, limit: usize) -> anyhow::Result<()> {
    let desk = open(config).await?;
    let mut shown = 0;
    for read_model in which.read_models() {
        let (groups, partitions) = groups(config, read_model).await?;
        for Group { generation, name, letters } in &groups {
            let products = ParkedProduct::all(*generation, name, &**letters, partitions).await?;
            for product in products.iter().filter(|it| it.is_of(&which.selection())) {
                shown += 1;
                if shown <= limit {
                    show_one(read_model, product, &**letters, desk.builds(read_model)).await?;
                }
            }
        }
    }
    if shown > limit {
        say!("... and {} more products (--limit)", shown - limit);
    }
    if shown == 0 {
        say!("nothing of it is parked");
    }
    Ok(())
}

async fn show_one(
    read_model: ReadModel,
    product: &ParkedProduct,
    letters: &dyn DeadLetters,
    builds: &Builds,
) -> anyhow::Result<()> {
    let Some(view) = product.view() else { return Ok(()) };
    say!("{} in {} of {read_model} ({})", view.product, view.generation, product.group);
    if view.is_discarded {
        say!("    was given up: nothing more of it is applied until it is redriven");
    }
    say!("    {} records are parked, because of {}: {}: {}", view.records, view.id, view.kind, view.reason);
    say!("    tried {} times, first {}, last {}", view.attempts, view.first_failed, view.last_failed);
    for asked in builds.asked() {
        let has = |offset| product.letters.iter().any(|it| it.offset == offset);
        if product.first().is_some_and(|first| asked.which.means(first, has)) {
            let fate = match asked.fate {
                Fate::Redriven { .. } => "redrive",
                Fate::Discarded => "discard",
            };
            say!("    {} {fate}, by {}: {}", time(asked.at_ms), asked.by, asked.why);
        }
    }
    let offsets = product.letters.iter().take(SHOWN).map(|it| it.offset).collect();
    for Letter { outline, original } in letters.letters(view.partition, offsets).await? {
        let size = original.value.as_ref().map_or("none".to_owned(), |it| format!("{} bytes", it.len()));
        say!("    {}/{}  {}: {}", outline.partition, outline.offset, outline.kind, outline.reason);
        say!("        key {}", String::from_utf8_lossy(&original.key));
        say!("        value {size}, appended {}", time(original.timestamp_ms));
        for (name, value) in &original.headers {
            say!("        {name}: {}", String::from_utf8_lossy(value));
        }
    }
    if product.letters.len() > SHOWN {
        say!("    ... and {} more records", product.letters.len() - SHOWN);
    }
    Ok(())
}

/// Has it decided of every read model that has any of it, or only says what would come of it.
async fn decide_about(
    config: &Config,
    change: &Change,
    verb: &str,
    step: impl Fn(Selection, String) -> Step,
) -> anyhow::Result<()> {
    let which = &change.which;
    let selection = which.selection();
    ensure!(
        change.all || !selection.is_all(),
        "say what to {verb}: --product, --kind, --id, or --all for everything that is parked"
    );
    let (mut desk, mut is_any) = (open(config).await?, false);
    for read_model in which.read_models() {
        let products = parked(config, read_model, which).await?;
        if products.is_empty() {
            continue;
        }
        is_any = true;
        if change.dry_run {
            dry_run(config, read_model, &products, verb).await?;
            continue;
        }
        let decided =
            decide(&mut desk, read_model, |_| step(selection.clone(), change.reason.clone())).await?;
        say!("{read_model}: {decided}: {} products", products.len());
        let order = desk.builds(read_model).asked().last().map_or(0, |it| it.order);
        if change.wait {
            wait(config, read_model, &products, order).await?;
        }
    }
    if !is_any {
        say!("nothing of it is parked");
    }
    Ok(())
}

/// Says of each product whether it would be applied now.
async fn dry_run(
    config: &Config,
    read_model: ReadModel,
    products: &[ParkedProduct],
    verb: &str,
) -> anyhow::Result<()> {
    let (groups, _) = groups(config, read_model).await?;
    let schemas = Arc::new(Registry::new(&config.registry)?.of_topic(&config.topic));
    let trials: Arc<dyn Trials> = trials(read_model, servers(config), schemas);
    let mut would_fail = 0;
    for product in products {
        let (Some(view), Some(group)) = (product.view(), groups.iter().find(|it| it.name == product.group))
        else {
            continue;
        };
        let (name, generation, records) = (&view.product, view.generation, view.records);
        if verb == "discard" {
            say!(
                "{read_model} {generation} {name}: {records} records would be given up: its rows stay as they are"
            );
            continue;
        }
        let (letters, outlines) = (&*group.letters, &product.letters[..]);
        let trial = trials.would(Question { generation, letters, outlines }).await?;
        would_fail += usize::from(matches!(trial, Trial::Fails { .. }));
        say!("{read_model} {generation} {name}: {records} records: {trial}");
    }
    if verb != "discard" {
        say!(
            "{read_model}: {} of {} products would be applied now, as far as it can be seen without writing",
            products.len() - would_fail,
            products.len()
        );
    }
    Ok(())
}

/// Waits until projectors have done what was decided then, and tells what came of it.
async fn wait(
    config: &Config,
    read_model: ReadModel,
    products: &[ParkedProduct],
    order: u64,
) -> anyhow::Result<()> {
    let (begun, mut moved, mut before) = (Instant::now(), Instant::now(), usize::MAX);
    loop {
        let now = parked(config, read_model, &Which::default()).await?;
        let still: Vec<&ParkedProduct> = products
            .iter()
            .filter_map(|product| {
                let subject = &product.first()?.subject;
                now.iter().find(|it| {
                    it.group == product.group && it.first().is_some_and(|first| first.subject == *subject)
                })
            })
            .collect();
        let waiting = still.iter().filter(|it| it.first().is_some_and(|first| first.acted < order)).count();
        if waiting == 0 {
            say!(
                "{read_model}: {} of {} products are no longer parked, after {} ms",
                products.len() - still.len(),
                products.len(),
                begun.elapsed().as_millis()
            );
            for view in still.iter().filter_map(|it| it.view()).take(SHOWN) {
                let reason = if view.is_discarded { "given up" } else { view.reason.as_str() };
                say!("{read_model} {} {}: {}: {reason}", view.generation, view.product, view.kind);
            }
            return Ok(());
        }
        if waiting != std::mem::replace(&mut before, waiting) {
            moved = Instant::now();
        }
        if moved.elapsed() > NOBODY {
            bail!(
                "{read_model}: {waiting} products wait for a minute: is a projector of {read_model} running? The first one that comes will \
                 do it"
            );
        }
        tokio::time::sleep(LOOK).await;
    }
}
