//! The specification of every channel of bytes.

use super::*;

pub fn every_length_goes_through_at_every_place_of_the_ring<C: Bytes + Meet>(at: Place) {
    for shape in [C::SMALL, *C::SHAPES.last().expect("some")] {
        let message = |round: usize, len: usize| (0..len).map(|i| (i + round) as u8).collect::<Vec<u8>>();
        let lengths =
            move || (0..9).flat_map(move |round| (0..=shape.longest).chain([0]).map(move |len| (round, len)));
        let seg = kit::segment();
        let (mut p, receives) = C::with_consumer(at, &seg, shape, move |mut c| {
            assert_eq!(C::longest(&c), shape.longest);
            for (round, len) in lengths() {
                let way = (round + len) % C::POPS;
                assert_eq!(C::pop_bytes_by(way, &mut c, Ever), Ok(message(round, len)), "way {way}");
            }
            assert_eq!(C::pop_bytes_by(0, &mut c, Ever), Err(ErrorKind::Closed));
        });
        for (round, len) in lengths() {
            C::push_bytes_by((2 * round + len) % C::PUSHES, &mut p, Ever, &message(round, len))
                .expect("push");
        }
        drop(C::close(p));
        receives.join();
    }
}

pub fn what_does_not_fit_is_refused_and_nothing_is_lost<C: Bytes + Meet>(at: Place) {
    let seg = kit::segment();
    let longest = C::SMALL.longest;
    let (mut c, sends) = C::with_producer(at, &seg, C::SMALL, move |mut p| {
        for len in [longest + 1, 512, 1024, 1 << 20] {
            for way in 0..C::PUSHES {
                for within in [Ever, Now, Time(LONG)] {
                    // A pipe sends it in pieces, where it may wait.
                    let in_pieces = way == 1 || way == 0 && !matches!(within, Now);
                    if in_pieces && std::any::type_name::<C>().ends_with("Pipe") {
                        continue;
                    }
                    let refused = C::push_bytes_by(way, &mut p, within, &vec![0; len]);
                    assert_eq!(refused, Err(ErrorKind::TooLarge), "{len} bytes, way {way}");
                }
            }
        }
        assert_eq!(C::reserve_and_commit(&mut p, 10, 11), Err(ErrorKind::TooLarge));
        assert!(C::producer_sees(&p).is_empty);
        let longest = vec![3; longest];
        for message in [&b"first"[..], b"", &longest] {
            C::push_bytes_by(0, &mut p, Ever, message).expect("room");
        }
    });
    sends.join();
    let mut small = [7; 4];
    for within in [Ever, Now, Time(Duration::ZERO)] {
        let e = C::pop_into(&mut c, within, &mut small).expect_err("too small");
        assert_eq!((e.kind(), e.needed()), (ErrorKind::TooLarge, Some(5)));
        assert!(e.to_string().contains("has 5 bytes"), "{e}");
    }
    assert_eq!(small, [7; 4], "nothing was written");
    let mut fits = [0; 5];
    assert_eq!(C::pop_into(&mut c, Ever, &mut fits).expect("it fits"), 5);
    assert_eq!(&fits, b"first");
    assert_eq!(C::pop_into(&mut c, Ever, &mut []).expect("an empty one"), 0);
    assert_eq!(C::pop_bytes_by(0, &mut c, Ever), Ok(vec![3; longest]));
    let e = C::pop_into(&mut c, Now, &mut fits).expect_err("nothing is there");
    assert!([ErrorKind::Empty, ErrorKind::Closed].contains(&e.kind()) && e.needed().is_none(), "{e}");
}
