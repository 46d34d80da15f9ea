//! An import through the Service's bulk API, as `folio import` does it: what was not answered is sent again, with its key.
//! Slowly, so that pods can be killed meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cli::import::{Answer, Upload};
use serde_json::json;

use super::Tally;

pub(crate) const LINES: usize = 6_000;
/// Lines that are given once more at the end.
const AGAIN: usize = 300;
const CHUNK: usize = 75;
const PAUSE: Duration = Duration::from_millis(200);
/// Longer than any pod needs to come back.
const PATIENCE: Duration = Duration::from_mins(2);

/// The final answer to each line, by product.
pub(crate) type Imported = BTreeMap<String, Answer>;

/// Imports.
///
/// # Errors
/// If nothing was answered for long.
pub(crate) async fn import(url: String, seed: u64, tally: Arc<Tally>) -> anyhow::Result<Imported> {
    let lines: Vec<String> = (0..LINES).map(|number| line(number, seed)).collect();
    let upload = upload(url);
    let uploading = upload.begin()?;
    let imported = Mutex::new(Imported::new());
    for (index, chunk) in lines.chunks(CHUNK).enumerate() {
        let answered = |line: usize, answer: &Answer| {
            let mut imported = imported.lock().unwrap_or_else(PoisonError::into_inner);
            imported.insert(id(index * CHUNK + line), answer.clone());
            tally.count(|counts| counts.imported = imported.len() as u64);
        };
        uploading.send(chunk, answered).await?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(imported.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Gives the first lines once more, perhaps to another release than the one that answered them: those whose key it does not know.
///
/// # Errors
/// If nothing was answered for long.
pub(crate) async fn again(url: String, seed: u64, imported: &Imported) -> anyhow::Result<Vec<String>> {
    let lines: Vec<String> = (0..AGAIN.min(imported.len())).map(|number| line(number, seed)).collect();
    let upload = upload(url);
    let forgotten = Mutex::new(Vec::new());
    let answered = |line: usize, answer: &Answer| {
        let before = imported.get(&id(line));
        let is_known = before.is_some_and(|it| it.event_id == answer.event_id) && answer.replayed;
        if !is_known {
            let mut forgotten = forgotten.lock().unwrap_or_else(PoisonError::into_inner);
            forgotten.push(format!(
                "given again with its key, {} was answered {answer:?}, after {before:?}",
                id(line)
            ));
        }
    };
    upload.run(&lines, answered).await?;
    Ok(forgotten.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn upload(url: String) -> Upload {
    Upload { urls: vec![url], chunk: CHUNK, parallel: 1, patience: PATIENCE, tls: cli::DoorTls::default() }
}

fn id(number: usize) -> String {
    format!("imported-{number:05}")
}

fn line(number: usize, seed: u64) -> String {
    let (id, key) = (id(number), format!("import-{seed}-{number}"));
    let payload = testkit::product(&id);
    json!({ "command": "create_product", "product_id": id, "idempotency_key": key, "payload": payload })
        .to_string()
}
