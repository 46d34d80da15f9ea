//! P30 A product can be given up and taken back, over the command line and the admin API, and it is known who did it and why; a dry run says what would happen, and decides nothing.

use anyhow::ensure;
use cli::args::Dlq;
use cli::commands::dlq::{self, Change, Which};
use contract::avro::SchemaIds;
use event_reader::SchemaSource as _;
use read_models::ReadModel;
use testkit::scenario::caught_up;
use testkit::{Client, OnServers, System, eventually};

use super::what_cannot_be_applied_is_parked::{Admin, is_read, neighbour, record, with_admin};

fn of(product: &str) -> Which {
    Which { product: Some(product.to_owned()), ..Which::default() }
}

fn change(product: &str, reason: &str, dry_run: bool) -> Change {
    Change { which: of(product), all: false, dry_run, reason: reason.to_owned(), wait: !dry_run }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_is_given_up_and_what_was_decided_about_it_is_known() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    let projectors = system.projectors_with(with_admin::<OnServers>()).await?;
    let admin = Admin::of(&projectors);
    let queries = Client::new(&system.query_gateway().await?.url());
    let ids = SchemaIds::new(system.registry()?.ids().await?)?;
    let neighbour = neighbour("hopeless");
    for id in ["hopeless", &neighbour] {
        ensure!(commands.create(id).await?.status == 201);
    }
    system.append(vec![record("hopeless", 2, None)?, record("hopeless", 3, Some((&ids, 3_000)))?]).await?;
    admin.have(1, 2).await;

    let refused = Change { which: Which::default(), ..change("", "", false) };
    let refused = dlq::run(&system.config, Dlq::Discard { change: refused }).await;
    ensure!(refused.is_err_and(|it| it.to_string().contains("--all")), "all of it is never meant by chance");
    let dry = change("hopeless", "", true);
    dlq::run(&system.config, Dlq::Redrive { change: dry.clone(), limit: None }).await?;
    dlq::run(&system.config, Dlq::Discard { change: dry }).await?;
    admin.have(1, 2).await;
    ensure!(admin.parked(ReadModel::Products).await["decided"].as_array().is_some_and(Vec::is_empty));

    dlq::run(&system.config, Dlq::Discard { change: change("hopeless", "a forged record", false) }).await?;
    admin.have(1, 1).await;
    system.append(vec![record("hopeless", 4, Some((&ids, 4_000)))?]).await?;
    ensure!(commands.change_price(&neighbour, 2_000, &[]).await?.status == 200);
    is_read(&queries, &neighbour, 2).await;
    caught_up(&system, &system.planner.names.group_prefix).await?;
    is_read(&queries, "hopeless", 1).await;
    for read_model in ReadModel::ALL {
        let parked = admin.parked(*read_model).await;
        let (first, decided) = (&parked["parked"][0], &parked["decided"][0]);
        ensure!(first["is_discarded"] == true && first["records"] == 1, "{parked}");
        ensure!(
            decided["reason"] == "a forged record" && decided["what"] == "discard product hopeless",
            "{parked}"
        );
        ensure!(decided["by"].as_str().is_some_and(|it| it.starts_with("folio")), "{parked}");
    }
    // The command line lists and shows what is there.
    dlq::run(&system.config, Dlq::List { which: Which::default(), limit: 10 }).await?;
    dlq::run(&system.config, Dlq::Show { which: of("hopeless"), limit: 10 }).await?;
    for read_model in ReadModel::ALL {
        let parked = dlq::parked(&system.config, *read_model, &Which::default()).await?;
        ensure!(parked.len() == 1 && parked[0].letters.len() == 1, "{parked:?}");
    }

    // It is taken back: everything of it is there again, and the first record still cannot be read.
    let back = Dlq::Redrive { change: change("hopeless", "look again", false), limit: Some(50) };
    dlq::run(&system.config, back).await?;
    admin.have(1, 3).await;
    eventually(
        "it is no longer given up",
        async || admin.parked(ReadModel::Products).await["parked"][0]["is_discarded"].as_bool(),
        |it| *it == Some(false),
    )
    .await;
    is_read(&queries, "hopeless", 1).await;
    Ok(())
}
