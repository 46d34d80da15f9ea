//! CQL: connection, prepared statements, bounded writes, schema apply.
