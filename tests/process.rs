//! Processes: real ones, each test in a process of its own.

#[macro_use]
mod support;

#[path = "process/daemons.rs"]
mod daemons;
#[path = "process/ending.rs"]
mod ending;
#[path = "process/leaving.rs"]
mod leaving;
#[path = "process/many.rs"]
mod many;
#[path = "process/owning.rs"]
mod owning;
#[path = "process/setting.rs"]
mod setting;
#[path = "process/starting.rs"]
mod starting;
#[path = "process/waiting.rs"]
mod waiting;

use interproc::process::{self, Child};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Long enough for anything that must happen.
const LONG: Duration = Duration::from_secs(20);

/// A child that does nothing until a signal ends it.
fn sleeper() -> Child {
    process::fork(|| pause_for_ever()).expect("fork")
}

fn pause_for_ever() -> ! {
    loop {
        // SAFETY: takes nothing.
        unsafe { libc::pause() };
    }
}

/// A word that this process and its later children share.
fn shared_word() -> &'static AtomicU32 {
    let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: a new zero-filled mapping that is never unmapped.
    unsafe {
        let page = libc::mmap(std::ptr::null_mut(), 4096, access, flags, -1, 0);
        assert_ne!(page, libc::MAP_FAILED);
        &*page.cast()
    }
}

/// A child that this library knows nothing of.
fn foreign_fork(body: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the tests fork from their only thread, or the child makes only system calls; it ends in _exit.
    unsafe {
        match libc::fork() {
            0 => libc::_exit(body()),
            pid => pid,
        }
    }
}

/// Reaps as foreign code does; the wait status, or -1.
fn foreign_wait(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: the status is writable.
    if unsafe { libc::waitpid(pid, &raw mut status, 0) } == -1 { -1 } else { status }
}

fn send(pid: u32, signal: i32) {
    // SAFETY: takes integers; the process is a child of ours that nobody has reaped.
    assert_eq!(unsafe { libc::kill(pid as i32, signal) }, 0);
}

fn main() {
    support::run(tests![
        starting::a_child_ends_with_the_code_that_its_closure_gives,
        starting::a_c_function_is_forked_with_its_argument,
        starting::a_child_bears_the_name_it_was_given,
        starting::a_name_with_a_nul_is_refused_and_nothing_is_started,
        starting::the_closure_may_borrow_from_the_parent_and_the_parent_keeps_its_own_copy,
        starting::the_child_has_no_descriptor_more_than_the_parent_had,
        starting::without_descriptors_nothing_is_started_and_nothing_is_left,
        starting::without_processes_the_error_is_a_clean_one,
        starting::without_pidfds_nothing_is_started_and_the_error_says_so,
        starting::fork_works_from_a_parent_with_many_threads,
        starting::a_parent_killed_in_the_middle_of_the_start_leaves_nothing_running,
        starting::a_sibling_with_a_copy_of_the_gate_does_not_hide_the_death_of_the_parent,
        starting::a_parent_that_calls_exec_in_the_middle_of_the_start_leaves_nothing_running,
        starting::a_child_killed_and_reaped_in_the_middle_of_the_start_is_an_error,
        starting::a_stranger_with_the_number_of_a_child_that_was_reaped_is_not_taken_for_it,
        setting::every_setting_holds_in_a_closure_and_in_a_program,
        setting::a_setting_that_cannot_be_is_an_error_and_nothing_is_started,
        setting::a_program_gets_its_arguments_and_its_environment_and_no_others,
        setting::a_program_that_cannot_be_executed_is_an_error_and_leaves_nothing,
        setting::descriptors_go_where_they_are_told_and_the_others_stay_here,
        setting::a_process_without_standard_streams_starts_children_with_them,
        setting::a_program_opens_the_segment_that_it_was_given,
        setting::signals_are_as_usual_in_a_program,
        setting::children_start_while_handlers_run_and_threads_allocate,
        setting::without_memory_or_processes_a_program_is_not_started_and_the_error_is_clean,
        setting::without_descriptors_no_program_is_started,
        setting::a_program_killed_before_it_is_one_is_a_child_that_was_killed,
        daemons::a_bound_child_ends_with_its_parent_however_that_ends,
        daemons::a_plain_child_outlives_its_parent,
        daemons::a_bound_child_outlives_the_thread_that_started_it_and_no_longer_than_the_process,
        daemons::a_parent_whose_main_thread_has_ended_keeps_its_bound_children,
        daemons::grandchildren_end_too_where_it_was_asked,
        daemons::a_forked_sibling_does_not_keep_a_bound_child_alive,
        daemons::a_childs_copy_of_a_daemons_handle_does_no_harm,
        daemons::a_detached_bound_child_outlives_its_parent,
        daemons::the_end_of_a_bound_child_hits_nobody_else,
        daemons::a_bound_child_in_a_namespace_of_its_own_ends_too,
        daemons::the_numbers_of_a_line_that_the_program_uses_for_its_own_files_are_left_alone,
        daemons::parents_killed_at_any_time_leave_no_bound_child,
        many::ten_thousand_children_leave_no_zombie_and_no_descriptor,
        many::the_first_to_end_is_the_one_that_wait_any_gives,
        many::all_have_one_deadline,
        many::threads_may_wait_for_any_of_the_same_children,
        many::a_deaf_child_is_terminated_after_its_grace_and_a_polite_one_before,
        many::a_group_hears_a_signal_and_only_while_its_number_is_its_own,
        many::a_child_shows_its_state_and_its_usage,
        many::a_process_is_known_by_its_number_and_its_start_and_nobody_else_is_taken_for_it,
        many::a_parent_is_seen_to_end,
        leaving::a_daemon_is_what_the_book_says,
        leaving::a_daemon_that_fails_says_why_and_leaves_nobody,
        leaving::orphans_come_and_nobody_elses_child_is_reaped,
        leaving::a_daemons_starter_may_be_killed_while_it_waits,
        ending::a_panic_is_printed_and_becomes_exit_code_101,
        ending::a_child_never_runs_the_frames_of_its_parent,
        ending::a_signal_is_reported_with_its_number,
        ending::terminate_can_be_handled_and_kill_cannot,
        ending::a_stopped_child_is_alive_and_can_be_killed,
        ending::signals_to_an_ended_child_are_no_error_and_reach_nobody_else,
        waiting::a_join_that_times_out_does_so_in_time_and_leaves_the_child_running,
        waiting::a_deadline_in_the_past_still_gets_an_ended_child,
        waiting::try_join_says_none_until_the_child_has_ended,
        waiting::the_status_is_kept_for_every_later_join,
        waiting::every_thread_that_joins_gets_the_status,
        waiting::a_signal_handler_running_during_a_join_does_not_disturb_it,
        waiting::errno_is_left_alone,
        waiting::the_descriptor_polls_readable_when_the_child_has_ended,
        waiting::a_child_reaped_by_foreign_code_is_an_error_and_not_a_hang,
        waiting::a_child_reaped_by_foreign_code_during_a_join_is_not_a_hang,
        waiting::with_sigchld_ignored_every_start_works_and_a_join_says_that_the_status_is_lost,
        waiting::a_child_held_by_a_tracer_is_waited_for_without_spinning,
        owning::five_hundred_children_leave_no_zombie_and_no_descriptor,
        owning::dropping_an_ended_child_reaps_it,
        owning::a_running_child_dropped_goes_on_and_is_reaped_by_the_next_call,
        owning::reaping_takes_no_child_that_others_wait_for,
        owning::a_childs_copy_of_its_parents_handle_is_refused_and_harmless,
        owning::equal_process_ids_in_two_namespaces_are_not_confused,
        owning::a_forked_process_has_children_of_its_own,
        owning::threads_may_fork_drop_and_reap_at_once,
        owning::the_parents_guards_are_dead_in_the_child,
        owning::the_parents_guards_are_dead_in_the_child_of_a_threaded_parent,
    ])
}
