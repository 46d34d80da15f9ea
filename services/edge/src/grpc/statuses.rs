//! Statuses that a gRPC server's own code did not make: of a message that is too large or no message, a method that does not
//! exist, a compression nobody knows, a message that arrives too slowly. Promises that each leaves with a
//! `google.rpc.ErrorInfo` as all others do, and that every status names its call.

use contract::code::Code as FolioCode;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::bodies::Refused;
use crate::context::Context;
use crate::problem::Problem;

/// The status with details and the names of its call; what it says already stays.
pub fn explained(status: Status, context: &Context) -> Status {
    let mut details = status.get_error_details();
    let Some(mut info) = details.error_info().cloned() else {
        let problem = problem(&status);
        let mut told = Status::from(context.name(problem));
        *told.metadata_mut() = status.metadata().clone();
        return told;
    };
    let members = context.members();
    if members.iter().all(|(name, _)| info.metadata.contains_key(*name)) {
        return status;
    }
    for (name, value) in members {
        info.metadata.entry(name.to_owned()).or_insert(value);
    }
    details.set_error_info(info.reason, info.domain, info.metadata);
    let metadata = status.metadata().clone();
    Status::with_error_details_and_metadata(status.code(), status.message(), details, metadata)
}

/// What a status without details is about: the library says it in the status's message.
fn problem(status: &Status) -> Problem {
    let said = status.message();
    let (code, detail) = match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => {
            (FolioCode::BodyTooLarge, format!("the message is too large: {said}"))
        }
        // The server's own failures have details: of the rest it says so of messages.
        Code::Internal | Code::InvalidArgument => {
            (FolioCode::MalformedRequest, format!("the message cannot be read: {said}"))
        }
        Code::Unimplemented if said.contains("ompress") => {
            (FolioCode::UnsupportedMediaType, format!("the message cannot be unpacked: {said}"))
        }
        Code::Unimplemented => {
            (FolioCode::NotFound, "there is no such method here: reflection shows all".to_owned())
        }
        // Of health: a service nobody knows.
        Code::NotFound => (FolioCode::NotFound, said.to_owned()),
        // The deadline that the caller gave.
        Code::Cancelled | Code::DeadlineExceeded => (FolioCode::RequestTimeout, said.to_owned()),
        _ => (FolioCode::Internal, said.to_owned()),
    };
    let mut problem = Problem::new(code, detail);
    if !matches!(code, FolioCode::BodyTooLarge | FolioCode::MalformedRequest) {
        // gRPC's own rules name the code.
        problem.grpc = status.code() as i32;
    }
    problem
}

/// What a call is told whose messages arrive too slowly, or take too much while they do.
pub(super) fn refused(why: Refused) -> Status {
    let (code, detail) = match why {
        Refused::NoMemory(code) => {
            let detail = "too many large messages arrive already: this one was not read, try again later";
            (code, detail)
        }
        Refused::TooSlow => (
            FolioCode::RequestTimeout,
            "the message did not arrive in time (http.body_timeout_ms, in a stream http.stall_ms); it was not read",
        ),
    };
    Problem::new(code, detail).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_status_gets_its_details_and_the_names_of_its_call() {
        let context = Context::default();
        for (status, code, reason) in [
            (Status::out_of_range("5 bytes"), Code::OutOfRange, "BODY_TOO_LARGE"),
            (Status::internal("failed to decode"), Code::InvalidArgument, "MALFORMED_REQUEST"),
            (Status::unimplemented(""), Code::Unimplemented, "NOT_FOUND"),
            (
                Status::unimplemented("Content is compressed with `br`"),
                Code::Unimplemented,
                "UNSUPPORTED_MEDIA_TYPE",
            ),
            (Status::cancelled("late"), Code::Cancelled, "REQUEST_TIMEOUT"),
            (Status::unknown("odd"), Code::Unknown, "INTERNAL"),
        ] {
            let said = status.message().to_owned();
            let told = explained(status, &context);
            assert!(told.code() == code && told.message().contains(&said), "{told:?}");
            let info = told.get_details_error_info().unwrap();
            assert_eq!(
                (info.reason.as_str(), &info.metadata["trace_id"]),
                (reason, &context.trace.trace_id())
            );
            assert_eq!(info.metadata["request_id"], context.id);
        }
    }

    #[test]
    fn a_status_with_details_only_learns_the_names_of_its_call() {
        let context = Context::default();
        let problem = Problem::new(FolioCode::VersionConflict, "mine")
            .field("/sku", "is empty")
            .with("current_version", 3);
        let details = explained(problem.clone().into(), &context).get_error_details();
        assert_eq!(details.error_info().unwrap().metadata["trace_id"], context.trace.trace_id());
        assert_eq!(details.error_info().unwrap().metadata["current_version"], "3");
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "/sku");
        let traced = explained(problem.with("trace_id", "a").into(), &context);
        assert_eq!(traced.get_details_error_info().unwrap().metadata["trace_id"], "a");
    }
}
