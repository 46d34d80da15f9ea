//! A service as a process: its arguments, its configuration, its operators' port, and its orderly end.
//!
//! Promises: an error is told where an operator looks first, with an exit code that says whether the configuration is at
//! fault; the operators' port is there before anything else is, and until all work is finished.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use actix_web::web;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use toolkit::config::{self, ConfigError, TelemetryConfig};
use toolkit::lifecycle::{Dependency, Lifecycle};
use toolkit::telemetry::{self, Telemetry};

use crate::auth::{Auth, AuthConfig};
use crate::limits::{Limits, LimitsConfig};
use crate::ops::{self, OpsPort};

/// The arguments that every service takes.
#[derive(Debug, clap::Args)]
// Services call theirs so too, and clap wants names of groups to differ.
#[group(skip)]
pub struct Arguments {
    /// A YAML file; variables such as `FOLIO__LISTEN__HTTP` and `--set` win over it.
    #[arg(long, env = "FOLIO_CONFIG")]
    config: Option<PathBuf>,
    /// Sets one key, as in `--set listen.http=127.0.0.1:8080`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = config::setting)]
    pub set: Vec<(String, String)>,
    /// Prints the configuration, secrets redacted, and ends.
    #[arg(long)]
    print_config: bool,
}

/// What a service's `main` does: loads the configuration and runs the service on it, or prints it.
pub async fn main<C: Serialize + DeserializeOwned>(
    service: &str,
    arguments: Arguments,
    check: impl FnOnce(&C) -> Result<(), ConfigError>,
    run: impl AsyncFnOnce(C) -> anyhow::Result<()>,
) -> ExitCode {
    let Arguments { config, set, print_config } = arguments;
    let outcome = async {
        let config: C = config::load(service, config.as_deref(), &set)?;
        check(&config)?;
        if print_config {
            return Ok(std::io::stdout().write_all(config::print(&config)?.as_bytes())?);
        }
        run(config).await
    };
    match outcome.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The log may not have begun.
            drop(writeln!(std::io::stderr(), "{service}: {}", toolkit::causes(error.as_ref())));
            config::exit_code(&error)
        }
    }
}

/// Where a service listens, with every port 0 resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub http: SocketAddr,
    pub grpc: SocketAddr,
    /// Health and metrics.
    pub ops: SocketAddr,
}

/// A service that has begun: what it tells, and what runs in it.
#[derive(Debug)]
pub struct Process {
    pub lifecycle: Lifecycle,
    pub telemetry: Telemetry,
    /// What callers are checked by, and how much each may have, at every port of it.
    pub auth: Auth,
    /// Where health and metrics are.
    pub ops: SocketAddr,
    /// That all of it has begun. What has begun already may be up before the rest is even known, doors included: without
    /// this the operators' port would call such a process ready.
    begun: Dependency,
}

impl Process {
    /// Refuses to start if it is not said who may call. Starts telemetry, begins to know callers, and opens the operators' port, under a lifecycle that nothing else runs in. `shows`
    /// adds what the service itself shows there. The process is not ready before it runs.
    pub fn start(
        service: &str,
        (config, auth, limits): (&TelemetryConfig, &AuthConfig, &LimitsConfig),
        ops: OpsPort<'_>,
        lifecycle: Lifecycle,
        shows: impl Fn(&mut web::ServiceConfig, &Auth) + Clone + Send + 'static,
    ) -> anyhow::Result<Self> {
        auth.decided(service)?;
        let begun = lifecycle.readiness().dependency("start-up");
        let telemetry = telemetry::init(service, config)?;
        let auth = Auth::open(auth, &lifecycle, &telemetry)?.within(Limits::new(limits, &telemetry));
        let ops = ops::serve(ops, &lifecycle, &telemetry, &auth, shows)?;
        Ok(Self { lifecycle, telemetry, auth, ops, begun })
    }

    /// Runs, everything having begun, until a signal, if the lifecycle listens to them, or until something fails; then ends in order.
    pub async fn run(self) -> anyhow::Result<()> {
        self.begun.up();
        self.run_until(std::future::pending()).await
    }

    /// Runs until `stop` is cancelled or something fails; then ends in order, as after a signal. For a service inside another
    /// process, which keeps the signals.
    pub async fn run_until_stopped(self, stop: CancellationToken) -> anyhow::Result<()> {
        // Told before it runs: what began has to end because the rest could not begin.
        if !stop.is_cancelled() {
            self.begun.up();
        }
        let inner = Self { lifecycle: self.lifecycle.without_signals(), ..self };
        inner.run_until(stop.cancelled_owned()).await
    }

    async fn run_until(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let ended = self.lifecycle.run_until(stop).await;
        let telemetry = self.telemetry;
        // Handing over the last traces blocks.
        tokio::task::spawn_blocking(move || telemetry.shutdown()).await?;
        ended
    }
}

#[cfg(test)]
mod tests {
    use toolkit::tls::ServerTlsConfig;

    use super::*;

    #[tokio::test]
    async fn what_began_first_makes_no_process_ready_whose_rest_has_not_begun() {
        let tls = ServerTlsConfig::default();
        let ops = OpsPort { address: SocketAddr::from(([127, 0, 0, 1], 0)), tls: &tls };
        let lifecycle = Lifecycle::default().without_signals();
        let configs = (&TelemetryConfig::default(), &AuthConfig::anonymous(), &LimitsConfig::default());
        let process = Process::start("test", configs, ops, lifecycle, |_, _| ()).unwrap();
        let readiness = process.lifecycle.readiness().clone();
        readiness.dependency("first").up();
        assert_eq!(readiness.status().missing(), ["start-up: starting"]);

        let stop = CancellationToken::new();
        let running = tokio::spawn(process.run_until_stopped(stop.clone()));
        while !readiness.is_ready() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
        running.await.unwrap().unwrap();
    }
}
