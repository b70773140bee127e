//! Robust permits and the barrier beside their peers, under criterion: `cargo bench --bench permits`.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use support::compare;
use support::machine::{Alone, pin};
use support::permits::{OurBarrier, Ours, Posix, PthreadBarrier, SysV, rounds, uncontended};

fn permits(c: &mut Criterion) {
    let _alone = Alone::take();
    for (name, processors) in [("two processors", &[0, 1][..]), ("one processor", &[0, 0][..])] {
        let sides = vec![
            ("interproc", rounds::<OurBarrier>(processors)),
            ("pthread", rounds::<PthreadBarrier>(processors)),
        ];
        compare(c, &format!("barrier/a round of 2, {name}"), sides);
    }
    pin(0);
    let sides = vec![
        ("interproc", uncontended::<Ours>()),
        ("System V, SEM_UNDO", uncontended::<SysV>()),
        ("sem_t (not robust)", uncontended::<Posix>()),
    ];
    compare(c, "permits/uncontended", sides);
}

criterion_group!(benches, permits);
criterion_main!(benches);
