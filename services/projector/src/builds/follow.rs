//! Follows the journal, so that whoever carries out what is decided hears of it soon.

use std::sync::Arc;

use read_models::ReadModel;
use read_models::control::{Builds, Desk};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use toolkit::journal::Journal;

use super::LOOK;

/// Tells `builds` what is decided, until `shutdown`.
pub(crate) async fn follow(
    journal: Arc<dyn Journal>,
    read_model: ReadModel,
    builds: watch::Sender<Builds>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mut desk = Desk::new(journal);
    let mut is_away = false;
    while !shutdown.is_cancelled() {
        match desk.look().await {
            Ok(_) => is_away = false,
            // What was decided stays; readiness names Kafka.
            Err(error) if !is_away => {
                is_away = true;
                tracing::warn!(%error, "cannot hear what is decided about builds; going on as it was");
            }
            Err(_) => {}
        }
        for problem in desk.take_damaged() {
            tracing::error!(
                "the journal of decisions holds what no Folio writes there, and goes by the rest: {problem}"
            );
        }
        let now = desk.builds(read_model);
        builds.send_if_modified(|known| {
            let is_new = known != now;
            if is_new {
                tell(read_model, known, now);
                known.clone_from(now);
            }
            is_new
        });
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
