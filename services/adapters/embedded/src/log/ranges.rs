//! Reading stretches of partitions, as `event_reader::feed` promises it.

use std::sync::Arc;

use crossbeam_channel::Receiver;
use event_reader::feed::{Error, RangeReader, RangeRequest};

use super::ends::Ends;
use super::store::{Limit, Store};

const BATCH: Limit = Limit { records: 1_000, bytes: 1024 * 1024 };

/// Opens a reader of stretches of `topic`, one after another on a thread of its own.
pub(super) fn open_ranges(topic: &str, store: Arc<Store>, ends: Arc<Ends>) -> std::io::Result<RangeReader> {
    let (ranges, asked) = RangeReader::channel(topic);
    let topic = topic.to_owned();
    let serve = move || serve(&topic, &store, &ends, &asked);
    std::thread::Builder::new().name("log-range".to_owned()).spawn(serve)?;
    Ok(ranges)
}

fn serve(topic: &str, store: &Store, ends: &Ends, asked: &Receiver<RangeRequest>) {
    for read in asked {
        if let Err(problem) = give(&read, store, ends) {
            let servers = store.dir().display().to_string();
            // Nobody may be waiting any more.
            read.give(Err(Error::Unreachable { tried: read.tried(topic), servers, problem }));
        }
    }
}

fn give(read: &RangeRequest, store: &Store, ends: &Ends) -> Result<(), String> {
    let end = ends.of(read.partition).ok_or("there is no such partition")?;
    if read.from < 0 || read.to > end {
        return Err(format!("the partition has the offsets 0..{end}"));
    }
    let mut next = read.from;
    while next < read.to {
        let records = store.read(read.partition, next, read.to, BATCH)?;
        next = records.last().map_or(read.to, |record| record.offset + 1);
        if !read.give(Ok(records)) {
            break;
        }
    }
    Ok(())
}
