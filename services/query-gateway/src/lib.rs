//! The read side's door: HTTP and gRPC in, answers of the read models out.
//!
//! Promises: nothing in here can write; a read with a consistency token sees the write it names or says how far the read
//! model is; a store that is away costs only the questions that need it, and those are answered in bounded time.
//!
//! Start at [`Application`], which builds all of it from a [`Config`], and follow a question from `http/` over `ask/`.

mod ask;
mod config;
mod grpc;
mod http;
#[cfg(test)]
mod tests;
mod zeros;

use std::net::SocketAddr;

use edge::ops;
use tokio_util::sync::CancellationToken;
use toolkit::lifecycle::{Lifecycle, Readiness};
use toolkit::telemetry::{self, Telemetry};

use ask::{Questions, Stores};
pub use config::{Config, QueriesConfig, SERVICE};

/// Where the gateway listens, with every port 0 resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub http: SocketAddr,
    pub grpc: SocketAddr,
    /// Health and metrics.
    pub ops: SocketAddr,
}

/// A gateway that listens; it serves as soon as it is built.
#[derive(Debug)]
pub struct Application {
    addresses: Addresses,
    lifecycle: Lifecycle,
    telemetry: Telemetry,
}

impl Application {
    /// Binds all ports and begins to serve. The stores need not be there: readiness tells when they are.
    pub async fn build(config: Config) -> anyhow::Result<Self> {
        config.check()?;
        let telemetry = telemetry::init(SERVICE, &config.telemetry)?;
        zeros::show(&telemetry);
        let lifecycle = Lifecycle::with_timing(config.shutdown.clone());
        let meter = telemetry.meter();
        let stores = Stores::new(&config);
        let questions = Questions::new(stores.clone(), config.queries.clone(), ask::Metrics::new(&meter));
        let ops = ops::serve_with(config.listen.ops, &lifecycle, &telemetry, http::document)?;
        let http = http::serve(&config, questions.clone(), http::Metrics::new(&meter), &lifecycle)?;
        let grpc = grpc::serve(&config, questions, &meter, &lifecycle).await?;
        stores.connect(&config, &lifecycle);
        let addresses = Addresses { http, grpc, ops };
        tracing::info!(http = %http, grpc = %grpc, ops = %ops, "the query gateway is open");
        Ok(Self { addresses, lifecycle, telemetry })
    }

    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    pub fn readiness(&self) -> &Readiness {
        self.lifecycle.readiness()
    }

    /// Serves until SIGTERM or SIGINT, then finishes what it has. For a process of its own.
    pub async fn run(self) -> anyhow::Result<()> {
        let telemetry = self.telemetry;
        let ended = self.lifecycle.run().await;
        tokio::task::spawn_blocking(move || telemetry.shutdown()).await?;
        ended
    }

    /// Serves until `stop` is cancelled, then finishes what it has. For a service inside another process, whose signals it
    /// leaves alone.
    pub async fn run_until_stopped(self, stop: CancellationToken) -> anyhow::Result<()> {
        let shutdown = self.lifecycle.shutdown();
        let inner = Self { lifecycle: self.lifecycle.without_signals(), ..self };
        let stopped = async {
            stop.cancelled().await;
            shutdown.cancel();
            std::future::pending().await
        };
        tokio::select! {
            ended = inner.run() => ended,
            never = stopped => never,
        }
    }
}
