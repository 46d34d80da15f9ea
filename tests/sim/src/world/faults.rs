//! What goes wrong besides the network: writers die, stand still and lose their state; the log jumps, is compacted, and
//! holds what no writer wrote.

use bytes::Bytes;
use ledger::{Offset, Subject, partition_of};
use uuid::Uuid;

use super::{World, say};
use crate::Weakening;
use crate::counts::What;
use crate::disk::Disk;
use crate::node::{Birth, Node, P, PARTITIONS};
use crate::oracle::{Standing, Verdict, WINDOW};
use crate::readers::Following;
use crate::schemas::is_strange;
use crate::violation::Checked;
use crate::violation::Invariant::KeysAreUnique;

impl World {
    pub(super) fn new_node(&mut self, number: usize, life: u64, disk: Option<Disk>) -> Node {
        self.nonces += 1;
        self.born += 1;
        Node::new(Birth {
            topic: &self.topic,
            number,
            life,
            writer: self.born - 1,
            nonce: self.nonces,
            skew_ms: self.dice.below(100),
            limits: self.plan.limits,
            held: self.plan.held,
            saving: (1 + self.dice.index(4), 1 + self.dice.below(100)),
            weakened: self.weakened,
            step: self.step,
            disk,
        })
    }

    /// A writer dies, half of the time in the middle of its work; another takes its place and knows nothing.
    pub(super) fn crash(&mut self, node: usize) -> Checked {
        if self.is_awake(node) && self.dice.percent(50) {
            let carried_out = self.dice.index(4);
            if let Some(signal) = self.nodes[node].signals().into_iter().next() {
                self.counts.count(What::CrashesMidway);
                self.feed(node, signal)?;
                self.carry_out(node, carried_out)?;
            }
        }
        self.counts.count(What::Crashes);
        say!(self, self.nodes[node], "dies");
        self.nodes[node].kill();
        for ticket in std::mem::take(&mut self.nodes[node].open) {
            self.counts.count(What::NeverAnswered);
            self.oracle.tickets[ticket as usize].standing = Standing::Dead;
            self.closed(ticket, false);
        }
        let (number, life) = (node, self.nodes[node].life() + 1);
        let disk = self.disk_after_crash(node);
        self.nodes[node] = self.new_node(number, life, disk);
        self.start(node)
    }

    pub(super) fn start(&mut self, node: usize) -> Checked {
        say!(self, self.nodes[node], "starts from {}", self.nodes[node].next());
        let clock = self.nodes[node].clock(self.now_ms);
        self.nodes[node].driver.start(clock);
        self.carry_out(node, usize::MAX)
    }

    /// The state is discarded.
    pub(super) fn reset(&mut self, node: usize) -> Checked {
        self.counts.count(What::Resets);
        say!(self, self.nodes[node], "hears that its tail is worth nothing");
        self.nodes[node].lose_tail(self.now_ms, &self.written);
        self.carry_out(node, usize::MAX)
    }

    pub(super) fn follow_again(&mut self, node: usize) {
        if self.nodes[node].tail_failed {
            return;
        }
        self.counts.count(What::TailsRestarted);
        say!(self, self.nodes[node], "starts its tail again at {}", self.nodes[node].next());
        self.nodes[node].follow_again();
    }

    pub(super) fn fail_tail(&mut self, node: usize) {
        if self.nodes[node].log.fail_tail(P, "simulated") {
            self.counts.count(What::TailsFailed);
            self.nodes[node].tail_failed = true;
            say!(self, self.nodes[node], "loses its tail");
        }
    }

    /// The registry answers a writer's questions: one of them, or, where nothing goes wrong any more, all.
    pub(super) fn registry(&mut self, node: usize, is_faulty: bool) -> Checked {
        if is_faulty && self.dice.percent(20) {
            self.nodes[node].known.forget();
        }
        while let Some(schema) = self.nodes[node].hear_of_schema(self.now_ms, &self.written) {
            self.counts.count(if is_strange(schema) { What::SchemasRefused } else { What::SchemasLearned });
            say!(self, self.nodes[node], "hears of schema {schema}");
            self.carry_out(node, usize::MAX)?;
            if is_faulty {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn pause(&mut self, node: usize) {
        self.counts.count(What::Pauses);
        let longest = if self.dice.percent(20) { 4_000 } else { 200 };
        let ms = 1 + self.dice.below(longest);
        say!(self, self.nodes[node], "stands still for {ms} ms");
        self.nodes[node].paused_until_ms = self.now_ms + ms;
    }

    /// The log's end jumps, by a little or so far that an append on its way comes to the very edge of its window.
    pub(super) fn pass_over(&mut self) {
        let end = self.end_offset();
        if end == 0 {
            return;
        }
        let on_the_way = self.topic.on_the_way();
        let aimed = (!on_the_way.is_empty()).then(|| &on_the_way[self.dice.index(on_the_way.len())]);
        let aimed = aimed.and_then(|key| basis_of(key)).map(|basis| basis + WINDOW - end);
        let offsets = match self.dice.below(10) {
            0..5 => aimed.unwrap_or(1) + self.dice.below(4) as Offset - 2,
            5..8 => 1 + self.dice.below(6) as Offset,
            8 => WINDOW / 2 + self.dice.below(20_000) as Offset,
            _ => WINDOW + self.dice.below(10) as Offset,
        };
        let offsets = offsets.max(1);
        self.counts.count(What::PassedOver);
        say!(self, "log", "passes over {offsets} offsets from {end}");
        // Readers from just before a long silence know the least of what lands behind it.
        if offsets > WINDOW / 2 - 10 && self.readers.len() < 12 {
            self.readers.push(Following::start(end, self.plan.products, &mut self.counts));
        }
        self.topic.pass_over(P, offsets);
    }

    /// Compaction keeps the last copy of a record. Its lag spares what would not be harmless.
    pub(super) fn compact(&mut self) -> Checked {
        self.counts.count(What::Compactions);
        let mut found = 0;
        for (offset, last) in self.topic.copies(P) {
            if self.oracle.entry(offset).is_none_or(|entry| entry.verdict == Verdict::Garbage) {
                continue;
            }
            found += 1;
            let counts = self.oracle.counts_at(offset);
            if self.weakened != Some(Weakening::Compaction) {
                self.oracle.condition_is_exact(offset)?;
                // A writer that has not come there yet may hold an end offset of before the copy landed, and would answer
                // those who wait without the record, unless it knows of it; and a reset waits for offset 0.
                let misses_it =
                    |node: &Node| node.next() <= offset && !node.open.is_empty() && !node.awaits(offset);
                let is_early = counts && self.nodes.iter().any(misses_it) || offset == 0;
                if is_early || !self.oracle.is_harmless(offset) {
                    self.counts.count(What::CompactionSpared);
                    continue;
                }
            }
            self.counts.count(What::CompactedAway);
            say!(self, "log", "compaction takes offset {offset} away, its copy stands at {last}");
            self.topic.remove(P, offset);
            self.oracle.removed(offset);
            self.has_holes = true;
            if counts {
                self.compacted_at = self.step;
            }
        }
        if self.plan.faults.twice == 0 {
            self.counts.count(What::CompactedNothing);
            KeysAreUnique.holds(found == 0, || format!("{found} records have another's key"))?;
        }
        Ok(())
    }

    /// Someone who may not writes what is no key, or stands in the wrong partition.
    pub(super) fn write_garbage(&mut self) {
        const GARBAGE: [&[u8]; 6] = [
            b"",
            b"nonsense",
            b"p0/1/0",
            b"p0/01/0/00000000-0000-8000-8000-000000000000",
            b"p0/1/0/00000000-0000-8000-8000-00000000000G",
            b"\xff/1/0/00000000-0000-8000-8000-000000000000",
        ];
        let (key, verdict) = if self.dice.percent(50) {
            (Bytes::from_static(GARBAGE[self.dice.index(GARBAGE.len())]), Verdict::Garbage)
        } else {
            let basis = self.end_offset();
            self.nonces += 1;
            (
                Bytes::from(format!(
                    "{}/1/{basis}/{}",
                    elsewhere(),
                    Uuid::from_u128(u128::from(self.nonces))
                )),
                Verdict::Elsewhere,
            )
        };
        let offset = self.topic.write(P, key.clone(), None);
        say!(self, "someone", "writes {:?} at {offset}", String::from_utf8_lossy(&key));
        self.oracle.foreign(offset, verdict, &mut self.counts);
    }
}

fn basis_of(key: &[u8]) -> Option<Offset> {
    std::str::from_utf8(key).ok()?.split('/').nth(2)?.parse().ok()
}

/// A product of the other partition.
fn elsewhere() -> Subject {
    let names = (0..).filter_map(|n| Subject::parse(&format!("q{n}")).ok());
    let mut others = names.filter(|subject| partition_of(subject.as_str(), PARTITIONS) != P);
    others.next().expect("half of all products are in the other partition")
}
