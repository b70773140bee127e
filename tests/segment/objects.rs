//! The directory as a user meets it.

use crate::support::fails;
use interproc::sync::{Mutex, OnceLock};
use interproc::{ErrorKind, Plain, Segment, Shared, TypeId};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

interproc::shared! {
    struct Shop {
        left: AtomicU32,
        sold: [AtomicU64; 3],
    }
}

fn shop(left: u32) -> Shop {
    Shop { left: AtomicU32::new(left), sold: [const { AtomicU64::new(0) }; 3] }
}

#[test]
fn an_object_is_made_once_and_found_by_every_mapping() {
    let seg = Segment::anonymous(4096).unwrap();
    let other = Segment::from_fd(seg.as_fd().try_clone_to_owned().unwrap()).unwrap();
    let made = seg.object("shop", || shop(3)).unwrap();
    let found = other.object("shop", || panic!("it is there already")).unwrap();
    let _: &Shop = &found;
    assert_ne!(&raw const *made, &raw const *found, "two mappings have two addresses");
    found.left.fetch_sub(1, Relaxed);
    found.sold[2].store(8, Relaxed);
    assert_eq!((made.left.load(Relaxed), made.sold[2].load(Relaxed)), (2, 8));
}

#[test]
fn a_mismatch_names_both_sides() {
    let seg = Segment::anonymous(4096).unwrap();
    seg.object("n", || AtomicU32::new(0)).unwrap();
    let both = [
        "\"n\" is an Object of 4 bytes aligned to 4, type 0x",
        "you asked for an Object of 8 bytes aligned to 8",
    ];
    fails(seg.object("n", || AtomicU64::new(0)), ErrorKind::TypeMismatch, &both);
    fails(seg.find::<AtomicU64>("n"), ErrorKind::TypeMismatch, &both);
    // Same size, another alignment.
    fails(seg.find::<[AtomicU8; 4]>("n"), ErrorKind::TypeMismatch, &["aligned to 1"]);
}

/// Types of one name, size and alignment.
mod other {
    use super::*;
    interproc::shared! { pub struct Account { pub lock: Mutex<u64> } }
}
interproc::shared! { struct Account { words: [AtomicU64; 3] } }
interproc::shared! { struct Pair<T: Plain + Send>(Mutex<T>, AtomicU64) }
mod again {
    use super::*;
    interproc::shared! { pub struct Pair<T: Plain + Send> { pub lock: Mutex<T>, pub count: AtomicU64 } }
}

#[test]
fn an_object_is_found_by_its_exact_type_only() {
    let seg = Segment::anonymous(1 << 16).unwrap();
    seg.object("account", || other::Account { lock: Mutex::new(1) }).unwrap();
    // A structure of the same name and size: its atomics would be the mutex' words.
    let e = seg.find::<Account>("account").map(drop).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TypeMismatch);
    fails(seg.object("account", || Account { words: Default::default() }), ErrorKind::TypeMismatch, &[]);

    seg.object("mutex", || Mutex::new(5u64)).unwrap();
    fails(seg.find::<[AtomicU64; 3]>("mutex"), ErrorKind::TypeMismatch, &[]);
    fails(seg.find::<Mutex<f64>>("mutex"), ErrorKind::TypeMismatch, &["type 0x"]);
    fails(seg.find::<Mutex<i64>>("mutex"), ErrorKind::TypeMismatch, &[]);
    fails(seg.find::<Mutex<[u64; 1]>>("mutex"), ErrorKind::TypeMismatch, &[]);
    fails(seg.find::<other::Account>("mutex"), ErrorKind::TypeMismatch, &[]);
    fails(seg.find_bytes("mutex"), ErrorKind::TypeMismatch, &[]);

    seg.object("value", OnceLock::<u64>::new).unwrap();
    fails(seg.find::<[AtomicU64; 4]>("value"), ErrorKind::TypeMismatch, &[]);
    fails(seg.find::<OnceLock<i64>>("value"), ErrorKind::TypeMismatch, &[]);

    // The bytes are not found as anything else.
    seg.bytes("bytes", 24, 8).unwrap();
    fails(seg.find::<Mutex<u64>>("bytes"), ErrorKind::TypeMismatch, &[]);
    fails(seg.find::<[AtomicU64; 3]>("bytes"), ErrorKind::TypeMismatch, &[]);
    fails(seg.find_slice::<AtomicU8>("bytes"), ErrorKind::TypeMismatch, &[]);
    fails(seg.bytes("bytes", 24, 4), ErrorKind::TypeMismatch, &[]);
    assert_eq!(seg.find_bytes("bytes").unwrap().len(), 24);
}

#[test]
fn queues_and_latest_values_are_found_by_their_exact_element_type_only() {
    let seg = Segment::anonymous(1 << 16).unwrap();
    seg.queue::<u64>("queue", 4).unwrap();
    let both = [
        "\"queue\" is a Queue of 8-byte elements x 4",
        ", type 0x",
        "you asked for a Queue of 8-byte elements",
    ];
    fails(seg.queue::<f64>("queue", 4), ErrorKind::TypeMismatch, &both);
    fails(seg.queue::<[u32; 2]>("queue", 4), ErrorKind::TypeMismatch, &both);
    seg.queue::<u64>("queue", 4).unwrap();

    drop(seg.spsc_producer::<u64>("spsc", 4).unwrap());
    fails(seg.spsc_producer::<f64>("spsc", 4), ErrorKind::TypeMismatch, &[", type 0x"]);
    fails(seg.spsc_consumer::<i64>("spsc", 4), ErrorKind::TypeMismatch, &[", type 0x"]);
    seg.spsc_consumer::<u64>("spsc", 4).unwrap();

    seg.latest("latest", 1u64).unwrap();
    fails(seg.latest("latest", 1f64), ErrorKind::TypeMismatch, &[", type 0x"]);
    fails(seg.latest_for("latest", 1i64, 4), ErrorKind::TypeMismatch, &[", type 0x"]);
    assert_eq!(seg.latest("latest", 2u64).unwrap().get(), Ok(1));

    // Those of bytes, as C makes them, are found as bytes only: then as any plain data, of which any bytes are a value.
    fails(seg.queue_of_bytes::<u64>("queue", 4), ErrorKind::TypeMismatch, &[", type 0x"]);
    fails(seg.spsc_producer_of_bytes::<u64>("spsc", 4), ErrorKind::TypeMismatch, &[]);
    fails(seg.spsc_consumer_of_bytes::<u64>("spsc", 4), ErrorKind::TypeMismatch, &[]);
    fails(seg.latest_of_bytes("latest", 1u64, 4), ErrorKind::TypeMismatch, &[]);
    seg.queue_of_bytes::<u64>("bytes", 4).unwrap().push(7).unwrap();
    assert_eq!(seg.queue_of_bytes::<[u32; 2]>("bytes", 4).unwrap().pop(), Ok([7, 0]));
    fails(seg.queue::<u64>("bytes", 4), ErrorKind::TypeMismatch, &[]);
    fails(seg.queue_of_bytes::<u32>("bytes", 4), ErrorKind::TypeMismatch, &[]);
    let mut p = seg.spsc_producer_of_bytes::<u64>("spsc of bytes", 4).unwrap();
    p.push(7).unwrap();
    assert_eq!(seg.spsc_consumer_of_bytes::<[u32; 2]>("spsc of bytes", 4).unwrap().pop(), Ok([7, 0]));
    fails(seg.spsc_consumer::<u64>("spsc of bytes", 4), ErrorKind::TypeMismatch, &[]);
    seg.latest_of_bytes("value of bytes", 7u64, 4).unwrap();
    assert_eq!(seg.latest_of_bytes("value of bytes", [1u32, 1], 4).unwrap().get(), Ok([7, 0]));
    fails(seg.latest("value of bytes", 7u64), ErrorKind::TypeMismatch, &[]);
}

#[test]
fn a_type_is_the_same_wherever_it_is_declared() {
    let seg = Segment::anonymous(4096).unwrap();
    let pair = seg.object("pair", || Pair(Mutex::new(1.5f64), AtomicU64::new(7))).unwrap();
    let found = seg.find::<again::Pair<f64>>("pair").unwrap();
    *found.lock.lock().unwrap() = 2.5;
    assert_eq!((*pair.0.lock().unwrap(), found.count.load(Relaxed)), (2.5, 7));
    fails(seg.find::<again::Pair<u64>>("pair"), ErrorKind::TypeMismatch, &[]);
    // Plain data goes by its name, whatever module it is in.
    mod here {
        #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
        #[repr(C)]
        pub struct Job(u64);
    }
    #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
    #[repr(C)]
    struct Job(u64);
    assert_eq!(TypeId::plain::<here::Job>(), TypeId::plain::<Job>());
    assert_eq!(TypeId::plain::<Job>(), TypeId::new("Job", 8, 8, &[]));
    assert_eq!(TypeId::plain::<[here::Job; 3]>(), TypeId::new("[Job; 3]", 24, 8, &[]));
}

#[test]
fn exactly_one_is_told_that_it_made_the_object() {
    let seg = Segment::anonymous(1 << 16).unwrap();
    for round in 0..50 {
        let name = format!("o{round}");
        let makers = std::thread::scope(|s| {
            let threads = [(); 4].map(|()| s.spawn(|| seg.object(&name, || AtomicU32::new(7)).unwrap()));
            let objects = threads.map(|t| t.join().unwrap());
            assert!(objects.iter().all(|o| o.load(Relaxed) == 7));
            objects.iter().filter(|o| o.is_new()).count()
        });
        assert_eq!(makers, 1);
        assert!(!seg.find::<AtomicU32>(&name).unwrap().is_new());
    }
}

#[test]
fn no_padding_gets_into_shared_memory() {
    interproc::shared! { struct Gaps { a: AtomicU8, b: AtomicU64, c: Mutex<u8>, d: [Inner; 2] } }
    interproc::shared! { struct Inner(AtomicU64, AtomicU8) }
    let seg = Segment::anonymous(1 << 16).unwrap();
    let name = format!("/interproc-test-{}-padding", std::process::id());
    let named = Segment::create(&name, 1 << 16).unwrap();
    for seg in [&seg, &named] {
        // In a place full of what must not be seen.
        let mut value = std::mem::MaybeUninit::<Gaps>::uninit();
        // SAFETY: bytes may be anything; then each field gets a value, and the gaps keep what was there.
        let value = unsafe {
            value.as_mut_ptr().write_bytes(0xa5, 1);
            let at = value.as_mut_ptr();
            (&raw mut (*at).a).write(AtomicU8::new(1));
            (&raw mut (*at).b).write(AtomicU64::new(2));
            let mutex = (&raw mut (*at).c).cast::<u8>();
            mutex.write_bytes(0, 16);
            mutex.add(16).write(3);
            for i in 0..2 {
                (&raw mut (*at).d[i].0).write(AtomicU64::new(4));
                (&raw mut (*at).d[i].1).write(AtomicU8::new(5));
            }
            value.assume_init()
        };
        seg.object("gaps", move || value).unwrap();
    }
    let look = Segment::open_read_only(&name).unwrap();
    let _ = Segment::unlink(&name);
    let bytes = look.read("gaps").unwrap();
    assert!(!bytes.contains(&0xa5), "{bytes:x?}");
    assert_eq!((bytes[0], bytes[8], bytes[32]), (1, 2, 3));
}

#[test]
fn objects_of_many_megabytes_are_made_in_place() {
    const WORDS: usize = 2 << 20;
    let seg = Segment::options().size(64 << 20).sparse(true).anonymous().unwrap();
    // A stack that holds none of them.
    let small = std::thread::Builder::new().stack_size(64 << 10);
    let made = small.spawn(move || {
        let table = seg.object_zeroed::<[AtomicU64; WORDS]>("table").unwrap();
        table[WORDS - 1].store(1, Relaxed);
        let slice = seg.slice::<AtomicU64>("slice", WORDS).unwrap();
        slice[WORDS - 1].store(2, Relaxed);
        // An array and a slice of its length are the same.
        assert_eq!(seg.find::<[AtomicU64; WORDS]>("slice").unwrap()[WORDS - 1].load(Relaxed), 2);
        assert_eq!(seg.find_slice::<AtomicU64>("table").unwrap().len(), WORDS);
        fails(seg.slice::<AtomicU64>("slice", WORDS - 1), ErrorKind::TypeMismatch, &[]);
        fails(seg.find_slice::<AtomicU32>("slice"), ErrorKind::TypeMismatch, &[]);
        fails(seg.slice::<AtomicU64>("none", 0), ErrorKind::InvalidInput, &["one byte"]);
        fails(seg.slice::<AtomicU64>("huge", usize::MAX / 4), ErrorKind::InvalidInput, &["elements"]);
        let locked = seg.object_zeroed::<Mutex<[u64; WORDS]>>("locked").unwrap();
        locked.lock().unwrap()[WORDS - 1] = 3;
        locked.lock().unwrap()[WORDS - 1]
    });
    assert_eq!(made.unwrap().join().unwrap(), 3);
}

#[test]
fn alignment_up_to_a_page_is_kept_and_beyond_refused() {
    macro_rules! aligned {
        ($name:ident, $align:literal) => {
            #[repr(C, align($align))]
            struct $name(AtomicU8);
            // SAFETY: repr(C) around an atomic; padding is never read.
            unsafe impl Shared for $name {}
        };
    }
    aligned!(A128, 128);
    aligned!(A4096, 4096);
    aligned!(A8192, 8192);
    let seg = Segment::anonymous(1 << 16).unwrap();
    for i in 0..3 {
        seg.object(&format!("small {i}"), || AtomicU8::new(0)).unwrap();
        let o = seg.object(&format!("line {i}"), || A128(AtomicU8::new(1))).unwrap();
        assert!((&raw const *o).is_aligned() && o.0.load(Relaxed) == 1);
        let o = seg.object(&format!("page {i}"), || A4096(AtomicU8::new(2))).unwrap();
        assert!((&raw const *o).is_aligned() && o.0.load(Relaxed) == 2);
    }
    fails(seg.object("more", || A8192(AtomicU8::new(0))), ErrorKind::InvalidInput, &["page size"]);
}

#[test]
fn an_object_without_bytes_or_with_a_bad_name_is_refused() {
    let seg = Segment::anonymous(4096).unwrap();
    fails(seg.object("empty", || -> [AtomicU32; 0] { [] }), ErrorKind::InvalidInput, &["one byte"]);
    for bad in ["", "nul\0", &"n".repeat(48)] {
        fails(seg.object(bad, || AtomicU32::new(0)), ErrorKind::InvalidInput, &["47"]);
        fails(seg.find::<AtomicU32>(bad), ErrorKind::InvalidInput, &[]);
    }
    seg.object(&"n".repeat(47), || AtomicU32::new(0)).unwrap();
}

#[test]
fn a_full_directory_and_a_full_payload_say_so_with_numbers() {
    let seg = Segment::options().size(4096).max_objects(2).anonymous().unwrap();
    for name in ["a", "b"] {
        seg.object(name, || AtomicU32::new(0)).unwrap();
    }
    fails(seg.object("c", || AtomicU32::new(0)), ErrorKind::SegmentFull, &["all 2 entries", "max_objects"]);
    seg.object("a", || AtomicU32::new(0)).unwrap();

    let seg = Segment::anonymous(4096).unwrap();
    seg.object("half", || [const { AtomicU64::new(0) }; 256]).unwrap();
    let all = ["\"more\"", "2056 bytes", "2048 of 4096"];
    fails(seg.object("more", || [const { AtomicU64::new(0) }; 257]), ErrorKind::SegmentFull, &all);
    seg.object("rest", || [const { AtomicU64::new(0) }; 256]).unwrap();
    fails(seg.object("one", || AtomicU8::new(0)), ErrorKind::SegmentFull, &["0 of 4096"]);
}

#[test]
fn the_first_value_may_itself_use_the_segment_or_panic() {
    let seg = Segment::anonymous(4096).unwrap();
    let outer = seg.object("outer", || {
        let inner = seg.object("inner", || AtomicU32::new(4)).unwrap();
        AtomicU32::new(inner.load(Relaxed) + 1)
    });
    assert_eq!(outer.unwrap().load(Relaxed), 5);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        seg.object("never", || -> AtomicU32 { std::panic::panic_any(()) }).map(drop)
    }));
    assert!(panicked.is_err());
    fails(seg.find::<AtomicU32>("never"), ErrorKind::NoObject, &[]);
    seg.object("next", || AtomicU32::new(0)).unwrap();
}

#[test]
fn threads_that_make_one_object_get_one_object() {
    let seg = Segment::anonymous(1 << 16).unwrap();
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                for i in 0..40 {
                    seg.object(&format!("o{i}"), || AtomicU32::new(0)).unwrap().fetch_add(1, Relaxed);
                }
            });
        }
    });
    for i in 0..40 {
        assert_eq!(seg.find::<AtomicU32>(&format!("o{i}")).unwrap().load(Relaxed), 4);
    }
}

#[test]
fn an_object_appears_whole_or_not_at_all_to_those_who_look_for_it() {
    const OBJECTS: usize = 400;
    let seg = Segment::options().size(64 * OBJECTS).max_objects(OBJECTS as u32).anonymous().unwrap();
    std::thread::scope(|s| {
        let seeker = s.spawn(|| {
            for i in 0..OBJECTS {
                let name = format!("o{i}");
                let found = loop {
                    match seg.find::<AtomicU64>(&name) {
                        Ok(found) => break found,
                        Err(e) => assert_eq!(e.kind(), ErrorKind::NoObject, "{e}"),
                    }
                };
                assert_eq!(found.load(Relaxed), 7, "{name}");
            }
        });
        for i in 0..OBJECTS {
            // So that both go on side by side.
            if i % 8 == 0 && !seeker.is_finished() {
                std::thread::yield_now();
            }
            seg.object(&format!("o{i}"), || AtomicU64::new(7)).unwrap();
        }
    });
}

#[test]
fn a_size_out_of_range_is_refused_with_the_range() {
    let seg = Segment::options().size(1 << 16).sparse(true).anonymous().unwrap();
    fails(seg.queue::<u64>("q", 0), ErrorKind::InvalidInput, &["1 to 2^24"]);
    fails(seg.queue::<u64>("q", (1 << 24) + 1), ErrorKind::InvalidInput, &["16777217", "1 to 2^24"]);
    fails(seg.queue::<[u64; 0]>("q", 4), ErrorKind::InvalidInput, &["at least 1 byte"]);
    fails(seg.queue::<u64>("q", 1 << 24), ErrorKind::SegmentFull, &[]);
    fails(seg.byte_queue("b", 0, 10), ErrorKind::InvalidInput, &["1 to 2^60"]);
    fails(seg.spsc_producer::<u64>("s", 0), ErrorKind::InvalidInput, &["1 to 2^40"]);
    fails(seg.byte_producer("l", usize::MAX, 1), ErrorKind::InvalidInput, &["up to 2^40 units"]);
    fails(seg.latest_for("l", 0u64, 251), ErrorKind::InvalidInput, &["up to 250 readers"]);
    fails(seg.barrier("r", 0), ErrorKind::InvalidInput, &["from 1 to 2^20"]);
}
