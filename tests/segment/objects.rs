//! The directory as a user meets it.

use crate::support::fails;
use interproc::{ErrorKind, Segment, Shared};
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
    #[repr(C)]
    struct Tagged<const ID: u32>(AtomicU32);
    // SAFETY: repr(C) around an atomic.
    unsafe impl<const ID: u32> Shared for Tagged<ID> {
        const TYPE_ID: u32 = ID;
    }
    let seg = Segment::anonymous(4096).unwrap();
    seg.object("n", || AtomicU32::new(0)).unwrap();
    let both =
        ["\"n\" is an Object of 4 bytes aligned to 4", "you asked for an Object of 8 bytes aligned to 8"];
    fails(seg.object("n", || AtomicU64::new(0)), ErrorKind::TypeMismatch, &both);
    fails(seg.find::<AtomicU64>("n"), ErrorKind::TypeMismatch, &both);
    // Same size, another alignment.
    fails(seg.find::<[AtomicU8; 4]>("n"), ErrorKind::TypeMismatch, &["aligned to 1"]);
    // Type ids are compared when both sides have one.
    seg.object("t", || Tagged::<7>(AtomicU32::new(0))).unwrap();
    fails(seg.find::<Tagged<8>>("t"), ErrorKind::TypeMismatch, &["type 0x7", "type 0x8"]);
    seg.find::<AtomicU32>("t").unwrap();
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
