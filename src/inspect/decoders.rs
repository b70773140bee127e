//! Which function decodes which object.
//!
//! **A new type** takes one row here and one function over copied bytes beside the type: see `crate::decode`. The tests
//! below then try it on scribbled bytes without another line.

use crate::decode::{ObjectBytes, State};
use crate::format::Kind;
use crate::shared::TypeId;
use crate::shm::ObjectInfo;
use crate::{pipe, queue, sync};

/// `None`: the bytes make no sense.
type Decode = fn(&ObjectBytes<'_>) -> Option<State>;

/// How to read an object.
pub(super) struct Decoder {
    kind: Kind,
    /// The upper half of the type id, which depends on the name alone; 0 where the kind is enough.
    family: u32,
    /// The type's name, as it is shown.
    pub name: &'static str,
    pub decode: Decode,
}

const fn object(name: &'static str, decode: Decode) -> Decoder {
    Decoder { kind: Kind::Object, family: TypeId::family(name), name, decode }
}

const fn placed(kind: Kind, name: &'static str, decode: Decode) -> Decoder {
    Decoder { kind, family: 0, name, decode }
}

const fn pipe(type_id: u64, name: &'static str, decode: Decode) -> Decoder {
    Decoder { kind: Kind::Pipe, family: (type_id >> 32) as u32, name, decode }
}

const DECODERS: &[Decoder] = &[
    object("Mutex", sync::view::mutex),
    object("Condvar", sync::view::condvar),
    object("Event", sync::view::event),
    object("OnceLock", sync::view::once),
    object("Once", sync::view::once),
    object("RecursiveMutex", sync::view::recursive_mutex),
    object("RwLock", sync::view::rwlock),
    object("Semaphore", sync::view::semaphore),
    placed(Kind::Barrier, "Barrier", sync::view::barrier),
    placed(Kind::BoundedSemaphore, "BoundedSemaphore", sync::view::bounded_semaphore),
    placed(Kind::ByteSpsc, "ByteLane", queue::byte_lane::view::byte_lane),
    placed(Kind::Latest, "Latest", queue::latest_view::latest),
    placed(Kind::ByteQueue, "ByteQueue", queue::byte_queue::view::byte_queue),
    pipe(pipe::ONE_WAY, "Pipe, one way", pipe::view::pipe),
    pipe(pipe::TWO_WAYS, "Pipe", pipe::view::pipe),
    pipe(pipe::LISTENER, "pipe Listener", pipe::view::listener),
    placed(Kind::Queue, "Queue", queue::mpmc::view::queue),
    placed(Kind::Spsc, "Spsc", queue::lane::view::spsc),
    placed(Kind::Broadcast, "Broadcast", queue::broadcast::view::broadcast),
    placed(Kind::WorkQueue, "WorkQueue", queue::work::view::work_queue),
];

/// The decoder of an object, if there is one.
pub(super) fn decoder(info: &ObjectInfo) -> Option<&'static Decoder> {
    let family = (info.type_id >> 32) as u32;
    DECODERS.iter().find(|d| d.kind as u32 == info.kind && (d.family == 0 || d.family == family))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::OwnerId;
    use core::cell::Cell;
    use std::vec::Vec;

    /// xorshift64*, so that a failure can be repeated.
    fn random(state: &mut u64) -> u64 {
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn decode(d: &Decoder, bytes: &[u64], size: u64, params: [u64; 2]) -> Option<State> {
        let read = |at: u64| bytes.get(usize::try_from(at / 8).ok()?).copied();
        let lives = |id: OwnerId| id.generation().is_multiple_of(2);
        let holds = [(OwnerId::new(9, 2), 3)];
        (d.decode)(&ObjectBytes {
            size,
            params,
            read: &read,
            read_many: &|at, into| {
                into.iter_mut().zip(0..).try_for_each(|(word, n)| read(at + 8 * n).map(|read| *word = read))
            },
            sleepers: &[0, 36, u64::MAX],
            holds: &holds,
            lives: &lives,
            no_memory: Cell::new(false),
        })
    }

    #[test]
    fn every_decoder_ends_and_does_not_panic_whatever_the_bytes_are() {
        let mut seed = 0x5eed;
        for d in DECODERS {
            for round in 0..4000u32 {
                let words = 64 + random(&mut seed) as usize % 256;
                let mut bytes: Vec<u64> = (0..words)
                    .map(|_| match random(&mut seed) % 4 {
                        0 => 0,
                        1 => u64::MAX,
                        2 => 1 << (random(&mut seed) % 64),
                        _ => random(&mut seed),
                    })
                    .collect();
                let size = if round % 3 == 0 { random(&mut seed) } else { 8 * words as u64 };
                let mut params = [random(&mut seed), random(&mut seed)];
                if round % 2 == 0 {
                    // A queue's geometry that fits, so that the rest of it is looked at.
                    let (element, capacity) = (8, 1 + random(&mut seed) % 8);
                    params = [element, capacity];
                    bytes[..3].copy_from_slice(&[element, capacity, 32]);
                    if matches!(d.kind, Kind::ByteSpsc) {
                        (params, bytes[1]) = ([8 * capacity, 1], capacity);
                    } else if !matches!(d.kind, Kind::Queue) {
                        // A row that fits.
                        (params[0], bytes[0]) = (capacity, capacity);
                    }
                }
                let _ = decode(d, &bytes, size, params);
                let _ = decode(d, &[], size, params);
            }
        }
    }

    fn decoder_of(name: &str) -> &'static Decoder {
        DECODERS.iter().find(|d| d.name == name).expect("a type")
    }

    #[test]
    fn each_type_says_what_it_is_in() {
        let (alive, other, dead) = (OwnerId::new(3, 8), OwnerId::new(4, 6), OwnerId::new(3, 7));
        let (a, o, x) = (alive.bits(), other.bits(), dead.bits());
        let of = |name: &str, words: &[u64]| {
            decode(decoder_of(name), words, 8 * words.len() as u64, [3, 0]).map(|state| state.text)
        };
        let lock = |gate: u64, cell: u64| of("RwLock", &[gate, 0, cell, 0, 0, 0, 0, 0]);
        assert_eq!(lock(0, 0), Some("free"));
        assert_eq!(lock(0, a | 1 << 48), Some("read"));
        assert_eq!(lock(0, x | 1 << 48), Some("free"), "a dead reader is none");
        assert_eq!(lock(1 << 60, 0), Some("read"), "a hold in a slot");
        assert_eq!(lock(o | 1 << 58, a | 1 << 48), Some("read, a writer waits"));
        assert_eq!(lock(x | 1 << 58, a | 1 << 48), Some("read"));
        assert_eq!(lock(o, 0), Some("written"));
        assert_eq!(lock(o | 1 << 62, 0), Some("written, being repaired"));
        assert_eq!(lock(x, 0), Some("its writer died"));
        assert_eq!(lock(1 << 62, 0), Some("free, its writer died"));
        assert_eq!(lock(1 << 61, 0), Some("not recoverable"));
        assert_eq!(lock(1 << 40, 0), None);
        let state =
            decode(decoder_of("RwLock"), &[o | 1 << 58 | 1 << 60, 0, a | 2 << 48, 0, 0, 0, 0, 0], 64, [0; 2]);
        let hold = OwnerId::new(9, 2);
        let all = State::new("read, a writer waits").with([alive, hold], "reads").fact("reads", 5u32);
        assert_eq!(state, Some(all.with([other], "is next to write")));

        let deep = decode(decoder_of("RecursiveMutex"), &[a, 0, a | 3 << 48], 24, [0; 2]);
        assert_eq!(deep, Some(State::new("held").with([alive], "holds").fact("depth", 3u32)));
        assert_eq!(of("RecursiveMutex", &[0, 0, a | 3 << 48]), Some("free"));
        assert_eq!([0, 2].map(|n| of("Semaphore", &[n | 5 << 32, 0])), [Some("none left"), Some("open")]);
        assert_eq!([1, 8 << 32].map(|n| of("Event", &[n, 0])), [Some("set"), Some("not set")]);
        assert_eq!(of("Condvar", &[0, 0]), Some("waited for"), "there is a sleeper at 0");
        let once = |lock, state| of("Once", &[lock, 0, state]);
        assert_eq!([once(0, 0), once(0, 1), once(a, 2)], [Some("not done"), Some("given up"), Some("done")]);
        assert_eq!([once(a, 1), once(x, 1), once(a, 3)], [Some("being done"), Some("died at it"), None]);

        // Sixteen units, messages of up to 40 bytes.
        let mut lane = [0u64; 48 + 16];
        (lane[0], lane[1], lane[2], lane[7], lane[8], lane[16], lane[32]) = (8, 16, 40, a, x, 9, 4);
        let bytes = |lane: &[u64]| decode(decoder_of("ByteLane"), lane, 512, [128, 40]);
        let state = bytes(&lane).expect("a lane");
        assert_eq!((state.text, &*state.holders), ("open", &[(alive, "produces"), (dead, "consumed")][..]));
        assert_eq!(state.facts[..2], [("depth in bytes", 40), ("peak in bytes", 40)]);
        lane[16] = 20;
        assert_eq!(bytes(&lane).map(|state| state.text), Some("full"));
        lane[16] = 200;
        assert_eq!(
            bytes(&lane).map(|state| state.text),
            Some("full"),
            "the tail, read later, may be far ahead"
        );
        lane[16] = 9;
        lane[3] = 1 << 63;
        assert_eq!(bytes(&lane).map(|state| state.text), Some("closed"));
        // Sealed where the consumer is: what was published behind that is nobody's.
        lane[6] = 4 | 1 << 63;
        assert_eq!(bytes(&lane).map(|state| state.text), Some("closed and drained"));
        // Elements of a size that no ring has: no arithmetic with them.
        let huge = |name| decode(decoder_of(name), &[u64::MAX, 4, 0], 1 << 20, [u64::MAX, 4]);
        assert_eq!(
            [huge("Queue"), huge("Latest"), huge("ByteLane"), huge("Spsc"), huge("ByteQueue")],
            [const { None }; 5]
        );
        lane[32] = 10;
        assert_eq!(bytes(&lane), None, "more was freed than published");

        let row = |word: u64, lock: u64, cells: [u64; 3]| {
            let mut words = [0; 11];
            (words[0], words[1], words[2]) = (3, word, lock);
            words[8..].copy_from_slice(&cells);
            words
        };
        let permits = |cells| of("BoundedSemaphore", &row(0, 0, cells));
        assert_eq!(permits([0, x, 0]), Some("free"));
        assert_eq!(permits([a, x, a | 1 << 48]), Some("open"));
        assert_eq!(permits([a, o, a]), Some("none left"));
        let state = decode(decoder_of("BoundedSemaphore"), &row(0, o, [a, x, a]), 88, [3, 0]);
        let all = State::new("open").with([dead, alive], "holds").with([other], "is next");
        assert_eq!(state, Some(all.fact("permits", 3u32).fact("available", 1u32)));
        // The fifth round.
        let (round, here) = (5 << 32, 1 << 63 | 5 << 48);
        let seats = |cells| of("Barrier", &row(round, 0, cells));
        assert_eq!(seats([a | 1 << 63 | 4 << 48, o, 0]), Some("nobody has come"));
        assert_eq!(seats([a | here, o, 0]), Some("some have come"));
        assert_eq!(seats([a | here, x, 0]), Some("broken"));
        assert_eq!(of("Barrier", &row(round | 1 << 63, 0, [0; 3])), Some("broken"));
        assert_eq!(of("Barrier", &[4; 16]), None, "not what the directory says");
    }

    #[test]
    fn a_mutex_says_who_holds_it_and_how() {
        let mutex = decoder_of("Mutex");
        let of = |word: u64| decode(mutex, &[word, 0], 16, [0; 2]);
        let (alive, dead) = (OwnerId::new(3, 8), OwnerId::new(3, 7));
        assert_eq!(of(0), Some(State::new("free")));
        assert_eq!(of(alive.bits() | 1 << 63), Some(State::new("held").with([alive], "holds")));
        assert_eq!(of(alive.bits() | 1 << 62).map(|s| s.text), Some("held, being repaired"));
        assert_eq!(of(dead.bits()).map(|s| s.text), Some("its holder died"));
        assert_eq!(of(1 << 61).map(|s| s.text), Some("not recoverable"));
        assert_eq!(of(1 << 57).map(|s| s.text), Some("free"), "a condition is waited for under it");
        assert_eq!(of(1 << 40), None, "a word that nobody writes");
        assert_eq!(decode(mutex, &[0], 4, [0; 2]), None, "too small");
    }
}
