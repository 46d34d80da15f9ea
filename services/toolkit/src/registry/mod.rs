//! The schema registry (Confluent's API).
