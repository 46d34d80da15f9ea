//! What every log's adapter owes the handles of `event_reader::feed`, one case per promise. Each adapter's test runs it:
//! `feed_suite::run(async || OnMyLog::with_a_fresh_topic().await)`.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use event_reader::LogReader;
use event_reader::feed::{Claim, Error, Group, GroupEvent};
use ledger::{LogRecord, Offset, Partition, TailError};

use crate::{PATIENCE, eventually};

/// Partitions of each case's topic.
pub const PARTITIONS: i32 = 2;
const P0: Partition = Partition(0);
const P1: Partition = Partition(1);
/// How long something is watched that must not happen.
const WATCHED: Duration = Duration::from_millis(500);

/// A log with one fresh topic of [`PARTITIONS`] partitions, and one consumer group.
pub trait FeedLog {
    /// Appends a record with this key; where it stands.
    fn append(&self, partition: Partition, key: &str) -> impl Future<Output = anyhow::Result<Offset>>;

    /// A new member of the group, whose batches have so many records at most.
    fn join(&self, max_batch_records: usize) -> anyhow::Result<Group>;

    fn reader(&self) -> anyhow::Result<LogReader>;
}

/// Runs every case on a log of its own.
///
/// # Errors
/// The first promise that is not kept.
pub async fn run<L: FeedLog>(fresh: impl AsyncFn() -> L) -> anyhow::Result<()> {
    macro_rules! cases {
        ($($case:ident)*) => {$(
            $case(&fresh().await).await.with_context(|| stringify!($case).replace('_', " "))?;
        )*};
    }
    cases! {
        a_group_without_a_position_begins_at_zero_and_gives_batches_on_demand
        a_member_begins_where_the_last_one_committed
        a_partition_goes_to_another_member_when_it_is_settled
        a_seek_makes_a_new_claim_and_voids_the_old_one
        a_member_that_closes_leaves_in_order
        a_position_beyond_the_end_is_a_truncated_log
        a_stretch_has_every_record_in_order_and_ends_at_the_end
        ends_are_behind_what_was_appended
    }
    Ok(())
}

async fn a_group_without_a_position_begins_at_zero_and_gives_batches_on_demand<L: FeedLog>(
    log: &L,
) -> anyhow::Result<()> {
    fill(log, P0, 5).await?;
    fill(log, P1, 1).await?;
    let mut group = log.join(2)?;
    let handle = group.handle();
    let claims = assigned(&mut group, 2).await?;
    ensure!(claims.values().all(|(_, position)| *position == 0), "{claims:?}");
    let (first, second) = (claims[&P0].0, claims[&P1].0);
    let mut offsets = Vec::new();
    while offsets.len() < 5 {
        handle.next(first)?;
        let (claim, records, position) = batch(&mut group).await?;
        ensure!(claim == first, "partition 1 was not asked for");
        ensure!(records.len() <= 2, "{} records in a batch", records.len());
        offsets.extend(records.iter().map(|record| record.offset));
        ensure!(position == offsets.len() as Offset, "position {position} behind {offsets:?}");
    }
    ensure!(offsets == [0, 1, 2, 3, 4], "{offsets:?}");
    // What comes now is given when it is asked for, and the other partition meanwhile.
    log.append(P0, "late").await?;
    handle.next(second)?;
    let (claim, records, position) = batch(&mut group).await?;
    ensure!((claim, records.len(), position) == (second, 1, 1), "{claim:?}: {records:?}, {position}");
    handle.next(first)?;
    let (_, records, position) = batch(&mut group).await?;
    ensure!(records.len() == 1 && &records[0].key[..] == b"late" && position == 6, "{records:?}, {position}");
    Ok(())
}

async fn a_member_begins_where_the_last_one_committed<L: FeedLog>(log: &L) -> anyhow::Result<()> {
    fill(log, P0, 5).await?;
    let mut group = log.join(1_000)?;
    let claims = assigned(&mut group, 2).await?;
    group.handle().commit(claims[&P0].0, 2).await?;
    leave(group).await?;
    let mut group = log.join(1_000)?;
    let claims = assigned(&mut group, 2).await?;
    ensure!((claims[&P0].1, claims[&P1].1) == (2, 0), "{claims:?}");
    group.handle().next(claims[&P0].0)?;
    let (_, records, _) = batch(&mut group).await?;
    ensure!(records.first().is_some_and(|record| record.offset == 2), "{records:?}");
    Ok(())
}

async fn a_partition_goes_to_another_member_when_it_is_settled<L: FeedLog>(log: &L) -> anyhow::Result<()> {
    fill(log, P0, 3).await?;
    fill(log, P1, 3).await?;
    let mut first = log.join(1_000)?;
    assigned(&mut first, 2).await?;
    let mut second = log.join(1_000)?;
    let GroupEvent::Revoked { claims, lost: false, ack } = event(&mut first).await? else {
        bail!("one partition goes to the second member");
    };
    let [claim] = claims[..] else { bail!("one of two partitions goes: {claims:?}") };
    let early = tokio::time::timeout(WATCHED, second.recv()).await;
    ensure!(early.is_err(), "nobody has it before it is settled: {early:?}");
    // What was in flight is settled.
    first.handle().commit(claim, 3).await?;
    ack.settled();
    let taken = assigned(&mut second, 1).await?;
    ensure!(taken.get(&claim.partition).is_some_and(|(_, position)| *position == 3), "{taken:?}");
    let late = first.handle().commit(claim, 1).await;
    ensure!(matches!(late, Err(Error::Revoked(_))), "it is another's: {late:?}");
    leave(second).await?;
    let back = assigned(&mut first, 1).await?;
    ensure!(back.get(&claim.partition).is_some_and(|(_, position)| *position == 3), "{back:?}");
    ensure!(back[&claim.partition].0 != claim, "a claim is never given twice");
    Ok(())
}

async fn a_seek_makes_a_new_claim_and_voids_the_old_one<L: FeedLog>(log: &L) -> anyhow::Result<()> {
    fill(log, P0, 3).await?;
    let mut group = log.join(1_000)?;
    let handle = group.handle();
    let old = assigned(&mut group, 2).await?[&P0].0;
    handle.next(old)?;
    batch(&mut group).await?;
    handle.seek(old, 1)?;
    let (new, position) = assigned(&mut group, 1).await?[&P0];
    ensure!(new != old && position == 1, "{new:?} at {position}");
    let refused = handle.commit(old, 3).await;
    ensure!(matches!(refused, Err(Error::Revoked(0))), "the old claim is void: {refused:?}");
    handle.next(old)?;
    handle.next(new)?;
    let (claim, records, _) = batch(&mut group).await?;
    ensure!(
        claim == new && records.first().is_some_and(|record| record.offset == 1),
        "{claim:?}: {records:?}"
    );
    handle.commit(new, 2).await?;
    Ok(())
}

async fn a_member_that_closes_leaves_in_order<L: FeedLog>(log: &L) -> anyhow::Result<()> {
    fill(log, P0, 1).await?;
    let mut group = log.join(1_000)?;
    let handle = group.handle();
    let claim = assigned(&mut group, 2).await?[&P0].0;
    handle.close()?;
    let GroupEvent::Revoked { claims, lost: false, ack } = event(&mut group).await? else {
        bail!("every partition is reported");
    };
    ensure!(claims.len() == 2, "{claims:?}");
    let early = tokio::time::timeout(WATCHED, group.recv()).await;
    ensure!(early.is_err(), "it waits for the word that they are settled: {early:?}");
    handle.commit(claim, 1).await?;
    ack.settled();
    ensure!(tokio::time::timeout(PATIENCE, group.recv()).await?.is_none(), "nothing comes after");
    let closed = async || handle.next(claim).is_err();
    eventually("its threads end", closed, |closed| *closed).await;
    let mut group = log.join(1_000)?;
    ensure!(assigned(&mut group, 2).await?[&P0].1 == 1, "the last commit counts");
    Ok(())
}

async fn a_position_beyond_the_end_is_a_truncated_log<L: FeedLog>(log: &L) -> anyhow::Result<()> {
    fill(log, P0, 3).await?;
    fill(log, P1, 1).await?;
    let mut group = log.join(1_000)?;
    let claims = assigned(&mut group, 2).await?;
    group.handle().commit(claims[&P0].0, 100).await?;
    leave(group).await?;
    let mut group = log.join(1_000)?;
    let handle = group.handle();
    let claims = assigned(&mut group, 2).await?;
    ensure!(claims[&P0].1 == 100, "no position is ever reset: {claims:?}");
    handle.next(claims[&P0].0)?;
    match event(&mut group).await? {
        GroupEvent::Failed { claim, error: TailError::Truncated } if claim.partition == P0 => {}
        other => bail!("{other:?}"),
    }
    handle.next(claims[&P1].0)?;
    let (claim, records, _) = batch(&mut group).await?;
    ensure!(claim.partition == P1 && records.len() == 1, "the others go on");
    Ok(())
}

async fn a_stretch_has_every_record_in_order_and_ends_at_the_end<L: FeedLog>(log: &L) -> anyhow::Result<()> {
    fill(log, P0, 1_200).await?;
    fill(log, P1, 3).await?;
    let ranges = log.reader()?.ranges;
    for (partition, from, to, expected) in
        [(P0, 0, 1_200, 0..1_200), (P1, 1, 2, 1..2), (P0, 1_000, 1_200, 1_000..1_200), (P1, 2, 2, 0..0)]
    {
        let mut offsets = Vec::new();
        ranges.each(partition, from, to, |record| offsets.push(record.offset)).await?;
        ensure!(offsets == expected.collect::<Vec<_>>(), "{from}..{to} of {partition}: {offsets:?}");
    }
    // Reads that nobody waits for any longer are left, and the next one is as good.
    drop(ranges.read(P0, 0, 1_200)?);
    for (from, to) in [(100, 200), (1, 9), (3, 9)] {
        let beyond = ranges.each(P1, from, to, |_| ()).await;
        ensure!(beyond.is_err(), "{from}..{to} is beyond the end: an error, not a silent gap");
    }
    let mut records = 0;
    ranges.each(P1, 0, 3, |_| records += 1).await?;
    ensure!(records == 3, "{records}");
    Ok(())
}

async fn ends_are_behind_what_was_appended<L: FeedLog>(log: &L) -> anyhow::Result<()> {
    let reader = log.reader()?;
    ensure!(reader.ends.of_all(PARTITIONS).await? == [0, 0], "an empty partition ends at its start");
    for number in 1..=20 {
        let offset = log.append(P1, &format!("k{number}")).await?;
        let end = reader.ends.of(P1).await?;
        ensure!(end == offset + 1 && end == number, "record {number} stands at {offset}, the end is {end}");
    }
    let mut read = 0;
    let ends = reader.read(|partition, _| read += partition.0).await?;
    ensure!(read == 20 && ends == [(P0, 0), (P1, 20)].into(), "{read} records up to {ends:?}");
    Ok(())
}

async fn fill<L: FeedLog>(log: &L, partition: Partition, records: usize) -> anyhow::Result<()> {
    for number in 0..records {
        log.append(partition, &format!("k{number}")).await?;
    }
    Ok(())
}

async fn event(group: &mut Group) -> anyhow::Result<GroupEvent> {
    tokio::time::timeout(PATIENCE, group.recv()).await.context("no event")?.context("the group ended")
}

/// The next event, which must be a batch with records.
async fn batch(group: &mut Group) -> anyhow::Result<(Claim, Vec<LogRecord>, Offset)> {
    match event(group).await? {
        GroupEvent::Batch { claim, records, position } if !records.is_empty() => {
            Ok((claim, records, position))
        }
        other => bail!("a batch was asked for: {other:?}"),
    }
}

/// The next events, which must be so many assignments.
async fn assigned(
    group: &mut Group,
    partitions: usize,
) -> anyhow::Result<BTreeMap<Partition, (Claim, Offset)>> {
    let mut claims = BTreeMap::new();
    while claims.len() < partitions {
        match event(group).await? {
            GroupEvent::Assigned { claim, position } => claims.insert(claim.partition, (claim, position)),
            other => bail!("partitions were to be assigned: {other:?}"),
        };
    }
    Ok(claims)
}

/// Closes a member whose work is done.
async fn leave(mut group: Group) -> anyhow::Result<()> {
    group.handle().close()?;
    // A word that is dropped says the same as one that is given.
    while tokio::time::timeout(PATIENCE, group.recv()).await?.is_some() {}
    Ok(())
}
