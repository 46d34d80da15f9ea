//! A consumer group's member on the log of this process: the threads behind [`Group`], which promise what `event_reader::feed` says.
//!
//! One thread reads, one passes commits on to the log's writer, which syncs them with the records that wait at the same time.

mod claims;
mod member;
mod shares;

use std::sync::Arc;

use event_reader::LogReader;
use event_reader::feed::{Group, GroupOptions, GroupServer};

use super::ends::Ends;
use super::queue::{Appender, Request};
use super::store::Store;
use member::Member;

pub(super) use claims::Claims;
pub(super) use shares::Shares;

/// A member of `options.group`, whose partitions are shared by `shares`.
pub(super) fn join(
    log: LogReader,
    store: Arc<Store>,
    ends: Arc<Ends>,
    appender: Arc<Appender>,
    shares: Arc<Shares>,
    options: GroupOptions,
) -> std::io::Result<Group> {
    Group::served(log, |GroupServer { commands, commits, events }| {
        let claims = Arc::new(Claims::default());
        let (group, committed) = (Arc::from(options.group.as_str()), Arc::clone(&claims));
        let commit = move || {
            for commit in commits {
                let (group, claims) = (Arc::clone(&group), Arc::clone(&committed));
                appender.leave(Request::Commit { group, claims, commit });
            }
        };
        std::thread::Builder::new().name("log-commit".to_owned()).spawn(commit)?;
        let member = move || Member::new(store, ends, shares, claims, options, events).run(&commands);
        let member = std::thread::Builder::new().name("log-group".to_owned()).spawn(member)?;
        Ok(member.thread().clone())
    })
}
