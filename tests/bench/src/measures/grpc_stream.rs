//! Durable commands a second through `ExecuteBulk`, against bare produces.

use bytes::Bytes;
use cli::system::Listens;
use contract::AddressedCommand;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::OUTSTANDING;
use super::service::{self, Client};
use crate::bench::Bench;
use crate::client::grpc;
use crate::report::Row;
use crate::workload::{deal, message};

/// Streams, each on a connection of its own.
const STREAMS: usize = 4;

pub(crate) struct Streams {
    /// One thread: the generator leaves the machine to the service.
    runtime: Runtime,
    /// What each stream shows of its caller.
    credential: Option<String>,
}

impl Streams {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Self::showing(None)
    }

    /// With this token or key at the beginning of each stream.
    pub(super) fn showing(credential: Option<&str>) -> anyhow::Result<Self> {
        let credential = credential.map(str::to_owned);
        Ok(Self { runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?, credential })
    }

    /// Sends commands whose time is not measured; their events.
    pub(crate) fn send(&self, to: &Listens, commands: Vec<AddressedCommand>) -> anyhow::Result<Vec<Uuid>> {
        self.events(self.drive(to, self.prepare(commands)?)?)
    }
}

impl Client for Streams {
    type Requests = Vec<Vec<Bytes>>;
    type Answers = Vec<Vec<Bytes>>;

    fn prepare(&self, commands: Vec<AddressedCommand>) -> anyhow::Result<Self::Requests> {
        Ok(deal(commands, STREAMS, message))
    }

    fn drive(&self, to: &Listens, requests: Self::Requests) -> anyhow::Result<Self::Answers> {
        self.runtime.block_on(async {
            let mut streams = JoinSet::new();
            for requests in requests {
                let (address, credential) = (to.grpc.clone(), self.credential.clone());
                streams.spawn(async move {
                    grpc::stream(grpc::connect(&address).await?, requests, credential.as_deref()).await
                });
            }
            streams.join_all().await.into_iter().collect()
        })
    }

    fn events(&self, answers: Self::Answers) -> anyhow::Result<Vec<Uuid>> {
        answers.iter().flatten().map(grpc::event).collect()
    }
}

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let told = service::measure(bench, "grpc-stream", bench.commands, OUTSTANDING, &Streams::new()?)?;
    Ok(vec![
        Row::rate("durable commands by gRPC streaming", "commands/s", &told.rate, 0.45),
        Row::cost("CPU per command, gRPC stream", "us", &told.cost, Some(15.0))
            .noting(format!("the service alone; the generator took {:.1} us", told.generator)),
    ])
}
