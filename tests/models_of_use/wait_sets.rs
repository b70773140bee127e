//! A wait set: what is ready is a question about each of its sources, whoever has changed them, and from where.

use crate::drive::{Answer, Home, Modelled, NOTHING, User, answer, pick};
use interproc::queue::{Queue, WorkOptions, WorkQueue};
use interproc::sync::{Event, Semaphore};
use interproc::waitset::{Key, WaitSet};
use interproc::{Deadline, ErrorKind, Object, Segment};
use proptest::prelude::*;

/// A thing to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    Message,
    Room,
    Job,
    RoomForAJob,
    Posted,
    Set,
}

#[derive(Clone, Debug)]
pub enum Op {
    Push,
    Pop,
    Close,
    Put,
    Work,
    Post,
    Acquire,
    Set,
    Clear,
    Add(Thing),
    Remove(u8),
    /// Without waiting, or until now.
    Look(bool),
    Descriptor,
}

struct Things {
    queue: Queue<u64>,
    jobs: WorkQueue<u64>,
    semaphore: Object<Semaphore>,
    event: Object<Event>,
}

pub struct InUse {
    /// Dropped before what it borrows.
    set: WaitSet<'static>,
    keys: Vec<(Key, Thing)>,
    things: Home<Things>,
}

#[derive(Clone)]
pub struct Model {
    room: usize,
    messages: usize,
    closed: bool,
    jobs: usize,
    value: u64,
    set: bool,
    /// Of each user.
    sources: Vec<(User, Thing)>,
}

impl Model {
    fn is_ready(&self, thing: Thing) -> bool {
        match thing {
            Thing::Message => self.messages > 0 || self.closed,
            Thing::Room => self.messages < self.room || self.closed,
            Thing::Job => self.jobs > 0,
            Thing::RoomForAJob => self.jobs < self.room,
            Thing::Posted => self.value > 0,
            Thing::Set => self.set,
        }
    }

    fn nth(&self, user: User, n: u8) -> Option<usize> {
        let own: Vec<usize> = (0..self.sources.len()).filter(|&at| self.sources[at].0 == user).collect();
        pick(&own, n).map(|at| own[at])
    }
}

impl Modelled for InUse {
    type Shape = usize;
    type Op = Op;
    type Model = Model;

    fn shapes() -> BoxedStrategy<usize> {
        (1..4usize).boxed()
    }

    fn ops() -> BoxedStrategy<Op> {
        let things = prop_oneof![
            Just(Thing::Message),
            Just(Thing::Room),
            Just(Thing::Job),
            Just(Thing::RoomForAJob),
            Just(Thing::Posted),
            Just(Thing::Set)
        ];
        prop_oneof![
            20 => prop_oneof![
                Just(Op::Push), Just(Op::Pop), Just(Op::Put), Just(Op::Work), Just(Op::Post), Just(Op::Acquire),
                Just(Op::Set), Just(Op::Clear)
            ],
            6 => things.prop_map(Op::Add),
            1 => any::<u8>().prop_map(Op::Remove),
            12 => any::<bool>().prop_map(Op::Look),
            1 => prop_oneof![2 => Just(Op::Descriptor), 1 => Just(Op::Close)],
        ]
        .boxed()
    }

    fn open(seg: &Segment, &room: &usize) -> Self {
        let things = Things {
            queue: seg.queue("queue", room).expect("room in the segment"),
            jobs: seg.work_queue("jobs", WorkOptions::new(room)).expect("room in the segment"),
            semaphore: seg.object("semaphore", || Semaphore::new(0)).expect("room in the segment"),
            event: seg.object("event", Event::new).expect("room in the segment"),
        };
        InUse { set: WaitSet::new(), keys: Vec::new(), things: Home::new(things) }
    }

    fn apply(&mut self, op: &Op) -> Answer {
        let things = self.things.get();
        let done = |()| vec![];
        match *op {
            Op::Push => answer(things.queue.try_push(1), done),
            Op::Pop => answer(things.queue.try_pop(), |_| vec![]),
            Op::Close => answer(things.queue.close(), done),
            Op::Put => answer(things.jobs.try_put(1), |_| vec![]),
            Op::Work => answer(things.jobs.try_take().and_then(|job| job.done()), |_| vec![]),
            Op::Post => answer(things.semaphore.post(), done),
            Op::Acquire => answer(things.semaphore.try_acquire(), done),
            Op::Set => {
                things.event.set();
                NOTHING
            }
            Op::Clear => {
                things.event.clear();
                NOTHING
            }
            Op::Add(thing) => {
                let source = match thing {
                    Thing::Message => things.queue.when_readable(),
                    Thing::Room => things.queue.when_writable(),
                    Thing::Job => things.jobs.when_readable(),
                    Thing::RoomForAJob => things.jobs.when_writable(),
                    Thing::Posted => things.semaphore.when_available(),
                    Thing::Set => things.event.when_set(),
                };
                answer(self.set.add(source), |key| {
                    self.keys.push((key, thing));
                    vec![]
                })
            }
            Op::Remove(n) => {
                let removed = pick(&self.keys, n).map(|n| self.set.remove(self.keys.remove(n).0));
                Ok(removed.into_iter().map(u64::from).collect())
            }
            Op::Look(now) => {
                let ready = if now { self.set.try_wait() } else { self.set.wait_until(Deadline::now()) };
                answer(ready, |ready| {
                    let thing = |key| self.keys.iter().find(|(known, _)| *known == key).expect("its own").1;
                    let mut things: Vec<u64> = ready.iter().map(|&key| thing(key) as u64).collect();
                    things.sort_unstable();
                    things
                })
            }
            Op::Descriptor => answer(self.set.descriptor(), |_| vec![]),
        }
    }

    fn model(&room: &usize) -> Model {
        Model { room, messages: 0, closed: false, jobs: 0, value: 0, set: false, sources: Vec::new() }
    }

    fn expect(m: &mut Model, user: User, op: &Op, _: &Answer) -> Answer {
        let less = |n: &mut usize, kind| match *n {
            0 => Err(kind),
            _ => {
                *n -= 1;
                NOTHING
            }
        };
        match *op {
            Op::Push if m.closed => Err(ErrorKind::Closed),
            Op::Push if m.messages == m.room => Err(ErrorKind::Full),
            Op::Push => {
                m.messages += 1;
                NOTHING
            }
            Op::Pop => less(&mut m.messages, if m.closed { ErrorKind::Closed } else { ErrorKind::Empty }),
            Op::Close => {
                m.closed = true;
                NOTHING
            }
            Op::Put if m.jobs == m.room => Err(ErrorKind::Full),
            Op::Put => {
                m.jobs += 1;
                NOTHING
            }
            Op::Work => less(&mut m.jobs, ErrorKind::Empty),
            Op::Post => {
                m.value += 1;
                NOTHING
            }
            Op::Acquire if m.value == 0 => Err(ErrorKind::WouldBlock),
            Op::Acquire => {
                m.value -= 1;
                NOTHING
            }
            Op::Set | Op::Clear => {
                m.set = matches!(op, Op::Set);
                NOTHING
            }
            Op::Add(thing) => {
                m.sources.push((user, thing));
                NOTHING
            }
            Op::Remove(n) => match m.nth(user, n) {
                Some(at) => {
                    m.sources.remove(at);
                    Ok(vec![1])
                }
                None => NOTHING,
            },
            Op::Look(now) => {
                let own = m.sources.iter().filter(|(whose, thing)| *whose == user && m.is_ready(*thing));
                let mut ready: Vec<u64> = own.map(|(_, thing)| *thing as u64).collect();
                ready.sort_unstable();
                if ready.is_empty() && !now { Err(ErrorKind::TimedOut) } else { Ok(ready) }
            }
            Op::Descriptor => NOTHING,
        }
    }

    fn leaves(m: &mut Model, user: User) {
        m.sources.retain(|(whose, _)| *whose != user);
    }
}
