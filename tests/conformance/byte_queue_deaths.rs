//! The specification of the byte queue, when its users stop or die with a message in their hands, and when somebody
//! writes over it.

use crate::kit::{self, Bare, LONG, NET, Random, await_word, board, raise};
use crate::place::{Actor, Place, await_asleep, say_where};
use interproc::Wait;
use interproc::queue::{ByteQueue, ByteRing, Popped, RawByteQueue};
use interproc::{Deadline, ErrorKind, Segment};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A ring of eight granules, for messages of up to two.
const CAPACITY: usize = 512;
const LONGEST: usize = 120;

fn queue(seg: &Segment) -> ByteQueue {
    seg.byte_queue("queue", CAPACITY, LONGEST).expect("queue")
}

fn kind<T>(answer: interproc::Result<T>) -> Result<T, ErrorKind> {
    answer.map_err(|e| e.kind())
}

/// The same queue, without its manners.
fn bare(seg: &Segment) -> (Bare, RawByteQueue) {
    let bare = Bare::new(seg);
    let (at, size) = bare.object("queue");
    // SAFETY: the directory's word for it; the mapping stays.
    let ring = unsafe { ByteRing::attach(bare.base.add(at), size) }.expect("a queue");
    (bare, RawByteQueue::new(ring))
}

/// Reserves room for a message, writes 7 there, and does `inside` before it commits.
fn reserve_with(seg: &Segment, inside: impl FnOnce()) {
    let q = queue(seg);
    let mut room = q.reserve(LONGEST).expect("room");
    room.fill(7);
    inside();
    room.commit().expect("ours");
}

/// Receives a message, and does `inside` before it is done. Its first byte.
fn receive_with(seg: &Segment, inside: impl FnOnce()) -> u8 {
    let q = queue(seg);
    let message = q.borrow().expect("message");
    inside();
    message[0]
}

/// Pushes 7, and does `inside` in the middle of the copy.
fn push_with(seg: &Segment, inside: impl FnOnce()) {
    let (bare, q) = bare(seg);
    let fill = |room: *mut u8| {
        inside();
        // SAFETY: there is room for a byte.
        unsafe { room.write(7) };
    };
    q.push_with(bare.member(), 1, Wait::ForEver, fill).expect("push");
}

/// Pops, and does `inside` in the middle of the copy.
fn pop_with(seg: &Segment, inside: impl FnOnce()) {
    let (bare, q) = bare(seg);
    let popped = q.pop_with(bare.member(), LONGEST, Wait::ForEver, |_, _| inside()).expect("pop");
    assert!(matches!(popped, Popped::Taken(..)));
}

/// The process and thread that said where they are.
fn ids(word: &AtomicU64) -> (u32, u32) {
    let at = word.load(Ordering::SeqCst);
    ((at >> 32) as u32, at as u32)
}

pub fn who_stands_in_the_way_is_named(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg);
    let words = board();
    assert_eq!(q.blocker().expect("blocker"), None);
    let writer = at.start(&seg, |seg| {
        reserve_with(seg, || {
            say_where(&words[0]);
            await_word(&words[1], 1);
        });
    });
    await_word(&words[0], 1);
    let named = q.blocker().expect("blocker").expect("somebody");
    assert_eq!((named.pid, named.tid), ids(&words[0]));
    q.push(&[8]).expect("push");
    assert_eq!(kind(q.try_pop()), Err(ErrorKind::Empty));
    assert_eq!(kind(q.pop_timeout(Duration::from_millis(120))), Err(ErrorKind::TimedOut));
    raise(&words[1]);
    assert_eq!((q.pop().expect("pop")[0], q.pop().expect("pop")[0]), (7, 8));
    writer.join();
    assert_eq!(q.blocker().expect("blocker"), None);
    // A reader: others pop past it, those who push find room until they come round to its record.
    q.push(&[1]).expect("push");
    q.push(&[2]).expect("push");
    let reader = at.start(&seg, |seg| {
        let first = receive_with(seg, || {
            say_where(&words[2]);
            await_word(&words[3], 1);
        });
        assert_eq!(first, 1);
    });
    await_word(&words[2], 1);
    assert_eq!(q.pop().expect("pop"), [2]);
    (3..9u8).for_each(|i| q.push(&[i]).expect("push"));
    assert_eq!(kind(q.try_push(&[9])), Err(ErrorKind::Full));
    let named = q.blocker().expect("blocker").expect("somebody");
    assert_eq!((named.pid, named.tid), ids(&words[2]));
    let waiter = at.start(&seg, |seg| {
        say_where(&words[4]);
        queue(seg).push(&[9]).expect("push");
    });
    await_asleep(&words[4]);
    raise(&words[3]);
    waiter.join();
    reader.join();
    (3..10u8).for_each(|i| assert_eq!(q.pop().expect("pop"), [i]));
}

pub fn a_stopped_process_is_named(at: Place) {
    // A thread alone cannot be stopped.
    if at != Place::Processes {
        return;
    }
    let seg = kit::segment();
    let q = queue(&seg);
    let stop = || {
        // SAFETY: stops this process.
        unsafe { libc::raise(libc::SIGSTOP) };
    };
    let Actor::Process(kid) = at.start(&seg, move |seg| push_with(seg, stop)) else { unreachable!() };
    kid.wait_stopped();
    let named = q.blocker().expect("blocker").expect("somebody");
    assert_eq!(named.pid, kid.pid as u32);
    assert_eq!(kind(q.pop_timeout(Duration::from_millis(120))), Err(ErrorKind::TimedOut));
    assert!(q.blocker().expect("blocker").is_some(), "who is stopped is not dead");
    kid.signal(libc::SIGCONT);
    assert_eq!(q.pop_timeout(LONG).expect("pop"), [7]);
    kid.join();
}

pub fn a_message_whose_reader_died_is_delivered_again_and_said_so(at: Place) {
    for in_place in [false, true] {
        for deaths in 1..=10 {
            let seg = kit::segment();
            let q = queue(&seg);
            (1..=3u8).for_each(|i| q.push(&[i; 100]).expect("push"));
            for _ in 0..deaths {
                let dies = move |seg: &Segment| {
                    if in_place {
                        receive_with(seg, || at.die());
                    } else {
                        pop_with(seg, || at.die());
                    }
                };
                at.start(&seg, dies).gone();
            }
            assert_eq!(q.blocker().expect("blocker"), None, "the dead are in nobody's way");
            assert_eq!(q.len(), 3);
            // In their order, the one that was being read marked.
            for i in 1..=3u8 {
                let got = q.pop_delivery().expect("pop");
                assert_eq!((&got.value[..], got.redelivered), (&[i; 100][..], i == 1));
            }
            (4..8u8).for_each(|i| q.try_push(&[i; 100]).expect("no room was lost"));
            let next = q.pop_delivery().expect("pop");
            assert_eq!((next.value[0], next.redelivered), (4, false), "the mark does not stick");
        }
    }
}

pub fn a_message_whose_writer_died_is_not_delivered_and_its_room_is_not_lost(at: Place) {
    for deaths in 1..=10 {
        let seg = kit::segment();
        let q = queue(&seg);
        for n in 0..deaths {
            let dies = move |seg: &Segment| {
                if n % 2 == 0 { reserve_with(seg, || at.die()) } else { push_with(seg, || at.die()) }
            };
            at.start(&seg, dies).gone();
            assert_eq!(q.blocker().expect("blocker"), None);
        }
        // A producer finds the room by itself, before any consumer comes.
        (0..8u8).for_each(|i| q.try_push(&[i]).expect("room was lost"));
        assert_eq!(kind(q.try_push(&[])), Err(ErrorKind::Full));
        assert_eq!(q.drain().collect::<Vec<_>>(), (0..8u8).map(|i| vec![i]).collect::<Vec<_>>());
        assert_eq!(q.len_bytes(), 0);
        // Closed with a gap in front: the end is still found.
        at.start(&seg, move |seg| reserve_with(seg, || at.die())).gone();
        q.close().expect("close");
        assert_eq!(kind(q.pop()), Err(ErrorKind::Closed));
    }
}

/// Median times from a death to the moment at which somebody goes on.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

pub fn who_waits_behind_a_death_goes_on_at_once(at: Place) {
    let mut times = Vec::new();
    for round in 0..15 {
        let seg = kit::segment();
        let q = queue(&seg);
        let words = board();
        let inside = move || {
            raise(&words[0]);
            await_word(&words[1], 1);
            words[2].store(Deadline::now().as_monotonic_ns(), Ordering::SeqCst);
            at.die();
        };
        let goes_on = move || words[4].store(Deadline::now().as_monotonic_ns(), Ordering::SeqCst);
        let consumer = move |expected: (u8, bool)| {
            move |seg: &Segment| {
                say_where(&words[3]);
                let got = queue(seg).pop_delivery().expect("pop");
                goes_on();
                assert_eq!((got.value[0], got.redelivered), expected);
            }
        };
        let (victim, sleeper) = match round % 3 {
            // A reservation before a message.
            0 => {
                let victim = at.start(&seg, move |seg| reserve_with(seg, inside));
                await_word(&words[0], 1);
                q.push(&[8]).expect("push");
                (victim, at.start(&seg, consumer((8, false))))
            }
            // A message that is being read, and nothing else.
            1 => {
                q.push(&[1]).expect("push");
                let victim = at.start(&seg, move |seg| _ = receive_with(seg, inside));
                await_word(&words[0], 1);
                (victim, at.start(&seg, consumer((1, true))))
            }
            // A reservation that takes the room of all.
            _ => {
                let victim = at.start(&seg, move |seg| reserve_with(seg, inside));
                await_word(&words[0], 1);
                (0..6u8).for_each(|i| q.push(&[i]).expect("push"));
                let producer = at.start(&seg, move |seg| {
                    say_where(&words[3]);
                    queue(seg).push(&[9]).expect("push");
                    goes_on();
                });
                (victim, producer)
            }
        };
        await_asleep(&words[3]);
        let started = Instant::now();
        raise(&words[1]);
        victim.gone();
        sleeper.join();
        assert!(started.elapsed() < NET);
        let (died, went_on) = (words[2].load(Ordering::SeqCst), words[4].load(Ordering::SeqCst));
        times.push(Duration::from_nanos(went_on.saturating_sub(died)));
    }
    assert!(median(times.clone()) < Duration::from_millis(15), "{times:?}");
}

pub fn who_slept_before_gets_what_a_reader_in_place_dies_with(at: Place) {
    for _ in 0..6 {
        let seg = kit::segment();
        let q = queue(&seg);
        let words = board();
        let taker = |n: usize| {
            at.start(&seg, move |seg| {
                say_where(&words[n]);
                let q = queue(seg);
                let message = q.borrow().expect("message");
                // The first one dies over it; the other one, who was asleep all the time, gets it.
                if raise(&words[2]) == 1 {
                    at.die();
                }
                assert!(message.is_redelivered() && *message == [1]);
                raise(&words[3]);
            })
        };
        let takers = [taker(0), taker(1)];
        await_asleep(&words[0]);
        await_asleep(&words[1]);
        let started = Instant::now();
        q.push(&[1]).expect("push");
        await_word(&words[3], 1);
        assert!(started.elapsed() < NET);
        takers.into_iter().for_each(Actor::ended);
        assert!(q.is_empty());
    }
}

pub fn a_buffer_that_is_too_small_does_not_forget_who_had_the_message(at: Place) {
    let seg = kit::segment();
    let q = queue(&seg);
    q.push(&[1; 40]).expect("push");
    at.start(&seg, move |seg| {
        let q = queue(seg);
        let _message = q.borrow().expect("message");
        at.die();
    })
    .gone();
    assert_eq!(q.try_pop_into(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TooLarge);
    let message = q.try_borrow().expect("message");
    assert!(message.is_redelivered() && *message == [1; 40]);
}

pub fn a_scribbled_queue_ends_every_operation_and_harms_nobody(at: Place) {
    let mut random = Random(0x5c21bb1e);
    for round in 0..120 {
        let seg = kit::segment();
        let q = queue(&seg);
        (0..random.below(6) as u8).for_each(|i| q.push(&[i; 40]).expect("push"));
        let (bare, _) = bare(&seg);
        let (start, size) = bare.object("queue");
        // SAFETY: words of the object, in the mapping.
        let word = |at: usize| unsafe { bare.base.add(start + at).cast::<AtomicU64>().as_ref() };
        let like_words = [
            0,
            u64::MAX,
            1 << 15,
            1 << 24 | 4 | 1,
            1 << 24 | 0x7ffc | 1,
            1 << 15 | 0x3fff,
            1 << 16 | 1 << 15,
        ];
        for _ in 0..1 + random.below(5) {
            // Hints, head and control words, or lengths; the geometry is copied when it is opened.
            let at = match round % 3 {
                0 => [128, 256, 384, 32, 40][random.below(5) as usize],
                1 => 512 + 16 * random.below(8) as usize,
                _ => (512 + 8 + 16 * random.below(8) as usize).min(size - 8),
            };
            let value = match random.below(3) {
                0 => random.next(),
                1 => like_words[random.below(like_words.len() as u64) as usize],
                _ => random.below(8) << 24 | random.below(64) << 2 | random.below(4),
            };
            word(at).store(value, Ordering::SeqCst);
        }
        let soon = Duration::from_millis(3);
        at.start(&seg, move |seg| {
            let q = queue(seg);
            let me = std::process::id();
            for i in 0..20u8 {
                let _ = q.push_timeout(&[i; LONGEST], soon);
                let _ = q.try_pop().map(|message| assert!(message.len() <= LONGEST));
                if let Ok(mut room) = q.try_reserve(LONGEST) {
                    room.fill(1);
                }
                let _ = q.try_borrow().map(|message| assert!(message.len() <= LONGEST));
                let _ = q.borrow_timeout(soon).map(|message| message.put_back());
                let _ = (q.len(), q.len_bytes(), q.peak(), q.is_empty(), q.is_full());
                let _ = q.blocker().map(|who| who.is_some_and(|who| who.pid == me));
            }
            let _ = q.close();
            let _ = q.pop_timeout(soon);
        })
        .join();
    }
}

pub fn a_queue_whose_geometry_was_written_over_is_refused(at: Place) {
    let seg = kit::segment();
    drop(queue(&seg));
    let (bare, _) = bare(&seg);
    let (start, _) = bare.object("queue");
    for at_byte in [0, 8, 16, 24] {
        // SAFETY: a word of the object, in the mapping.
        let word = unsafe { bare.base.add(start + at_byte).cast::<AtomicU64>().as_ref() };
        let old = word.load(Ordering::SeqCst);
        for value in [0, old + 1, old * 2, old << 40, u64::MAX] {
            word.store(value, Ordering::SeqCst);
            at.start(&seg, |seg| {
                let refused = seg.byte_queue("queue", CAPACITY, LONGEST).map(drop);
                assert_eq!(kind(refused), Err(ErrorKind::Corrupt));
            })
            .join();
        }
        word.store(old, Ordering::SeqCst);
    }
    queue(&seg).push(&[1]).expect("whole again");
}
