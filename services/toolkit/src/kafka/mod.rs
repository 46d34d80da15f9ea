//! Kafka: the log's adapter for writers, the group consumer for projectors, and the topics' administration.
