//! Folio's promises. One binary; one file per promise; `docs/promises.md` is the table of contents.
//!
//! What touches servers runs on the real ones, which are started once per run and stopped at its end; what `folio dev` promises
//! too, runs on it as well, by the same bodies.

mod a_changed_read_model_is_a_deployment;
mod a_poisoned_record_stops_nothing_else;
mod a_read_model_is_built_beside_the_live_one;
mod a_rebuild_survives_any_death;
mod a_repeated_command_changes_nothing;
mod a_shops_export_goes_in;
mod a_topic_that_is_not_the_one_it_was_is_refused;
mod acknowledged_commands_are_never_lost;
mod all_diamonds_are_the_same_everywhere;
mod an_answer_costs_little_more_than_the_acknowledgement;
mod anyone_can_read_the_topic;
mod architecture;
mod bad_input_is_answered;
mod bad_records_are_told_apart;
mod builds_are_asked_for_over_http;
mod callers_are_known;
mod dead_letters_are_decided_about;
mod dead_letters_conform;
mod doors_speak_tls;
mod duplicates_and_restarts_are_harmless;
mod folio_dev_on_a_full_disk;
mod folio_dev_runs;
mod grpc_says_what_http_says;
mod instances_come_and_go;
mod kafka_event_log_conforms;
mod kafka_feed_conforms;
mod metrics_are_there_from_the_start;
mod old_events_stay_readable;
mod one_process_serves_all;
mod one_product_is_decided_in_order;
mod overload_is_turned_away;
mod ports_speak_tls;
mod products_rest_on_disk;
mod reads_can_wait_for_writes;
mod replay_builds_the_same_read_models;
mod servers_may_be_away;
mod servers_speak_tls;
mod sigterm_drains;
mod stores_may_be_out_of_order;
mod stores_may_crash;
mod the_api_page_can_be_followed;
mod the_chart_renders;
mod the_embedded_log_conforms;
mod the_examples_work;
mod topics_are_verified;
mod what_cannot_be_applied_is_parked;
mod what_is_parked_is_told_to_readers;
mod what_ships_is_clean;
