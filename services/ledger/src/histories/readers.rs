//! Readers that start anywhere and know nothing judge every record as one that has read it all.

use super::node::P;
use crate::sim::Dice;
use crate::{Judgement, LogRecord, Offset, Reader};

/// Starts a reader at every offset of the log.
pub(super) fn agree(records: &[LogRecord], window: i64, mut dice: Dice) -> Result<(), String> {
    let effective = effective_by_the_rule(records, window);
    for start in 0..=records.len() {
        let mut reader = Reader::with_window(P, 1, start as Offset, window);
        let mut at = start;
        while at < records.len() {
            let batch = &records[at..(at + 1 + dice.index(8)).min(records.len())];
            look_back(&mut reader, records, batch);
            if reader.floor() < start as Offset - window {
                return Err(format!("a reader from {start} looked back to {}", reader.floor()));
            }
            for record in batch {
                let counts = match reader.judge(record.offset, &record.key) {
                    Judgement::Effective(_) => true,
                    Judgement::Void(_) => false,
                    other => {
                        return Err(format!("a reader from {start} says {other:?} of {}", record.offset));
                    }
                };
                if counts != effective[record.offset as usize] {
                    return Err(format!("a reader from {start} says {counts} of offset {}", record.offset));
                }
            }
            at += batch.len();
            if dice.percent(50) {
                reader.position(at as Offset);
            }
        }
    }
    Ok(())
}

fn look_back(reader: &mut Reader, records: &[LogRecord], batch: &[LogRecord]) {
    let Some(from) = reader.needs(batch.iter().map(|record| (record.offset, &*record.key))) else { return };
    for record in &records[from as usize..reader.floor() as usize] {
        reader.look_back(record.offset, &record.key);
    }
    reader.looked_back_to(from);
}

/// The rule, plainly.
fn effective_by_the_rule(records: &[LogRecord], window: i64) -> Vec<bool> {
    let mut current = std::collections::HashMap::new();
    let parts = |record: &LogRecord| {
        let key = String::from_utf8(record.key.to_vec()).expect("text");
        let mut parts = key.split('/');
        let subject = parts.next().expect("a subject").to_owned();
        let mut number = || parts.next().and_then(|n| n.parse::<i64>().ok()).expect("a number");
        (subject, number(), number())
    };
    records
        .iter()
        .map(|record| {
            let (subject, version, basis) = parts(record);
            let current = current.entry(subject).or_insert(0);
            let counts =
                0 <= record.offset - basis && record.offset - basis <= window && version == *current + 1;
            *current += i64::from(counts);
            counts
        })
        .collect()
}
