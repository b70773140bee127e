//! Membership: every rule that was paid for (who is a member, who is dead, who finds it out), with real threads,
//! processes and namespaces. Each test runs in a process of its own.
//!
//! | file | rules |
//! |---|---|
//! | `joining` | implicit registration, slots and seats that run out and come back, generations at their end |
//! | `deaths` | deaths that the kernel reports, and those that it does not |
//! | `living` | who is alive is never taken for dead: stopped, unprivileged, in another time or with another /proc |
//! | `namespaces` | equal thread ids in two PID namespaces |
//! | `hostile` | list nodes in private memory |
//! | `mapping` | one id for two mappings, detaching, stale caches |
//! | `forks` | children of fork and of raw clones |
//! | `pthread` | the C library's robust mutexes between ours |
//! | `copies` | two copies of the library in one process |

#[macro_use]
mod support;
#[path = "support/kit.rs"]
mod kit;

#[path = "membership/copies.rs"]
mod copies;
#[path = "membership/deaths.rs"]
mod deaths;
#[path = "membership/forks.rs"]
mod forks;
#[path = "membership/hostile.rs"]
mod hostile;
#[path = "membership/joining.rs"]
mod joining;
#[path = "membership/living.rs"]
mod living;
#[path = "membership/mapping.rs"]
mod mapping;
#[path = "membership/namespaces.rs"]
mod namespaces;
#[path = "membership/pthread.rs"]
mod pthread;

use interproc::sync::{
    Condvar, Event, LockError, Mutex, MutexGuard, Once, OnceState, RecursiveLockError, RecursiveMutex,
    RecursiveMutexGuard, RwLock, RwLockError, RwLockReadGuard, RwLockWriteGuard, Semaphore,
};
use interproc::{ErrorKind, Object, Plain, Segment};

/// How a lock was answered, with the guard dropped.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Clean,
    OwnerDied,
    Failed(ErrorKind),
}

fn got<T: Plain>(answer: Result<MutexGuard<'_, T>, LockError<'_, T>>) -> Got {
    match answer {
        Ok(_) => Got::Clean,
        Err(LockError::OwnerDied(died)) => {
            drop(died.mark_consistent());
            Got::OwnerDied
        }
        Err(LockError::Failed(error)) => Got::Failed(error.kind()),
    }
}

fn mutex(seg: &Segment) -> Object<Mutex<u64>> {
    seg.object("mutex", || Mutex::new(0)).expect("mutex")
}

fn main() {
    // The first test of the copies builds the shared library.
    support::run_within(
        std::time::Duration::from_secs(180),
        tests![
            joining::a_thread_becomes_a_member_at_its_first_use_and_only_once,
            joining::an_address_in_no_attached_segment_is_invalid,
            joining::more_threads_than_slots_are_refused_and_the_slots_of_the_ended_serve_again,
            joining::more_processes_than_seats_are_refused_and_the_seats_of_the_ended_serve_again,
            joining::a_forked_child_that_finds_no_seat_is_refused_until_one_is_free,
            joining::a_slot_whose_generations_are_used_up_is_retired,
            joining::a_slot_is_never_given_twice_with_one_generation,
            deaths::a_death_wakes_the_sleepers_once_and_not_each_other_for_ever,
            deaths::the_death_of_a_thread_is_told_at_once,
            deaths::the_death_of_a_thread_that_left_without_destructors_is_told_at_once,
            deaths::the_death_of_a_process_is_told_at_once,
            deaths::every_sleeper_goes_on_after_a_death,
            deaths::an_exec_from_the_main_thread_is_a_death,
            deaths::an_exec_from_the_second_thread_is_found_by_the_net,
            deaths::a_process_reaped_of_its_memory_before_it_ran_is_found_by_the_net,
            deaths::the_lock_of_a_zombie_is_inherited_by_who_opens_the_segment_later,
            deaths::a_descriptor_sent_to_another_process_gives_it_a_seat_of_its_own,
            living::a_stopped_owner_is_waited_for,
            living::a_stopped_sleeper_takes_no_wake_up_from_the_others,
            living::an_owner_whose_proc_shows_other_processes_is_waited_for,
            living::a_waiter_whose_proc_shows_other_processes_waits,
            living::an_owner_with_another_boot_time_is_waited_for,
            living::a_parent_is_not_buried_by_a_child_without_privileges,
            namespaces::threads_with_equal_ids_exclude_each_other,
            namespaces::a_death_in_either_namespace_is_told_in_the_other,
            namespaces::permits_and_a_barrier_keep_equal_ids_apart,
            namespaces::levels_of_a_recursive_mutex_belong_to_one_of_two_equal_ids,
            namespaces::readers_and_writers_with_equal_ids_are_two,
            namespaces::a_semaphore_and_an_event_go_between_equal_ids,
            namespaces::a_condition_wakes_equal_ids_and_a_killed_holder_is_told_through_the_wait,
            namespaces::one_of_two_equal_ids_does_the_job_once,
            namespaces::an_unreported_death_is_found_across_namespaces,
            namespaces::in_the_race_to_register_with_equal_ids_nobody_alive_is_marked_dead,
            namespaces::a_death_at_any_point_of_joining_marks_nobody_alive,
            hostile::scribbled_slots_never_break_a_robust_list,
            hostile::a_node_in_use_is_not_reused_because_its_slot_was_scribbled,
            hostile::a_thread_that_is_linked_keeps_its_pages_whatever_its_slot_says,
            hostile::no_waiter_is_moved_out_of_the_segment,
            hostile::a_scribbled_wish_wakes_nobody_outside_the_segment,
            mapping::two_mappings_of_a_segment_are_one_member,
            mapping::two_mappings_share_locks_and_queues,
            mapping::who_stays_attached_is_not_disturbed_by_who_detaches,
            mapping::a_segment_detached_while_other_threads_are_linked_is_attached_again,
            mapping::threads_linked_to_a_detached_segment_die_in_peace,
            mapping::a_cache_does_not_outlive_its_mapping,
            mapping::an_address_of_a_detached_segment_is_invalid_whatever_is_mapped_there,
            mapping::detached_segments_leave_nothing_behind,
            forks::a_guard_of_the_parent_does_nothing_in_the_child,
            forks::a_child_becomes_a_member_of_its_own,
            forks::a_child_of_a_threaded_parent_may_lock_at_once,
            forks::a_raw_clone_registers_its_robust_list,
            forks::a_grandchild_becomes_a_member_of_its_own,
            forks::a_child_that_closes_its_descriptors_keeps_what_it_holds,
            forks::a_child_without_descriptors_locks_and_its_death_is_told,
            forks::a_childs_death_leaves_the_parents_locks_alone,
            copies::copies_of_the_library_exclude_each_other,
            copies::a_death_is_told_by_and_to_every_copy,
            copies::each_copy_notices_a_fork,
            pthread::robust_mutexes_of_both_kinds_are_inherited_in_any_order,
        ],
    )
}
