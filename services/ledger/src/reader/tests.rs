use uuid::Uuid;

use super::*;

const P: Partition = Partition(0);

fn key(subject: &str, version: u64, basis: Offset) -> Vec<u8> {
    format!("{subject}/{version}/{basis}/{}", Uuid::from_u128(basis as u128)).into_bytes()
}

fn is_effective(judgement: &Judgement) -> bool {
    matches!(judgement, Judgement::Effective(_))
}

#[test]
fn a_record_with_its_basis_at_the_start_needs_nothing_older() {
    let mut reader = Reader::new(P, 1, 100);
    let k = key("a", 7, 100);
    assert_eq!(reader.needs([(100, &*k)]), None);
    assert!(is_effective(&reader.judge(100, &k)));
    assert_eq!(reader.judge(101, &key("a", 7, 100)), Judgement::Void(VoidReason::Stale));
    assert!(is_effective(&reader.judge(102, &key("a", 8, 101))));
}

#[test]
fn an_older_basis_is_looked_back_to() {
    // Before the start: version 7 at offset 98, decided at 95. The record at 100 was decided at 97: it lost.
    let (old, lost, next) = (key("a", 7, 95), key("a", 7, 97), key("a", 8, 99));
    let mut reader = Reader::new(P, 1, 100);
    assert_eq!(reader.judge(100, &lost), Judgement::NeedsLookBack(97));
    assert_eq!(reader.needs([(100, &*lost), (101, &*next)]), Some(97));
    assert_eq!(reader.floor(), 100);
    for (offset, k) in [(97, key("b", 1, 90)), (98, old), (99, b"garbage".to_vec())] {
        reader.look_back(offset, &k);
    }
    reader.looked_back_to(97);
    assert_eq!(reader.judge(100, &lost), Judgement::Void(VoidReason::Stale));
    assert!(is_effective(&reader.judge(101, &next)));
}

#[test]
fn looking_back_again_goes_further() {
    let mut reader = Reader::new(P, 1, 100);
    reader.looked_back_to(95);
    let k = key("a", 1, 90);
    assert_eq!(reader.needs([(100, &*k)]), Some(90));
    assert_eq!(reader.floor(), 95);
    reader.look_back(92, &key("a", 1, 91));
    reader.looked_back_to(90);
    assert_eq!(reader.judge(100, &k), Judgement::Void(VoidReason::Stale));
}

#[test]
fn records_outside_the_window_or_in_the_wrong_place_ask_for_nothing() {
    let mut reader = Reader::with_window(P, 1, 100, 12);
    for (k, judgement) in [
        (key("a", 1, 87), Judgement::Void(VoidReason::OutsideWindow)),
        (key("a", 1, 1_000), Judgement::Void(VoidReason::OutsideWindow)),
        (b"a/1/90".to_vec(), Judgement::Garbage(KeyError::Parts(3))),
    ] {
        assert_eq!(reader.needs([(100, &*k)]), None);
        assert_eq!(Reader::with_window(P, 1, 100, 12).judge(100, &k), judgement);
    }
    let stranger = (0..99).map(|n| format!("p{n}")).find(|p| partition_of(p, 2) == Partition(1)).unwrap();
    reader.partitions = 2;
    let k = key(&stranger, 1, 90);
    assert_eq!(reader.needs([(100, &*k)]), None);
    assert_eq!(reader.judge(100, &k), Judgement::Void(VoidReason::WrongPartition));
}

#[test]
fn a_skipped_version_is_a_violation() {
    let mut reader = Reader::new(P, 1, 0);
    assert!(is_effective(&reader.judge(0, &key("a", 1, 0))));
    let skips = key("a", 3, 1);
    assert_eq!(reader.judge(1, &skips), Judgement::Violation(RecordKey::parse(&skips).unwrap()));
    assert!(is_effective(&reader.judge(2, &key("a", 2, 1))));
}

#[test]
fn what_is_below_the_position_was_seen() {
    let mut reader = Reader::new(P, 1, 5);
    assert_eq!(reader.judge(4, &key("a", 1, 4)), Judgement::Seen);
    assert!(is_effective(&reader.judge(5, &key("a", 1, 5))));
    assert_eq!(reader.judge(5, &key("a", 1, 5)), Judgement::Seen);
    reader.position(9);
    assert_eq!((reader.next(), reader.judge(8, &key("a", 2, 8))), (9, Judgement::Seen));
}

#[test]
fn silent_products_and_the_past_are_forgotten() {
    let mut reader = Reader::with_window(P, 1, 100, 10);
    reader.look_back(95, &key("x", 1, 95));
    reader.looked_back_to(95);
    assert!(is_effective(&reader.judge(100, &key("a", 1, 100))));
    assert_eq!((reader.known.len(), reader.past.len()), (1, 1));
    for offset in 101..130 {
        assert!(is_effective(&reader.judge(offset, &key("b", offset as u64, offset))));
        reader.position(offset + 1);
    }
    assert_eq!((reader.known.len(), reader.past.len()), (1, 0));
    // The forgotten product tells its version anew.
    assert!(is_effective(&reader.judge(130, &key("a", 2, 129))));
}

#[test]
fn a_forged_record_is_taken_at_its_word_only_until_the_reader_is_corrected() {
    let records = [(0, key("a", 1, 0)), (1, key("a", 900, 1)), (2, key("a", 2, 1)), (3, key("a", 3, 3))];
    let judged = |reader: &mut Reader, from: usize| -> Vec<bool> {
        records[from..].iter().map(|(offset, key)| is_effective(&reader.judge(*offset, key))).collect()
    };
    // From offset zero it skips versions, which no correct writer does.
    for mut whole in [Reader::new(P, 1, 0), Reader::complete(P, 1)] {
        assert_eq!(judged(&mut whole, 0), [true, false, true, true]);
    }
    // From just before it nobody knows better, and it hides what correct writers wrote after it.
    assert_eq!(judged(&mut Reader::new(P, 1, 1), 1), [true, false, false]);
    let mut corrected = Reader::new(P, 1, 1);
    assert!(is_effective(&corrected.judge(1, &records[1].1)));
    corrected.corrected(&Subject::parse("a").unwrap(), 1);
    assert_eq!(judged(&mut corrected, 2), [true, true]);
}

#[test]
fn a_complete_reader_takes_nobody_at_his_word_and_forgets_nobody() {
    let mut reader = Reader::complete(P, 1);
    let judged = |reader: &mut Reader, offset, key: &[u8]| reader.judge(offset, key);
    assert!(matches!(judged(&mut reader, 0, &key("nobody", 7, 0)), Judgement::Violation(_)));
    assert!(is_effective(&judged(&mut reader, 1, &key("a", 1, 1))));
    // A whole window and more of silence.
    let later = 3 * crate::WINDOW;
    reader.position(later);
    assert!(matches!(judged(&mut reader, later, &key("a", 900, later)), Judgement::Violation(_)));
    assert!(is_effective(&judged(&mut reader, later + 1, &key("a", 2, later))));
}
