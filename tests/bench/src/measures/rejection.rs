//! What an answer without a record costs beyond the question for the partition's end that it needs: one client, in turn
//! with a bare question.

use adapter_kafka::bare::BareEnds;
use anyhow::ensure;

use crate::bench::Bench;
use crate::client::single::Blocking;
use crate::pairs::{self, Pair};
use crate::report::Row;

/// Exchanges of a pair, and before the first pair.
const ROUNDS: usize = 2_000;

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut catalog = bench.catalog("rejection")?;
    let mut client = Blocking::open(&catalog.service()?.0.http)?;
    let ends = BareEnds::open(&catalog.config.kafka, &catalog.config.topic)?;
    let (mut pairs, mut all_bare, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..=bench.pairs {
        let (mut questions, mut answers) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let id = format!("nobody-{number}-{round}");
            let home = ledger::partition_of(&id, catalog.partitions());
            questions.push(ends.ask(home)?.as_secs_f64() * 1e3);
            let body = r#"{"price":{"minor_units":100,"currency":"USD"}}"#;
            let request = format!(
                "POST /v1/products/{id}:change-price HTTP/1.1\r\nhost: folio\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
            let (took, status, body) = client.exchange(request.as_bytes())?;
            ensure!(status == 404, "answered {status}: {}", String::from_utf8_lossy(&body));
            answers.push(took.as_secs_f64() * 1e3);
        }
        if number == 0 {
            continue;
        }
        all_bare.extend_from_slice(&questions);
        all.extend_from_slice(&answers);
        let pair = Pair { ceiling: pairs::median(&mut questions), system: pairs::median(&mut answers) };
        eprintln!("  pair {number}: asked {:.3} ms, rejected {:.3} ms", pair.ceiling, pair.system);
        pairs.push(pair);
    }
    catalog.check()?;
    let summary = pairs::summary(&pairs, |pair| pair.system - pair.ceiling);
    let note = format!(
        "rejection p50 {:.2}, p99 {:.2} ms; end offset p50 {:.2}, p99 {:.2} ms",
        summary.system,
        pairs::quantile(&mut all, 0.99),
        summary.ceiling,
        pairs::quantile(&mut all_bare, 0.99),
    );
    Ok(vec![Row::cost("rejection minus bare end offset, p50", "ms", &summary, Some(0.5)).noting(note)])
}
