//! The suite of the port [`EventLog`]: what the sequencer needs of a log, and nothing more. Every adapter passes it.
//!
//! An adapter's test gives a [`Harness`] per case: `conformance::run_all(|case| MyHarness::on_a_fresh_topic(case))`.

mod appending;
mod client;
mod following;

use std::sync::Arc;
use std::time::Duration;

use ledger::{EventLog, Inbox};

/// Opens logs on one fresh topic of at least two partitions.
pub trait Harness {
    /// An independent writer and reader of the topic.
    fn open(&self, inbox: Arc<dyn Inbox>) -> Box<dyn EventLog>;

    /// Called over and over while a case waits for a signal.
    fn work(&self) {
        std::thread::sleep(Duration::from_millis(1));
    }

    /// How long a case waits for a signal before it fails.
    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }
}

/// One promise.
pub type Case = fn(&dyn Harness);

/// Every promise, by name.
pub const CASES: &[(&str, Case)] = &[
    ("an_append_stands_where_its_report_says", appending::an_append_stands_where_its_report_says),
    ("a_record_comes_back_byte_for_byte", appending::a_record_comes_back_byte_for_byte),
    ("each_append_has_one_report", appending::each_append_has_one_report),
    (
        "an_end_offset_is_behind_every_acknowledged_append",
        appending::an_end_offset_is_behind_every_acknowledged_append,
    ),
    ("the_end_of_an_empty_partition_is_its_start", appending::the_end_of_an_empty_partition_is_its_start),
    ("large_values_are_kept", appending::large_values_are_kept),
    ("a_tail_shows_each_record_once_in_order", following::a_tail_shows_each_record_once_in_order),
    ("a_tail_starts_at_any_offset", following::a_tail_starts_at_any_offset),
    ("a_tail_from_the_end_shows_what_comes", following::a_tail_from_the_end_shows_what_comes),
    ("partitions_are_followed_apart", following::partitions_are_followed_apart),
    ("the_position_reaches_the_end", following::the_position_reaches_the_end),
    ("a_position_comes_after_everything_below_it", following::a_position_comes_after_everything_below_it),
    ("writers_see_each_others_records", following::writers_see_each_others_records),
    ("a_tail_starts_again", following::a_tail_starts_again),
    (
        "what_is_applied_may_be_left_out_and_nothing_else",
        following::what_is_applied_may_be_left_out_and_nothing_else,
    ),
];

/// Runs every case on its own harness.
pub fn run_all<H: Harness>(mut harness: impl FnMut(&str) -> H) {
    for (name, case) in CASES {
        case(&harness(name));
    }
}

#[cfg(test)]
mod tests;
