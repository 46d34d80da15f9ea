//! What an instance remembers, beside its cache, of the log that it served: so that a start on another one is no accident.
//!
//! Promises: it survives when the cache is discarded; a start on a log that is not the remembered one fails, unless the
//! configuration says that it is meant; a file that cannot be read is told and counts for nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::bail;
use event_reader::LogNow;
use ledger::LogId;
use serde::{Deserialize, Serialize};

const FILE: &str = "log.json";

/// The logs by partition, as the file has them.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    name: String,
    logs: BTreeMap<i32, String>,
}

/// The file in a cache's directory.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    /// What the log is called that is served now.
    name: String,
    /// What is known to be in it.
    written: BTreeMap<i32, LogId>,
}

impl LogFile {
    /// Reads what is remembered in the directory of the log of this name; what is of another name was left on purpose. Blocks on
    /// the disk.
    pub(super) fn read(dir: &Path, name: &str) -> Self {
        let path = dir.join(FILE);
        let written = match remembered(&path, name) {
            Ok(written) => written,
            Err(problem) => {
                let file = path.display();
                tracing::warn!(%file, problem, "it is not known which log was served before");
                BTreeMap::new()
            }
        };
        Self { path, name: name.to_owned(), written }
    }

    /// An error if this is not the log that is remembered.
    pub(super) fn check(&self, now: &BTreeMap<i32, LogNow>, partitions: i32) -> anyhow::Result<()> {
        let dir = self.path.parent().unwrap_or(&self.path).display();
        for (partition, log) in &self.written {
            let now = match now.get(partition) {
                Some(now) => *now,
                // It could not be looked at.
                None if *partition < partitions => continue,
                None => LogNow { log: None, end: 0 },
            };
            // Nothing is known of how far it was.
            if let Err(other) = now.continues(Some(*log), 0) {
                bail!(
                    "{} is not the log that this instance served before, as {dir} says: partition {partition}: {other}; \
                     configure the topic or the cluster that is meant, or, if this one is, start once with cache.take_new_log = \
                     true (docs/operating.md, \"A log that was replaced\")",
                    self.name
                );
            }
        }
        Ok(())
    }

    /// What is remembered.
    pub(super) fn remembers(&self) -> BTreeMap<i32, LogId> {
        self.written.clone()
    }

    /// Remembers these logs, if they are not yet. Blocks on the disk.
    pub(super) fn remember(&mut self, logs: BTreeMap<i32, LogId>) -> io::Result<()> {
        if logs == self.written {
            return Ok(());
        }
        let texts = logs.iter().map(|(partition, log)| (*partition, log.to_string()));
        let content = serde_json::to_vec(&Content { name: self.name.clone(), logs: texts.collect() })?;
        // A file that is cut off must not take the place of one that is whole.
        let fresh = self.path.with_extension("new");
        fs::write(&fresh, content)?;
        fs::rename(&fresh, &self.path)?;
        self.written = logs;
        Ok(())
    }
}

fn remembered(path: &Path, name: &str) -> Result<BTreeMap<i32, LogId>, String> {
    let content = match fs::read(path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.to_string()),
    };
    let Content { name: of, logs } = serde_json::from_slice(&content).map_err(|error| error.to_string())?;
    if of != name {
        return Ok(BTreeMap::new());
    }
    let read = |(partition, text): (i32, String)| {
        text.parse::<LogId>().map(|log| (partition, log)).map_err(|error: ledger::NoLogId| error.to_string())
    };
    logs.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> LogId {
        LogId::from_number(number).unwrap()
    }

    fn now(logs: &[u64]) -> BTreeMap<i32, LogNow> {
        let now = logs.iter().map(|log| LogNow { log: LogId::from_number(*log), end: i64::from(*log > 0) });
        (0..).zip(now).collect()
    }

    #[test]
    fn a_start_on_another_log_than_the_remembered_one_fails() {
        let dir = tempfile::TempDir::new().unwrap();
        let mut file = LogFile::read(dir.path(), "topic t");
        file.check(&now(&[1, 2]), 2).unwrap();
        file.remember(BTreeMap::from([(0, id(1))])).unwrap();
        let again = LogFile::read(dir.path(), "topic t");
        LogFile::read(dir.path(), "topic u").check(&now(&[2, 1]), 2).unwrap();
        for same in [&[1, 2][..], &[1, 0], &[1]] {
            again.check(&now(same), 2).unwrap();
        }
        again.check(&BTreeMap::new(), 2).unwrap();
        for (other, partitions) in [(&[2, 1][..], 2), (&[0, 0], 2), (&[], 0)] {
            let refused = again.check(&now(other), partitions).unwrap_err().to_string();
            assert!(refused.contains("cache.take_new_log") && refused.contains("partition 0"), "{refused}");
        }
    }

    #[test]
    fn what_cannot_be_read_counts_for_nothing() {
        let dir = tempfile::TempDir::new().unwrap();
        for damaged in [
            "",
            "{}",
            r#"{"name":"topic t","logs":{"0":"no id"}}"#,
            r#"{"name":"topic t","logs":{"zero":"x"}}"#,
        ] {
            fs::write(dir.path().join(FILE), damaged).unwrap();
            assert_eq!(LogFile::read(dir.path(), "topic t").written, BTreeMap::new(), "{damaged}");
        }
        let mut file = LogFile::read(dir.path(), "topic t");
        file.remember(BTreeMap::from([(3, id(5))])).unwrap();
        assert_eq!(LogFile::read(dir.path(), "topic t").written, BTreeMap::from([(3, id(5))]));
    }
}
