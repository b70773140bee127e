//! iceoryx2's publish-subscribe: each message is loaned, written where it will be read, and sent.
//!
//! Its services are for one publisher and one subscriber, without history and without overflow: a publisher retries until there is
//! room, as ours does.

use crate::way::{CAPACITY, Way, unique};
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::port::update_connections::UpdateConnections;
use iceoryx2::prelude::*;
use std::hint::spin_loop;
use std::path::PathBuf;

/// A pair of services that only its two sides know.
pub struct Iceoryx(String);

/// The node stands as long as its ports.
pub struct Ends<const W: usize> {
    publisher: Publisher<ipc::Service, [u64; W], ()>,
    subscriber: Subscriber<ipc::Service, [u64; W], ()>,
    _node: Node<ipc::Service>,
}

impl Iceoryx {
    fn root(&self) -> PathBuf {
        std::env::temp_dir().join(&self.0)
    }

    /// Its files lie where nobody else's do.
    fn config(&self) -> Config {
        let mut config = Config::default();
        let root = self.root();
        let root = Path::new(root.to_str().expect("text").as_bytes()).expect("a path");
        config.global.set_root_path(&root);
        config.global.prefix = FileName::new(self.0.as_bytes()).expect("a name");
        config
    }
}

impl<const W: usize> Way<W> for Iceoryx
where
    [u64; W]: ZeroCopySend,
{
    type Ends<'a> = Ends<W>;

    fn new() -> Self {
        let way = Iceoryx(unique("peers-iceoryx2"));
        std::fs::create_dir_all(way.root()).expect("a directory");
        way
    }

    fn ends(&self, side: usize) -> Ends<W> {
        set_log_level(LogLevel::Error);
        let node = NodeBuilder::new().config(&self.config()).create::<ipc::Service>().expect("a node");
        let service = |name: &str| {
            node.service_builder(&ServiceName::new(name).expect("a name"))
                .publish_subscribe::<[u64; W]>()
                .subscriber_max_buffer_size(CAPACITY)
                .subscriber_max_borrowed_samples(2)
                .enable_safe_overflow(false)
                .history_size(0)
                .max_publishers(1)
                .max_subscribers(1)
                .open_or_create()
                .expect("a service")
        };
        let names = ["there", "back"];
        let (mine, other) = (service(names[side]), service(names[1 - side]));
        let subscriber = other.subscriber_builder().buffer_size(CAPACITY).create().expect("a subscriber");
        let publisher = mine
            .publisher_builder()
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()
            .expect("a publisher");
        while mine.dynamic_config().number_of_subscribers() == 0
            || other.dynamic_config().number_of_publishers() == 0
        {
            std::thread::yield_now();
        }
        publisher.update_connections().expect("connected");
        subscriber.update_connections().expect("connected");
        Ends { publisher, subscriber, _node: node }
    }

    #[inline(always)]
    fn publish(ends: &mut Ends<W>, message: &[u64; W]) {
        let place = ends.publisher.loan_uninit().expect("a loan");
        let reached = place.write_payload(*message).send().expect("sent");
        assert_eq!(reached, 1, "subscribers");
    }

    #[inline(always)]
    fn receive(ends: &mut Ends<W>, mut each: impl FnMut(&[u64; W])) {
        loop {
            match ends.subscriber.receive().expect("connected") {
                Some(sample) => return each(sample.payload()),
                None => spin_loop(),
            }
        }
    }
}

impl Drop for Iceoryx {
    /// The sides have taken away what is theirs; what is left of a side that was killed goes too.
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.root());
        for file in std::fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            if file.file_name().to_string_lossy().starts_with(&self.0) {
                let _ = std::fs::remove_file(file.path());
            }
        }
    }
}
