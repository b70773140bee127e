//! Hand-overs to whoever waits for several things: our wait sets, a queue's own pop, and eventfd in epoll.

use super::wakes::Baton;
use interproc::Segment;
use interproc::queue::Queue;
use interproc::waitset::WaitSet;
use std::os::fd::AsRawFd;
use std::sync::Mutex;

/// Two of our queues, each waited for in a set beside `IDLE` others. `EPOLL`: on the set's descriptor.
pub struct Set<const IDLE: usize, const EPOLL: bool> {
    queues: [Queue<u64>; 2],
    idle: Vec<Queue<u64>>,
    sets: [Mutex<Option<WaitSet<'static>>>; 2],
}

/// Sleeps until the descriptor is readable, as an event loop does.
fn poll(fd: i32) {
    let mut event = libc::epoll_event { events: 0, u64: 0 };
    // SAFETY: room for one event.
    assert_eq!(unsafe { libc::epoll_wait(fd, &raw mut event, 1, -1) }, 1);
}

impl<const IDLE: usize, const EPOLL: bool> Set<IDLE, EPOLL> {
    /// In the side's own process.
    fn open(&self, side: usize) -> WaitSet<'static> {
        let mut set = WaitSet::new();
        set.add(self.queues[side].when_readable()).expect("room");
        self.idle.iter().for_each(|queue| _ = set.add(queue.when_readable()).expect("room"));
        set
    }
}

impl<const IDLE: usize, const EPOLL: bool> Baton for Set<IDLE, EPOLL> {
    fn new() -> Self {
        let segment = Segment::options().size(1 << 20).max_objects(128).anonymous().expect("segment");
        let queue = |name: &str| segment.queue(name, 16).expect("queue");
        let idle = (0..IDLE).map(|n| queue(&format!("idle {n}"))).collect();
        Set { queues: ["there", "back"].map(queue), idle, sets: [const { Mutex::new(None) }; 2] }
    }
    fn give(&self, to: usize, i: u64) {
        self.queues[to].push(i).expect("push");
    }
    fn await_it(&self, side: usize, i: u64) {
        let mut set = self.sets[side].lock().expect("one thread");
        let set = set.get_or_insert_with(|| self.open(side));
        if EPOLL {
            let fd = set.descriptor().expect("descriptor").as_raw_fd();
            while set.try_wait().expect("sound").is_empty() {
                poll(fd);
            }
        } else {
            set.wait().expect("sound");
        }
        assert_eq!(self.queues[side].try_pop().expect("pop"), i);
    }
}

/// Two of eventfd, each in an epoll.
pub struct EventFd {
    events: [i32; 2],
    polls: [i32; 2],
}

impl Baton for EventFd {
    fn new() -> Self {
        // SAFETY: takes integers; an event that outlives the call.
        unsafe {
            let events = [(); 2].map(|()| libc::eventfd(0, libc::EFD_NONBLOCK));
            let polls = events.map(|event| {
                let poll = libc::epoll_create1(0);
                let mut interest = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
                assert_eq!(libc::epoll_ctl(poll, libc::EPOLL_CTL_ADD, event, &raw mut interest), 0);
                poll
            });
            EventFd { events, polls }
        }
    }
    fn give(&self, to: usize, i: u64) {
        // SAFETY: eight bytes.
        assert_eq!(unsafe { libc::write(self.events[to], (&raw const i).cast(), 8) }, 8);
    }
    fn await_it(&self, side: usize, i: u64) {
        poll(self.polls[side]);
        let mut came = 0u64;
        // SAFETY: eight bytes.
        assert_eq!(unsafe { libc::read(self.events[side], (&raw mut came).cast(), 8) }, 8);
        assert_eq!(came, i);
    }
}

impl Drop for EventFd {
    fn drop(&mut self) {
        for fd in self.events.into_iter().chain(self.polls) {
            // SAFETY: our descriptor.
            unsafe { libc::close(fd) };
        }
    }
}
