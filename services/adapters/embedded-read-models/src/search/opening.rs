//! Opens the index in a directory, or begins it anew.
//!
//! Promises: what is opened was written whole by this version of Folio, or is empty; nobody else writes to it meanwhile; only an
//! index that is damaged, or of another version or log, is discarded, never one that cannot be reached or is in use.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use adapter_embedded::crc::crc32c;
use read_models::model::Position;
use read_models::{Error, LogId, NoLogId};
use serde::{Deserialize, Serialize};
use tantivy::indexer::{IndexWriter, IndexWriterOptions, LogMergePolicy};
use tantivy::{Index, IndexReader, ReloadPolicy, TantivyError};

use super::schema::{Fields, VERSION, schema};
use super::{broken, failed, is_damage};

/// One more whenever documents, or the terms that are made of their texts, are no longer what they were: an index of another
/// version is built again.
const FORMAT: u32 = 3;
/// A segment is written at the latest when it has come to about this size in memory.
const WRITER_BYTES: usize = 32 * 1024 * 1024;
/// Segments with more than this share of replaced products are written again without them.
const REPLACED_SHARE: f32 = 0.3;
/// The library's files, below the directory that is given.
const FILES: &str = "index";
/// Among the files: why they are not to be used again.
const DISTRUSTED: &str = "distrusted";
/// The library's list of its files: those that are not in it are not validated.
const LIST_OF_FILES: &str = ".managed.json";

/// Positions by group and partition.
pub(super) type Kept = BTreeMap<(String, i32), Position>;

/// An index that can be used, and the directory that nobody else has.
pub(super) struct Opened {
    pub(super) dir: PathBuf,
    pub(super) log: String,
    pub(super) lock: File,
    pub(super) index: Index,
    pub(super) reader: IndexReader,
    pub(super) fields: Fields,
    pub(super) positions: Kept,
    /// Why what was there had to be discarded.
    pub(super) discarded: Option<String>,
}

/// What is committed with the documents.
#[derive(Serialize, Deserialize)]
struct Payload {
    format: u32,
    /// The log that it is built from.
    log: String,
    positions: Vec<Said>,
    /// Of everything above: the library sums up what it writes, but not this.
    sum: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Said {
    /// Group, partition, applied, durable, and the log.
    InLog(String, i32, i64, i64, String),
    /// Where the log is not known: as earlier releases wrote it.
    Before(String, i32, i64, i64),
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// The positions in `log` as they are committed.
pub(super) fn payload(log: &str, positions: &Kept) -> Result<String, serde_json::Error> {
    let said = |((group, partition), at): (&(String, i32), &Position)| {
        let (group, partition, Position { applied, durable, log }) = (group.clone(), *partition, *at);
        match log {
            Some(log) => Said::InLog(group, partition, applied, durable, log.to_string()),
            None => Said::Before(group, partition, applied, durable),
        }
    };
    let positions: Vec<Said> = positions.iter().map(said).collect();
    let sum = sum(log, &positions)?;
    serde_json::to_string(&Payload { format: FORMAT, log: log.to_owned(), positions, sum })
}

fn sum(log: &str, positions: &[Said]) -> Result<u32, serde_json::Error> {
    Ok(crc32c(&[&serde_json::to_vec(&(FORMAT, log, positions))?]))
}

/// What is in `dir` is discarded when it is opened next, for this reason; until then it goes on as it is.
pub(crate) fn distrust(dir: &Path, reason: &str) {
    // On a disk that takes no file any more the same failure comes again after the next opening.
    drop(fs::write(dir.join(FILES).join(DISTRUSTED), reason));
}

pub(super) fn open(dir: &Path, log: &str) -> Result<Opened, Error> {
    let unusable = |what: &str, error: std::io::Error| {
        let problem = format!("{what}: {error}; Folio must be able to write there");
        broken(dir, problem, false)
    };
    fs::create_dir_all(dir).map_err(|error| unusable("cannot make the directory", error))?;
    let taken = adapter_embedded::lock::take(dir).map_err(|error| unusable("cannot lock it", error))?;
    let lock = taken.ok_or_else(|| {
        let problem =
            "it is in use by another process or another part of this one; end that, or use another data directory";
        broken(dir, problem, false)
    })?;
    let files = dir.join(FILES);
    let mut discarded = None;
    if files.try_exists().map_err(|error| failed(dir, &error.into()))? {
        match existing(&files, log) {
            Ok((index, reader, positions)) => {
                let (_, fields) = schema();
                let (dir, log) = (dir.to_owned(), log.to_owned());
                return Ok(Opened { dir, log, lock, index, reader, fields, positions, discarded });
            }
            Err(Unusable::Damaged(reason)) => discarded = Some(reason),
            Err(Unusable::Unreachable(error)) => return Err(failed(dir, &error)),
        }
        fs::remove_dir_all(&files).map_err(|error| unusable("cannot remove what is damaged", error))?;
    }
    fs::create_dir_all(&files).map_err(|error| unusable("cannot make its directory", error))?;
    let (schema, fields) = schema();
    let index = Index::create_in_dir(&files, schema).map_err(|error| failed(dir, &error))?;
    let reader = reader(&index).map_err(|error| failed(dir, &error))?;
    let (positions, log) = (Kept::new(), log.to_owned());
    Ok(Opened { dir: dir.to_owned(), log, lock, index, reader, fields, positions, discarded })
}

/// A new writer; there is one at most.
pub(super) fn writer(index: &Index) -> tantivy::Result<IndexWriter> {
    let options = IndexWriterOptions::builder()
        .num_worker_threads(1)
        .memory_budget_per_thread(WRITER_BYTES)
        .num_merge_threads(1)
        .build();
    let writer: IndexWriter = index.writer_with_options(options)?;
    let mut merges = LogMergePolicy::default();
    merges.set_del_docs_ratio_before_merge(REPLACED_SHARE);
    writer.set_merge_policy(Box::new(merges));
    Ok(writer)
}

/// Why an index cannot be used.
enum Unusable {
    /// It never can again.
    Damaged(String),
    /// It may be whole.
    Unreachable(TantivyError),
}

fn existing(files: &Path, log: &str) -> Result<(Index, IndexReader, Kept), Unusable> {
    let damaged = |what: &str| Unusable::Damaged(what.to_owned());
    if is_there(files, DISTRUSTED)? {
        let reason = fs::read_to_string(files.join(DISTRUSTED)).unwrap_or_default();
        return Err(Unusable::Damaged(format!("it failed in use: {reason}")));
    }
    if !is_there(files, "meta.json")? {
        return Err(damaged("it was not written to the end"));
    }
    if !is_there(files, LIST_OF_FILES)? {
        return Err(damaged("the list of its files is gone"));
    }
    let index = Index::open_in_dir(files)?;
    if index.schema() != schema().0 {
        return Err(damaged("it has the fields of another version of Folio"));
    }
    let metas = index.load_metas()?;
    let positions = match &metas.payload {
        Some(payload) => positions(payload, log).map_err(Unusable::Damaged)?,
        None if metas.segments.is_empty() => Kept::new(),
        None => return Err(damaged("it says nothing about how far it has come")),
    };
    let files = index.validate_checksum()?;
    if let Some(file) = files.iter().min() {
        return Err(Unusable::Damaged(format!("its file {} is damaged", file.display())));
    }
    let reader = reader(&index)?;
    for segment in reader.searcher().segment_readers() {
        // What lists the segments has no checksum of its own.
        let is_whole = segment.fast_fields().u64(VERSION)?.num_docs() == segment.max_doc()
            && segment.num_docs() <= segment.max_doc()
            && segment.doc_ids_alive().count() == segment.num_docs() as usize;
        if !is_whole {
            return Err(damaged("its list of segments does not fit them"));
        }
    }
    Ok((index, reader, positions))
}

/// An error tells nothing about whether it is there: it must not look like damage.
fn is_there(files: &Path, name: &str) -> Result<bool, Unusable> {
    files.join(name).try_exists().map_err(|error| Unusable::Unreachable(error.into()))
}

fn positions(payload: &str, log: &str) -> Result<Kept, String> {
    let problem = |why: String| format!("what it says about how far it has come cannot be read: {why}");
    // First, and alone: what else there is depends on it.
    let Format { format } = serde_json::from_str(payload).map_err(|e| problem(e.to_string()))?;
    if format != FORMAT {
        return Err(format!("it is of format {format}, and this version of Folio writes format {FORMAT}"));
    }
    let Payload { log: found, positions, sum: written, .. } =
        serde_json::from_str(payload).map_err(|e| problem(e.to_string()))?;
    if sum(&found, &positions).map_err(|e| problem(e.to_string()))? != written {
        return Err(problem("it is not as it was written".to_owned()));
    }
    if found != log {
        return Err(format!("it is built from {found}, and not from {log}"));
    }
    let position = |said| match said {
        Said::InLog(group, partition, applied, durable, log) => {
            let log = log.parse::<LogId>().map_err(|e: NoLogId| problem(e.to_string()))?;
            Ok(((group, partition), Position { applied, durable, log: Some(log) }))
        }
        Said::Before(group, partition, applied, durable) => {
            Ok(((group, partition), Position { applied, durable, log: None }))
        }
    };
    positions.into_iter().map(position).collect()
}

fn reader(index: &Index) -> tantivy::Result<IndexReader> {
    index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()
}

impl From<TantivyError> for Unusable {
    fn from(error: TantivyError) -> Self {
        if is_damage(&error) { Self::Damaged(error.to_string()) } else { Self::Unreachable(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_as_they_were_written_or_not_at_all() {
        let at = Position { applied: 9_007, durable: 41, log: LogId::from_number(7) };
        let before = Position { log: None, ..at };
        let kept = Kept::from([(("group".to_owned(), 0), at), (("group".to_owned(), 12), before)]);
        let written = payload("a log", &kept).unwrap();
        assert_eq!(positions(&written, "a log").as_ref(), Ok(&kept));
        for place in 0..written.len() {
            for bit in 0..8 {
                let mut bytes = written.clone().into_bytes();
                bytes[place] ^= 1 << bit;
                let Ok(damaged) = String::from_utf8(bytes) else { continue };
                assert_eq!(positions(&damaged, "a log").ok(), None, "{damaged}");
            }
        }
    }

    #[test]
    fn an_index_that_is_not_to_be_trusted_or_has_no_list_of_its_files_is_begun_anew() {
        let dir = tempfile::TempDir::new().unwrap();
        let opened = || open(dir.path(), "a log").unwrap().discarded;
        assert_eq!((opened(), opened()), (None, None));
        distrust(dir.path(), "a document is no product");
        assert_eq!(opened().as_deref(), Some("it failed in use: a document is no product"));
        assert_eq!(opened(), None, "once");
        fs::remove_file(dir.path().join(FILES).join(LIST_OF_FILES)).unwrap();
        assert_eq!(opened().as_deref(), Some("the list of its files is gone"));
    }
}
