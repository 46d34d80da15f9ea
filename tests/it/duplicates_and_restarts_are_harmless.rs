//! P4 Duplicates and restarts are harmless: redelivery from offset zero changes no row.

use testkit::rows::{assert_same, rows};
use testkit::scenario::{caught_up, live};
use testkit::{Client, PATIENCE, System};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redelivery_from_offset_zero_into_live_stores_changes_no_row() -> anyhow::Result<()> {
    let mut system = System::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    let projectors = system.projectors().await?;
    live(&commands, 200).await?;
    let prefix = system.planner.names.group_prefix.clone();
    caught_up(&system, &prefix).await?;
    let before = rows(&system.config).await?;
    assert_eq!(before["products"].len(), 200);

    // Killed, not stopped: whatever was not committed comes again.
    for projector in &projectors {
        projector.service.kill();
        assert!(projector.service.wait_ended(PATIENCE).await);
    }
    // New groups without a committed offset, on the same rows: every record comes a second time.
    let again = format!("{prefix}-again");
    system.planner.names.group_prefix.clone_from(&again);
    let projectors = system.projectors().await?;
    caught_up(&system, &again).await?;
    assert_same("after redelivery", &before, &rows(&system.config).await?);

    // And they go on with what is new.
    commands.create("after").await?;
    caught_up(&system, &again).await?;
    assert_eq!(rows(&system.config).await?["products"].len(), 201);
    for projector in projectors {
        assert!(projector.service.stop(PATIENCE).await, "SIGTERM ends it");
    }
    Ok(())
}
