//! P2 One product is decided in order, however many instances write it, and every answer is true.
//!
//! Two command services (in one process they are the same), eight clients each, 50 hot products, 20,000 requests with and
//! without expected versions. The clients record what they asked and what they were told; then the log is judged independently and compared.

use std::sync::Arc;
use std::time::Duration;

use testkit::history::{Catalog, Load, Recorded, Writer, check};
use testkit::{Client, Oracle, System, promised};

const CLIENTS: usize = 16;
const COMMANDS: usize = 20_000;
const LOAD: Load = Load {
    products: 50,
    hot: 25,
    hot_share: 0.5,
    unknown: 1,
    impatient: 0.0,
    repeated: 0.0,
    pause: Duration::ZERO,
};

promised! {
    two_instances_writing_the_same_products_answer_truly,
}

async fn two_instances_writing_the_same_products_answer_truly<S: System>() -> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let (one, two) = (system.command_service().await?, system.command_service().await?);
    let instances = [Client::new(&one.url()), Client::new(&two.url())];
    known_at_once_on_the_other_instance(&instances).await?;

    let catalog = Arc::new(Catalog::new(LOAD, instances.len()));
    let mut recorded = Vec::with_capacity(COMMANDS);
    let mut writers: Vec<Writer> =
        (0..CLIENTS).map(|number| Writer::new(number, 1, &catalog, &instances)).collect();
    let creations = writers.iter_mut().map(|it| it.create(CLIENTS));
    recorded.extend(futures::future::join_all(creations).await.into_iter().flatten());
    let running =
        writers.into_iter().map(|mut it| tokio::spawn(async move { it.run(COMMANDS / CLIENTS).await }));
    for writer in futures::future::join_all(running).await {
        recorded.extend(writer?);
    }
    assert_eq!(recorded.len(), COMMANDS + LOAD.products - LOAD.unknown);

    let mut oracle = system.oracle().await?;
    oracle.products.remove(FIRST);
    is_true(&oracle, &recorded);
    if S::IS_IN_PARTS {
        assert!(oracle.void > 20, "the instances did not race: {} void records", oracle.void);
    } else {
        assert_eq!(oracle.void, 0, "one writer alone has nobody to race with");
    }
    Ok(())
}

const FIRST: &str = "first";

/// Neither unknown nor a false conflict.
async fn known_at_once_on_the_other_instance([one, two]: &[Client; 2]) -> anyhow::Result<()> {
    assert_eq!(one.create(FIRST).await?.status, 201);
    for version in 1..=50 {
        let (price, expected) = (2_000 + version, format!("\"{version}\""));
        let client = if version % 2 == 0 { one } else { two };
        let reply = client.change_price(FIRST, price, &[("if-match", &expected)]).await?;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    Ok(())
}

fn is_true(oracle: &Oracle, recorded: &[Recorded]) {
    let verdict = check(oracle, recorded);
    eprintln!("{} void records; {verdict:?}", oracle.void);
    assert_eq!(verdict.violations, 0, "{:#?}", verdict.first);
    assert_eq!(verdict.unacknowledged, 0, "without faults every effective record was acknowledged");
    for kind in ["accepted", "version-conflict", "no_effect", "product-not-found", "product-deleted"] {
        assert!(verdict.told(kind) > 20, "too few answers of {kind} to mean anything: {verdict:?}");
    }
}
