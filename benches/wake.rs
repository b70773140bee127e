//! Hand-overs that sleep, beside a bare futex, and recovery from a death, under criterion:
//! `cargo bench --bench wake`.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use support::deaths::{killer_inherits, waiter_inherits};
use support::machine::Alone;
use support::wakes::{Futex, Ours, asleep, tight};
use support::{compare, locks};

fn wakes(c: &mut Criterion) {
    let _alone = Alone::take();
    for (name, processors) in [("two processors", &[0, 1][..]), ("one processor", &[0, 0][..])] {
        compare(
            c,
            &format!("wake/asleep, {name}"),
            vec![("interproc", asleep::<Ours>(processors)), ("futex", asleep::<Futex>(processors))],
        );
        compare(
            c,
            &format!("wake/tight, {name}"),
            vec![("interproc", tight::<Ours>(processors)), ("futex", tight::<Futex>(processors))],
        );
    }
    compare(
        c,
        "death/a waiter inherits",
        vec![
            ("interproc", waiter_inherits::<locks::Ours, 1>()),
            ("pthread robust", waiter_inherits::<locks::Pthread, 1>()),
        ],
    );
    compare(
        c,
        "death/the killer inherits",
        vec![
            ("interproc", killer_inherits::<locks::Ours>()),
            ("pthread robust", killer_inherits::<locks::Pthread>()),
        ],
    );
}

criterion_group!(benches, wakes);
criterion_main!(benches);
