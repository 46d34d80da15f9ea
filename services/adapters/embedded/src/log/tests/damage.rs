//! Changed bytes: refused, or an error when they are read, and never another record.

use super::*;

/// What became of a log with a damaged file.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Found {
    Refused,
    Error,
    /// Everything is as it was written.
    Whole,
}

fn found(dir: &Path, appended: usize) -> Found {
    let log = match EmbeddedLog::open(dir, &options()) {
        Ok(log) => log,
        Err(LogError::Damaged { what, .. }) => {
            assert!(!what.is_empty());
            return Found::Refused;
        }
        Err(LogError::Other { .. }) => return Found::Refused,
        Err(other) => panic!("{other}"),
    };
    match read(&log) {
        Err(said) => {
            assert!(said.contains("partition "), "{said}");
            Found::Error
        }
        Ok(records) => {
            assert_prefix(&records);
            assert_eq!(counted(&records), appended, "nothing is missing silently");
            Found::Whole
        }
    }
}

#[test]
fn a_changed_byte_of_the_journal_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for from in (0..120).step_by(12) {
        append(&log, from, from + 12);
    }
    drop(log);
    trim(dir.path());
    let (path, used) = journal(dir.path());
    let name = path.strip_prefix(dir.path()).unwrap();
    let bytes = fs::read(&path).unwrap();
    let mut seen = Vec::new();
    // Every byte of the first group's first item and of the last group's end, and some of all others.
    let last = used - 4;
    let places = (0..160).chain((160..last - 60).step_by(211)).chain(last - 60..last);
    for at in places {
        let copied = copy(dir.path());
        let mut bytes = bytes[..used].to_vec();
        bytes[at] ^= 0x41;
        fs::write(copied.path().join(name), bytes).unwrap();
        let found = found(copied.path(), 120);
        assert_ne!(found, Found::Error, "byte {at}: the journal is looked through when it is opened");
        seen.push(found);
    }
    let whole = seen.iter().filter(|found| **found == Found::Whole).count();
    // The number of a group orders it among the others: some changes do not matter.
    assert!(whole <= 16, "{whole} of {} changes were not noticed", seen.len());
}

fn cut(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() / 2);
    bytes
}

fn scramble(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.iter_mut().step_by(1_000).for_each(|byte| *byte ^= 0x55);
    bytes
}

fn scramble_middle(mut bytes: Vec<u8>) -> Vec<u8> {
    let half = bytes.len() / 2;
    bytes[half..].iter_mut().take(8).for_each(|byte| *byte ^= 0x55);
    bytes
}

/// A closed log of 36,000 records, most of which are in files and no longer in the journal.
fn sorted_into_files() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(dir.path(), &LogOptions { durable: false, ..options() }).unwrap();
    for from in (0..36_000).step_by(2_000) {
        append(&log, from, from + 2_000);
    }
    wait_for_tables(dir.path());
    drop(log);
    // It is closed when its lock is free: until then fjall may still write these files.
    drop(crate::lock::take(dir.path()).unwrap().unwrap());
    trim(dir.path());
    dir
}

/// Every file but the newest journal, in turn, is damaged in one of several ways, or is gone.
#[test]
fn damaged_files_are_refused_or_an_error_and_never_wrong_records() {
    let dir = sorted_into_files();
    let (newest, _) = journal(dir.path());
    let mut files = Vec::new();
    list(&dir.path().join("log"), &mut files);
    files.retain(|file| *file != newest && !file.ends_with("lock"));
    assert!(files.len() > 4, "{files:?}");
    let mut seen = Vec::new();
    let damages = [
        ("cut", cut as fn(Vec<u8>) -> Vec<u8>),
        ("scrambled", scramble),
        ("changed in its middle", scramble_middle),
    ];
    for file in &files {
        let name = file.strip_prefix(dir.path()).unwrap();
        for (how, damage) in damages {
            let copied = copy(dir.path());
            fs::write(copied.path().join(name), damage(fs::read(file).unwrap())).unwrap();
            let found = found(copied.path(), 36_000);
            println!("{} {how}: {found:?}", name.display());
            seen.push(found);
        }
        let copied = copy(dir.path());
        fs::remove_file(copied.path().join(name)).unwrap();
        let found = found(copied.path(), 36_000);
        println!("{} gone: {found:?}", name.display());
        seen.push(found);
    }
    assert!(seen.contains(&Found::Refused) && seen.contains(&Found::Error), "the damage shows");
}

/// fjall deletes the tables that a changed list does not name, and makes an empty log if it finds none.
#[test]
fn a_changed_byte_of_what_fjall_knows_of_its_tables_is_refused_and_deletes_nothing() {
    let dir = sorted_into_files();
    let checked = crate::fjall_files::checked_files(&dir.path().join("log/data"));
    assert_eq!(checked.len(), 4, "{checked:?}");
    for file in checked {
        let bytes = fs::read(&file).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x41;
            fs::write(&file, changed).unwrap();
            let found = found(dir.path(), 36_000);
            assert_eq!(found, Found::Refused, "byte {at} of {}", file.display());
        }
        fs::remove_file(&file).unwrap();
        assert_eq!(found(dir.path(), 36_000), Found::Refused, "{} is gone", file.display());
        fs::write(&file, bytes).unwrap();
    }
    assert_eq!(found(dir.path(), 36_000), Found::Whole);
}

/// Whoever may not read it, or has too many files open, has no damaged log.
#[test]
fn a_machine_that_is_short_of_something_is_no_damage() {
    use std::io::ErrorKind::{
        self, InvalidData, NotFound, PermissionDenied, StorageFull, UnexpectedEof, WouldBlock,
    };

    use crate::fjall_files::Problem;

    let met = |kind: ErrorKind| Problem::of(Path::new("somewhere"), &kind.into());
    let is_damage = |kind| matches!(met(kind), Problem::Damage(_));
    assert!([NotFound, UnexpectedEof, InvalidData].into_iter().all(is_damage));
    assert!(![PermissionDenied, StorageFull, WouldBlock].into_iter().any(is_damage));
}

#[test]
fn a_damaged_log_says_what_is_damaged_and_what_can_be_done_and_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    append(&open(dir.path()), 0, 30);
    trim(dir.path());
    let (path, used) = journal(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    // Inside the last group's last value.
    bytes[used - 20] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let said = EmbeddedLog::open(dir.path(), &options()).unwrap_err().to_string();
    assert!(said.contains("is damaged: "), "{said}");
    assert!(said.contains("partition 2, offset 9: its checksum does not fit"), "{said}");
    assert!(said.contains("nothing was changed: "), "{said}");
    assert!(said.contains("restore the directory from a copy, or move it away"), "{said}");
    assert!(fs::read(&path).unwrap() == bytes, "nothing was changed");
}
