//! What waits for a schema, on a counter as the product: the simulation (`tests/sim`) checks how it works together.

use std::cell::RefCell;
use std::collections::BTreeMap;

use bytes::Bytes;

use super::*;
use crate::sequencer::tests::cold::Stored;
use crate::sequencer::tests::{Ask, Counter, P, submission};
use crate::{Answer, Headers, Limits, RecordKey, Subject};

/// Schema 0 is known; of the others what was told. A value is a schema and a number.
#[derive(Default)]
struct Told(RefCell<BTreeMap<u32, SchemaStanding>>);

impl Told {
    fn tell(&self, schema: u32, standing: SchemaStanding) {
        self.0.borrow_mut().insert(schema, standing);
    }
}

impl Decoder<Counter> for Told {
    fn schema_of(&self, record: &LogRecord) -> Option<u32> {
        record.value.as_deref().map(|value| u32::from(value[0]))
    }

    fn standing(&self, schema: u32) -> SchemaStanding {
        let told = self.0.borrow().get(&schema).copied();
        told.unwrap_or(if schema == 0 { SchemaStanding::Known } else { SchemaStanding::Unknown })
    }

    fn decode(&self, record: &LogRecord) -> Result<DecodedRecord<u64>, Unreadable> {
        let value = record.value.as_deref().unwrap_or_default();
        match self.standing(u32::from(value[0])) {
            SchemaStanding::Known => {
                Ok(DecodedRecord { event: u64::from(value[1]), command_id: None, command_hash: None })
            }
            _ => Err(Unreadable("nobody has the schema".into())),
        }
    }
}

struct Rig {
    driver: PartitionDriver<Counter>,
    told: Told,
    next: Offset,
    now_ms: u64,
    tickets: u64,
}

const ROOM: Held = Held { records: 100, bytes: usize::MAX };

impl Rig {
    /// Caught up with an empty partition.
    fn new(held: Held) -> Self {
        Self::driving(PartitionDriver::new(Sequencer::new(P, 1, 7, Limits::default()), held, 1_000))
    }

    fn driving(driver: PartitionDriver<Counter>) -> Self {
        let mut rig = Self { driver, told: Told::default(), next: 0, now_ms: 1_000, tickets: 0 };
        rig.driver.start(rig.now_ms);
        let Some(Output::AskEndOffset { request }) = rig.outputs().pop() else {
            panic!("it asks for the end")
        };
        let end = Signal::EndOffset { partition: P, request, outcome: Ok(0) };
        rig.driver.signal(rig.now_ms, end, &rig.told);
        assert!(rig.driver.is_caught_up());
        rig
    }

    fn outputs(&mut self) -> Vec<Output<Counter>> {
        std::iter::from_fn(|| self.driver.next_output()).collect()
    }

    /// Which schemas it asks for now.
    fn asks(&mut self) -> Vec<u32> {
        let asked = |output| if let Output::AskSchema { schema, .. } = output { Some(schema) } else { None };
        self.outputs().into_iter().filter_map(asked).collect()
    }

    /// Another writer's record, with this schema and this number.
    fn record(&mut self, subject: &str, version: u64, schema: u8, number: u8) {
        let event_id = uuid::Uuid::from_u128(self.next as u128);
        let key =
            RecordKey { subject: Subject::parse(subject).unwrap(), version, basis: self.next, event_id };
        let record = LogRecord {
            offset: self.next,
            timestamp_ms: 0,
            key: Bytes::from(key.to_string()),
            value: Some(Bytes::from(vec![schema, number])),
            headers: Headers::new(),
        };
        self.next += 1;
        self.driver.signal(self.now_ms, Signal::Records { partition: P, records: vec![record] }, &self.told);
    }

    fn tell(&mut self, schema: u32, standing: SchemaStanding) {
        self.told.tell(schema, standing);
        self.driver.schemas_changed(self.now_ms, &self.told);
    }

    /// What a command on the product is answered; `None` if an event is appended for it, or nothing is said.
    fn answer(&mut self, subject: &str) -> Option<Answer<&'static str>> {
        self.tickets += 1;
        self.driver.command(self.now_ms, submission(self.tickets, subject, Ask::Add(1)));
        let answer = |output| if let Output::Answer { answer, .. } = output { Some(answer) } else { None };
        self.outputs().into_iter().find_map(answer)
    }

    fn is(&self, subject: &str) -> (u64, Option<u64>) {
        let subject = Subject::parse(subject).unwrap();
        let sequencer = self.driver.sequencer();
        (sequencer.version(&subject), sequencer.state(&subject).as_deref().copied())
    }
}

#[test]
fn only_the_product_waits_whose_record_names_an_unknown_schema() {
    let mut rig = Rig::new(ROOM);
    rig.record("a", 1, 0, 1);
    rig.record("b", 1, 0, 1);
    rig.record("a", 2, 9, 10);
    assert_eq!(rig.asks(), [9]);
    // What follows it waits too, whatever its schema, and all others go on.
    rig.record("a", 3, 0, 100);
    rig.record("b", 2, 0, 10);
    assert_eq!((rig.is("a"), rig.is("b")), ((3, None), (2, Some(11))));
    assert!(rig.driver.is_caught_up() && rig.driver.is_restless());
    assert_eq!(rig.answer("a"), Some(Answer::Withheld));
    assert_eq!(rig.answer("b"), None);
    // Void as ever: it lost the race, and its value is not asked for.
    rig.record("a", 3, 8, 0);
    assert_eq!(rig.asks(), []);

    rig.tell(9, SchemaStanding::Known);
    assert_eq!((rig.is("a"), rig.driver.sequencer().withheld_products()), ((3, Some(111)), 0));
    assert_eq!(rig.answer("a"), None);
}

#[test]
fn a_product_waits_for_one_schema_after_another_and_one_that_nobody_has_makes_it_unreadable() {
    let mut rig = Rig::new(ROOM);
    rig.record("a", 1, 9, 1);
    rig.record("a", 2, 8, 10);
    assert_eq!(rig.asks(), [9], "the second is asked for when its turn comes");
    rig.tell(9, SchemaStanding::Known);
    assert_eq!((rig.is("a"), rig.asks()), ((2, None), vec![8]));
    rig.tell(8, SchemaStanding::Refused);
    assert!(matches!(rig.outputs()[..], [Output::UnreadableRecord { offset: 1, version: 2, .. }]));
    assert_eq!((rig.is("a"), rig.driver.sequencer().withheld_products()), ((2, None), 0));
    assert_eq!(rig.answer("a"), Some(Answer::Unreadable));
}

#[test]
fn more_than_may_be_kept_makes_the_tail_wait_and_nothing_is_lost() {
    let mut rig = Rig::new(Held { records: 2, bytes: usize::MAX });
    for (subject, schema) in [("a", 9), ("b", 9), ("c", 8), ("d", 0)] {
        rig.record(subject, 1, schema, 1);
    }
    assert_eq!(rig.asks(), [9, 8]);
    assert!(!rig.driver.is_caught_up() && rig.is("d") == (0, None), "the tail waits at c");
    rig.tell(8, SchemaStanding::Known);
    assert!(rig.driver.is_caught_up());
    assert_eq!((rig.is("b"), rig.is("c"), rig.is("d")), ((1, None), (1, Some(1)), (1, Some(1))));
    rig.tell(9, SchemaStanding::Known);
    assert_eq!((rig.is("a"), rig.is("b")), ((1, Some(1)), (1, Some(1))));
}

#[test]
fn every_schema_has_its_turn_to_be_asked_for_however_many_there_are() {
    let mut rig = Rig::new(ROOM);
    for n in 1..=40 {
        rig.record(&format!("p{n}"), 1, n, 1);
    }
    let first = rig.asks();
    let mut asked = first.clone();
    for _ in 0..2 {
        rig.now_ms += ASK_AGAIN_MS;
        rig.driver.tick(rig.now_ms);
        let more = rig.asks();
        assert!(more.len() <= first.len(), "{more:?}");
        asked.extend(more);
    }
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked, (1..=40).collect::<Vec<_>>());
}

#[test]
fn while_a_product_waits_nothing_is_saved_and_what_has_changed_stays_bounded() {
    let policy = SavePolicy { hot: 100, hot_bytes: usize::MAX / 4, max_changed: 2, save_ms: 1 };
    let driver = PartitionDriver::new(Sequencer::new(P, 1, 7, Limits::default()), ROOM, 1_000);
    let mut rig = Rig::driving(driver.keeping(Box::new(Stored::default()), policy, None));
    rig.record("a", 1, 9, 1);
    rig.now_ms += 10;
    assert!(rig.driver.save(rig.now_ms).is_none(), "the state of a is not known");
    for n in 0..10 {
        rig.record(&format!("p{n}"), 1, 0, 1);
    }
    assert_eq!(rig.driver.sequencer().changed(), 4, "twice as many as are saved at once");
    assert!(!rig.driver.is_caught_up());
    rig.tell(9, SchemaStanding::Known);
    assert!(rig.driver.is_caught_up() && rig.is("p9") == (1, Some(1)));
    assert!(rig.driver.save(rig.now_ms + 10).is_some());
}
