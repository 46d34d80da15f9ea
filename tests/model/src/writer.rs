//! A writer: the driver that ships, made anew from all it has heard. It is a pure function of its inputs, so what a writer
//! has heard is its state.

use ledger::{
    AppendError, DecodedRecord, Decoder, Held, LogRecord, Output, Partition, PartitionDriver, SchemaStanding,
    Sequencer, Signal, TailError, Unreadable,
};
use ledger_sim::Broken;

use crate::product::{Changed, Shelf};
use crate::scene::{DEADLINE_MS, Scene};
use crate::state::{Heard, Landed, State};

pub(crate) const P: Partition = Partition(0);

pub(crate) type Driver = PartitionDriver<Shelf, u64, Broken>;

/// Nothing here waits for a schema.
const HELD: Held = Held { records: 0, bytes: 0 };

/// Reads the log of a run.
struct Reading<'a> {
    scene: &'a Scene,
    log: &'a [Landed],
}

impl Decoder<Shelf> for Reading<'_> {
    fn schema_of(&self, _: &LogRecord) -> Option<u32> {
        None
    }

    fn standing(&self, _: u32) -> SchemaStanding {
        SchemaStanding::Known
    }

    fn decode(&self, record: &LogRecord) -> Result<DecodedRecord<Changed>, Unreadable> {
        let at = self.log.binary_search_by_key(&record.offset, |landed| landed.offset);
        let landed = &self.log[at.map_err(|_| Unreadable("the log does not hold it".into()))?];
        let request = self.scene.request(landed.record.ticket);
        Ok(DecodedRecord {
            event: landed.record.event,
            command_id: Some(request.command_id()),
            command_hash: Some(request.order.hash()),
        })
    }
}

/// What a writer does, each append with the ticket of its command.
pub(crate) type Done = Vec<(Output<Shelf>, Option<u64>)>;

/// The writer as all it has heard has left it, and what the last thing it heard made it do, appends with the ticket of
/// their command.
pub(crate) fn listen(scene: &Scene, state: &State, writer: usize) -> (Driver, Done) {
    // New for every life of every writer.
    let nonce = (writer as u64) << 8 | u64::from(state.writers[writer].life);
    let sequencer = Sequencer::under(Broken(scene.broken), P, 1, nonce, scene.limits());
    let mut driver = PartitionDriver::new(sequencer, HELD, DEADLINE_MS);
    let reading = Reading { scene, log: &state.log };
    let (mut now_ms, mut outputs) = (0, Vec::new());
    for heard in &state.writers[writer].heard {
        outputs.clear();
        hear(&reading, &mut driver, &mut now_ms, *heard);
        // What it asks first then is where to catch up to. It hears that at once.
        let mut catches_up_to = match heard {
            Heard::CatchUp(end) | Heard::Reset(end) => Some(*end),
            _ => None,
        };
        while let Some(output) = driver.next_output() {
            match output {
                Output::AskEndOffset { request } if catches_up_to.is_some() => {
                    let end = catches_up_to.take().unwrap_or_default();
                    let signal = Signal::EndOffset { partition: P, request, outcome: Ok(end) };
                    driver.signal(now_ms, signal, &reading);
                }
                Output::Discard { .. } if matches!(heard, Heard::Reset(_)) => {}
                Output::Append(append) => {
                    let ticket = driver.context(append.command).copied();
                    outputs.push((Output::Append(append), ticket));
                }
                output => outputs.push((output, None)),
            }
        }
    }
    (driver, outputs)
}

fn hear(reading: &Reading<'_>, driver: &mut Driver, now_ms: &mut u64, heard: Heard) {
    let partition = P;
    let signal = match heard {
        Heard::CatchUp(_) => return driver.start(*now_ms),
        Heard::Command(ticket) => return driver.command(*now_ms, reading.scene.submission(ticket)),
        Heard::Second => {
            *now_ms += 1_000;
            return driver.tick(*now_ms);
        }
        Heard::Deadline => {
            *now_ms = DEADLINE_MS;
            return driver.tick(*now_ms);
        }
        Heard::Report(append_id, offset) => {
            let outcome = offset.ok_or_else(|| AppendError::Unknown("timed out".into()));
            Signal::Appended { partition, append_id, outcome }
        }
        Heard::Record(index) => {
            let Landed { offset, record } = &reading.log[index];
            Signal::Records { partition, records: vec![record.at(*offset)] }
        }
        Heard::Position(position) => Signal::Position { partition, position },
        Heard::End(request, end) => Signal::EndOffset { partition, request, outcome: Ok(end) },
        Heard::Reset(_) => Signal::TailFailed { partition, error: TailError::OutOfRange },
    };
    driver.signal(*now_ms, signal, reading);
}
