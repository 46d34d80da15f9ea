//! Durable commands a second through NDJSON uploads, against bare produces.

use cli::system::Listens;
use contract::AddressedCommand;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use uuid::Uuid;

use super::OUTSTANDING;
use super::service::{self, Client};
use crate::bench::Bench;
use crate::client::http;
use crate::report::Row;
use crate::workload::{deal, line};

/// Uploads at a time, each on a connection of its own.
const UPLOADS: usize = 4;

pub(super) struct Uploads {
    /// One thread: the generator leaves the machine to the service.
    runtime: Runtime,
    /// How the door is reached, if not plainly.
    tls: Option<TlsConnector>,
}

impl Uploads {
    pub(super) fn new(tls: Option<TlsConnector>) -> anyhow::Result<Self> {
        Ok(Self { runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?, tls })
    }
}

impl Client for Uploads {
    /// Bodies, each with its number of lines.
    type Requests = Vec<(String, usize)>;
    type Answers = Vec<(Vec<u8>, usize)>;

    fn prepare(&self, commands: Vec<AddressedCommand>) -> anyhow::Result<Self::Requests> {
        Ok(deal(commands, UPLOADS, line).into_iter().map(|lines| (lines.concat(), lines.len())).collect())
    }

    fn drive(&self, to: &Listens, requests: Self::Requests) -> anyhow::Result<Self::Answers> {
        self.runtime.block_on(async {
            let mut uploads = JoinSet::new();
            for (body, lines) in requests {
                let (address, tls) = (to.http.clone(), self.tls.clone());
                uploads.spawn(async move {
                    let answer = match tls {
                        Some(tls) => http::upload_secured(&address, &tls, body.as_bytes()).await?,
                        None => http::upload(&address, body.as_bytes()).await?,
                    };
                    anyhow::Ok((answer, lines))
                });
            }
            uploads.join_all().await.into_iter().collect()
        })
    }

    fn events(&self, answers: Self::Answers) -> anyhow::Result<Vec<Uuid>> {
        let mut events = Vec::new();
        for (answer, lines) in answers {
            events.extend(http::events(&answer, lines)?);
        }
        Ok(events)
    }
}

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let told = service::measure(bench, "http-bulk", bench.commands, OUTSTANDING, &Uploads::new(None)?)?;
    Ok(vec![
        Row::rate("durable commands by HTTP bulk", "commands/s", &told.rate, 0.35),
        Row::cost("CPU per command, HTTP bulk", "us", &told.cost, None)
            .noting(format!("the service alone; the generator took {:.1} us", told.generator)),
        Row::bytes("log on disk per event, HTTP bulk", told.bytes_each),
    ])
}
