//! Search: connection, bulk writer, reads, index apply.
