//! Processes that are killed and machines that lose their power, as what they leave on the disk.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

/// Records of each of the groups that are written one after another.
const GROUPS: [usize; 12] = [1, 40, 3, 3, 200, 1, 1, 60, 9, 150, 2, 80];

/// A closed log of [`GROUPS`], and for each how long its journal was, and how many records there were, when it was written.
fn written() -> (TempDir, Vec<(usize, usize)>) {
    let dir = tempfile::tempdir().unwrap();
    let (store, next) = Store::open(dir.path(), &options()).unwrap();
    let ends = Arc::new(Ends::new(next.iter().map(|end| end.offset)));
    let (mut writer, _) = Writer::new(Arc::new(store), ends, next);
    let (mut appended, mut acknowledged) = (0, vec![(0, 0)]);
    for records in GROUPS {
        let request = |n: usize| {
            let PlainRecord { key, value, headers } = plain(n);
            let draft = Some(Draft::new(&key, value.as_deref(), &headers));
            let partition = Partition(n as i32 % PARTITIONS);
            Request::Append(Append { partition, draft, reply: Reply::Once(oneshot::channel().0) })
        };
        writer.write((appended..appended + records).map(request).collect(), 1_000);
        appended += records;
        acknowledged.push((journal(dir.path()).1, appended));
    }
    drop(writer);
    trim(dir.path());
    (dir, acknowledged)
}

/// A copy of the log whose journal is changed; what is in it when it is opened, and when it is opened again after more.
fn after(dir: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Result<usize, LogError> {
    let copied = copy(dir);
    let (path, used) = journal(copied.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(used + 4_096);
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    let log = EmbeddedLog::open(copied.path(), &options())?;
    let records = read(&log).unwrap();
    assert_prefix(&records);
    let partition = Partition(1);
    let next = wait(log.append(partition, &plain(records[1].len() * 3 + 1))).unwrap();
    assert_eq!(next, records[1].len() as Offset, "offsets go on where they end");
    drop(log);
    let again = read(&open(copied.path())).unwrap();
    assert_prefix(&again);
    assert_eq!(counted(&again), counted(&records) + 1);
    Ok(counted(&records))
}

#[test]
fn a_journal_that_is_cut_off_anywhere_has_every_group_that_is_whole() {
    let (dir, acknowledged) = written();
    let (_, used) = journal(dir.path());
    let around = acknowledged.iter().flat_map(|(length, _)| [length.saturating_sub(1), *length, length + 1]);
    let cuts = (0..used).step_by(used / 40).chain(around).filter(|cut| *cut <= used);
    for cut in cuts {
        let whole = acknowledged.iter().rfind(|(length, _)| *length <= cut).unwrap().1;
        let ended = after(dir.path(), |bytes| bytes.truncate(cut));
        assert_eq!(ended.unwrap(), whole, "the file ends at {cut}");
        let zeroed = after(dir.path(), |bytes| bytes[cut..].fill(0));
        assert_eq!(zeroed.unwrap(), whole, "zeros from {cut}");
    }
}

#[test]
fn of_a_last_group_that_misses_a_part_nothing_is_there_and_of_an_earlier_one_it_is_damage() {
    let (dir, acknowledged) = written();
    let [.., (before, whole), (after_last, _)] = acknowledged[..] else { panic!("there are groups") };
    let sectors = before.div_ceil(512)..after_last / 512;
    assert!(sectors.len() > 20);
    for sector in sectors.step_by(7) {
        let left = after(dir.path(), |bytes| bytes[sector * 512..][..512].fill(0));
        assert_eq!(left.unwrap(), whole, "sector {sector} is missing");
    }
    let (earlier, _) = acknowledged[5];
    let hole = earlier.next_multiple_of(512) - 2_048;
    let refused = after(dir.path(), |bytes| bytes[hole..][..512].fill(0)).unwrap_err();
    assert!(matches!(refused, LogError::Damaged { .. }), "{refused}");
}

#[test]
fn of_a_last_group_that_misses_the_sector_in_which_it_begins_nothing_is_there() {
    let (dir, acknowledged) = written();
    let [.., (before, whole), _] = acknowledged[..] else { panic!("there are groups") };
    assert_ne!(before % 512, 0, "the sector has the end of an earlier group");
    let left = after(dir.path(), |bytes| bytes[before..before.next_multiple_of(512)].fill(0));
    assert_eq!(left.unwrap(), whole);
}

#[test]
fn a_damaged_group_with_one_behind_it_that_was_cut_off_is_damage() {
    let (dir, acknowledged) = written();
    let [.., (damaged, _), (before, _), _] = acknowledged[..] else { panic!("there are groups") };
    let refused = after(dir.path(), |bytes| {
        // The first item's tag, behind the group's 13 bytes.
        bytes[damaged + 13] ^= 0x41;
        bytes.truncate(before + 40);
    });
    let refused = refused.unwrap_err();
    assert!(matches!(refused, LogError::Damaged { untouched: true, .. }), "{refused}");
}

/// Zeros that were written are no part that is missing, wherever else the group is damaged.
#[test]
fn a_damaged_group_with_a_record_of_zeros_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (store, next) = Store::open(dir.path(), &options()).unwrap();
    let ends = Arc::new(Ends::new(next.iter().map(|end| end.offset)));
    let (mut writer, _) = Writer::new(Arc::new(store), ends, next);
    let request = |partition, value: &[u8]| {
        let draft = Some(Draft::new(b"key", Some(value), &Headers::new()));
        Request::Append(Append { partition, draft, reply: Reply::Once(oneshot::channel().0) })
    };
    writer.write(vec![request(Partition(0), &[0; 4_096]), request(Partition(1), b"value")], 1_000);
    drop(writer);
    trim(dir.path());
    let used = journal(dir.path()).1;
    // In the last value; and the tag of the first item, without which the group cannot be walked through.
    for at in [used - 15, 13] {
        let refused = after(dir.path(), |bytes| bytes[at] ^= 0x41).unwrap_err();
        assert!(matches!(refused, LogError::Damaged { untouched: true, .. }), "byte {at}: {refused}");
    }
}

/// A copy that is made while records are written is what the end of the process at that moment leaves. It says nothing of what is
/// synced: it is made from the memory of the system, in which everything that was written is, synced or not.
#[test]
fn a_copy_of_the_files_has_every_record_that_was_acknowledged_before() {
    let dir = tempfile::tempdir().unwrap();
    trim(dir.path());
    let log = open(dir.path());
    let (acknowledged, enough) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut copies = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Few enough that all of it stays in the journal, of which a copy is of one moment.
            for from in (0..8_000).step_by(8).take_while(|_| !enough.load(Ordering::SeqCst)) {
                append(&log, from, from + 8);
                acknowledged.store(from + 8, Ordering::SeqCst);
            }
        });
        for _ in 0..12 {
            let before = acknowledged.load(Ordering::SeqCst);
            copies.push((before, copy(dir.path())));
        }
        enough.store(true, Ordering::SeqCst);
    });
    for (before, copy) in copies {
        let records = read(&open(copy.path())).unwrap();
        assert_prefix(&records);
        assert!(counted(&records) >= before, "{} of {before}", counted(&records));
    }
}
