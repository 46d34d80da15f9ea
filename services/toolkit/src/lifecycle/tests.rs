use std::time::Duration;

use super::*;

fn lifecycle(grace_ms: u64) -> Lifecycle {
    Lifecycle::with_timing(ShutdownConfig { drain_delay_ms: 0, grace_ms }).without_signals()
}

#[tokio::test]
async fn a_task_that_ends_early_ends_the_process_with_an_error() {
    let lifecycle = lifecycle(5_000);
    let shutdown = lifecycle.shutdown();
    lifecycle.spawn("server", async move {
        shutdown.cancelled().await;
        Ok(())
    });
    lifecycle.spawn("tailer", async { Ok(()) });
    let error = lifecycle.run().await.unwrap_err();
    assert_eq!(error.to_string(), "task tailer ended early");
}

#[tokio::test]
async fn a_panic_on_a_thread_ends_the_process_with_an_error() {
    let lifecycle = lifecycle(5_000);
    lifecycle.thread_support("poller", || panic!("no more")).unwrap();
    let error = lifecycle.run().await.unwrap_err();
    assert_eq!(format!("{error:#}"), "task poller failed: its thread panicked");
}

#[tokio::test]
async fn what_the_work_needs_ends_after_the_work() {
    let lifecycle = lifecycle(5_000);
    let (shutdown, drained) = (lifecycle.shutdown(), lifecycle.drained());
    let (work_done, needed) = tokio::sync::oneshot::channel();
    lifecycle.spawn("server", async move {
        shutdown.cancelled().await;
        work_done.send(()).map_err(|()| anyhow::anyhow!("support ended before the work"))
    });
    lifecycle.spawn_support("log", async move {
        needed.await?;
        drained.cancelled().await;
        Ok(())
    });
    lifecycle.shutdown().cancel();
    lifecycle.run().await.unwrap();
}

#[tokio::test]
async fn who_is_told_to_stop_works_through_the_drain_delay_while_it_is_not_ready() {
    let timing = ShutdownConfig { drain_delay_ms: 500, grace_ms: 5_000 };
    let lifecycle = Lifecycle::with_timing(timing).without_signals();
    let (shutdown, readiness) = (lifecycle.shutdown(), lifecycle.readiness().clone());
    readiness.dependency("log").up();
    assert!(readiness.is_ready());
    let running = tokio::spawn(lifecycle.run_until(std::future::ready(())));
    while readiness.is_ready() {
        tokio::task::yield_now().await;
    }
    assert!(!shutdown.is_cancelled(), "the work goes on");
    shutdown.cancelled().await;
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_task_that_never_ends_does_not_keep_the_process() {
    let lifecycle = lifecycle(20);
    lifecycle.spawn("stuck", std::future::pending());
    lifecycle.shutdown().cancel();
    let error = lifecycle.run().await.unwrap_err();
    assert!(error.to_string().starts_with("ended with 1 tasks unfinished"), "{error}");
}

#[test]
fn what_only_a_part_needs_is_told_and_keeps_nobody_from_being_ready() {
    let readiness = Readiness::default();
    let (store, table) = (readiness.dependency("store"), readiness.part("table"));
    table.up();
    assert!(!readiness.is_ready());
    store.up();
    table.down("dropped");
    assert!(readiness.is_ready());
    assert_eq!(readiness.status().missing(), ["table: dropped"]);
}

#[tokio::test]
async fn readiness_needs_every_dependency_and_ends_at_shutdown() {
    let lifecycle = lifecycle(5_000);
    let readiness = lifecycle.readiness().clone();
    assert!(!readiness.is_ready(), "nothing declared is not ready");
    let (kafka, registry) = (readiness.dependency("kafka"), readiness.dependency("registry"));
    kafka.up();
    assert!(!readiness.is_ready() && !readiness.status().started);
    registry.up();
    assert!(readiness.is_ready() && readiness.status().started);
    kafka.down("cannot reach k:9092");
    assert_eq!(readiness.status().missing(), ["kafka: cannot reach k:9092"]);
    assert!(readiness.status().started, "start-up ends once");
    kafka.up();
    let (shutdown, seen) = (lifecycle.shutdown(), readiness.clone());
    lifecycle.spawn("server", async move {
        shutdown.cancelled().await;
        anyhow::ensure!(!seen.is_ready(), "ready while shutting down");
        Ok(())
    });
    lifecycle.shutdown().cancel();
    tokio::time::timeout(Duration::from_secs(5), lifecycle.run()).await.unwrap().unwrap();
}

#[tokio::test]
async fn parts_of_one_process_do_not_share_names() {
    let lifecycle = lifecycle(5_000);
    let (one, two) = (lifecycle.of_part("one"), lifecycle.of_part("two"));
    let (of_one, of_two) = (one.readiness().dependency("store"), two.readiness().dependency("store"));
    of_one.up();
    of_two.down("away");
    assert_eq!(lifecycle.readiness().status().missing(), ["two store: away"]);
    of_two.up();
    assert!(lifecycle.readiness().is_ready() && one.readiness().is_ready());
    two.spawn("work", async { anyhow::bail!("no more") });
    assert_eq!(format!("{:#}", lifecycle.run().await.unwrap_err()), "task two work failed: no more");
}

#[tokio::test]
async fn what_outlasts_the_work_is_told_to_stop_when_the_work_is_finished() {
    let lifecycle = lifecycle(5_000);
    let inner = lifecycle.outlasting_work("projectors");
    let (stop, inner_stop) = (lifecycle.shutdown(), inner.shutdown());
    lifecycle.spawn("door", async move {
        stop.cancelled().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        anyhow::ensure!(!inner_stop.is_cancelled(), "told too early");
        Ok(())
    });
    let (told, finished) = (inner.shutdown(), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let finish = std::sync::Arc::clone(&finished);
    inner.spawn("member", async move {
        told.cancelled().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        finish.store(true, std::sync::atomic::Ordering::SeqCst);
        Ok(())
    });
    inner.readiness().dependency("log").up();
    assert!(lifecycle.readiness().is_ready());
    lifecycle.shutdown().cancel();
    lifecycle.run().await.unwrap();
    assert!(finished.load(std::sync::atomic::Ordering::SeqCst));
}

#[tokio::test]
async fn what_outlasts_the_work_and_ends_early_ends_the_process() {
    let lifecycle = lifecycle(5_000);
    lifecycle.outlasting_work("projectors").spawn("member", async { anyhow::bail!("a defect") });
    let error = lifecycle.run().await.unwrap_err();
    assert_eq!(format!("{error:#}"), "task projectors failed: task projectors member failed: a defect");
}
