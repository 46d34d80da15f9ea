//! Looks through fjall's journals before fjall reads them: fjall ends a journal, silently and for good, at the first byte
//! that it cannot read, be it where a write was cut off or in the middle of what was acknowledged.
//!
//! Promises: what a process that was killed, or a machine that lost its power, left behind of its last write is cut off; whatever else
//! is not as it was written is an error that names the file and the place, and then nothing is touched. Not seen here: changed
//! bytes inside an item of a group that has others behind it (fjall's own checksum refuses those), and a change in the
//! last four bytes of the last group, which looks like a write that was cut off there. Refused though it may be only torn: a last
//! group in which a value holds what a group's end and the beginning of the next look like.
//!
//! A group is what one commit wrote, and only the last one may never have been synced, for each is synced before the next. In a
//! synchronised journal zeros follow it, or the file's end (fjall's format 3, uncompressed):
//!
//! ```text
//! group  1:u8 items:u32le number:u64le  item*  3:u8 checksum:u64le "FJL" 3:u8
//! item   2:u8 0:u8 0:u8 keyspace:u64le length of key:u16le length of value:u32le the same again:u32le  key value
//! ```

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::form;
use crate::fjall_files::Problem;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const MAGIC: [u8; 4] = *b"FJL\x03";
const START_BYTES: usize = 13;
const ITEM_BYTES: usize = 21;
const END_BYTES: usize = 13;
/// What a disk writes as a whole: of a write that was cut off by a loss of power, any of these may be missing.
const SECTOR: usize = 512;

/// Looks through the journals in `dir`, and cuts off what was never acknowledged; how many bytes that were.
pub(super) fn check(dir: &Path) -> Result<u64, Problem> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            let no_number = || Problem::Damage(format!("{} is no name of a journal", path.display()));
            journals.push((number.ok_or_else(no_number)?, path));
        }
    }
    journals.sort();
    let newest = journals.pop();
    let mut last_number = None;
    for (_, path) in journals {
        let mut journal = Journal::open(path)?;
        let walked = journal.walk(&mut last_number)?;
        if journal.used(walked.end)? > walked.end {
            return Err(journal.damaged(walked.end));
        }
    }
    let Some((_, path)) = newest else { return Ok(0) };
    let mut journal = Journal::open(path)?;
    let walked = journal.walk(&mut last_number)?;
    let used = journal.used(walked.end)?;
    let keep = if used > walked.end {
        let rest = journal.read(walked.end..used)?;
        if !is_cut_off(&rest, walked.end) || is_group_behind(&rest, last_number) {
            return Err(journal.damaged(walked.end));
        }
        walked.end
    } else {
        let last = journal.read(walked.last.clone())?;
        let misfits = misfits(&last);
        if misfits.is_empty() {
            return Ok(0);
        }
        let is_torn =
            |item: &Range<usize>| has_hole(&last[item.clone()], walked.last.start + item.start as u64);
        if let Some((_, what)) = misfits.iter().find(|(item, _)| !is_torn(item)) {
            return Err(Problem::Damage(format!("{}: {what}", journal.path.display())));
        }
        walked.last.start
    };
    journal.cut(keep)?;
    Ok(used - keep)
}

struct Journal {
    path: PathBuf,
    file: io::BufReader<File>,
    length: u64,
}

/// The whole groups at the beginning of a journal.
struct Walked {
    last: Range<u64>,
    end: u64,
}

impl Journal {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = File::open(&path)?;
        let length = file.metadata()?.len();
        Ok(Self { path, file: io::BufReader::with_capacity(1 << 16, file), length })
    }

    /// Goes from group to group. Their numbers ascend from `last_number` on.
    fn walk(&mut self, last_number: &mut Option<u64>) -> io::Result<Walked> {
        let mut walked = Walked { last: 0..0, end: 0 };
        while let Some((number, end)) = self.group(walked.end)?
            && last_number.is_none_or(|last| last < number)
        {
            *last_number = Some(number);
            walked = Walked { last: walked.end..end, end };
        }
        Ok(walked)
    }

    /// The number and the end of the group that starts here, where the file must stand at `start`.
    fn group(&mut self, start: u64) -> io::Result<Option<(u64, u64)>> {
        let mut at = start;
        let Some(head) = self.next::<START_BYTES>(&mut at)? else { return Ok(None) };
        let Some((items, number)) = parse_start(&head) else { return Ok(None) };
        for _ in 0..items {
            let Some(head) = self.next::<ITEM_BYTES>(&mut at)? else { return Ok(None) };
            let Some((key, value)) = parse_item(&head) else { return Ok(None) };
            let body = (key + value) as u64;
            if body > self.length - at {
                return Ok(None);
            }
            self.file.seek_relative(body.cast_signed())?;
            at += body;
        }
        let Some(end) = self.next::<END_BYTES>(&mut at)? else { return Ok(None) };
        Ok(is_end(&end).then_some((number, at)))
    }

    fn next<const N: usize>(&mut self, at: &mut u64) -> io::Result<Option<[u8; N]>> {
        let mut bytes = [0; N];
        if self.length - *at < N as u64 {
            return Ok(None);
        }
        self.file.read_exact(&mut bytes)?;
        *at += N as u64;
        Ok(Some(bytes))
    }

    /// Where the last byte behind `from` stands that is not zero: the offset after it.
    fn used(&mut self, from: u64) -> io::Result<u64> {
        self.file.seek(SeekFrom::Start(from))?;
        let (mut at, mut used) = (from, from);
        let mut bytes = vec![0; 1 << 16];
        loop {
            let read = self.file.read(&mut bytes)?;
            if read == 0 {
                return Ok(used);
            }
            if let Some(last) = bytes[..read].iter().rposition(|byte| *byte != 0) {
                used = at + last as u64 + 1;
            }
            at += read as u64;
        }
    }

    fn read(&mut self, range: Range<u64>) -> io::Result<Vec<u8>> {
        self.file.seek(SeekFrom::Start(range.start))?;
        let mut bytes = vec![0; (range.end - range.start) as usize];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        let file = File::options().write(true).open(&self.path)?;
        file.set_len(length)?;
        file.sync_all()
    }

    fn damaged(&self, at: u64) -> Problem {
        let path = self.path.display();
        Problem::Damage(format!("{path} is not as it was written at byte {at}, and there is more behind it"))
    }
}

fn parse_start(head: &[u8; START_BYTES]) -> Option<(u32, u64)> {
    let (tag, rest) = head.split_first()?;
    let (items, number) = rest.split_first_chunk()?;
    (*tag == START).then_some((u32::from_le_bytes(*items), u64::from_le_bytes(number.try_into().ok()?)))
}

/// The lengths of an item's key and value.
fn parse_item(head: &[u8; ITEM_BYTES]) -> Option<(usize, usize)> {
    let [ITEM, 0, 0, _, _, _, _, _, _, _, _, lengths @ ..] = head else { return None };
    let (key, values) = lengths.split_first_chunk()?;
    let (value, again) = values.split_first_chunk::<4>()?;
    (value == again).then_some((u16::from_le_bytes(*key).into(), u32::from_le_bytes(*value) as usize))
}

fn is_end(end: &[u8; END_BYTES]) -> bool {
    end[0] == END && end.ends_with(&MAGIC)
}

/// Whether a write that begins with `rest` was cut off: it has no end, or a part of it is missing where it stops to be a group.
/// Elsewhere zeros say nothing: a value may have some of its own. `rest` stands at `at`.
fn is_cut_off(rest: &[u8], at: u64) -> bool {
    !rest.ends_with(&MAGIC) || items(rest).is_err_and(|stop| is_missing(rest, at, stop))
}

/// Whether one of the sectors that a head at `stop` lies in is zero, as far as it is in `bytes`, which stand at `at`: of the first
/// sector an earlier group has the beginning.
fn is_missing(bytes: &[u8], at: u64, stop: usize) -> bool {
    let before = at as usize % SECTOR;
    let mut sectors = (before + stop) / SECTOR..=(before + stop + ITEM_BYTES - 1) / SECTOR;
    sectors.any(|sector| {
        let from = (sector * SECTOR).saturating_sub(before);
        let to = ((sector + 1) * SECTOR - before).min(bytes.len());
        bytes.get(from..to).is_some_and(|part| !part.is_empty() && is_zero(part))
    })
}

/// Whether a whole sector of it is zero. `bytes` stand at `at`.
fn has_hole(bytes: &[u8], at: u64) -> bool {
    let skipped = (SECTOR - at as usize % SECTOR) % SECTOR;
    bytes.get(skipped..).unwrap_or_default().chunks_exact(SECTOR).any(is_zero)
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Whether a group begins somewhere behind an end of one: then the one before it was synced. It is whole, or its number is one
/// to come.
fn is_group_behind(rest: &[u8], last_number: Option<u64>) -> bool {
    let is_next = |(_, number): (u32, u64)| last_number.is_none_or(|last| last < number);
    let mut ends = rest.windows(MAGIC.len()).enumerate().filter(|(_, bytes)| **bytes == MAGIC);
    ends.any(|(at, _)| {
        let behind = &rest[at + MAGIC.len()..];
        items(behind).is_ok() || behind.first_chunk().and_then(parse_start).is_some_and(is_next)
    })
}

/// The items that are not as they were written: where in the group they stand, and what they are, in words.
fn misfits(group: &[u8]) -> Vec<(Range<usize>, String)> {
    let misfit = |Item { at, key, value }: Item<'_>| {
        let problem = form::fits(key, value).err()?;
        let what = match form::place(key) {
            Some((partition, offset)) => format!("partition {partition}, offset {offset}: {problem}"),
            None => format!("a committed position: {problem}"),
        };
        Some((at..at + ITEM_BYTES + key.len() + value.len(), what))
    };
    items(group).unwrap_or_default().into_iter().filter_map(misfit).collect()
}

struct Item<'a> {
    /// Where in the group it begins.
    at: usize,
    key: &'a [u8],
    value: &'a [u8],
}

/// The items of the group that `bytes` begins with; if it is not whole, where the first head stands that does not fit.
fn items(bytes: &[u8]) -> Result<Vec<Item<'_>>, usize> {
    let (number, mut rest) = split_start(bytes).ok_or(0_usize)?;
    let mut items = Vec::new();
    for _ in 0..number {
        let at = bytes.len() - rest.len();
        let (key, value, behind) = split_item(rest).ok_or(at)?;
        items.push(Item { at, key, value });
        rest = behind;
    }
    let is_whole = rest.first_chunk().is_some_and(is_end);
    if is_whole { Ok(items) } else { Err(bytes.len() - rest.len()) }
}

/// How many items the group has, and what follows.
fn split_start(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (head, rest) = bytes.split_first_chunk()?;
    let (items, _) = parse_start(head)?;
    Some((items, rest))
}

/// The key and the value of an item, and what follows.
fn split_item(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk()?;
    let (key, value) = parse_item(head)?;
    let (key, rest) = rest.split_at_checked(key)?;
    let (value, rest) = rest.split_at_checked(value)?;
    Some((key, value, rest))
}
