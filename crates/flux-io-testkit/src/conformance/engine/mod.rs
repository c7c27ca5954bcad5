//! Laws of an [`Engine`], and through it of core's driver.
//!
//! Each law builds a plan by hand and runs it. [`laws`] calls those that hold on every engine;
//! [`virtual_time`] those that need a clock that moves only when nothing can run. With
//! [`with_engine_laws!`](crate::with_engine_laws) an engine's test has one `#[test]` a law.
//! Engines with workers are wrapped in [`Workers`].

pub mod batches;
pub mod calls;
pub mod checkpoint;
pub mod dead_letters;
pub mod edges;
pub mod ends;
pub mod errors;
pub mod exchange;
pub mod handle;
mod kit;
pub mod merge;
pub mod order;
pub mod panics;
pub mod parallel;
pub mod promises;
pub mod quiet;
pub mod scheduler;
pub mod stop;
pub mod timers;
pub mod virtual_time;
pub mod watchdog;

pub use kit::{KeyBy, OnBatch, Seen, Split, Tape, Workers, Zip, by_row};

use flux_io_core::Engine;

/// Calls a macro with the laws that hold on every engine, by module: `order: a, b; merge: c;`.
///
/// ```
/// macro_rules! count {
///     ($($module:ident: $($law:ident),+;)+) => { [$($(stringify!($law)),+),+].len() };
/// }
/// assert!(flux_io_testkit::with_engine_laws!(count) > 40);
/// ```
#[macro_export]
macro_rules! with_engine_laws {
    ($callback:ident) => {
        $callback! {
            order:
                rows_keep_their_order,
                a_source_feeds_a_sink_without_a_stage,
                an_empty_input_ends,
                a_source_may_be_pending_between_rows,
                a_stage_that_expands_stays_bounded,
                the_end_of_a_large_state_stays_bounded,
                marks_keep_their_place_in_a_chain,
                a_diamond_gives_every_row_once;
            exchange:
                every_key_has_one_owner_and_its_order,
                marks_keep_their_place_through_an_exchange,
                rows_without_hashes_are_refused;
            merge:
                a_merge_takes_from_whichever_input_has_rows,
                a_merge_promises_no_more_than_its_inputs,
                an_idle_input_holds_nothing_back,
                an_input_may_be_idle_again,
                the_seventieth_input_may_be_refused,
                an_ended_input_holds_nothing_back,
                b058_a_quarantined_input_is_left_out,
                idleness_travels_with_the_turn;
            promises:
                a_node_promises_no_more_than_it_holds,
                the_input_that_holds_time_back_is_taken;
            parallel:
                parallel_instances_keep_the_order,
                controls_keep_their_place_through_parallel_instances,
                a_parallel_chain_keeps_the_order,
                parallel_stages_dealt_in_turn_keep_the_order,
                parallel_instances_feed_an_exchange_in_order;
            checkpoint:
                a_snapshot_holds_what_came_before_the_barrier,
                checkpoints_asked_for_at_once_do_not_mix,
                checkpoints_that_overlap_stall_nobody,
                an_epoch_needs_every_task,
                a_refused_part_gives_the_checkpoint_up,
                a_zip_does_not_stall_at_a_barrier,
                nothing_is_visible_before_its_commit,
                a_restored_run_goes_on_where_the_cut_was,
                an_ended_source_is_not_read_again,
                a_run_restored_twice_goes_on,
                a_stage_without_outputs_takes_part;
            stop:
                a_drain_lets_everything_through,
                a_drain_ends_a_source_that_waits,
                a_drain_ends_at_its_deadline,
                a_drain_ends_at_its_deadline_while_a_write_hangs,
                an_abort_from_inside_ends_the_run,
                an_abort_from_another_thread_ends_the_run,
                an_abort_ends_a_write_that_hangs,
                an_abort_ends_a_close_that_hangs,
                an_abort_overrides_a_drain,
                a_failed_run_closes_no_sink,
                an_abort_ends_a_retry_without_a_wait;
            errors:
                the_failing_stage_is_named,
                a_transient_error_is_tried_again,
                a_retry_at_the_end_of_input_is_waited_for,
                a_spent_retry_gives_up_as_told,
                a_permanent_error_is_not_tried_again,
                b099_what_was_emitted_is_not_emitted_again,
                skipped_rows_are_counted,
                a_catastrophe_ends_the_run_under_every_policy,
                errors_outside_a_batch_follow_the_policy,
                a_yield_without_a_full_output_is_a_fault;
            panics:
                a_panic_in_a_stage_is_an_error_of_it,
                a_panic_on_a_batch_is_a_dead_letter,
                a_panic_in_a_source_ends_the_run,
                a_panic_in_a_sink_follows_the_policy,
                a_panic_between_the_calls_ends_the_run;
            edges:
                a_slow_sink_holds_its_senders_back,
                b098_the_edge_beats_the_stage_beats_the_plan,
                b035_drop_oldest_keeps_the_newest,
                b035_drop_newest_keeps_the_oldest,
                a_sender_with_room_is_not_left_waiting;
            timers:
                a_timer_fires_once_and_not_early,
                the_earliest_deadline_counts,
                a_withdrawn_timer_never_fires,
                timers_fire_while_a_source_waits,
                a_timer_waits_for_room;
            dead_letters:
                dead_letters_say_what_where_and_why,
                dead_letters_without_a_sink_are_sampled,
                rows_a_source_cannot_read_are_dead_letters,
                a_failing_dead_letter_sink_ends_the_run;
            ends:
                a_source_is_tried_again,
                a_sink_is_offered_the_rest_again,
                rows_a_sink_refuses_are_counted_once,
                rows_a_sink_leaves_are_not_lost,
                a_panic_in_a_destructor_names_its_stage;
            batches:
                steady_runs_reuse_their_batches,
                a_used_batch_goes_back_where_it_came_from;
            calls:
                calls_are_bounded_and_overtaken_by_nothing,
                a_barrier_waits_for_calls,
                a_failing_call_is_an_error_of_its_stage,
                a_call_that_hangs_can_be_stopped,
                a_wait_without_calls_is_a_fault,
                the_end_that_calls_held_back_is_seen,
                a_retry_before_calls_lets_them_end;
            quiet:
                a_quiet_input_holds_nothing_back;
            handle:
                a_command_reaches_every_shard,
                a_command_sent_before_the_run_is_served,
                b059_inspect_knows_stages_and_no_others,
                an_observer_changes_nothing;
            scheduler:
                a_scheduler_changes_no_output,
                a_scheduler_that_fails_loses_no_task;
            watchdog:
                a_run_that_goes_on_is_not_held_by_its_watchdog,
                a_sink_that_hangs_is_found,
                a_deadlock_is_named_with_its_cycle,
                a_livelock_is_found,
                a_task_that_refuses_its_only_input_is_found,
                a_part_that_stands_still_is_told,
                a_silent_source_is_named,
                b065_a_flush_is_asked_for_before_the_run_fails;
        }
    };
}

/// Calls a macro with the laws of an engine whose clock moves only when nothing can run.
#[macro_export]
macro_rules! with_virtual_time_laws {
    ($callback:ident) => {
        $callback! {
            virtual_time:
                retries_wait_exactly,
                b029_timers_fire_at_their_moment,
                a_long_wait_costs_no_real_time;
            quiet:
                what_was_accepted_is_handed_over_within_ten_milliseconds;
            watchdog:
                an_idle_run_is_not_stuck,
                a_silent_source_that_holds_nobody_up_is_not_told,
                a_known_pause_is_not_stuck,
                what_moves_again_is_looked_at_again;
        }
    };
}

/// Calls a macro with the laws of an engine with a virtual clock that other threads may feed and
/// take from.
#[macro_export]
macro_rules! with_outside_laws {
    ($callback:ident) => {
        $callback! {
            virtual_time:
                time_waits_for_what_comes_from_outside,
                time_waits_for_what_is_taken_outside;
        }
    };
}

/// Checks every law that holds on every engine.
pub fn laws(engine: &dyn Engine) {
    macro_rules! each {
        ($($module:ident: $($law:ident),+;)+) => { $($($module::$law(engine);)+)+ };
    }
    with_engine_laws!(each);
}

/// Checks every law of a virtual clock.
pub fn virtual_time_laws(engine: &dyn Engine) {
    macro_rules! each {
        ($($module:ident: $($law:ident),+;)+) => { $($($module::$law(engine);)+)+ };
    }
    with_virtual_time_laws!(each);
}
