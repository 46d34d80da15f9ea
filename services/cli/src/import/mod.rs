//! Importing a catalog: what shops export, read by a map, into commands of the public bulk API.

mod attributes;
mod catalog;
pub mod diamonds;
mod html;
mod ids;
mod map;
mod price;
mod problem;
mod product;
mod reading;
mod records;
mod refusal;
mod rejected;
mod row;
mod source;
mod state;
mod table;
mod tally;
mod template;
mod upload;

pub use catalog::{Catalog, Entries, Entry, Shape};
pub use map::Map;
pub use price::DecimalMark;
pub use problem::Problem;
pub use product::{Notes, Requested};
pub use rejected::Rejected;
pub use source::{Format, Source};
pub use state::State;
pub use table::Rows;
pub use tally::Tally;
pub(crate) use tally::{Created, updates};
pub use upload::{Answer, Upload, Uploading};

/// The rows of a source.
///
/// # Errors
/// If it cannot be read, or has no column names.
pub fn rows(source: &Source, format: Format) -> anyhow::Result<Rows> {
    use anyhow::Context as _;
    Rows::open(source.open()?, format).with_context(|| format!("reading {}", source.name()))
}

/// The first of many names, for people.
pub(crate) fn some<T: AsRef<str>>(names: &[T]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    let more = names.len().saturating_sub(SHOWN);
    let shown = shown.join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}
