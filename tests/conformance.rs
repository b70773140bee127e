//! Conformance: one specification per object, run wherever its users may be: in threads, in processes, in threads
//! that have the segment mapped at different addresses.

#[path = "support/channels.rs"]
mod channels;
#[path = "support/kit.rs"]
mod kit;
#[allow(unused_macros)] // `tests!`: ours are listed by `specifications!`.
mod support;

#[path = "conformance/barrier.rs"]
mod barrier;
#[path = "conformance/bounded_semaphore.rs"]
mod bounded_semaphore;
#[path = "conformance/broadcast.rs"]
mod broadcast;
#[path = "conformance/byte_lane.rs"]
mod byte_lane;
#[path = "conformance/byte_queue.rs"]
mod byte_queue;
#[path = "conformance/channel/mod.rs"]
mod channel;
#[path = "conformance/condvar.rs"]
mod condvar;
#[path = "conformance/event.rs"]
mod event;
#[path = "conformance/handlers.rs"]
mod handlers;
#[path = "conformance/latest.rs"]
mod latest;
#[path = "conformance/mutex.rs"]
mod mutex;
#[path = "conformance/news.rs"]
mod news;
#[path = "conformance/once.rs"]
mod once;
#[path = "conformance/orders.rs"]
mod orders;
#[path = "conformance/pipe.rs"]
mod pipe;
#[path = "conformance/pipe_meeting.rs"]
mod pipe_meeting;
#[path = "conformance/place.rs"]
mod place;
#[path = "conformance/queue.rs"]
mod queue;
#[path = "conformance/recursive_mutex.rs"]
mod recursive_mutex;
#[path = "conformance/rwlock.rs"]
mod rwlock;
#[path = "conformance/semaphore.rs"]
mod semaphore;
#[path = "conformance/spsc.rs"]
mod spsc;
#[path = "conformance/work.rs"]
mod work;

use channel::{ByteLane, ByteQueue, Pipe, Queue, Spsc, bytes, seated, shared};
use place::Place;

/// A name and a body.
type Test = (&'static str, fn());

/// Each specification in each place.
macro_rules! specifications {
    ($($module:ident: $($name:ident),* $(,)?;)*) => {
        [$($(specifications!(@ stringify!($module), "::", stringify!($name); $module::$name)),*),*].concat()
    };
    (@ $($title:expr),*; $($name:tt)*) => {
        [
            (concat!($($title,)* " (threads)"), (|| $($name)*(Place::Threads)) as fn()),
            (concat!($($title,)* " (processes)"), (|| $($name)*(Place::Processes)) as fn()),
            (concat!($($title,)* " (two mappings)"), (|| $($name)*(Place::Mappings)) as fn()),
        ]
    };
}

/// Each specification for each channel, in each place.
macro_rules! of_channels {
    ($([$($channel:ident)*] $names:tt)*) => { [$($(of_channels!(@ $channel $names)),*),*].concat() };
    (@ $channel:ident { $module:ident: $($name:ident),* $(,)? }) => {
        [$(specifications!(
            @ stringify!($module), "::", stringify!($name), ", ", stringify!($channel); $module::$name::<$channel>
        )),*]
        .concat()
    };
}

fn main() {
    let objects = specifications![
        barrier:
            all_pass_together_with_one_leader_each_round,
            it_can_be_looked_at,
            a_party_that_dies_waiting_or_computing_breaks_it_for_all_at_once,
            the_death_of_one_that_waits_breaks_it,
            a_party_that_runs_out_of_time_breaks_it,
            abort_and_reset_tell_all_that_wait,
            who_leaves_may_end_and_be_replaced,
            more_threads_than_parties_take_turns,
            whom_a_reset_frees_may_come_again_at_once,
            who_looks_late_is_told_how_its_own_round_ended,
            no_round_is_passed_by_more_than_its_parties,
            a_wait_in_slices_breaks_nothing_and_keeps_its_place,
            signals_neither_end_nor_lose_a_wait;
        bounded_semaphore:
            never_more_permits_are_out_than_there_are,
            a_try_and_a_past_deadline_take_what_is_there_and_no_more,
            a_timed_acquire_waits_as_long_as_it_was_told,
            a_release_wakes_those_who_wait_one_after_the_other,
            a_dead_holders_permit_goes_to_a_waiter_who_is_told_once,
            who_takes_a_dead_holders_permit_without_waiting_is_told,
            a_dead_waiter_hinders_nobody,
            a_permit_is_given_back_once,
            a_permit_moves_between_threads_as_long_as_its_owner_lives,
            a_forked_child_does_not_own_what_its_parent_holds,
            signals_neither_end_nor_lose_a_wait,
            a_hundred_and_twenty_holders_are_watched;
        byte_queue:
            a_large_message_that_waits_holds_up_no_small_one,
            a_message_takes_whole_granules,
            it_can_be_looked_at_from_outside,
            a_buffer_that_is_too_small_does_not_forget_who_had_the_message,
            a_scribbled_queue_ends_every_operation_and_harms_nobody,
            a_queue_whose_geometry_was_written_over_is_refused;
        byte_lane:
            it_does_what_a_list_would_do,
            a_lane_of_another_shape_is_refused,
            scribbled_headers_and_counts_are_told_and_touch_nothing_else,
            no_scribbled_word_makes_an_operation_crash_or_hang;
        condvar:
            every_ticket_is_sold_once_and_nobody_sleeps_on,
            one_notification_wakes_one_and_all_wake_all,
            all_are_woken_at_once,
            a_timed_wait_waits_as_long_as_it_was_told,
            a_deadline_in_the_past_gives_the_lock_back_for_a_moment,
            the_longest_wait_does_not_end_early,
            signals_neither_end_nor_lose_a_wait,
            who_waits_is_told_of_a_dead_owner,
            who_dies_after_its_unlock_has_woken_those_asleep,
            killed_waiters_leave_nothing,
            the_lock_is_an_ordinary_one_again_when_nobody_waits,
            a_wait_with_another_mutex_is_refused,
            a_lock_given_up_is_refused_to_those_who_wait,
            a_wait_gives_back_all_levels_and_takes_as_many_again,
            a_dead_owners_depth_is_void_and_the_waiters_its_own,
            an_orderly_end_wakes_nobody_and_a_notification_is_told_apart,
            nothing_is_lost_between_the_slices_of_a_wait,
            who_has_outer_levels_is_never_refused_the_lock;
        event:
            a_set_is_seen_by_all_until_it_is_cleared,
            what_was_done_before_a_set_is_seen_after_the_wait,
            no_set_is_lost_on_who_clears_it,
            a_set_lets_all_go_even_if_it_is_cleared_at_once,
            a_wait_lasts_as_long_as_it_was_told,
            a_deadline_in_the_past_gives_up_at_once_but_on_what_is_set,
            the_longest_wait_does_not_end_early,
            signals_neither_end_nor_lose_a_wait,
            waiters_and_setters_that_die_harm_nobody,
            who_gives_up_harms_nobody,
            a_wait_in_slices_sees_a_set_that_was_cleared_at_once,
            a_set_makes_nobody_a_member,
            a_child_sets_it_for_its_parent,
            a_handle_outlives_the_thread_that_made_it;
        handlers:
            a_handler_posts_and_sets_in_the_middle_of_anything;
        latest:
            readers_see_whole_values_that_only_get_newer,
            the_first_value_is_whose_makers_it_is_and_versions_count_sets,
            who_waits_for_a_newer_value_is_told_at_once,
            a_writer_that_dies_costs_its_value_and_nothing_else,
            who_waits_to_set_goes_on_when_the_writer_dies,
            a_read_makes_nobody_a_member,
            signals_neither_end_nor_lose_a_wait,
            what_was_done_before_a_set_is_seen_after_the_read;
        mutex:
            one_holds_it_at_a_time,
            a_try_on_a_held_lock_says_so_at_once,
            a_timed_lock_waits_as_long_as_it_was_told,
            a_deadline_in_the_past_gets_a_free_lock_and_gives_up_on_a_held_one,
            the_longest_wait_does_not_end_early,
            the_dead_ones_lock_is_inherited_with_the_news_and_then_clean,
            a_lock_given_up_is_refused_to_all_and_to_those_asleep,
            a_recoverer_that_dies_hands_on_the_news,
            locking_twice_is_an_error_and_changes_nothing,
            only_the_owner_unlocks_and_marks_consistent,
            signals_neither_end_nor_lose_a_wait,
            a_death_is_told_to_a_waiter_under_signals,
            it_may_be_destroyed_as_soon_as_it_was_acquired,
            who_gives_up_takes_no_wake_up_along,
            an_unlock_wakes_those_asleep_at_once,
            with_full_fences_from_some_time_on_an_unlock_wakes_at_once,
            a_handle_outlives_the_thread_that_made_it;
        news:
            whoever_ignores_it_leaves_it_to_the_next,
            a_repair_ends_it_and_is_made_once,
            a_repair_that_panics_or_dies_leaves_it_to_the_next,
            a_panic_under_a_guard_is_a_death,
            a_guard_of_a_destructor_that_a_panic_runs_is_none,
            only_who_says_so_makes_a_lock_unusable,
            who_cannot_have_all_permits_gives_back_those_of_the_dead_with_it,
            a_permit_that_a_panic_drops_is_taken_with_it;
        once:
            it_is_done_once_and_all_see_it,
            the_death_of_whoever_is_at_it_hands_the_job_to_one_who_waits,
            a_panic_or_an_error_hands_the_job_on,
            a_call_from_inside_the_job_is_an_error,
            a_child_is_not_at_its_parents_job,
            signals_neither_end_nor_lose_a_wait;
        orders:
            unlocked_in_any_order_only_what_is_still_held_dies_with_its_thread,
            a_past_deadline_gets_a_free_recursive_mutex_and_gives_up_on_a_held_one;
        pipe:
            an_end_is_a_sender_and_a_receiver,
            messages_of_all_lengths_arrive_whole_and_in_order,
            messages_longer_than_the_ring_come_in_pieces,
            a_message_that_is_cut_short_is_told,
            descriptors_go_with_their_messages,
            readers_and_receives_go_on_where_the_other_stopped,
            what_was_given_up_or_skipped_is_not_mixed_in,
            an_end_goes_to_a_program,
            both_ends_send_at_the_same_time,
            who_receives_gets_what_was_sent_and_then_the_end_at_once,
            a_message_that_a_panic_drops_comes_again,
            who_waits_for_room_is_told_of_the_end,
            who_sends_is_told_of_the_end_of_one_that_has_moved,
            an_end_moves_between_threads,
            a_pipe_is_somebodys_until_both_ends_are_gone,
            a_forked_child_does_not_have_its_parents_end,
            a_child_gets_an_end_before_its_code_runs,
            an_end_is_handed_over_a_bare_fork,
            nonsense_in_a_pipe_harms_nobody_else;
        pipe_meeting:
            many_clients_are_served_through_few_pipes,
            a_client_waits_for_a_pipe_until_both_its_ends_are_gone,
            who_calls_where_nobody_listens_is_refused,
            pipes_outlive_the_listener_that_accepted_them_elsewhere,
            a_client_that_is_gone_before_it_is_accepted_is_heard,
            a_listener_moves_between_threads_with_its_calls,
            a_listener_waits_for_a_call,
            clients_and_servers_are_killed_at_random;
        queue:
            a_batch_waits_as_it_is_told_and_says_what_comes_again,
            batches_keep_their_order_and_may_exceed_the_capacity,
            a_large_message_is_written_and_read_in_one_place,
            places_given_up_again_and_again_hide_no_message,
            behind_messages_in_hand_the_others_come_in_order_however_many,
            the_oldest_makes_way_and_no_other,
            what_was_forced_in_comes_out_once_and_in_order_or_is_displaced,
            the_peak_is_what_was_seen;
        recursive_mutex:
            its_holder_may_lock_it_again_and_nobody_else,
            one_thread_holds_it_at_a_time,
            it_is_held_65535_times_and_no_more,
            the_dead_ones_lock_is_inherited_at_depth_one_with_the_news,
            if_its_last_guard_goes_unrepaired_the_next_one_is_told,
            signals_neither_end_nor_lose_a_wait,
            a_child_does_not_own_what_its_parent_holds;
        semaphore:
            no_more_are_inside_than_it_counts,
            what_was_done_before_a_post_is_seen_after_the_acquire,
            an_empty_one_refuses_or_waits_as_long_as_it_was_told,
            a_deadline_in_the_past_takes_what_is_there_and_gives_up_at_once,
            the_longest_wait_does_not_end_early,
            as_many_sleepers_go_as_were_posted,
            a_post_beyond_the_limit_is_refused_and_changes_nothing,
            signals_neither_end_nor_lose_a_wait,
            who_gives_up_takes_no_wake_up_along,
            a_sleeper_that_is_killed_leaves_the_post_to_the_others,
            a_post_makes_nobody_a_member,
            a_child_posts_for_its_parent,
            it_may_be_destroyed_as_soon_as_it_was_acquired,
            a_handle_outlives_the_thread_that_made_it;
        rwlock:
            one_writes_or_many_read,
            a_writer_now_and_then_meets_no_reader,
            readers_read_together_and_a_writer_is_alone,
            a_timed_lock_waits_as_long_as_it_was_told,
            a_deadline_in_the_past_gets_a_free_lock_and_gives_up_on_a_held_one,
            a_writer_that_waits_comes_before_new_readers,
            a_dead_reader_is_forgotten,
            a_dead_writers_lock_goes_to_the_next_with_the_news_and_is_then_clean,
            a_lock_given_up_is_refused_to_all_and_to_those_asleep,
            a_writer_that_dies_waiting_is_no_news,
            locking_twice_is_an_error_unless_both_times_for_reading,
            a_writer_becomes_a_reader_and_no_writer_comes_between,
            more_holds_than_there_is_room_for_are_refused,
            signals_neither_end_nor_lose_a_wait,
            it_may_be_destroyed_as_soon_as_it_was_acquired,
            an_unlock_wakes_those_asleep_at_once,
            a_forked_child_does_not_hold_what_its_parent_holds;
        spsc:
            batches_and_chunks_keep_the_order_whatever_their_size,
            a_batch_or_a_chunk_takes_what_there_is,
            a_push_that_is_not_published_may_be_delivered_when_the_close_comes,
            a_chunk_of_the_dead_comes_again_and_tells_how_much_of_it,
            a_forked_childs_chunks_are_its_parents,
            what_a_panic_drops_of_a_chunk_by_value_comes_again,
            scribbled_counts_and_seats_are_errors_never_a_crash,
            a_queue_of_another_shape_is_refused_with_both_sides_named,
            it_can_be_looked_at;
        broadcast:
            everybody_gets_everything_in_one_order,
            the_only_publisher_reaches_everybody_and_keeps_others_out,
            who_lags_is_told_how_many_it_missed,
            a_dead_subscriber_is_waited_for_no_more,
            a_dead_publisher_is_followed_by_others,
            who_comes_late_may_have_the_last_ones,
            who_joins_gets_all_that_comes_after,
            the_end_comes_after_the_last_message,
            a_wait_for_room_ends_with_room_or_the_end,
            a_try_does_what_can_be_done_now,
            messages_in_place_are_whole,
            a_subscriber_is_of_its_thread,
            signals_neither_end_nor_lose_a_wait,
            other_options_and_types_are_refused;
        work:
            every_job_is_done_once,
            a_dead_workers_job_is_with_another_at_once,
            who_joins_gives_a_dead_workers_job_back,
            a_dead_producers_room_is_free_and_the_books_are_whole,
            jobs_come_in_their_order,
            a_delayed_job_comes_when_its_time_has_come,
            a_lease_that_is_over_goes_to_another,
            what_fails_too_often_is_a_dead_letter,
            a_closed_one_is_worked_off_and_then_at_its_end,
            a_wait_for_room_ends_with_room_or_the_end,
            a_try_does_what_can_be_done_now,
            a_lease_belongs_to_its_thread,
            signals_neither_end_nor_lose_a_wait,
            other_options_and_types_are_refused;
    ];
    support::run(Vec::leak([objects, of_each_channel()].concat()))
}

fn of_each_channel() -> Vec<Test> {
    of_channels! {
        [Queue ByteQueue Spsc ByteLane Pipe] {
            channel:
                messages_come_whole_in_order_and_each_once,
                a_full_one_refuses_or_waits,
                an_empty_one_refuses_or_waits,
                a_deadline_in_the_past_does_what_can_be_done_now,
                the_longest_wait_does_not_end_early,
                the_producers_close_comes_after_its_messages,
                the_consumers_close_wakes_the_producer_and_what_is_there_is_drained,
                its_numbers_are_known_when_nobody_is_at_work,
                signals_neither_end_nor_lose_a_wait,
                what_is_written_in_place_is_read_in_place,
                room_given_up_is_room_again_and_no_message,
                a_message_put_back_is_the_next_one_again,
                a_forked_child_does_not_hold_what_its_parent_holds,
        }
        [Queue ByteQueue Spsc ByteLane] {
            channel:
                loops_end_where_they_say,
                a_message_that_a_panic_drops_comes_again,
        }
        [ByteQueue ByteLane Pipe] {
            bytes:
                every_length_goes_through_at_every_place_of_the_ring,
                what_does_not_fit_is_refused_and_nothing_is_lost,
        }
        [Queue ByteQueue] {
            shared:
                each_producers_messages_come_in_order_and_each_once,
                each_push_wakes_one_that_sleeps,
                closing_wakes_all_that_wait,
                a_closed_one_is_drained_and_then_ends_for_all,
                a_push_that_races_with_the_close_is_delivered_or_refused,
                a_handle_outlives_the_thread_that_made_it,
                a_reservation_keeps_its_turn_and_those_behind_it_wait,
                a_commit_wakes_for_the_message_behind_room_given_up,
                room_that_was_reserved_in_vain_goes_to_one_who_waits,
                what_is_put_back_comes_next_and_is_told,
                a_message_put_back_is_next_whatever_was_read_behind_it,
                waiting_for_oneself_is_an_error,
                what_a_parent_has_in_hand_is_anothers_to_its_child,
                a_closed_one_takes_what_was_reserved_before_and_nothing_else,
                the_end_is_told_beside_messages_in_hand_unless_all_room_is,
                who_stands_in_the_way_is_named,
                a_stopped_process_is_named,
                a_message_whose_reader_died_is_delivered_again_and_said_so,
                a_message_whose_writer_died_is_not_delivered_and_its_room_is_not_lost,
                who_waits_behind_a_death_goes_on_at_once,
        }
        [Spsc ByteLane] {
            seated:
                a_seat_is_one_holders_until_it_is_left,
                a_closed_one_is_closed_for_newcomers_too,
                a_push_that_races_with_the_close_is_delivered_or_refused,
                what_is_not_published_is_published_before_it_is_waited_for,
                what_is_not_published_is_refused_by_a_closed_one_and_told,
                a_handle_goes_from_thread_to_thread,
                a_sleeper_sees_the_other_seat_move,
                a_forked_child_has_no_part_in_its_parents_seats,
                what_a_dead_producer_had_not_published_is_gone_and_the_rest_comes,
                what_a_dead_consumer_was_reading_is_delivered_again_and_said_so,
                what_a_dead_consumer_had_not_freed_is_delivered_again_and_said_so,
                who_waits_goes_on_with_the_next_one,
        }
    }
}
