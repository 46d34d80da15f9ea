//! The series that are in a command service's metrics from the start.

use domain::{Command, Rejection};
use ledger::VoidReason;
use toolkit::telemetry::{Telemetry, names};

use crate::engine::Transport;

const TRANSPORTS: [Transport; 4] =
    [Transport::Http, Transport::HttpBulk, Transport::Grpc, Transport::GrpcBulk];
/// Every way to answer a command beside the domain's rejections.
const OUTCOMES: [&str; 15] = [
    "accepted",
    "replayed",
    "no_effect",
    "conflict",
    "key_reused",
    "contended",
    "outcome_unknown",
    "overloaded",
    "not_ready",
    "unreadable",
    "quarantined",
    "withheld",
    "too_large",
    "defect",
    "deadline_exceeded",
];

/// Shows them as zero until something is measured.
pub(super) fn show(telemetry: &Telemetry) {
    for command in Command::ALL_NAMES {
        for outcome in OUTCOMES.into_iter().chain(Rejection::CODES) {
            for transport in TRANSPORTS {
                let labels = [("command", command), ("outcome", outcome), ("transport", transport.name())];
                telemetry.shows(names::COMMANDS_TOTAL, &labels);
            }
        }
        telemetry.shows(names::COMMAND_SECONDS, &[("command", command), ("outcome", "accepted")]);
    }
    for reason in ["outcome_unknown", "void"] {
        telemetry.shows(names::COMMAND_ATTEMPTS_TOTAL, &[("reason", reason)]);
    }
    for transport in [Transport::HttpBulk, Transport::GrpcBulk] {
        for reason in ["sending", "reading"] {
            let labels = [("transport", transport.name()), ("reason", reason)];
            telemetry.shows(names::UPLOADS_STALLED_TOTAL, &labels);
        }
    }
    for outcome in ["appended", "unknown"] {
        telemetry.shows(names::APPENDS_TOTAL, &[("outcome", outcome)]);
    }
    for reason in [VoidReason::OutsideWindow, VoidReason::Stale, VoidReason::Ahead] {
        telemetry.shows(names::VOID_RECORDS_TOTAL, &[("reason", reason.name())]);
    }
    for reason in ["opened", "rebuilt"] {
        telemetry.shows(names::CACHE_DISCARDED_TOTAL, &[("reason", reason)]);
    }
    let bare = [
        names::COMMANDS_WAITING,
        names::APPEND_SECONDS,
        names::EFFECTIVE_RECORDS_TOTAL,
        names::GARBAGE_RECORDS_TOTAL,
        names::VIOLATIONS_TOTAL,
        names::UNREADABLE_RECORDS_TOTAL,
        names::DISCARDS_TOTAL,
        names::NEXT_OFFSET,
        names::HOT_PRODUCTS,
        names::PRODUCTS_WITHHELD,
        names::HOT_BYTES,
        names::CACHE_COLD_LOADS_TOTAL,
        names::CACHE_SAVE_SECONDS,
    ];
    telemetry.show_all(&bare, &[]);
}
