//! P10 SIGTERM drains: what was accepted is answered, and nothing is lost.

use std::time::Duration;

use cli::import::diamonds;
use serde_json::Value;
use testkit::{Client, System, eventually, promised};

promised! {
    a_command_service_answers_what_it_took_before_it_ends,
    readiness_goes_before_the_door_closes,
}

async fn a_command_service_answers_what_it_took_before_it_ends<S: System>() -> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let service = system.command_service().await?;
    let client = Client::new(&service.url());
    // Uploads and single commands are in flight when SIGTERM comes.
    let lines = diamonds::lines()?;
    let uploads: Vec<_> = (0..4)
        .map(|number| {
            let (client, body) = (client.clone(), lines[number * 5_000..(number + 1) * 5_000].join("\n"));
            tokio::spawn(async move {
                let headers = [("content-type", "application/x-ndjson")];
                client.send(reqwest::Method::POST, "/v1/commands:bulk", &headers, body).await
            })
        })
        .collect();
    let ops = Client::new(&service.ops());
    eventually(
        "commands are in flight",
        async || ops.get("/metrics").await.map(|it| it.body.to_string()).unwrap_or_default(),
        |metrics| metrics.contains("folio_commands_total"),
    )
    .await;
    let ended = system.stop(&service);
    let (ended, uploads) = tokio::join!(ended, futures::future::join_all(uploads));
    assert!(ended, "it ended by itself");

    let oracle = system.oracle().await?;
    let mut accepted = 0;
    let mut told_to_retry = 0;
    for (number, upload) in uploads.into_iter().enumerate() {
        // An upload that had not begun is refused at the door; one that had gets an answer for each line it was read.
        let Ok(reply) = upload? else { continue };
        for answer in reply.body.as_str().unwrap_or_default().lines() {
            let answer: Value = serde_json::from_str(answer)?;
            if answer["outcome"] == "accepted" {
                accepted += 1;
                let id = answer["product_id"].as_str().unwrap_or_default();
                let record = &oracle.products[id][0];
                assert_eq!(
                    Some(record.event_id.to_string().as_str()),
                    answer["event_id"].as_str(),
                    "upload {number}"
                );
            } else {
                told_to_retry += 1;
                assert_eq!(answer["problem"]["retryable"], true, "{answer}");
            }
        }
    }
    assert!(accepted > 0, "nothing was in flight");
    assert_eq!(oracle.effective(), accepted, "every effective record was answered");
    eprintln!("{accepted} commands were answered before the end, {told_to_retry} were told to try again");
    Ok(())
}

async fn readiness_goes_before_the_door_closes<S: System>() -> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let service = system.command_service_with(&[("SHUTDOWN__DRAIN_DELAY_MS", "3000")]).await?;
    service.service.signal(nix::sys::signal::Signal::SIGTERM);
    let ops = Client::new(&service.ops());
    eventually(
        "not ready",
        async || ops.get("/readyz").await.map(|it| it.status.as_u16()).ok(),
        |it| *it == Some(503),
    )
    .await;
    // Load balancers learn of it while commands are still taken.
    assert_eq!(Client::new(&service.url()).create("late").await?.status, 201);
    assert!(service.service.wait_ended(Duration::from_secs(30)).await);
    Ok(())
}
