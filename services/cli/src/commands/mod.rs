//! The commands of `folio`, one file per verb.

pub mod demo;
pub mod import;
pub mod schemas;
pub mod stores;
pub mod topics;
pub mod up;
pub mod verify;

use toolkit::kafka::Profile;

use crate::args::{self, Args, Command};
use crate::config::{Config, SERVICE};

/// Runs the command.
///
/// # Errors
/// Whatever stopped it: what was tried, what was wrong, what to do.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let config: Config = toolkit::config::load(SERVICE, args.config.as_deref(), &args.settings)?;
    // Logs on standard error, only what a person has to know, unless the environment asks for more.
    let mut telemetry = config.telemetry.clone();
    if telemetry.level == Config::default().telemetry.level {
        "warn".clone_into(&mut telemetry.level);
    }
    let _telemetry = toolkit::telemetry::init(SERVICE, &telemetry)?;
    match args.command {
        Command::Demo(local) => demo::run(&local.dir).await,
        Command::Up(local) => up::up(&local.dir).await.map(|system| up::describe(&system)),
        Command::Down(local) => up::down(&local.dir).await,
        Command::Status(local) => up::status(&local.dir).await,
        Command::Topics { action } => {
            let (options, create) = match action {
                args::Topics::Apply(options) => (options, true),
                args::Topics::Check(options) => (options, false),
            };
            let profile = match options.profile {
                args::Profile::Default => Profile::Default,
                args::Profile::Local => Profile::Local,
            };
            topics::run(&config.kafka, &topics::declared("")?, profile, create).await
        }
        Command::Schemas { action: args::Schemas::Register } => schemas::register(&config).await,
        Command::Schemas { action: args::Schemas::Check } => schemas::check(&config).await,
        Command::Stores { action: args::Stores::Apply } => stores::apply(&config).await,
        Command::Stores { action: args::Stores::Check } => stores::check(&config).await,
        Command::Import { url, first } => import::run(url, first).await.map(|_| ()),
        Command::Verify => verify::run(&config).await,
    }
}
