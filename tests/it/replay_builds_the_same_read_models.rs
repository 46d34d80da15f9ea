//! P5 A read model dropped and replayed equals the live one, row for row.

use testkit::rows::{assert_same, drop_all, rows};
use testkit::scenario::{caught_up, live};
use testkit::{Client, PATIENCE, System};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_read_model_comes_back_row_for_row() -> anyhow::Result<()> {
    let mut system = System::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    let projectors = system.projectors().await?;
    live(&commands, 300).await?;
    let prefix = system.planner.names.group_prefix.clone();
    caught_up(&system, &prefix).await?;
    let live_rows = rows(&system.config).await?;

    for projector in &projectors {
        projector.service.kill();
    }
    drop_all(&system.config).await?;
    cli::commands::stores::apply(&system.config).await?;
    assert!(rows(&system.config).await?.values().all(Vec::is_empty), "the stores are empty");

    let replay = format!("{prefix}-replay");
    system.planner.names.group_prefix.clone_from(&replay);
    system.projectors().await?;
    caught_up(&system, &replay).await?;
    assert_same("after the replay", &live_rows, &rows(&system.config).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lost_is_built_again_by_the_same_group() -> anyhow::Result<()> {
    let mut system = System::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    let projectors = system.projectors().await?;
    live(&commands, 24).await?;
    let prefix = system.planner.names.group_prefix.clone();
    caught_up(&system, &prefix).await?;
    let live_rows = rows(&system.config).await?;

    for projector in &projectors {
        projector.service.kill();
        assert!(projector.service.wait_ended(PATIENCE).await);
    }
    drop_all(&system.config).await?;
    // Positions go with the rows; the group's offsets stay in Kafka, and must not be believed.
    cli::commands::stores::apply(&system.config).await?;
    system.projectors().await?;
    caught_up(&system, &prefix).await?;
    assert_same("after the loss", &live_rows, &rows(&system.config).await?);
    Ok(())
}
