//! A writer: the real sequencer, made anew from all it has heard. It is a pure function of its inputs, so what a writer
//! has heard is its state.

use ledger::{AppendError, Output, Partition, Recorded, Sequencer, WINDOW};

use crate::product::Shelf;
use crate::scene::{DEADLINE_MS, Scene};
use crate::state::{Heard, Landed, State};

pub(crate) const P: Partition = Partition(0);

/// The writer as all it has heard has left it, and what the last thing it heard made it do.
pub(crate) fn listen(scene: &Scene, state: &State, writer: usize) -> (Sequencer<Shelf>, Vec<Output<Shelf>>) {
    let heard = &state.writers[writer].heard;
    // New for every life of every writer.
    let nonce = (writer as u64) << 8 | u64::from(state.writers[writer].life);
    let mut sequencer = if scene.broken.is_some() {
        Sequencer::for_tests(P, 1, nonce, scene.limits(), WINDOW, scene.broken)
    } else {
        Sequencer::new(P, 1, nonce, scene.limits())
    };
    let mut now_ms = 0;
    for (n, heard) in heard.iter().enumerate() {
        if n > 0 {
            drop(sequencer.drain());
        }
        hear(scene, &state.log, &mut sequencer, &mut now_ms, heard);
    }
    let outputs = sequencer.drain().collect();
    (sequencer, outputs)
}

fn hear(scene: &Scene, log: &[Landed], sequencer: &mut Sequencer<Shelf>, now_ms: &mut u64, heard: &Heard) {
    match *heard {
        Heard::CatchUp(end) => sequencer.catch_up_to(end),
        Heard::Command(ticket) => sequencer.command(*now_ms, scene.submission(ticket)),
        Heard::Report(append, offset) => {
            let outcome = offset.ok_or_else(|| AppendError::Unknown("timed out".into()));
            sequencer.appended(*now_ms, append, outcome);
        }
        Heard::Record(index) => {
            let Landed { offset, record } = &log[index];
            sequencer.record(*now_ms, *offset, record.key.as_bytes(), || {
                let wish = scene.wish(record.ticket);
                Ok(Recorded {
                    event: record.event,
                    command_id: Some(wish.command_id()),
                    command_hash: Some(wish.order.hash()),
                })
            });
        }
        Heard::Position(position) => sequencer.position(*now_ms, position),
        Heard::End(request, end) => sequencer.end_offset(*now_ms, request, Ok(end)),
        Heard::Second => {
            *now_ms += 1_000;
            sequencer.tick(*now_ms);
        }
        Heard::Deadline => {
            *now_ms = DEADLINE_MS;
            sequencer.tick(*now_ms);
        }
        Heard::Reset(end) => {
            sequencer.reset();
            sequencer.catch_up_to(end);
        }
    }
}
