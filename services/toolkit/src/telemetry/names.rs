//! The name of every metric, in one place: dashboards, alerts and documents quote them.

/// Commands answered, by `command`, `outcome` and `transport`.
pub const COMMANDS_TOTAL: &str = "folio_commands_total";
/// Seconds from a command's arrival to its answer, by `command` and `outcome`.
pub const COMMAND_SECONDS: &str = "folio_command_seconds";
/// Commands waiting for an answer now.
pub const COMMANDS_WAITING: &str = "folio_commands_waiting";
/// Single commands that may be under way at once: falls when answers are slow.
pub const ADMISSION_LIMIT: &str = "folio_admission_limit";
/// Single commands under way.
pub const ADMISSION_IN_FLIGHT: &str = "folio_admission_in_flight";
/// Uploads that ended because their client sent nothing (`sending`) or took no answers (`reading`) for too long, by
/// `transport` and `reason`.
pub const UPLOADS_STALLED_TOTAL: &str = "folio_uploads_stalled_total";
/// Times a command was decided again, by `reason`.
pub const COMMAND_ATTEMPTS_TOTAL: &str = "folio_command_attempts_total";

/// Appends to the log, by `outcome` (appended, unknown).
pub const APPENDS_TOTAL: &str = "ledger_appends_total";
/// Seconds from an append to its outcome.
pub const APPEND_SECONDS: &str = "ledger_append_seconds";
/// Effective records applied, by `partition`.
pub const EFFECTIVE_RECORDS_TOTAL: &str = "ledger_effective_records_total";
/// Records that lost a race, by `reason`.
pub const VOID_RECORDS_TOTAL: &str = "ledger_void_records_total";
/// Records whose key does not parse or that lie in the wrong partition.
pub const GARBAGE_RECORDS_TOTAL: &str = "ledger_garbage_records_total";
/// Records no correct writer can have written: someone must look.
pub const VIOLATIONS_TOTAL: &str = "ledger_violations_total";
/// Times the state of a partition was thrown away and built again, by `reason`.
pub const DISCARDS_TOTAL: &str = "ledger_discards_total";
/// The first offset not applied, by `partition`.
pub const NEXT_OFFSET: &str = "ledger_next_offset";

/// Products in the command service's memory.
pub const HOT_PRODUCTS: &str = "folio_hot_products";
/// Bytes they take, about; counted only with a cache.
pub const HOT_BYTES: &str = "folio_hot_bytes";
/// Products that were read from the cache on disk.
pub const CACHE_COLD_LOADS_TOTAL: &str = "folio_cache_cold_loads_total";
/// Seconds to write one snapshot of a partition into the cache.
pub const CACHE_SAVE_SECONDS: &str = "folio_cache_save_seconds";
/// Times the cache, or a partition's part of it, was thrown away, by `reason` (opened, rebuilt).
pub const CACHE_THROWN_AWAY_TOTAL: &str = "folio_cache_thrown_away_total";

/// Records between a projector's position and the end of the log, by `model` and `partition`.
pub const PROJECTOR_LAG_RECORDS: &str = "folio_projector_lag_records";
/// Seconds between the append of the last applied record and its being readable, by `model`.
pub const PROJECTOR_DELAY_SECONDS: &str = "folio_projector_delay_seconds";
/// Events applied, by `model`.
pub const PROJECTOR_APPLIED_TOTAL: &str = "folio_projector_applied_total";
/// Rows or documents written, by `model`.
pub const PROJECTOR_WRITES_TOTAL: &str = "folio_projector_writes_total";
/// Records per batch, by `model`.
pub const PROJECTOR_BATCH_RECORDS: &str = "folio_projector_batch_records";
/// Seconds to read, fold, write and commit one batch, by `model`.
pub const PROJECTOR_BATCH_SECONDS: &str = "folio_projector_batch_seconds";
/// Retries of a transient failure, by `model`.
pub const PROJECTOR_RETRIES_TOTAL: &str = "folio_projector_retries_total";
/// Times a partition went back to its durable position because its store may have lost rows, by `model`.
pub const PROJECTOR_TAKEOVERS_TOTAL: &str = "folio_projector_takeovers_total";
/// Products built again from the log because their events did not fit on their rows, by `model`.
pub const PROJECTOR_REPAIRED_PRODUCTS_TOTAL: &str = "folio_projector_repaired_products_total";
/// Partitions that stopped and wait for someone, by `model`.
pub const PROJECTOR_STOPPED_PARTITIONS: &str = "folio_projector_stopped_partitions";

/// Requests answered, by `route`, `method` and `status`.
pub const HTTP_REQUESTS_TOTAL: &str = "folio_http_requests_total";
/// Seconds to answer a request, by `route`.
pub const HTTP_REQUEST_SECONDS: &str = "folio_http_request_seconds";
/// Calls answered, by `method` and `code`.
pub const GRPC_REQUESTS_TOTAL: &str = "folio_grpc_requests_total";
/// Seconds to answer a call, by `method`.
pub const GRPC_REQUEST_SECONDS: &str = "folio_grpc_request_seconds";
/// Queries answered, by `query` and `outcome`.
pub const QUERIES_TOTAL: &str = "folio_queries_total";
/// Seconds to answer a query, by `query`.
pub const QUERY_SECONDS: &str = "folio_query_seconds";
/// Seconds a query waited for a read model to catch up with its token.
pub const CONSISTENCY_WAIT_SECONDS: &str = "folio_consistency_wait_seconds";

/// Answers that could not be given because rows are missing that were there, by `query`.
pub const INCOMPLETE_READS_TOTAL: &str = "folio_incomplete_reads_total";
/// 1 while a dependency is up, else 0, by `dependency`.
pub const DEPENDENCY_UP: &str = "folio_dependency_up";

/// All of them, for a test that holds documents and dashboards to this file.
pub const ALL: &[&str] = &[
    COMMANDS_TOTAL,
    COMMAND_SECONDS,
    COMMANDS_WAITING,
    ADMISSION_LIMIT,
    ADMISSION_IN_FLIGHT,
    COMMAND_ATTEMPTS_TOTAL,
    UPLOADS_STALLED_TOTAL,
    APPENDS_TOTAL,
    APPEND_SECONDS,
    EFFECTIVE_RECORDS_TOTAL,
    VOID_RECORDS_TOTAL,
    GARBAGE_RECORDS_TOTAL,
    VIOLATIONS_TOTAL,
    DISCARDS_TOTAL,
    NEXT_OFFSET,
    HOT_PRODUCTS,
    HOT_BYTES,
    CACHE_COLD_LOADS_TOTAL,
    CACHE_SAVE_SECONDS,
    CACHE_THROWN_AWAY_TOTAL,
    PROJECTOR_LAG_RECORDS,
    PROJECTOR_DELAY_SECONDS,
    PROJECTOR_APPLIED_TOTAL,
    PROJECTOR_WRITES_TOTAL,
    PROJECTOR_BATCH_RECORDS,
    PROJECTOR_BATCH_SECONDS,
    PROJECTOR_RETRIES_TOTAL,
    PROJECTOR_TAKEOVERS_TOTAL,
    PROJECTOR_REPAIRED_PRODUCTS_TOTAL,
    PROJECTOR_STOPPED_PARTITIONS,
    HTTP_REQUESTS_TOTAL,
    HTTP_REQUEST_SECONDS,
    GRPC_REQUESTS_TOTAL,
    GRPC_REQUEST_SECONDS,
    QUERIES_TOTAL,
    QUERY_SECONDS,
    CONSISTENCY_WAIT_SECONDS,
    INCOMPLETE_READS_TOTAL,
    DEPENDENCY_UP,
];
