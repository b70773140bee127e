//! The broadcast: a row of messages, and subscribers with a place in it each.

use crate::drive::{Answer, Home, Modelled, NOTHING, User, answer, pick};
use interproc::queue::{Broadcast, BroadcastOptions, Since, Slow, Subscriber};
use interproc::{Deadline, ErrorKind, Segment, Wait};
use proptest::prelude::*;

#[derive(Clone, Debug)]
pub enum Op {
    Publish(u8),
    PublishNow(u8),
    InPlace(u8, bool),
    Alone(Vec<u8>),
    /// Waits or lags, since the last so many.
    Subscribe(bool, Option<u8>),
    Receive(u8),
    ReceiveNow(u8),
    Borrow(u8),
    Leave(u8),
    Lag(u8),
    Count,
    Published,
    Close,
}

pub struct InUse {
    mine: Vec<Subscriber<u64>>,
    broadcast: Home<Broadcast<u64>>,
}

#[derive(Clone, Debug)]
struct Seat {
    user: User,
    waits: bool,
    next: usize,
    /// Its holder is dead, and nobody has looked.
    dead: bool,
}

#[derive(Clone)]
pub struct Model {
    shape: (usize, usize),
    all: Vec<u64>,
    closed: bool,
    seats: Vec<Seat>,
}

impl Model {
    fn block(&self) -> usize {
        (self.shape.0 / 8).clamp(1, 64)
    }

    /// No message from here on was begun.
    fn claim(&self) -> usize {
        self.all.len().next_multiple_of(self.block())
    }

    /// The oldest one that is kept for certain, and the oldest that may be.
    fn oldest(&self) -> [usize; 2] {
        [self.all.len() + self.block(), self.all.len()].map(|end| end.saturating_sub(self.shape.0))
    }

    /// Who has no room: the slowest that is waited for.
    fn slowest(&self) -> Option<&Seat> {
        let waited = self.seats.iter().filter(|seat| seat.waits && !seat.dead);
        waited.filter(|seat| seat.next + self.shape.0 <= self.all.len()).min_by_key(|seat| seat.next)
    }

    fn publish(&mut self, value: u64, late: ErrorKind) -> Answer {
        if self.closed {
            return Err(ErrorKind::Closed);
        }
        if self.slowest().is_some() {
            return Err(late);
        }
        self.all.push(value);
        Ok(vec![self.all.len() as u64 - 1])
    }

    fn seat(&mut self, user: User, nth: u8) -> Option<usize> {
        let own: Vec<usize> =
            (0..self.seats.len()).filter(|&at| self.seats[at].user == user && !self.seats[at].dead).collect();
        pick(&own, nth).map(|at| own[at])
    }

    fn receive(&mut self, at: usize, late: ErrorKind, got: &Answer) -> Answer {
        let (end, oldest, claim) = (self.all.len(), self.oldest(), self.claim());
        let (all, closed) = (&self.all, self.closed);
        let seat = &mut self.seats[at];
        if seat.next == end {
            return Err(if closed { ErrorKind::Closed } else { late });
        }
        // One that lags may have been overtaken: by how much, it says.
        if !seat.waits
            && let Ok(told) = got
            && let [value, missed] = told[..]
            && missed > 0
        {
            let next = seat.next + missed as usize;
            let was_overtaken = seat.next < oldest[0] || seat.next + self.shape.0 < claim;
            if was_overtaken && next < end && next >= oldest[1] && all[next] == value {
                seat.next = next + 1;
                return got.clone();
            }
        }
        if !seat.waits && seat.next < oldest[1] {
            return Err(ErrorKind::Corrupt); // it cannot have it
        }
        seat.next += 1;
        Ok(vec![all[seat.next - 1], 0])
    }
}

fn told(received: interproc::Result<interproc::queue::News<u64>>) -> Answer {
    answer(received, |news| vec![news.value, news.missed])
}

impl Modelled for InUse {
    type Shape = (usize, usize);
    type Op = Op;
    type Model = Model;

    fn shapes() -> BoxedStrategy<Self::Shape> {
        (prop_oneof![2..6usize, Just(16usize), Just(40usize)], 1..5usize).boxed()
    }

    fn ops() -> BoxedStrategy<Op> {
        let publishes = prop_oneof![
            6 => any::<u8>().prop_map(Op::Publish),
            1 => any::<u8>().prop_map(Op::PublishNow),
            1 => (any::<u8>(), any::<bool>()).prop_map(|(value, commits)| Op::InPlace(value, commits)),
            1 => proptest::collection::vec(any::<u8>(), 0..9).prop_map(Op::Alone),
        ];
        prop_oneof![
            9 => publishes,
            3 => (any::<bool>(), proptest::option::of(0..20u8)).prop_map(|(waits, last)| Op::Subscribe(waits, last)),
            6 => any::<u8>().prop_map(Op::Receive),
            1 => any::<u8>().prop_map(Op::ReceiveNow),
            1 => any::<u8>().prop_map(Op::Borrow),
            2 => any::<u8>().prop_map(Op::Leave),
            1 => any::<u8>().prop_map(Op::Lag),
            1 => Just(Op::Count),
            1 => prop_oneof![6 => Just(Op::Published), 1 => Just(Op::Close)],
        ]
        .boxed()
    }

    fn concurrent(op: &Op) -> bool {
        // Several steps, or beside others an answer about a moment that is over.
        !matches!(op, Op::Alone(_) | Op::Count | Op::Lag(_))
    }

    fn open(seg: &Segment, &(capacity, seats): &Self::Shape) -> Self {
        let options = BroadcastOptions::new(capacity).subscribers(seats);
        let broadcast = seg.broadcast("news", options).expect("room in the segment");
        InUse { mine: Vec::new(), broadcast: Home::new(broadcast) }
    }

    fn apply(&mut self, op: &Op) -> Answer {
        let broadcast = self.broadcast.get();
        let number = |n: u64| vec![n];
        let nth = |mine: &Vec<_>, n| pick(mine, n);
        match op {
            &Op::Publish(value) => answer(broadcast.try_publish(u64::from(value)), number),
            &Op::PublishNow(value) => {
                answer(broadcast.publish_by(u64::from(value), Wait::Until(Deadline::now())), number)
            }
            &Op::InPlace(value, commits) => {
                let done = broadcast.reserve_one(Wait::Never).and_then(|mut place| {
                    *place = value.into();
                    if commits {
                        return place.commit();
                    }
                    place.abort();
                    Ok(())
                });
                answer(done, |()| vec![])
            }
            Op::Alone(values) => {
                let done = broadcast.publisher(Wait::Never).map(|mut publisher| {
                    values
                        .iter()
                        .take_while(|&&value| publisher.try_publish(u64::from(value)).is_ok())
                        .count()
                });
                answer(done, |count| vec![count as u64])
            }
            &Op::Subscribe(waits, last) => {
                let slow = if waits { Slow::Waits } else { Slow::Lags };
                let since = last.map_or(Since::Now, |n| Since::Last(n.into()));
                answer(broadcast.subscribe_since(slow, since), |subscriber| {
                    let position = subscriber.position();
                    self.mine.push(subscriber);
                    vec![position]
                })
            }
            &Op::Receive(n) => match nth(&self.mine, n) {
                Some(n) => told(self.mine[n].recv_news(Wait::Never)),
                None => NOTHING,
            },
            &Op::ReceiveNow(n) => match nth(&self.mine, n) {
                Some(n) => told(self.mine[n].recv_news(Wait::Until(Deadline::now()))),
                None => NOTHING,
            },
            &Op::Borrow(n) => match nth(&self.mine, n) {
                Some(n) => answer(self.mine[n].borrow_one(Wait::Never), |message| vec![*message, 0]),
                None => NOTHING,
            },
            &Op::Leave(n) => {
                nth(&self.mine, n).map(|n| self.mine.remove(n));
                NOTHING
            }
            &Op::Lag(n) => Ok(nth(&self.mine, n).map(|n| self.mine[n].lag()).into_iter().collect()),
            Op::Count => answer(broadcast.subscribers(), |n| vec![n as u64]),
            Op::Published => Ok(vec![broadcast.published()]),
            Op::Close => answer(broadcast.close(), |()| vec![]),
        }
    }

    fn model(&shape: &Self::Shape) -> Model {
        Model { shape, all: Vec::new(), closed: false, seats: Vec::new() }
    }

    fn expect(m: &mut Model, user: User, op: &Op, got: &Answer) -> Answer {
        match op {
            &Op::Publish(value) => m.publish(value.into(), ErrorKind::Full),
            &Op::PublishNow(value) => m.publish(value.into(), ErrorKind::TimedOut),
            &Op::InPlace(value, commits) => {
                let mut after = m.clone();
                let done = after.publish(value.into(), ErrorKind::Full).map(|_| vec![]);
                if commits {
                    *m = after;
                }
                done
            }
            Op::Alone(values) => {
                let count =
                    values.iter().take_while(|&&v| m.publish(v.into(), ErrorKind::Full).is_ok()).count();
                Ok(vec![count as u64])
            }
            &Op::Subscribe(waits, last) => {
                if m.seats.iter().filter(|seat| !seat.dead).count() == m.shape.1 {
                    return Err(ErrorKind::WouldBlock);
                }
                let end = m.all.len();
                let [most, least] = m.oldest().map(|oldest| match last {
                    None => end,
                    Some(n) => end.saturating_sub(n.into()).max(oldest).min(end),
                });
                let next = match got {
                    Ok(told) if (least..=most).contains(&(told[0] as usize)) => told[0] as usize,
                    _ => most,
                };
                m.seats.push(Seat { user, waits, next, dead: false });
                Ok(vec![next as u64])
            }
            &Op::Receive(n) => m.seat(user, n).map_or(NOTHING, |at| m.receive(at, ErrorKind::Empty, got)),
            &Op::ReceiveNow(n) => {
                m.seat(user, n).map_or(NOTHING, |at| m.receive(at, ErrorKind::TimedOut, got))
            }
            &Op::Borrow(n) => match m.seat(user, n) {
                None => NOTHING,
                Some(at) if !m.seats[at].waits => Err(ErrorKind::InvalidInput),
                Some(at) => m.receive(at, ErrorKind::Empty, got),
            },
            &Op::Leave(n) => {
                m.seat(user, n).map(|at| m.seats.remove(at));
                NOTHING
            }
            &Op::Lag(n) => {
                let lag = m.seat(user, n).map(|at| (m.all.len() - m.seats[at].next) as u64);
                Ok(lag.into_iter().collect())
            }
            Op::Count => Ok(vec![m.seats.iter().filter(|seat| !seat.dead).count() as u64]),
            Op::Published => Ok(vec![m.all.len() as u64]),
            Op::Close => {
                m.closed = true;
                NOTHING
            }
        }
    }

    fn leaves(m: &mut Model, user: User) {
        m.seats.retain(|seat| seat.user != user || seat.dead);
    }

    fn dies(m: &mut Model, user: User) {
        m.seats.iter_mut().filter(|seat| seat.user == user).for_each(|seat| seat.dead = true);
    }
}
