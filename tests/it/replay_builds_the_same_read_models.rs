//! P5 A read model dropped and replayed equals the live one, row for row.

use testkit::rows::assert_same;
use testkit::scenario::live;
use testkit::{Client, System, promised};

promised! {
    a_dropped_read_model_comes_back_row_for_row,
    what_was_lost_is_built_again_by_the_same_group,
}

async fn a_dropped_read_model_comes_back_row_for_row<S: System>() -> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    let projectors = system.projectors().await?;
    live(&commands, 300).await?;
    system.caught_up().await?;
    let live_rows = system.rows().await?;

    for projector in &projectors {
        system.kill(projector).await?;
    }
    system.drop_read_models().await?;
    assert!(system.rows().await?.values().all(Vec::is_empty), "the stores are empty");

    system.begin_at_zero();
    system.projectors().await?;
    system.caught_up().await?;
    assert_same("after the replay", &live_rows, &system.rows().await?);
    Ok(())
}

async fn what_was_lost_is_built_again_by_the_same_group<S: System>() -> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    let projectors = system.projectors().await?;
    live(&commands, 24).await?;
    system.caught_up().await?;
    let live_rows = system.rows().await?;

    for projector in &projectors {
        system.kill(projector).await?;
    }
    // Positions go with the rows; the group's offsets stay in the log's store, and must not be believed.
    system.drop_read_models().await?;
    system.projectors().await?;
    system.caught_up().await?;
    assert_same("after the loss", &live_rows, &system.rows().await?);
    Ok(())
}
