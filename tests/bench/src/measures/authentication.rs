//! What it costs the command service to know its callers: processor time per command with nobody checked, with a token and with an API
//! key, in turn; over HTTP, where each request shows it, and by gRPC streaming, where each command asks whether it still holds.

use anyhow::Context as _;
use cli::system::Listens;
use edge::auth::hashed_key;
use serde_json::json;
use testkit::login::{AUDIENCE, Login, now};

use super::Streams;
use super::http_single::Singles;
use super::service::Client;
use crate::bench::{Bench, Catalog};
use crate::cpu;
use crate::pairs::{self, Pair};
use crate::report::Row;
use crate::workload::Workload;

/// At most a twentieth more than without.
const TARGET: f64 = 1.05;
/// Keys that count beside the one that is shown: each is compared with it.
const OTHERS: usize = 100;
const SCOPES: [&str; 3] = ["products:write", "products:delete", "products:bulk"];

/// A command service, and what its callers show.
struct Measured {
    name: &'static str,
    listens: Listens,
    pid: i32,
    singles: Singles,
    streams: Streams,
    /// Microseconds of its processor time for each command.
    over_http: Vec<f64>,
    over_grpc: Vec<f64>,
}

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut catalog = bench.catalog("authentication")?;
    let login = bench.runtime.block_on(Login::start())?;
    let mut services = services(&mut catalog, bench, &login)?;
    let mut workload = Workload::new()?;
    for round in 0..=bench.pairs {
        for service in &mut services {
            // Each of these costs several times what one of a stream does.
            let over_http =
                service.spends(&service.singles, bench.commands / 3, &mut workload, &mut catalog)?;
            let over_grpc = service.spends(&service.streams, bench.commands, &mut workload, &mut catalog)?;
            eprintln!("  round {round}: {}: HTTP {over_http:.1} us, gRPC {over_grpc:.1} us", service.name);
            // The first is the warm-up.
            if round > 0 {
                service.over_http.push(over_http);
                service.over_grpc.push(over_grpc);
            }
        }
    }
    catalog.check()?;
    let (nobody, checked) = services.split_first().context("there is one that checks nobody")?;
    Ok(checked.iter().flat_map(|it| rows(it, nobody)).collect())
}

fn services(catalog: &mut Catalog<'_>, bench: &Bench, login: &Login) -> anyhow::Result<[Measured; 3]> {
    let key = |number: usize| format!("folio-bench-key-{number:032}");
    let line = |number| {
        format!("- {{name: k{number}, sha256: \"{}\", scopes: {SCOPES:?}}}\n", hashed_key(&key(number)))
    };
    let keys = bench.servers.dir().join("authentication-keys.yaml");
    std::fs::write(&keys, format!("keys:\n{}", (0..=OTHERS).map(line).collect::<String>()))?;
    // It outlives the measure, however long that takes.
    let claims = json!({ "sub": "bench", "scope": SCOPES.join(" "), "exp": now() + 86_400 });
    let token = login.signed(&claims)?;
    let checked = |name, value| [("AUTH__ALLOW_ANONYMOUS", "false".to_owned()), (name, value)];
    let by_key = checked("AUTH__KEYS_FILE", keys.display().to_string());
    let by_token =
        [checked("AUTH__OIDC__ISSUER", login.url()), checked("AUTH__OIDC__AUDIENCES", AUDIENCE.to_owned())]
            .concat();
    let mut start = |name, settings: &[(&str, String)], shown: Option<&str>| {
        let (listens, pid) = catalog.service_with(settings)?;
        let (singles, streams) = (Singles::showing(shown)?, Streams::showing(shown)?);
        let (over_http, over_grpc) = (Vec::new(), Vec::new());
        anyhow::Ok(Measured { name, listens, pid, singles, streams, over_http, over_grpc })
    };
    Ok([
        start("nobody checked", &[], None)?,
        start("a token", &by_token, Some(&token))?,
        start("an API key", &by_key, Some(&key(OTHERS / 2)))?,
    ])
}

impl Measured {
    fn spends<C: Client>(
        &self,
        client: &C,
        number: usize,
        workload: &mut Workload,
        catalog: &mut Catalog<'_>,
    ) -> anyhow::Result<f64> {
        let commands = workload.commands(number)?;
        let commanded = commands.len();
        let requests = client.prepare(commands)?;
        let spent = cpu::of(self.pid)?;
        let answers = client.drive(&self.listens, requests)?;
        let cost = cpu::each_us(cpu::of(self.pid)?.saturating_sub(spent), commanded);
        catalog.acknowledged.extend(client.events(answers)?);
        Ok(cost)
    }
}

fn rows(checked: &Measured, nobody: &Measured) -> [Row; 2] {
    let row = |way: &str, costs: &[f64], without: &[f64]| {
        let pair = |(system, ceiling): (&f64, &f64)| Pair { ceiling: *ceiling, system: *system };
        let pairs: Vec<Pair> = costs.iter().zip(without).map(pair).collect();
        let summary = pairs::summary(&pairs, |pair| pair.system / pair.ceiling);
        Row::times(&format!("CPU per command, {way}, with {}", checked.name), "us", &summary, TARGET)
            .noting("against the same load with nobody checked")
    };
    [
        row("HTTP single", &checked.over_http, &nobody.over_http),
        row("gRPC stream", &checked.over_grpc, &nobody.over_grpc),
    ]
}
