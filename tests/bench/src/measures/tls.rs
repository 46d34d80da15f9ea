//! What TLS costs the command service: processor time per command of an upload, plain, with TLS to Kafka, and with TLS at
//! the door, in turn.

use std::sync::Arc;

use anyhow::Context as _;
use cli::system::Listens;
use local_servers::{Addresses, Beyond};
use testkit::authority::{Authority, Signed};
use testkit::servers::PrivateKafka;
use tokio_rustls::TlsConnector;
use toolkit::tls::TlsConfig;

use super::http_bulk::Uploads;
use super::service::Client as _;
use crate::bench::{Bench, Catalog};
use crate::cpu;
use crate::pairs;
use crate::report::Row;
use crate::workload::Workload;

/// A command service, and how it is reached.
struct Measured {
    name: &'static str,
    listens: Listens,
    pid: i32,
    uploads: Uploads,
    /// Microseconds of its processor time for each command.
    costs: Vec<f64>,
}

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let dir = bench.servers.dir().join("tls");
    std::fs::create_dir_all(&dir)?;
    let authority = Authority::new(&dir, "authority")?;
    let signed = authority.signs("server", &["127.0.0.1", "localhost"])?;
    // The one of the other measures has no such listener.
    let (broker, secured) = broker(&dir.join("broker.pem"), &signed)?;
    let mut catalog = bench
        .catalog_on(Addresses { kafka_bootstrap: broker.bootstrap(), ..bench.servers.addresses() }, "tls")?;
    let mut services = services(&mut catalog, &authority, &signed, secured)?;
    let mut workload = Workload::new()?;
    for round in 0..=bench.pairs {
        for service in &mut services {
            let cost = service.run(&mut workload, bench.commands, &mut catalog)?;
            eprintln!("  round {round}: {} {cost:.1} us", service.name);
            // The first is the warm-up.
            if round > 0 {
                service.costs.push(cost);
            }
        }
    }
    catalog.check()?;
    let plain = services[0].costs.clone();
    Ok(services.iter().map(|service| row(service, &plain)).collect())
}

/// A broker that speaks TLS too, and `host:port` of where it does.
fn broker(file: &std::path::Path, signed: &Signed) -> anyhow::Result<(PrivateKafka, String)> {
    std::fs::write(file, signed.together()?)?;
    let lines = format!(
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SSL\n\
         ssl.keystore.type=PEM\nssl.keystore.location={}\n",
        file.display()
    );
    let (broker, ports) =
        PrivateKafka::start_told(Beyond { listeners: &["SECURED"], lines: &lines, scram: &[] })?;
    let port = ports.first().context("the broker has one more listener")?;
    Ok((broker, format!("127.0.0.1:{port}")))
}

fn services(
    catalog: &mut Catalog<'_>,
    authority: &Authority,
    signed: &Signed,
    secured: String,
) -> anyhow::Result<[Measured; 3]> {
    let ca = TlsConfig { ca_file: Some(authority.file.clone()), ..TlsConfig::default() };
    let connector = TlsConnector::from(Arc::new(ca.client(None)?));
    let path = |path: &std::path::Path| path.display().to_string();
    let to_kafka = [
        ("KAFKA__BOOTSTRAP_SERVERS", secured),
        ("KAFKA__SECURITY_PROTOCOL", "ssl".to_owned()),
        ("KAFKA__TLS__CA_FILE", path(&authority.file)),
    ];
    let door = [
        ("HTTP__TLS__CERTIFICATE_FILE", path(&signed.certificate)),
        ("HTTP__TLS__KEY_FILE", path(&signed.key)),
    ];
    let mut start = |name, settings: &[(&str, String)], tls| {
        let (listens, pid) = catalog.service_with(settings)?;
        anyhow::Ok(Measured { name, listens, pid, uploads: Uploads::new(tls)?, costs: Vec::new() })
    };
    Ok([
        start("without TLS", &[], None)?,
        start("with TLS to Kafka", &to_kafka, None)?,
        start("with TLS at the door", &door, Some(connector))?,
    ])
}

impl Measured {
    fn run(&self, workload: &mut Workload, number: usize, catalog: &mut Catalog<'_>) -> anyhow::Result<f64> {
        let commands = workload.commands(number)?;
        let commanded = commands.len();
        let requests = self.uploads.prepare(commands)?;
        let spent = cpu::of(self.pid)?;
        let answers = self.uploads.drive(&self.listens, requests)?;
        let cost = cpu::each_us(cpu::of(self.pid)?.saturating_sub(spent), commanded);
        catalog.acknowledged.extend(self.uploads.events(answers)?);
        Ok(cost)
    }
}

fn row(service: &Measured, plain: &[f64]) -> Row {
    let row = Row::cost(
        &format!("CPU per command, HTTP bulk {}", service.name),
        "us",
        &pairs::alone(&service.costs),
        None,
    );
    let mut times: Vec<f64> = service.costs.iter().zip(plain).map(|(cost, plain)| cost / plain).collect();
    row.noting(format!("{:.2} times without (the median of the rounds)", pairs::median(&mut times)))
}
