//! A disk that fails under an open log.

use super::*;

/// fjall sorts what was written into files on a thread of its own, and that thread has no place for them.
#[test]
fn after_a_write_that_failed_every_append_is_answered_and_what_was_acknowledged_stays() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let inbox = Arc::new(Held::default());
    let writer = log.event_log(Arc::clone(&inbox) as Arc<dyn Inbox>);
    writer.append(Partition(0), AppendId(0), event(0));
    let is_report = |signal: &Signal| matches!(signal, Signal::Appended { .. });
    inbox.wait_for("the first report", is_report, 1);
    let keyspaces = dir.path().join("log/data/keyspaces");
    for keyspace in fs::read_dir(&keyspaces).unwrap() {
        fs::remove_dir_all(keyspace.unwrap().path().join("tables")).unwrap();
    }
    let value = bytes::Bytes::from(vec![7; 256 * 1024]);
    let mut appended = 1;
    let failed = |signal: &Signal| matches!(signal, Signal::Appended { outcome: Err(_), .. });
    let start = Instant::now();
    while inbox.count(failed) == 0 {
        assert!(start.elapsed() < Duration::from_mins(1), "the failure shows");
        writer.append(
            Partition(0),
            AppendId(appended),
            NewRecord { value: value.clone(), ..event(appended) },
        );
        appended += 1;
        inbox.wait_for("a report for each append", is_report, appended as usize);
    }
    // From now on none is taken, and the same is said.
    for _ in 0..5 {
        writer.append(Partition(1), AppendId(appended), event(appended));
        appended += 1;
    }
    inbox.wait_for("a report for each append", is_report, appended as usize);
    assert_eq!(inbox.count(failed), 6);
    let (mut acknowledged, mut said) = (0, Vec::new());
    for signal in inbox.signals.lock().unwrap().iter() {
        match signal {
            Signal::Appended { outcome: Ok(offset), .. } => acknowledged = acknowledged.max(offset + 1),
            Signal::Appended { outcome: Err(AppendError::Unknown(why)), .. } => said.push(why.clone()),
            _ => {}
        }
    }
    assert!(
        said[0].contains("cannot write to the log in ") && said[0].contains("then start again"),
        "{said:?}"
    );
    assert!(said.iter().all(|why| *why == said[0]), "{said:?}");
    assert_eq!(wait(log.failed()), said[0]);
    // Reading goes on, up to what was acknowledged.
    assert_eq!(wait(log.reader().ends.of_all(PARTITIONS)).unwrap(), [acknowledged, 0, 0]);
    assert_eq!(counted(&read(&log).unwrap()) as Offset, acknowledged);
    let mut group = log.join(GroupOptions::new("g")).unwrap();
    let refused = wait(async {
        let Some(event_reader::feed::GroupEvent::Assigned { claim, .. }) = group.recv().await else {
            panic!("a member gets partitions");
        };
        group.handle().commit(claim, 1).await
    });
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("cannot commit position 1 of partition 0"), "{refused}");
}

struct Panicking;

impl Inbox for Panicking {
    fn deliver(&self, _: Signal) {
        panic!("an inbox that panics on the writer's thread");
    }
}

#[test]
fn a_writer_that_panics_is_a_log_that_failed() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let writer = log.event_log(Arc::new(Panicking));
    writer.append(Partition(0), AppendId(0), event(0));
    let why = wait(log.failed());
    assert!(why.contains("has panicked"), "{why}");
}
