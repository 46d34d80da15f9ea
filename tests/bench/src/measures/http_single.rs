//! Single commands over HTTP, 64 connections, against bare produces with 64 in flight; and the latency of an open loop
//! at half that rate.

use std::time::{Duration, Instant};

use anyhow::bail;
use bytes::Bytes;
use cli::system::Listens;
use contract::AddressedCommand;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::open_loop;
use super::service::{self, Client};
use crate::bench::Bench;
use crate::client::http::event;
use crate::client::single::Connection;
use crate::report::Row;
use crate::workload::{deal, request_with};

const CONNECTIONS: usize = 64;
/// The part of the peak at which an open loop is measured, and for how long.
const LOAD: f64 = 0.5;
const OPEN_LOOP: Duration = Duration::from_secs(10);
/// How long before what was turned away is sent again, and how long at most.
const AGAIN: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Singles {
    /// One thread: the generator leaves the machine to the service.
    runtime: Runtime,
    /// What stands in each request beside what a command needs.
    header: String,
}

impl Singles {
    pub(super) fn new() -> anyhow::Result<Self> {
        Self::showing(None)
    }

    /// With this token or key in each request.
    pub(super) fn showing(credential: Option<&str>) -> anyhow::Result<Self> {
        let header = credential.map(|it| format!("authorization: Bearer {it}\r\n")).unwrap_or_default();
        Ok(Self { runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?, header })
    }
}

impl Client for Singles {
    type Requests = Vec<Vec<Bytes>>;
    type Answers = Vec<Uuid>;

    fn prepare(&self, commands: Vec<AddressedCommand>) -> anyhow::Result<Self::Requests> {
        let request = |command: &_| request_with(command, &self.header);
        deal(commands, CONNECTIONS, request).into_iter().map(|hand| hand.into_iter().collect()).collect()
    }

    fn drive(&self, to: &Listens, requests: Self::Requests) -> anyhow::Result<Self::Answers> {
        self.runtime.block_on(async {
            let mut connections = JoinSet::new();
            for requests in requests {
                let address = to.http.clone();
                connections.spawn(one_after_another(address, requests));
            }
            let answered: anyhow::Result<Vec<_>> = connections.join_all().await.into_iter().collect();
            Ok(answered?.concat())
        })
    }

    fn events(&self, answers: Self::Answers) -> anyhow::Result<Vec<Uuid>> {
        Ok(answers)
    }
}

async fn one_after_another(address: String, requests: Vec<Bytes>) -> anyhow::Result<Vec<Uuid>> {
    let mut connection = Connection::open(&address).await?;
    let mut events = Vec::with_capacity(requests.len());
    for request in requests {
        events.push(accepted(&mut connection, &request).await?);
    }
    Ok(events)
}

/// The event of a command. What the service turns away is sent again, as a client would: the clock goes on.
async fn accepted(connection: &mut Connection, request: &Bytes) -> anyhow::Result<Uuid> {
    let until = Instant::now() + PATIENCE;
    loop {
        let (status, body) = connection.exchange(request).await?;
        match status {
            200 | 201 => return event(body),
            429 | 503 if Instant::now() < until => {}
            _ => bail!("a command was answered {status}: {}", String::from_utf8_lossy(body)),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    // Each of these costs several times what one in bulk does.
    let number = bench.commands / 3;
    let told = service::measure(bench, "http-single", number, CONNECTIONS, &Singles::new()?)?;
    let mut rows = vec![
        Row::rate("single commands over HTTP, 64 connections", "commands/s", &told.rate, 0.60),
        Row::cost("CPU per command, HTTP single", "us", &told.cost, Some(45.0))
            .noting(format!("the service alone; the generator took {:.1} us", told.generator)),
    ];
    rows.push(open_loop::measure(bench, told.rate.system * LOAD, OPEN_LOOP)?);
    Ok(rows)
}
