//! What every adapter of dead letters promises, as the projector relies on it.

use bytes::Bytes;
use toolkit::dead_letters::{DeadLetters, Kind, Letter, Original, Outline};

/// A letter of this record.
fn letter(partition: i32, offset: i64, value: Option<&'static [u8]>) -> Letter {
    let outline = Outline {
        partition,
        offset,
        subject: format!("p-{}", offset % 3),
        kind: Kind::ALL[offset as usize % Kind::ALL.len()],
        reason: "a reason: \"größer\"".to_owned(),
        attempts: 3,
        first_failed_ms: 1_700_000_000_000,
        last_failed_ms: 1_700_000_000_001,
        acted: u64::MAX - offset.unsigned_abs(),
        is_discarded: offset % 2 == 1,
    };
    let original = Original {
        topic: "events".to_owned(),
        timestamp_ms: 1_699_999_999_999,
        key: Bytes::from(format!("p/{offset}/0/x")),
        value: value.map(Bytes::from_static),
        headers: vec![
            ("ce_id".to_owned(), Bytes::from_static(b"1")),
            ("ce_id".to_owned(), Bytes::from_static(b"\xff\x00")),
            ("x-folio-letter".to_owned(), Bytes::from_static(b"1")),
        ],
    };
    Letter { outline, original }
}

/// Holds an adapter that nobody has used to its promises. Panics if it breaks one.
///
/// # Errors
/// If it does not answer.
pub async fn dead_letters_conform(letters: &dyn DeadLetters) -> anyhow::Result<()> {
    assert_eq!(letters.load(0).await?, [], "where nothing was parked nothing is needed");
    assert_eq!(letters.letters(0, vec![1, 2]).await?, []);

    let large: &'static [u8] = vec![7; 1_000_000].leak();
    let all: Vec<Letter> = (0..40)
        .map(|offset| match offset {
            7 => letter(1, offset, None),
            8 => letter(1, offset, Some(b"")),
            9 => letter(1, offset, Some(large)),
            _ => letter(1, offset, Some(b"\0value")),
        })
        .collect();
    let mut parked = all.clone();
    parked.reverse();
    letters.park(parked).await?;
    letters.park(vec![letter(2, 3, Some(b"other"))]).await?;
    let outlines: Vec<Outline> = all.iter().map(|it| it.outline.clone()).collect();
    assert_eq!(letters.load(1).await?, outlines, "in the order of offsets, and by partition");
    assert_eq!(letters.letters(1, vec![9, 100, 7, 8]).await?, all[7..10]);
    assert_eq!(letters.load(0).await?, []);

    let mut again = all[5].clone();
    again.outline.attempts += 1;
    letters.park(vec![again.clone()]).await?;
    assert_eq!(letters.letters(1, vec![5]).await?, [again], "one letter for each record, the later one");
    assert_eq!(letters.load(1).await?.len(), 40);

    letters.resolve(1, (0..39).collect()).await?;
    letters.resolve(1, vec![0]).await?;
    assert_eq!(letters.load(1).await?, outlines[39..]);
    assert_eq!(letters.letters(1, vec![7]).await?, []);
    letters.park(vec![all[7].clone()]).await?;
    assert_eq!(letters.letters(1, vec![7]).await?, all[7..8], "what was resolved may come back");
    Ok(())
}
