//! The series that are in a query gateway's metrics from the start.

use contract::code::Code;
use read_models::ReadModel;
use toolkit::telemetry::{Telemetry, names};

/// What may be asked, as metrics call it.
const QUERIES: [&str; 6] = ["product_at", "products", "category", "history", "search", "suggest"];
/// What an alert or a rate is made of; other outcomes appear when they come.
const OUTCOMES: [Code; 9] = [
    Code::MalformedRequest,
    Code::InvalidValue,
    Code::ProductNotFound,
    Code::Overloaded,
    Code::ReadModelBehind,
    Code::LogMismatch,
    Code::ReadModelIncomplete,
    Code::StoreUnavailable,
    Code::Internal,
];

/// Shows them as zero until something is measured.
pub(crate) fn show(telemetry: &Telemetry) {
    for query in QUERIES {
        for outcome in OUTCOMES.into_iter().map(Code::name).chain(["answered"]) {
            telemetry.shows(names::QUERIES_TOTAL, &[("query", query), ("outcome", outcome)]);
        }
        telemetry.shows(names::QUERY_SECONDS, &[("query", query)]);
        telemetry.shows(names::INCOMPLETE_READS_TOTAL, &[("query", query)]);
    }
    for read_model in [ReadModel::Products, ReadModel::Search] {
        telemetry.shows(names::PARKED_UNKNOWN_TOTAL, &[("model", read_model.name())]);
    }
    telemetry.shows(names::CONSISTENCY_WAIT_SECONDS, &[]);
}
