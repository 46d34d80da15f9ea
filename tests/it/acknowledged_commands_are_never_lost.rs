//! P1 An acknowledged command is never lost, whichever process is killed.
//!
//! An import through two command services, while `kill -9` falls on them and on the projectors at random, and once on the
//! broker itself. Afterwards every acknowledged line is exactly one effective record, and every store shows it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cli::commands::verify;
use cli::import::{Answer, Upload, diamonds};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use testkit::servers::{PrivateKafka, servers};
use testkit::{Oracle, PATIENCE, Started, System, eventually};

const LINES: usize = 12_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_survives_kill_9_of_services_and_the_broker() -> anyhow::Result<()> {
    let (stack, kafka) = tokio::task::spawn_blocking(|| (servers(), PrivateKafka::start())).await?;
    let mut kafka = kafka?;
    let mut addresses = stack.addresses.clone();
    addresses.kafka_bootstrap = kafka.bootstrap();
    let mut system = System::prepare_on(addresses).await?;
    let mut killable = vec![system.command_service().await?, system.command_service().await?];
    // They begin just behind what they have written: else, in so short a test, they would begin at zero each time.
    killable.extend(system.projectors_with(&[("DURABILITY_WINDOW_MS", "0")]).await?);

    let lines = diamonds::lines()?[..LINES].to_vec();
    let urls = killable[..2].iter().map(Started::url).collect();
    let upload = Upload { urls, chunk: 200, parallel: 2, patience: PATIENCE };
    let acknowledged = Mutex::new(HashMap::<usize, Answer>::new());
    let answered = AtomicUsize::new(0);
    let import = upload.run(&lines, |line, answer| {
        answered.fetch_add(1, Ordering::SeqCst);
        let before = acknowledged.lock().expect("no answer panics").insert(line, answer.clone());
        assert!(before.is_none(), "line {line} was answered twice: {before:?}, {answer:?}");
    });
    let faults = async {
        let mut dice = StdRng::seed_from_u64(1);
        let mut kills = 0;
        for round in 1..=8 {
            // Spread over the import by its progress, not by a clock.
            let due = LINES * round / 10;
            eventually("the import goes on", async || answered.load(Ordering::SeqCst), |done| *done >= due)
                .await;
            if round == 5 {
                tokio::task::block_in_place(|| {
                    kafka.kill()?;
                    kafka.start_again()
                })?;
                continue;
            }
            // Command services and projectors in turn, at random within each kind.
            let victim =
                if round % 2 == 0 { dice.random_range(0..2) } else { dice.random_range(2..killable.len()) };
            killable[victim].service.kill();
            assert!(killable[victim].service.wait_ended(Duration::from_secs(10)).await);
            let plan = (killable[victim].service.plan.clone(), killable[victim].listens.clone());
            killable[victim] = system.start(plan)?;
            kills += 1;
        }
        anyhow::Ok(kills)
    };
    let (imported, kills) = tokio::join!(import, faults);
    imported?;
    assert_eq!(kills?, 7);

    let ids = cli::commands::schemas::ids(&system.config).await?;
    let oracle = Oracle::read(&system.config, ids).await?;
    let acknowledged = acknowledged.into_inner()?;
    assert_eq!(acknowledged.len(), LINES);
    for (line, answer) in &acknowledged {
        assert_eq!(answer.status, 201, "line {line}: {answer:?}");
        let records = &oracle.products[&diamonds::product_id(line + 1)];
        assert_eq!(records.len(), 1, "line {line} is one effective record");
        assert_eq!(answer.event_id.as_deref(), Some(records[0].event_id.to_string().as_str()), "line {line}");
    }
    assert_eq!(oracle.effective(), LINES as u64, "nothing else is effective");

    let counts = eventually(
        "every store has every product",
        async || verify::count(&system.config).await.ok(),
        |counts| counts.as_ref().is_some_and(|it| it.agree() && it.log.products == LINES as u64),
    )
    .await;
    println!("{counts:?}");
    Ok(())
}
