use super::*;

fn limits(max_bytes: usize, stall_ms: u64) -> Limits {
    Limits { dir: None, max_bytes, disk: Memory::new(usize::MAX), stall: Duration::from_millis(stall_ms) }
}

/// A frame that is like no other.
fn frame(n: usize, len: usize) -> Bytes {
    format!("{n:08}").into_bytes().into_iter().cycle().take(len).collect::<Vec<_>>().into()
}

async fn read_all<E: From<Broken> + std::fmt::Debug>(reader: &mut Reader<E>) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(frames) = reader.next().await {
        all.extend_from_slice(&frames.unwrap());
    }
    all
}

#[tokio::test]
async fn frames_come_out_in_order_however_many_wait_and_memory_is_bounded() {
    let (mut writer, mut reader) = spool::<std::io::Error>(limits(8 * 1024 * 1024, 10_000));
    let mut expected = Vec::new();
    for n in 0..100 {
        let frame = frame(n, 60_000 + n);
        expected.extend_from_slice(&frame);
        writer.write(frame).await.unwrap();
        let (all, memory, _) = writer.lies();
        assert!(all == expected.len() && memory <= MEMORY + BLOCK + 60_100, "{memory} of {all}");
    }
    let reading = async {
        let read = read_all(&mut reader).await;
        assert!(reader.next().await.is_none(), "after the end there is nothing");
        read
    };
    let (read, finished) = tokio::join!(reading, writer.finish(Ok(())));
    finished.unwrap();
    assert!(read == expected);
    assert_eq!(writer.lies().0, 0);
}

#[tokio::test]
async fn a_long_upload_with_a_slow_reader_goes_round_and_round_in_a_small_file() {
    let max = 2 * 1024 * 1024;
    let (mut writer, mut reader) = spool::<std::io::Error>(limits(max, 10_000));
    let reading = tokio::spawn(async move { read_all(&mut reader).await });
    let (mut expected, mut longest) = (Vec::new(), 0);
    for n in 0..400 {
        let frame = frame(n, 50_000 + 7 * n);
        expected.extend_from_slice(&frame);
        writer.write(frame).await.unwrap();
        let (all, _, file) = writer.lies();
        assert!(all <= max, "{all}");
        longest = longest.max(file);
        if n % 50 == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    writer.finish(Ok(())).await.unwrap();
    assert!(reading.await.unwrap() == expected);
    assert!(longest <= max as u64, "{longest}");
}

#[tokio::test]
async fn who_writes_more_than_there_is_room_for_waits_and_gives_up_if_nobody_reads() {
    let (mut writer, mut reader) = spool::<std::io::Error>(limits(1024 * 1024, 150));
    let since = Instant::now();
    let mut n = 0;
    let ended = loop {
        if let Err(ended) = writer.write(frame(n, 100_000)).await {
            break ended;
        }
        n += 1;
    };
    assert_eq!((ended, n), (Ended::Stalled, 10));
    assert!(since.elapsed() >= Duration::from_millis(150));
    let first = reader.next().await.unwrap().unwrap();
    assert_eq!(first.len(), 100_000);
    writer.write(frame(n, 100_000)).await.unwrap();
    writer.abandon(Some(Bytes::from_static(b"why")), Ok(()));
    assert_eq!(writer.lies(), (3, 3, 0), "nothing is kept but the last word");
    assert_eq!(read_all(&mut reader).await, b"why");
}

#[tokio::test]
async fn the_end_is_waited_for_only_as_long_as_something_is_taken() {
    let (mut writer, reader) = spool::<std::io::Error>(limits(1024 * 1024, 100));
    writer.write(frame(1, 10)).await.unwrap();
    assert_eq!(writer.finish(Ok(())).await, Err(Ended::Stalled));
    drop(reader);
    assert_eq!(writer.write(frame(2, 10)).await, Err(Ended::Gone));
    tokio::time::timeout(Duration::from_secs(5), writer.gone()).await.unwrap();
    assert_eq!(writer.lies(), (0, 0, 0));
}

#[tokio::test]
async fn while_there_is_room_and_more_to_come_nothing_has_to_be_taken() {
    let stall = Duration::from_millis(100);
    let (mut writer, mut reader) = spool::<std::io::Error>(limits(1024 * 1024, 100));
    let mut expected = Vec::new();
    let since = Instant::now();
    for n in 0.. {
        if since.elapsed() > 7 * stall {
            break;
        }
        let frame = frame(n, 1_000);
        expected.extend_from_slice(&frame);
        writer.write(frame).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let reading = async {
        // Longer than the stall in the middle of an upload, shorter than the one at its end.
        tokio::time::sleep(2 * stall).await;
        read_all(&mut reader).await
    };
    let (read, finished) = tokio::join!(reading, writer.finish(Ok(())));
    finished.unwrap();
    assert!(read == expected);
}

#[tokio::test]
async fn the_files_of_all_spools_have_one_limit_and_who_finds_no_room_goes_on_in_memory() {
    let limits = Limits { disk: Memory::new(2 * 1024 * 1024), ..limits(8 * 1024 * 1024, 10_000) };
    let (mut first, first_reader) = spool::<std::io::Error>(limits.clone());
    for n in 0..30 {
        first.write(frame(n, 60_000)).await.unwrap();
    }
    let taken = limits.disk.taken();
    assert!((1_000_000..=2 * 1024 * 1024).contains(&taken), "{taken}");
    let (mut second, mut reader) = spool::<std::io::Error>(limits.clone());
    let reading = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        read_all(&mut reader).await
    });
    let mut expected = Vec::new();
    for n in 0..50 {
        let frame = frame(n, 60_000);
        expected.extend_from_slice(&frame);
        second.write(frame).await.unwrap();
        assert!(limits.disk.taken() <= 2 * 1024 * 1024 && second.lies().1 <= 2 * (MEMORY + BLOCK));
    }
    second.finish(Ok(())).await.unwrap();
    assert!(reading.await.unwrap() == expected);
    drop((second, first_reader));
    assert_eq!(limits.disk.taken(), 0, "nobody reads: nothing is kept");
}

#[tokio::test]
async fn a_writer_that_finds_no_room_waits_from_then_on() {
    let (mut writer, mut reader) = spool::<std::io::Error>(limits(1024 * 1024, 200));
    for n in 0..10 {
        writer.write(frame(n, 100_000)).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    let reading = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        reader.next().await
    };
    let (read, written) = tokio::join!(reading, writer.write(frame(10, 100_000)));
    assert!(read.is_some());
    written.unwrap();
}

#[tokio::test]
async fn a_writer_that_ends_without_a_word_is_an_error_for_the_reader() {
    let (mut writer, mut reader) = spool::<std::io::Error>(limits(1024 * 1024, 100));
    writer.write(frame(1, 10)).await.unwrap();
    drop(writer);
    assert!(reader.next().await.unwrap().is_ok());
    assert!(reader.next().await.unwrap().is_err());
    assert!(reader.next().await.is_none());
}

#[tokio::test]
async fn without_a_file_there_is_only_memory_and_nothing_is_lost() {
    let dir = std::env::temp_dir().join("folio-no-such-directory").join("at-all");
    let limits = Limits { dir: Some(dir), ..limits(8 * 1024 * 1024, 10_000) };
    let (mut writer, mut reader) = spool::<std::io::Error>(limits);
    let reading = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        read_all(&mut reader).await
    });
    let mut expected = Vec::new();
    for n in 0..50 {
        let frame = frame(n, 50_000);
        expected.extend_from_slice(&frame);
        writer.write(frame).await.unwrap();
        assert!(writer.lies().1 <= MEMORY + BLOCK + 50_000);
    }
    writer.finish(Ok(())).await.unwrap();
    assert!(reading.await.unwrap() == expected);
}
