//! What only Spsc has: batches and chunks, elements of any size, and what somebody may write over it.

use crate::channel::kind;
use crate::kit::{self, Bare, LONG, await_word, board, raise};
use crate::news::Touches;
use crate::place::{Place, await_asleep, say_where};
use interproc::queue::spsc::{Consumer, Producer};
use interproc::{Deadline, ErrorKind, Segment, Wait};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn producer(seg: &Segment, capacity: usize) -> Producer<u64> {
    seg.spsc_producer("spsc", capacity).expect("the producer's seat")
}

fn consumer(seg: &Segment, capacity: usize) -> Consumer<u64> {
    seg.spsc_consumer("spsc", capacity).expect("the consumer's seat")
}

pub fn batches_and_chunks_keep_the_order_whatever_their_size(at: Place) {
    for capacity in [1, 5, 16] {
        // Two who wait for more than the capacity together would wait for each other.
        let half = (capacity / 2).max(1);
        const COUNT: u64 = 2_000;
        let seg = kit::segment();
        let sends = at.start(&seg, move |seg| {
            let mut p = producer(seg, capacity);
            let mut next = 0;
            while next < COUNT {
                let n = (next % 7 + 1).min(COUNT - next);
                match next % 4 {
                    0 => p.push_batch(&Vec::from_iter(next..next + n)).expect("push"),
                    1 => {
                        let n = p.try_push_batch(&Vec::from_iter(next..next + n)).unwrap_or(0);
                        next += n as u64;
                        continue;
                    }
                    2 => {
                        let n = n.min(half as u64);
                        let chunk = p.reserve_uninit(n as usize).expect("room");
                        assert_eq!(
                            chunk.fill_from_iter(next..next + n).map_err(|e| e.kind()),
                            Ok(n as usize)
                        );
                        next += n;
                        continue;
                    }
                    _ => {
                        let n = n.min(half as u64);
                        let mut chunk = p.reserve(n as usize).expect("room");
                        let (a, b) = chunk.as_mut_slices();
                        a.iter_mut().chain(b).zip(next..).for_each(|(slot, value)| *slot = value);
                        // Only a part of it.
                        let part = (n as usize).div_ceil(2);
                        chunk.commit(part).expect("open");
                        next += part as u64;
                        continue;
                    }
                }
                next += n;
            }
            p.close().expect("close");
        });
        let receives = at.start(&seg, move |seg| {
            let mut c = consumer(seg, capacity);
            let mut next = 0;
            while next < COUNT {
                match next % 3 {
                    0 => {
                        let mut into = [0; 9];
                        let n = c.pop_batch(&mut into).expect("some");
                        assert!(into[..n].iter().copied().eq(next..next + n as u64));
                        next += n as u64;
                    }
                    1 => {
                        let chunk = c.borrow(3.min(half)).expect("some");
                        let got: Vec<u64> = [chunk.as_slices().0, chunk.as_slices().1].concat();
                        assert!(got.iter().copied().eq(next..next + got.len() as u64));
                        let part = got.len().div_ceil(2);
                        chunk.release(part).expect("not more than there are");
                        next += part as u64;
                    }
                    _ => {
                        let mut taken = 0;
                        for value in c.borrow(2.min(half)).expect("some").into_iter().take(1) {
                            assert_eq!(value, next);
                            taken += 1;
                        }
                        next += taken;
                    }
                }
            }
            assert_eq!(kind(c.pop_batch(&mut [0; 3])), Err(ErrorKind::Closed));
        });
        sends.join();
        receives.join();
    }
}

pub fn a_batch_or_a_chunk_takes_what_there_is(at: Place) {
    for capacity in [1, 3] {
        let seg = kit::segment();
        at.start(&seg, move |seg| {
            let (mut p, mut c) = (producer(seg, capacity), consumer(seg, capacity));
            assert_eq!(kind(c.peek().map(drop)), Err(ErrorKind::Empty));
            assert_eq!(kind(c.try_pop_batch(&mut [0; 4])), Err(ErrorKind::Empty));
            assert_eq!(kind(p.try_push_batch(&[1, 2, 3, 4])), Ok(capacity));
            assert_eq!(kind(p.try_push_batch(&[1, 2])), Err(ErrorKind::Full));
            assert_eq!(kind(p.try_reserve(capacity + 1).map(drop)), Err(ErrorKind::InvalidInput));
            assert_eq!(kind(c.peek().copied()), Ok(1));
            assert_eq!(kind(c.try_pop_batch(&mut [0; 4])), Ok(capacity));
            p.publish_every(1000);
            p.push(1).expect("room");
            assert_eq!((p.len(), p.unpublished()), (0, 1));
            p.flush().expect("open");
            assert_eq!((p.len(), p.unpublished()), (1, 0));
            c.close().expect("close");
            // As many as were asked for will not come.
            let chunk = c.borrow(capacity).expect("what is there");
            assert_eq!(chunk.len(), 1);
            // More than there are: none is taken.
            assert_eq!(kind(chunk.release(2)), Err(ErrorKind::TooLarge));
            assert_eq!(kind(c.borrow(1).expect("still there").release(1)), Ok(()));
        })
        .join();
    }
}

pub fn a_push_that_is_not_published_may_be_delivered_when_the_close_comes(at: Place) {
    for _ in 0..30 {
        let seg = kit::segment();
        let words = board();
        let sends = at.start(&seg, move |seg| {
            let mut p = producer(seg, 4);
            p.publish_every(2);
            raise(&words[0]);
            let mut sure = 0;
            loop {
                let before = sure + p.unpublished() as u64;
                match p.push_timeout(before, LONG) {
                    Ok(()) => sure = before + 1 - p.unpublished() as u64,
                    Err(e) => {
                        assert_eq!(e.kind(), ErrorKind::Closed);
                        // What was not published may have got in before the wait that was refused.
                        words[2].store(before, Ordering::SeqCst);
                        break;
                    }
                }
            }
            words[1].store(sure, Ordering::SeqCst);
        });
        await_word(&words[0], 1);
        let mut c = consumer(&seg, 4);
        (0..5).for_each(|i| assert_eq!(c.pop().expect("open"), i));
        c.close().expect("close");
        let delivered = 5 + c.iter().count() as u64;
        sends.join();
        let [sure, tried] = [1, 2].map(|at: usize| words[at].load(Ordering::SeqCst));
        assert!((sure..=tried).contains(&delivered), "{sure}..={tried} acknowledged, {delivered} delivered");
        assert_eq!(kind(c.pop()), Err(ErrorKind::Closed));
    }
}

pub fn a_chunk_of_the_dead_comes_again_and_tells_how_much_of_it(at: Place) {
    let seg = kit::segment();
    let mut p = producer(&seg, 8);
    p.push_batch(&[1, 2, 3, 4, 5]).expect("room");
    at.start(&seg, move |seg| {
        let mut c = consumer(seg, 8);
        c.free_every(4).expect("seated");
        assert_eq!((c.pop().expect("1"), c.pop().expect("2")), (1, 2));
        at.die();
    })
    .gone();
    // The next one reads one of them and dies over a chunk.
    at.start(&seg, move |seg| {
        let mut c = consumer(seg, 8);
        let first = c.pop_delivery().expect("1");
        assert!(first.value == 1 && first.redelivered);
        let chunk = c.borrow(2).expect("two");
        assert_eq!(chunk.redelivered(), 2, "the first one may have read so many");
        at.die();
    })
    .gone();
    let mut c = consumer(&seg, 8);
    let chunk = c.borrow(4).expect("four");
    assert_eq!((chunk.as_slices().0, chunk.redelivered()), (&[2, 3, 4, 5][..], 3));
    drop(chunk);
    let batch = c.pop_batch_delivery(&mut [0; 8], Wait::Never).expect("the same");
    assert_eq!((batch.count, batch.redelivered), (4, 3));
}

pub fn a_forked_childs_chunks_are_its_parents(at: Place) {
    if at != Place::Processes {
        return;
    }
    for raw in [false, true] {
        let seg = kit::segment();
        let (mut p, mut c) = (producer(&seg, 4), consumer(&seg, 4));
        p.push_batch(&[7, 8]).expect("room");
        let mut chunk = Some(c.borrow(2).expect("two"));
        kit::child(raw, || {
            let values: Vec<u64> = chunk.take().expect("the child's copy").into_iter().collect();
            assert_eq!(values, [7, 8]);
        })
        .join();
        drop(chunk);
        assert_eq!((c.pop().expect("7"), c.pop().expect("8")), (7, 8));
    }
}

pub fn what_a_panic_drops_of_a_chunk_by_value_comes_again(at: Place) {
    let seg = kit::segment();
    producer(&seg, 4).push_batch(&[1, 2, 3]).expect("room");
    let read = |seg: &Segment, each: &mut dyn FnMut(u64, bool)| {
        let mut c = consumer(seg, 4);
        let Ok(chunk) = c.try_borrow(3) else { return };
        let again = chunk.redelivered();
        chunk.into_iter().enumerate().for_each(|(n, value)| each(value, n < again));
    };
    at.start(&seg, move |seg| {
        let panics = || read(seg, &mut |_, _| panic!("over a message"));
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    })
    .join();
    let mut got = Vec::new();
    read(&seg, &mut |value, again| got.push((value, again)));
    assert_eq!(got, [(1, true), (2, true), (3, true)]);
    // Done, by who was not interrupted.
    producer(&seg, 4).push_batch(&[1, 2, 3]).expect("room");
    at.start(&seg, move |seg| {
        let panics = || {
            let _reads = Touches(|| read(seg, &mut |_, _| ()));
            panic!("elsewhere");
        };
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    })
    .join();
    read(&seg, &mut |value, _| unreachable!("{value} again"));
}

pub fn scribbled_counts_and_seats_are_errors_never_a_crash(at: Place) {
    let seg = kit::segment();
    drop((producer(&seg, 4), consumer(&seg, 4)));
    let bare = Bare::new(&seg);
    let (start, _) = bare.object("spsc");
    let word = |at: usize| -> &AtomicU64 {
        // SAFETY: inside the object; aligned.
        unsafe { bare.base.add(start + at).cast().as_ref() }
    };
    const WORDS: [usize; 9] = [24, 32, 40, 128, 136, 144, 256, 264, 280];
    const VALUES: [u64; 10] = [0, 1, 3, 4, 5, 1 << 40, u64::MAX, u64::MAX - 3, 1 << 63, (1 << 62) | 4];
    let run = move |seg: &Segment, value: u64| {
        let soon = || Deadline::after(Duration::from_millis(3));
        let before = kit::gettid();
        if let (Ok(mut p), Ok(mut c)) =
            (seg.spsc_producer::<u64>("spsc", 4), seg.spsc_consumer::<u64>("spsc", 4))
        {
            p.publish_every((value % 7) as usize);
            let _ = c.free_every((value % 5) as usize);
            for i in 0..6 {
                let _ = p.push_until(i, soon());
                let _ = p.try_push_batch(&[1, 2, 3, 4, 5]);
                let _ = p.try_reserve(3).map(|chunk| chunk.fill_from_iter(0..));
                let _ = c.pop_until(soon());
                let _ = c.try_pop_batch(&mut [0; 5]);
                let _ = c.try_borrow(3).map(|chunk| chunk.into_iter().count());
                let _ = (p.len(), c.len(), p.peak(), p.is_full(), c.is_empty(), c.try_iter().take(9).count());
            }
        }
        assert_eq!(before, kit::gettid());
    };
    for at_word in WORDS {
        for value in VALUES {
            let old = WORDS.map(|w| word(w).load(Ordering::SeqCst));
            word(at_word).store(value, Ordering::SeqCst);
            at.start(&seg, move |seg| run(seg, value)).join();
            WORDS.iter().zip(old).for_each(|(&w, old)| word(w).store(old, Ordering::SeqCst));
        }
    }
    // And while they are used.
    let words = board();
    let users = at.start(&seg, move |seg| {
        while words[0].load(Ordering::SeqCst) == 0 {
            run(seg, words[1].load(Ordering::SeqCst));
        }
    });
    for round in 0..4000_usize {
        let (w, v) = (WORDS[round % 9], VALUES[round / 9 % 10]);
        words[1].store(v, Ordering::SeqCst);
        word(w).store(v, Ordering::SeqCst);
        std::thread::yield_now();
    }
    // Whoever sleeps is woken by nobody but its deadline; a closed word ends it.
    raise(&words[0]);
    users.join();
}

pub fn a_queue_of_another_shape_is_refused_with_both_sides_named(_: Place) {
    let seg = kit::segment();
    drop(producer(&seg, 4));
    for refused in [
        seg.spsc_consumer::<u64>("spsc", 5).map(drop),
        seg.spsc_consumer::<u32>("spsc", 4).map(drop),
        seg.queue::<u64>("spsc", 4).map(drop),
    ] {
        let e = refused.expect_err("another shape");
        assert_eq!(e.kind(), ErrorKind::TypeMismatch);
        assert!(e.to_string().contains("\"spsc\" is an Spsc of 8-byte elements x 4"), "{e}");
    }
    assert_eq!(kind(seg.spsc_producer::<u64>("none", 0).map(drop)), Err(ErrorKind::InvalidInput));
    // And who has the seat.
    let seated = producer(&seg, 4);
    let refused = seg.spsc_producer::<u64>("spsc", 4).expect_err("held");
    let us = format!("thread {} of process {}", kit::gettid(), std::process::id());
    assert!(refused.to_string().contains(&us), "{refused}");
    drop(seated);
    // Any size and alignment up to 64.
    #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable, PartialEq, Debug)]
    #[repr(C, align(64))]
    struct Wide([u8; 64]);
    let mut p = seg.spsc_producer::<Wide>("wide", 3).expect("a seat");
    let mut c = seg.spsc_consumer::<Wide>("wide", 3).expect("a seat");
    p.push(Wide([7; 64])).expect("room");
    assert_eq!(std::ptr::from_ref(c.peek().expect("one")).addr() % 64, 0);
    assert_eq!(c.pop().expect("one"), Wide([7; 64]));
    let mut p = seg.spsc_producer::<[u8; 3]>("odd", 3).expect("a seat");
    let mut c = seg.spsc_consumer::<[u8; 3]>("odd", 3).expect("a seat");
    for n in 0..9 {
        p.push([n, n + 1, n + 2]).expect("room");
        assert_eq!(c.pop().expect("one"), [n, n + 1, n + 2]);
    }
}

pub fn it_can_be_looked_at(at: Place) {
    let name = format!("/interproc-test-spsc-{}-{at:?}", std::process::id());
    let seg = Segment::options().size(1 << 12).create(&name).expect("segment");
    let words = board();
    let mut p = producer(&seg, 4);
    p.push_batch(&[1, 2, 3]).expect("room");
    let waits = at.start(&seg, |seg| {
        let mut c = consumer(seg, 4);
        (1..=3).for_each(|i| assert_eq!(c.pop().expect("pop"), i));
        say_where(&words[0]);
        assert_eq!(kind(c.pop()), Err(ErrorKind::Closed));
    });
    await_asleep(&words[0]);
    let look = Segment::open_read_only(&name).expect("a look");
    Segment::unlink(&name).expect("unlink");
    let view = look.view().expect("readable");
    let object = view.objects.iter().find(|o| o.info.name == "spsc").expect("there");
    assert_eq!((object.type_name, object.state), (Some("Spsc"), Some("empty")));
    let fact = |name: &str| object.facts.iter().find(|f| f.0 == name).map(|f| f.1);
    assert_eq!((fact("depth"), fact("capacity"), fact("element bytes")), (Some(0), Some(4), Some(8)));
    assert_eq!((fact("consumers asleep"), fact("producers asleep")), (Some(1), Some(0)));
    let seats: Vec<_> = object.holders.iter().map(|h| (h.part, h.who.pid, h.who.tid)).collect();
    let consumer_at = words[0].load(Ordering::SeqCst);
    assert_eq!(
        seats,
        [
            ("produces", std::process::id(), kit::gettid() as u32),
            ("consumes", (consumer_at >> 32) as u32, consumer_at as u32)
        ]
    );
    p.close().expect("close");
    waits.join();
}
