//! P4 Duplicates and restarts are harmless: redelivery from offset zero changes no row.

use adapter_cql::Cql;
use read_models::ReadModel;
use testkit::rows::{assert_same, rows};
use testkit::scenario::live;
use testkit::{Client, OnServers, PATIENCE, System, eventually, promised};

promised! {
    redelivery_from_offset_zero_into_live_stores_changes_no_row,
}

async fn redelivery_from_offset_zero_into_live_stores_changes_no_row<S: System>() -> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    let projectors = system.projectors().await?;
    live(&commands, 200).await?;
    system.caught_up().await?;
    let before = system.rows().await?;
    assert_eq!(before["products"].len(), 200);

    // Killed, not stopped: whatever was not committed comes again.
    for projector in &projectors {
        system.kill(projector).await?;
    }
    // New groups without a committed offset, on the same rows: every record comes a second time.
    system.begin_at_zero();
    let projectors = system.projectors().await?;
    system.caught_up().await?;
    assert_same("after redelivery", &before, &system.rows().await?);

    // And they go on with what is new.
    commands.create("after").await?;
    system.caught_up().await?;
    assert_eq!(system.rows().await?["products"].len(), 201);
    for projector in projectors {
        assert!(system.stop(&projector).await, "SIGTERM ends it");
    }
    Ok(())
}

/// On servers only: nobody else can drop a table that one process has open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_written_is_written_when_its_table_is_there_again() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    let projector = system.projector(ReadModel::Products).await?;
    assert_eq!(commands.create("kept").await?.status, 201);
    let config = system.config.clone();
    let listed = async || rows(&config).await.map_or(0, |rows| rows["products_by_category"].len());
    assert_eq!(eventually("the product is listed", listed, |rows| *rows == 1).await, 1);

    // One of the two tables refuses writes: neither the product's state nor the position may get ahead of it.
    let cql = Cql::connect(&config.cql).await?;
    let table = "products_by_category_g1";
    cql.execute(&cql.prepare(&format!("DROP TABLE {{keyspace}}.{table}")).await?, ()).await?;
    assert_eq!(commands.change_price("kept", 2_000, &[]).await?.status, 200);
    let ready = async || Client::new(&projector.ops()).get("/readyz").await.map(|it| it.body.to_string());
    let is_told = |said: &reqwest::Result<String>| said.as_ref().is_ok_and(|it| it.contains(table));
    eventually("readiness names the missing table", ready, is_told).await?;
    assert!(projector.log().contains("partition") && projector.log().contains(table), "{}", projector.log());

    // Nobody restarts anything.
    cli::commands::stores::apply(&config, &cli::commands::stores::Which::default()).await?;
    projector.service.wait_ready(PATIENCE).await?;
    assert_eq!(eventually("the product is listed again", listed, |rows| *rows == 1).await, 1);
    Ok(())
}
