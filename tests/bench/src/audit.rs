//! The end of every measure: the log holds exactly what was acknowledged, by the rule, or there is no number.

use std::collections::HashMap;

use anyhow::ensure;
use event_reader::LogReader;
use uuid::Uuid;

/// The event ids of accepted commands, as the clients were told.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged(Vec<Uuid>);

impl Acknowledged {
    pub(crate) fn extend(&mut self, events: impl IntoIterator<Item = Uuid>) {
        self.0.extend(events);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Reads the whole log: no violation, no garbage, versions without a gap, and one effective record for each
/// acknowledged command and no other.
pub(crate) async fn check(log: &LogReader, acknowledged: &Acknowledged) -> anyhow::Result<()> {
    let mut owed: HashMap<Uuid, u32> = HashMap::with_capacity(acknowledged.0.len());
    for event in &acknowledged.0 {
        *owed.entry(*event).or_default() += 1;
    }
    ensure!(owed.len() == acknowledged.0.len(), "one record answered two commands");
    let mut versions: HashMap<String, u64> = HashMap::new();
    let (mut unknown, mut gaps) = (0_u64, 0_u64);
    let judged = log.audit(|_, key, _| {
        unknown += u64::from(owed.remove(&key.event_id).is_none());
        let version = versions.entry(key.subject.as_str().to_owned()).or_default();
        gaps += u64::from(key.version != *version + 1);
        *version = key.version;
    });
    let audit = judged.await?;
    eprintln!(
        "  audit: {} records, {} effective, {} void, {} products; {} acknowledged",
        audit.records,
        audit.effective,
        audit.void,
        audit.products,
        acknowledged.0.len()
    );
    ensure!(audit.violations == 0, "{} records that no correct writer wrote", audit.violations);
    ensure!(audit.garbage == 0, "{} records without a key", audit.garbage);
    ensure!(gaps == 0, "{gaps} versions do not follow their predecessors");
    ensure!(owed.is_empty(), "{} acknowledged commands are not in the log", owed.len());
    ensure!(unknown == 0, "{unknown} effective records were never acknowledged");
    Ok(())
}
