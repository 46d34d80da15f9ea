//! The commands of `folio`, one file per verb.

pub mod compare;
pub mod demo;
pub mod dev;
pub mod dlq;
mod find;
pub mod import;
pub mod persons;
pub mod probe;
pub mod read_models;
pub mod rebuild;
pub mod schemas;
pub mod stores;
pub mod topics;
pub mod up;
pub mod verify;

use adapter_kafka::Profile;
use toolkit::config::TelemetryConfig;

use crate::args::{self, Args, Command};
use crate::config::{Config, SERVICE};

/// Runs the command.
///
/// # Errors
/// Whatever stopped it: what was tried, what was wrong, what to do.
pub async fn run(args: Args) -> anyhow::Result<()> {
    if let Command::Dev(options) = &args.command {
        // It is the services, and what can be set is theirs.
        let mut settings: folio_dev::Settings =
            toolkit::config::load(SERVICE, args.config.as_deref(), &args.settings)?;
        settings.telemetry = for_people(settings.telemetry);
        let telemetry = toolkit::telemetry::init(folio_dev::SERVICE, &settings.telemetry)?;
        let ended = dev::run(options.clone(), settings).await;
        // Handing over the last traces blocks.
        tokio::task::spawn_blocking(move || telemetry.shutdown()).await?;
        return ended;
    }
    let config: Config = toolkit::config::load(SERVICE, args.config.as_deref(), &args.settings)?;
    let _telemetry = toolkit::telemetry::init(SERVICE, &for_people(config.telemetry.clone()))?;
    match args.command {
        Command::Dev(_) => Ok(()),
        Command::Demo => demo::run(&args.dir).await,
        Command::Up => up::up(&args.dir).await.map(|system| up::describe(&system)),
        Command::Down => up::down(&args.dir).await,
        Command::Status => up::status(&args.dir).await,
        Command::Import { options, url } => {
            let urls = if options.dry_run { url } else { find::commands(url, &args.dir)? };
            import::run(*options, urls).await.map(drop)
        }
        Command::Probe(options) => probe::run(&options).await,
        Command::Topics { .. }
        | Command::Schemas { .. }
        | Command::Stores { .. }
        | Command::Rebuild(_)
        | Command::ReadModels { .. }
        | Command::Dlq { .. }
        | Command::ErasePerson(_)
        | Command::Persons { .. }
        | Command::Verify { .. } => {
            config.check()?;
            let servers = find::servers(config, args.config.as_deref(), &args.settings, &args.dir)?;
            on_servers(args.command, servers).await
        }
    }
}

/// Logs on standard error, only what a person has to know, unless the environment asks for more.
fn for_people(telemetry: TelemetryConfig) -> TelemetryConfig {
    let mut telemetry = telemetry;
    if telemetry.level == TelemetryConfig::default().level {
        "warn".clone_into(&mut telemetry.level);
    }
    telemetry
}

async fn on_servers(command: Command, servers: find::Servers) -> anyhow::Result<()> {
    let config = &servers.config;
    match command {
        Command::Topics { action } => {
            let (options, create) = match action {
                args::Topics::Apply(options) => (options, true),
                args::Topics::Check(options) => (options, false),
            };
            let profile = match options.profile {
                Some(args::Profile::Local) => Profile::Local,
                None if servers.are_local => Profile::Local,
                Some(args::Profile::Default) | None => Profile::Default,
            };
            topics::run(&config.kafka, &topics::declared("")?, profile, create).await
        }
        Command::Schemas { action: args::Schemas::Register } => schemas::register(config).await,
        Command::Schemas { action: args::Schemas::Check } => schemas::check(config).await,
        Command::Stores { action } => match action {
            args::Stores::Apply(which) => stores::apply(config, &which).await,
            args::Stores::Check(which) => stores::check(config, &which).await,
            args::Stores::Compare { one, with } => compare::run(config, one, with).await,
        },
        Command::Rebuild(options) => rebuild::run(config, &options).await,
        Command::ReadModels { action } => read_models::run(config, action).await,
        Command::Dlq { action } => dlq::run(config, action).await,
        Command::ErasePerson(options) => persons::erase(config, &options).await,
        Command::Persons { action } => persons::run(config, action).await,
        Command::Dev(_)
        | Command::Demo
        | Command::Up
        | Command::Down
        | Command::Status
        | Command::Import { .. }
        | Command::Probe(_) => Ok(()),
        Command::Verify { which, rows: false } => verify::run(config, &which).await,
        Command::Verify { which, rows: true } => verify::compare_rows(config, &which).await,
    }
}
