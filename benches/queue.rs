//! The queue beside crossbeam's between threads, under criterion: `cargo bench --bench queue`.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use support::compare;
use support::machine::Alone;
use support::queues::{Array, Ours, cache_line, ping_pong, push_pop, stream};

fn queues(c: &mut Criterion) {
    let _alone = Alone::take();
    support::machine::pin(0);
    compare(
        c,
        "queue/push+pop 8 B",
        vec![("interproc", push_pop::<1, Ours<1>>()), ("ArrayQueue", push_pop::<1, Array<1>>())],
    );
    compare(
        c,
        "queue/push+pop 64 B",
        vec![("interproc", push_pop::<8, Ours<8>>()), ("ArrayQueue", push_pop::<8, Array<8>>())],
    );
    for (name, processors) in [("1P1C", &[0, 1][..]), ("2P2C", &[0, 1, 0, 1][..])] {
        compare(
            c,
            &format!("queue/{name} 8 B"),
            vec![
                ("interproc", stream::<1, Ours<1>>(processors)),
                ("ArrayQueue (threads)", stream::<1, Array<1>>(processors)),
            ],
        );
        compare(
            c,
            &format!("queue/{name} 64 B"),
            vec![
                ("interproc", stream::<8, Ours<8>>(processors)),
                ("ArrayQueue (threads)", stream::<8, Array<8>>(processors)),
            ],
        );
    }
    compare(
        c,
        "queue/ping-pong, one way",
        vec![
            ("cache line", cache_line()),
            ("interproc 8 B", ping_pong::<1, Ours<1>>()),
            ("interproc 64 B", ping_pong::<8, Ours<8>>()),
            ("ArrayQueue 8 B (threads)", ping_pong::<1, Array<1>>()),
            ("ArrayQueue 64 B (threads)", ping_pong::<8, Array<8>>()),
        ],
    );
}

criterion_group!(benches, queues);
criterion_main!(benches);
