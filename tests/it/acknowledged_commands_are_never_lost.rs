//! P1 An acknowledged command is never lost, whichever process is killed.
//!
//! An import through two command services, while `kill -9` falls on them and on the projectors at random, and once on the
//! log itself: the broker, or in one process all there is. Afterwards every acknowledged line is exactly one effective record,
//! and every store shows it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cli::import::{Answer, Upload, diamonds};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use testkit::expected::differences;
use testkit::{PATIENCE, Started, System, eventually, promised};

const LINES: usize = 12_000;

promised! {
    an_import_survives_kill_9_of_services_and_the_log,
}

async fn an_import_survives_kill_9_of_services_and_the_log<S: System>() -> anyhow::Result<()> {
    let mut system = S::prepare_with_own_log().await?;
    let mut killable = vec![system.command_service().await?, system.command_service().await?];
    // They begin just behind what they have written: else, in so short a test, they would begin at zero each time.
    killable.extend(system.projectors_with(&[("DURABILITY_WINDOW_MS", "0")]).await?);

    let lines = diamonds::lines()?[..LINES].to_vec();
    let urls = killable[..2].iter().map(Started::url).collect();
    let upload = Upload { urls, chunk: 200, parallel: 2, patience: PATIENCE, tls: cli::DoorTls::default() };
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
                system.kill_log().await?;
                continue;
            }
            // Command services and projectors in turn, at random within each kind.
            let victim =
                if round % 2 == 0 { dice.random_range(0..2) } else { dice.random_range(2..killable.len()) };
            system.kill(&killable[victim]).await?;
            killable[victim] = system.start_again(&killable[victim])?;
            kills += 1;
        }
        anyhow::Ok(kills)
    };
    let (imported, kills) = tokio::join!(import, faults);
    imported?;
    assert_eq!(kills?, 7);

    system.caught_up().await?;
    let oracle = system.oracle().await?;
    let acknowledged = acknowledged.into_inner()?;
    assert_eq!(acknowledged.len(), LINES);
    for (line, answer) in &acknowledged {
        assert_eq!(answer.status, 201, "line {line}: {answer:?}");
        let records = &oracle.products[&diamonds::product_id(line + 1)];
        assert_eq!(records.len(), 1, "line {line} is one effective record");
        assert_eq!(answer.event_id.as_deref(), Some(records[0].event_id.to_string().as_str()), "line {line}");
    }
    assert_eq!(oracle.effective(), LINES as u64, "nothing else is effective");

    let (compared, differences) = differences(&oracle, &system.rows().await?, S::NOT_GIVEN_BACK)?;
    assert!(differences.is_empty(), "the stores are not what the log says: {differences:#?}");
    assert!(compared >= 4 * LINES, "every table has every product: {compared} rows");
    Ok(())
}
