//! Which object is decoded by which function.
//!
//! **A new type** is one row here, and one function over copied bytes beside the type: see `crate::view`. It is
//! tried on scribbled bytes by the test below without another line.

use super::snapshot::ObjectInfo;
use crate::format::Kind;
use crate::view::{Look, State};
use crate::{queue, sync};

/// How to read an object.
pub(super) struct Decoder {
    kind: Kind,
    /// 0 where the kind says it all.
    type_id: u32,
    /// The type's name, for people.
    pub name: &'static str,
    /// `None`: the bytes make no sense.
    pub decode: fn(&Look<'_>) -> Option<State>,
}

const fn object(type_id: &[u8; 4], name: &'static str, decode: fn(&Look<'_>) -> Option<State>) -> Decoder {
    Decoder { kind: Kind::Object, type_id: u32::from_le_bytes(*type_id), name, decode }
}

const fn placed(kind: Kind, name: &'static str, decode: fn(&Look<'_>) -> Option<State>) -> Decoder {
    Decoder { kind, type_id: 0, name, decode }
}

const DECODERS: &[Decoder] =
    &[object(b"Mutx", "Mutex", sync::view::mutex), placed(Kind::Queue, "Queue", queue::view::queue)];

/// The decoder of an object, if there is one.
pub(super) fn decoder(info: &ObjectInfo) -> Option<&'static Decoder> {
    DECODERS.iter().find(|d| d.kind as u32 == info.kind && (d.type_id == 0 || d.type_id == info.type_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::OwnerId;
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
        (d.decode)(&Look { size, params, read: &read, sleepers: &[0, 36, u64::MAX], lives: &lives })
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
                }
                let _ = decode(d, &bytes, size, params);
                let _ = decode(d, &[], size, params);
            }
        }
    }

    #[test]
    fn a_mutex_says_who_holds_it_and_how() {
        let mutex = &DECODERS[0];
        let of = |word: u64| decode(mutex, &[word, 0], 16, [0; 2]);
        let (alive, dead) = (OwnerId::new(3, 8), OwnerId::new(3, 7));
        assert_eq!(of(0), Some(State::new("free")));
        assert_eq!(of(alive.bits() | 1 << 63), Some(State::new("held").with([alive], "holds")));
        assert_eq!(of(alive.bits() | 1 << 62).map(|s| s.text), Some("held, being repaired"));
        assert_eq!(of(dead.bits()).map(|s| s.text), Some("its holder died"));
        assert_eq!(of(1 << 61).map(|s| s.text), Some("not recoverable"));
        assert_eq!(of(1 << 40), None, "a word that nobody writes");
        assert_eq!(decode(mutex, &[0], 4, [0; 2]), None, "too small");
    }
}
