//! What an error of a consumer means for those who read with it.

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Brokers are away; librdkafka keeps trying.
    Connection(String),
    /// Worth a line; librdkafka keeps trying.
    Noted(String),
    /// An offset that some partition does not have.
    OutOfRange,
    /// Some partition lost records below our position.
    Truncated,
    /// The consumer will never read again.
    Final(String),
}

pub(crate) fn of(error: &KafkaError) -> Fault {
    if let KafkaError::MessageConsumptionFatal(code) = error {
        return Fault::Final(format!("the consumer failed for good: {code}"));
    }
    match error.rdkafka_error_code() {
        Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => Fault::OutOfRange,
        Some(Code::LogTruncation) => Fault::Truncated,
        Some(
            Code::AllBrokersDown | Code::BrokerTransportFailure | Code::Resolve | Code::OperationTimedOut,
        ) => Fault::Connection(error.to_string()),
        _ => Fault::Noted(error.to_string()),
    }
}
