//! The robust mutex beside its peers, under criterion: `cargo bench --bench mutex`.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use support::compare;
use support::locks::{Ours, ParkingLot, Pthread, Section, Std, contended, uncontended};
use support::machine::Alone;

fn locks(c: &mut Criterion) {
    let _alone = Alone::take();
    support::machine::pin(0);
    let mut sides = vec![
        ("interproc", uncontended::<Ours>()),
        ("parking_lot (threads)", uncontended::<ParkingLot>()),
        ("std (threads)", uncontended::<Std>()),
        ("pthread robust", uncontended::<Pthread>()),
    ];
    if let Some(library) = support::library::uncontended() {
        sides.push(("interproc from C", library));
    }
    compare(c, "mutex/uncontended", sides);
    for (name, section) in [("mutex/2 x 100 ns", Section::Work), ("mutex/2 x empty", Section::Empty)] {
        let sides = vec![
            ("interproc", contended::<Ours>(&[0, 1], section)),
            ("pthread robust", contended::<Pthread>(&[0, 1], section)),
            ("parking_lot (threads)", contended::<ParkingLot>(&[0, 1], section)),
            ("std (threads)", contended::<Std>(&[0, 1], section)),
        ];
        compare(c, name, sides);
    }
}

criterion_group!(benches, locks);
criterion_main!(benches);
