//! Whatever bytes a segment's file holds, opening it gives a segment or an error, and so does a look at it.
#![no_main]

use arbitrary::Arbitrary;
use interproc::Segment;
use libfuzzer_sys::fuzz_target;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::AtomicU64;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    /// A real segment to begin with.
    real: bool,
    /// Its length, if it is cut.
    cut: Option<u16>,
    /// What is written over it, and where.
    writes: Vec<(u16, &'a [u8])>,
}

fuzz_target!(|input: Input<'_>| {
    let seg = Segment::options().size(4096).max_members(2).max_objects(4).anonymous().expect("a segment");
    seg.object("number", || AtomicU64::new(7)).expect("an object");
    let mut bytes = Vec::new();
    if input.real {
        let source = File::from(seg.as_fd().try_clone_to_owned().expect("a descriptor"));
        bytes.resize(source.metadata().expect("a length").len() as usize, 0);
        source.read_exact_at(&mut bytes, 0).expect("its bytes");
    }
    for (at, what) in input.writes {
        let at = usize::from(at) * 8;
        if bytes.len() < at + what.len() {
            bytes.resize(at + what.len(), 0);
        }
        bytes[at..at + what.len()].copy_from_slice(what);
    }
    if let Some(cut) = input.cut {
        bytes.truncate(usize::from(cut));
    }
    // By name: such a file is not sealed, and whoever may write to it may have written anything.
    let name = format!("/interproc-fuzz-{}", std::process::id());
    let path = format!("/dev/shm{name}");
    std::fs::write(&path, &bytes).expect("room");
    if let Ok(snapshot) = Segment::open_read_only(&name) {
        let _ = (snapshot.objects(), snapshot.members(), snapshot.view(), snapshot.deadlocks());
        let _ = (snapshot.read("number"), snapshot.is_in_use(), snapshot.is_retired());
    }
    let opened = Segment::open(&name);
    std::fs::remove_file(&path).expect("gone");
    if let Ok(opened) = opened {
        if let Ok(number) = opened.find::<AtomicU64>("number") {
            number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        if let Ok(queue) = opened.queue::<u64>("queue", 4) {
            let _ = queue.try_push(1);
            let _ = queue.try_pop();
        }
    }
});
