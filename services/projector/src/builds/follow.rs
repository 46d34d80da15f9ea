//! Follows the journal, so that whoever carries out what is decided hears of it soon.

use std::time::Instant;

use read_models::ReadModel;
use read_models::control::{Builds, Desk};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use toolkit::lifecycle::Dependency;

use super::LOOK;

/// Who is told what is decided.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) builds: watch::Sender<Builds>,
    /// When the look began that `builds` is of.
    pub(crate) heard: watch::Sender<Instant>,
    /// Down while the journal does not answer.
    pub(crate) health: Dependency,
}

/// Tells what is decided from now on, until `shutdown`; `desk` has read what was decided before.
pub(crate) async fn follow(
    mut desk: Desk,
    read_model: ReadModel,
    told: Told,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    while !shutdown.is_cancelled() {
        let begun = Instant::now();
        let looked = desk.look().await;
        match &looked {
            Ok(_) => told.health.up(),
            // What was decided stays.
            Err(error) => told.health.down(format!("cannot hear what is decided about builds: {error}")),
        }
        for problem in desk.take_damaged() {
            tracing::error!(
                "the journal of decisions holds what no Folio writes there, and goes by the rest: {problem}"
            );
        }
        let now = desk.builds(read_model);
        told.builds.send_if_modified(|known| {
            let is_new = known != now;
            if is_new {
                tell(read_model, known, now);
                known.clone_from(now);
            }
            is_new
        });
        if looked.is_ok() {
            // After the builds: whoever waits for it sees them.
            told.heard.send_replace(begun);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = shutdown.cancelled() => {}
        }
    }
    Ok(())
}

fn tell(read_model: ReadModel, known: &Builds, now: &Builds) {
    if let Some(later) = now.later().filter(|_| known.later().is_none()) {
        tracing::error!(
            "a later release of Folio has decided `{later}` about {read_model}: this one goes on as it was, and decides nothing; \
             use that release"
        );
    }
    tracing::info!(revision = now.revision, read = %now.read, turn = ?now.turn, "the builds of {read_model} have changed");
}
