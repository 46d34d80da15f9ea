//! Every metric, in one place: its name, which dashboards, alerts and documents quote, what it counts, and in what.

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Counter,
    Gauge,
    /// Its buckets end at these bounds.
    Histogram(&'static [f64]),
}

/// A metric as it is described to whoever reads it.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    /// What it counts, with its labels and its unit.
    pub help: &'static str,
}

/// Bounds of histograms of durations, in seconds: from a local read to a request that gave up.
pub const SECONDS: &[f64] =
    &[0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Bounds of histograms of records.
pub const RECORDS: &[f64] = &[1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0];

macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:expr, $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: &str = $name;)*

        /// All of them.
        pub const ALL: &[Metric] = &[$(Metric { name: $name, kind: $kind, help: $help }),*];
    };
}

metrics! {
    COMMANDS_TOTAL = "folio_commands_total", Kind::Counter,
        "Commands answered, by command, outcome and transport.";
    COMMAND_SECONDS = "folio_command_seconds", Kind::Histogram(SECONDS),
        "Seconds from a command's arrival to its answer, by command and outcome.";
    COMMANDS_WAITING = "folio_commands_waiting", Kind::Gauge,
        "Commands waiting for an answer now.";
    ADMISSION_LIMIT = "folio_admission_limit", Kind::Gauge,
        "Single commands that may be in flight at once: falls when answers are slow.";
    ADMISSION_IN_FLIGHT = "folio_admission_in_flight", Kind::Gauge,
        "Single commands in flight.";
    UPLOADS_STALLED_TOTAL = "folio_uploads_stalled_total", Kind::Counter,
        "Uploads that ended because their client sent nothing (sending) or took no answers (reading) for too long, by transport and reason.";
    COMMAND_ATTEMPTS_TOTAL = "folio_command_attempts_total", Kind::Counter,
        "Times a command was decided again, by reason.";
    APPENDS_TOTAL = "ledger_appends_total", Kind::Counter,
        "Appends to the log, by outcome (appended, unknown).";
    APPEND_SECONDS = "ledger_append_seconds", Kind::Histogram(SECONDS),
        "Seconds from an append to its outcome.";
    EFFECTIVE_RECORDS_TOTAL = "ledger_effective_records_total", Kind::Counter,
        "Effective records applied, by partition.";
    VOID_RECORDS_TOTAL = "ledger_void_records_total", Kind::Counter,
        "Records that lost a race, by reason.";
    GARBAGE_RECORDS_TOTAL = "ledger_garbage_records_total", Kind::Counter,
        "Records whose key does not parse or that lie in the wrong partition.";
    VIOLATIONS_TOTAL = "ledger_violations_total", Kind::Counter,
        "Records no correct writer can have written: someone must look.";
    UNREADABLE_RECORDS_TOTAL = "ledger_unreadable_records_total", Kind::Counter,
        "Records that count and that writers cannot read: their products take no more commands.";
    DISCARDS_TOTAL = "ledger_discards_total", Kind::Counter,
        "Times the state of a partition was discarded and built again, by partition.";
    NEXT_OFFSET = "ledger_next_offset", Kind::Gauge,
        "The first offset not applied, by partition.";
    HOT_PRODUCTS = "folio_hot_products", Kind::Gauge,
        "Products in the command service's memory.";
    PRODUCTS_WITHHELD = "folio_products_withheld", Kind::Gauge,
        "Products that take no commands until the registry tells the schema of one of their records.";
    HOT_BYTES = "folio_hot_bytes", Kind::Gauge,
        "Bytes they take, about; counted only with a cache.";
    CACHE_COLD_LOADS_TOTAL = "folio_cache_cold_loads_total", Kind::Counter,
        "Products that were read from the cache on disk.";
    CACHE_SAVE_SECONDS = "folio_cache_save_seconds", Kind::Histogram(SECONDS),
        "Seconds to write one snapshot of a partition into the cache.";
    CACHE_DISCARDED_TOTAL = "folio_cache_discarded_total", Kind::Counter,
        "Times the cache, or a partition's part of it, was discarded, by reason (opened, rebuilt).";
    PROJECTOR_LAG_RECORDS = "folio_projector_lag_records", Kind::Gauge,
        "Records between a projector's position and the end of the log, by model and partition.";
    PROJECTOR_BUILD_LAG_RECORDS = "folio_projector_build_lag_records", Kind::Gauge,
        "The same of builds that are not read, by model, generation and partition.";
    PROJECTOR_BUILD_STOPPED_PARTITIONS = "folio_projector_build_stopped_partitions", Kind::Gauge,
        "Partitions that have stopped of builds that are not read, by model and generation.";
    PROJECTOR_DELAY_SECONDS = "folio_projector_delay_seconds", Kind::Histogram(SECONDS),
        "Seconds between the append of the last applied record and its being readable, by model.";
    PROJECTOR_APPLIED_TOTAL = "folio_projector_applied_total", Kind::Counter,
        "Events applied, by model.";
    PROJECTOR_WRITES_TOTAL = "folio_projector_writes_total", Kind::Counter,
        "Rows or documents written, by model.";
    PROJECTOR_BATCH_RECORDS = "folio_projector_batch_records", Kind::Histogram(RECORDS),
        "Records per batch, by model.";
    PROJECTOR_BATCH_SECONDS = "folio_projector_batch_seconds", Kind::Histogram(SECONDS),
        "Seconds to read, fold, write and commit one batch, by model.";
    PROJECTOR_RETRIES_TOTAL = "folio_projector_retries_total", Kind::Counter,
        "Retries of a transient failure, by model.";
    PROJECTOR_TAKEOVERS_TOTAL = "folio_projector_takeovers_total", Kind::Counter,
        "Times a partition went back to its durable position because its store may have lost rows, by model.";
    PROJECTOR_REPAIRED_PRODUCTS_TOTAL = "folio_projector_repaired_products_total", Kind::Counter,
        "Products built again from the log because their events did not fit on their rows, by model.";
    PROJECTOR_STOPPED_PARTITIONS = "folio_projector_stopped_partitions", Kind::Gauge,
        "Partitions that stopped and wait for someone, by model.";
    PROJECTOR_RETRYING_PARTITIONS = "folio_projector_retrying_partitions", Kind::Gauge,
        "Partitions whose last request to a server failed and is tried again, by model.";
    PROJECTOR_STALLED_SECONDS = "folio_projector_stalled_seconds", Kind::Gauge,
        "Seconds since the partition that stands still longest has applied anything, of those that have records to apply, by model.";
    PROJECTOR_PARKED_PRODUCTS = "folio_projector_parked_products", Kind::Gauge,
        "Products that are parked because a record of theirs could not be applied, or was given up, by model.";
    PROJECTOR_PARKED_RECORDS = "folio_projector_parked_records", Kind::Gauge,
        "Records that are parked as dead letters, by model.";
    PROJECTOR_PARKED_TOTAL = "folio_projector_parked_total", Kind::Counter,
        "Records parked as dead letters, by model and kind of error.";
    PROJECTOR_DROPPED_TOTAL = "folio_projector_dropped_total", Kind::Counter,
        "Records that were not applied because somebody has given their product up, by model.";
    HTTP_REQUESTS_TOTAL = "folio_http_requests_total", Kind::Counter,
        "Requests answered, by route, method and status.";
    HTTP_REQUEST_SECONDS = "folio_http_request_seconds", Kind::Histogram(SECONDS),
        "Seconds to answer a request, by route.";
    GRPC_REQUESTS_TOTAL = "folio_grpc_requests_total", Kind::Counter,
        "Calls answered, by method (none: of what is no method here) and code.";
    GRPC_REQUEST_SECONDS = "folio_grpc_request_seconds", Kind::Histogram(SECONDS),
        "Seconds to answer a call, by method.";
    QUERIES_TOTAL = "folio_queries_total", Kind::Counter,
        "Queries answered, by query and outcome.";
    QUERY_SECONDS = "folio_query_seconds", Kind::Histogram(SECONDS),
        "Seconds to answer a query, by query.";
    CONSISTENCY_WAIT_SECONDS = "folio_consistency_wait_seconds", Kind::Histogram(SECONDS),
        "Seconds a query waited for a read model to catch up with its token.";
    INCOMPLETE_READS_TOTAL = "folio_incomplete_reads_total", Kind::Counter,
        "Answers that could not be given because rows are missing that were there, by query.";
    PARKED_UNKNOWN_TOTAL = "folio_parked_unknown_total", Kind::Counter,
        "Lists and searches that were answered without how many products are parked, by read model.";
    AUTH_OFF = "folio_auth_off", Kind::Gauge,
        "1 while callers are not checked, else 0.";
    AUTH_REFUSED_TOTAL = "folio_auth_refused_total", Kind::Counter,
        "Requests and calls of callers who were not let in, by reason (no-credentials, invalid, expired, forbidden, auth-unavailable).";
    LIMITED_TOTAL = "folio_limited_total", Kind::Counter,
        "Requests, calls and connections of callers beyond their limits, by limit (rate, in-flight, bytes, connections).";
    AUTH_KEYS_AGE_SECONDS = "folio_auth_keys_age_seconds", Kind::Gauge,
        "Seconds since the keys of the issuer of tokens were fetched.";
    DEPENDENCY_UP = "folio_dependency_up", Kind::Gauge,
        "1 while a dependency is up, else 0, by dependency.";
    PROCESS_CPU_SECONDS_TOTAL = "process_cpu_seconds_total", Kind::Counter,
        "Seconds of processors that the process has taken, in user mode and in the kernel.";
    PROCESS_RESIDENT_MEMORY_BYTES = "process_resident_memory_bytes", Kind::Gauge,
        "Bytes of memory that the process has.";
    PROCESS_VIRTUAL_MEMORY_BYTES = "process_virtual_memory_bytes", Kind::Gauge,
        "Bytes of addresses that the process has.";
    PROCESS_THREADS = "process_threads", Kind::Gauge,
        "Threads of the process.";
    PROCESS_OPEN_FDS = "process_open_fds", Kind::Gauge,
        "Files and connections that the process has open.";
    PROCESS_MAX_FDS = "process_max_fds", Kind::Gauge,
        "Files and connections that the process may have open.";
    PROCESS_START_TIME_SECONDS = "process_start_time_seconds", Kind::Gauge,
        "When the process was started, in seconds since 1970.";
}

/// The metric with this name.
pub fn find(name: &str) -> Option<&'static Metric> {
    ALL.iter().find(|metric| metric.name == name)
}
