//! The robust reader-writer lock beside its peers, under criterion: `cargo bench --bench rwlock`.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use support::compare;
use support::machine::Alone;
use support::rwlocks::{Ours, OursUnbiased, ParkingLot, Pthread, reading, reading_together, writing};

fn locks(c: &mut Criterion) {
    let _alone = Alone::take();
    let sides = vec![
        ("interproc", reading_together::<Ours>()),
        ("interproc, no bias", reading_together::<OursUnbiased>()),
        ("pthread", reading_together::<Pthread>()),
        ("parking_lot (threads)", reading_together::<ParkingLot>()),
    ];
    compare(c, "rwlock/2 readers", sides);
    support::machine::pin(0);
    let sides = vec![
        ("interproc", reading::<Ours>()),
        ("interproc, no bias", reading::<OursUnbiased>()),
        ("pthread", reading::<Pthread>()),
        ("parking_lot (threads)", reading::<ParkingLot>()),
    ];
    compare(c, "rwlock/read", sides);
    let sides = vec![
        ("interproc", writing::<Ours>()),
        ("pthread", writing::<Pthread>()),
        ("parking_lot (threads)", writing::<ParkingLot>()),
    ];
    compare(c, "rwlock/write", sides);
}

criterion_group!(benches, locks);
criterion_main!(benches);
