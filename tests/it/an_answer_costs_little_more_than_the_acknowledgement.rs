//! P12 A command's answer costs little more than the broker's acknowledgement.
//!
//! One client at a time, in turn with a bare produce of a record of the same size to the same broker with the same
//! settings: the difference of the medians is at most 3 ms, in the same run.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ledger::Headers;
use testkit::{Client, System};
use toolkit::kafka::{NewMessage, RecordProducer};

const ROUNDS: usize = 400;
const MOST: Duration = Duration::from_millis(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_median_answer_is_within_3_ms_of_the_bare_acknowledgement() -> anyhow::Result<()> {
    let mut system = System::prepare().await?;
    let client = Client::new(&system.command_service().await?.url());
    assert_eq!(client.create("timed").await?.status, 201);

    // A topic of the same declaration, which nobody tails.
    let bare = format!("bare.{}", system.prefix());
    cli::commands::topics::declared(&bare)?.apply(&system.config.kafka, toolkit::kafka::Profile::Local).await?;
    let producer = RecordProducer::open(&system.config.kafka)?;
    let mut headers = Headers::new();
    (0..12).for_each(|number| headers.push(&format!("header_{number}"), &[b'x'; 24]));
    let message = |number: usize| NewMessage {
        topic: format!("{bare}{}", contract::topics::EVENTS),
        partition: Some(0),
        key: Bytes::from(format!("timed/{number}/{number}/00000000-0000-8000-8000-000000000000")),
        value: Some(Bytes::from_static(&[7; 32])),
        headers: headers.clone(),
    };

    let (mut answers, mut acknowledgements) = (Vec::new(), Vec::new());
    for number in 0..ROUNDS + 50 {
        let began = Instant::now();
        producer.send(message(number)).await?;
        acknowledgements.push(began.elapsed());
        let began = Instant::now();
        let reply = client.change_price("timed", 2_000 + number as u64, &[]).await?;
        answers.push(began.elapsed());
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    let (answer, bare) = (median(&mut answers[50..]), median(&mut acknowledgements[50..]));
    println!("median of {ROUNDS}: answer {answer:?}, bare acknowledgement {bare:?}");
    assert!(answer <= bare + MOST, "the answer takes {answer:?}, the bare acknowledgement {bare:?}");
    Ok(())
}

fn median(durations: &mut [Duration]) -> Duration {
    durations.sort_unstable();
    durations[durations.len() / 2]
}
