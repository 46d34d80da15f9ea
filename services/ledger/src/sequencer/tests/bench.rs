//! What an input costs: run with `cargo test -p ledger --release -- --ignored --nocapture speed`.

use std::time::Instant;

use super::*;

const COMMANDS: u64 = 200_000;
const PRODUCTS: u64 = 20_000;

#[test]
#[ignore = "a measurement, not a promise"]
fn speed_of_commands_with_contiguous_reports() {
    commands(Rig::new(), "in memory", |_| {});
}

#[test]
#[ignore = "a measurement, not a promise"]
fn speed_of_commands_on_products_that_are_saved_now_and_then() {
    let cold = super::cold::Stored::default();
    let mut rig = Rig::keeping(cold.clone(), PRODUCTS as usize);
    rig.s.catch_up_to(0);
    let mut saving = std::time::Duration::ZERO;
    commands(rig, "saved in turns", |rig| {
        if rig.s.changed() >= 5_000 {
            let start = Instant::now();
            rig.save(&cold);
            saving += start.elapsed();
        }
    });
    println!("{} ns of these to write them down", saving.as_nanos() / u128::from(COMMANDS));
}

fn commands(mut rig: Rig, how: &str, mut after: impl FnMut(&mut Rig)) {
    let subjects: Vec<_> = (0..PRODUCTS).map(|n| format!("product-{n:08}")).collect();
    let submissions: Vec<_> = (0..COMMANDS)
        .map(|n| {
            let ask = if n < PRODUCTS { Ask::Create } else { Ask::Add(1) };
            submission(n + 1, &subjects[(n % PRODUCTS) as usize], ask)
        })
        .collect();
    let start = Instant::now();
    let mut offset = 0;
    for submission in submissions {
        rig.s.command(1, submission);
        while let Some(output) = rig.s.next_output() {
            if let Output::Append(append) = output {
                rig.s.appended(1, append.append_id, Ok(offset));
                offset += 1;
            }
        }
        after(&mut rig);
    }
    let spent = start.elapsed();
    assert_eq!(offset as u64, COMMANDS);
    println!("{} ns per command and report, {how}", spent.as_nanos() / u128::from(COMMANDS));
}

#[test]
#[ignore = "a measurement, not a promise"]
fn speed_of_the_tail() {
    let mut rig = Rig::new();
    let keys: Vec<_> = (0..COMMANDS)
        .map(|n| rig.key(n as Offset, &format!("product-{:08}", n % PRODUCTS), n / PRODUCTS + 1))
        .collect();
    let start = Instant::now();
    for (offset, key) in (0..).zip(&keys) {
        let command = Some(id(offset as u64));
        rig.s.record(1, offset, key.as_bytes(), || {
            Ok(DecodedRecord { event: 1, command_id: command, command_hash: Some(hash(0)) })
        });
    }
    println!("{} ns per record of the tail", start.elapsed().as_nanos() / u128::from(COMMANDS));
    let start = Instant::now();
    let mut reader = crate::Reader::new(P, 1, 0);
    for (offset, key) in (0..).zip(&keys) {
        let judgement = reader.judge(offset, key.as_bytes());
        assert!(matches!(judgement, crate::Judgement::Effective(_)));
    }
    println!("{} ns per record of a reader", start.elapsed().as_nanos() / u128::from(COMMANDS));
}
