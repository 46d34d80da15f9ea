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

use edge::process::{Addresses, Process};
use toolkit::lifecycle::Lifecycle;

use ask::Queries;
pub use ask::{ReadModelHandle, Stores};
pub use config::{Config, QueriesConfig, SERVICE};

/// A gateway that listens; it serves as soon as it is built.
#[derive(Debug)]
pub struct Application {
    pub process: Process,
    pub addresses: Addresses,
}

impl Application {
    /// Binds all ports and begins to serve from servers. They need not be there: readiness tells when they are.
    pub async fn build(config: Config) -> anyhow::Result<Self> {
        let stores = Stores::new(&config);
        let application = Self::build_on(&config, stores.clone()).await?;
        stores.connect(&config, &application.process.lifecycle);
        Ok(application)
    }

    /// Binds all ports and begins to serve from these parts.
    pub async fn build_on(config: &Config, stores: Stores) -> anyhow::Result<Self> {
        config.check()?;
        let lifecycle = Lifecycle::with_timing(config.shutdown.clone());
        let process =
            Process::start(SERVICE, &config.telemetry, config.listen.ops, lifecycle, http::document)?;
        let (lifecycle, telemetry) = (&process.lifecycle, &process.telemetry);
        zeros::show(telemetry);
        let metrics = ask::Metrics::new(&telemetry.meter());
        let questions = Queries::new(stores, config.queries.clone(), metrics);
        let addresses = Addresses {
            ops: process.ops,
            http: http::serve(config, questions.clone(), lifecycle, telemetry)?,
            grpc: grpc::serve(config, questions, lifecycle, telemetry).await?,
        };
        Ok(Self { process, addresses })
    }
}
