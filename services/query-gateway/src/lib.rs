//! The read side's door: HTTP and gRPC in, answers of the read models out.
//!
//! Promises: nothing in here can write; a read with a consistency token sees the write it names or says how far the read
//! model is; a store that is away costs only the questions that need it, and those are answered in bounded time.
//!
//! Start at [`Application`], which builds all of it from a [`Config`] ([`Core`] is all of it but its ports), and follow a question from `http/` over `ask/`.

mod ask;
mod config;
mod grpc;
mod http;
#[cfg(test)]
mod tests;
mod zeros;

use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::{App, Error, web};
use edge::auth::Auth;
use edge::grpc::{Call, Services};
use edge::http::{Requests, Taken};
use edge::process::{Addresses, Process};
use toolkit::lifecycle::Lifecycle;
use toolkit::telemetry::Telemetry;

use ask::Queries;
pub use ask::{Pace, ReadModelHandle, Stores};
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
        let lifecycle = Lifecycle::with_timing(config.shutdown.clone());
        config.check()?;
        let persons = adapter_person_keys::start(&config.privacy, &config.cql, &lifecycle)
            .map_err(anyhow::Error::msg)?;
        let mut stores = Stores::new(&config);
        stores.persons = persons;
        let application = Self::build_under(&config, stores.clone(), lifecycle).await?;
        stores.connect(&config, &application.process.lifecycle);
        Ok(application)
    }

    /// Binds all ports and begins to serve from these parts.
    pub async fn build_on(config: &Config, stores: Stores) -> anyhow::Result<Self> {
        Self::build_under(config, stores, Lifecycle::with_timing(config.shutdown.clone())).await
    }

    async fn build_under(config: &Config, stores: Stores, lifecycle: Lifecycle) -> anyhow::Result<Self> {
        config.check()?;
        let configs = (&config.telemetry, &config.auth, &config.limits);
        let process = Process::start(SERVICE, configs, (&config.listen).into(), lifecycle, http::document)?;
        let (lifecycle, telemetry, auth) = (&process.lifecycle, &process.telemetry, &process.auth);
        let Core { questions, .. } = Core::start(config, stores, telemetry, auth.clone())?;
        let addresses = Addresses {
            ops: process.ops,
            http: http::serve(config, questions.clone(), auth, lifecycle, telemetry)?,
            grpc: grpc::serve(config, questions, auth, lifecycle, telemetry).await?,
        };
        Ok(Self { process, addresses })
    }
}

/// All of the gateway but its ports, for a process that serves other things beside it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Core {
    questions: Queries,
    auth: Auth,
    config: Config,
}

impl Core {
    /// What it takes over HTTP.
    pub const PATHS: &[Taken] = http::PATHS;
    /// What it takes over gRPC, of `catalog.v1.QueryService`.
    pub const CALLS: &[Call] = grpc::CALLS;
    /// Its document, in OpenAPI.
    pub const OPENAPI: &str = http::OPENAPI;

    /// Stands on these parts.
    pub fn start(config: &Config, stores: Stores, telemetry: &Telemetry, auth: Auth) -> anyhow::Result<Self> {
        config.check()?;
        zeros::show(telemetry);
        let metrics = ask::Metrics::new(&telemetry.meter());
        let questions = Queries::new(stores, config.queries.clone(), metrics);
        Ok(Self { questions, auth, config: config.clone() })
    }

    /// The application that answers over HTTP, with what `beside` adds to it. What nobody takes is left to `beside`.
    pub fn app(
        &self,
        requests: &Requests,
        beside: &dyn Fn(&mut web::ServiceConfig),
    ) -> App<
        impl ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<impl MessageBody + use<>>,
            Error = Error,
            InitError = (),
        > + use<>,
    > {
        http::app(self.questions.clone(), &self.auth, requests, beside)
    }

    /// How long requests in flight may take when the door closes.
    pub fn grace(&self) -> Duration {
        http::grace(&self.config.queries)
    }

    /// Adds what answers over gRPC.
    pub fn grpc(&self, services: Services) -> Services {
        services.and(grpc::server(&self.config.http, self.questions.clone()), grpc::CALLS)
    }
}
