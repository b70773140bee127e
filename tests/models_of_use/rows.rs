//! A row of places in a ring: what the queue and the byte queue are alike in. A message is taken from the first place that has one, in
//! front of which nobody writes; a place is room again when it and all in front of it are done.
//!
//! Where a message of several granules comes to lie is the byte queue's own business, so the model says only when there
//! must be room (an empty ring, or one with room for the longest message twice) and when there cannot be. With messages of
//! one granule, the queue's, these are the same.

use crate::drive::{Answer, User, pick, thread};
use interproc::ErrorKind;
use std::collections::{BTreeMap, VecDeque};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum State<V> {
    Reserved(User),
    /// And whether it was in somebody's hands before.
    Message(V, bool),
    Held(User, V),
    /// Given up, or done in front of its turn.
    Done,
    /// Its producer was killed: done when a consumer comes by, or a producer whose turn it is.
    Gap,
}

#[derive(Clone, Copy, Debug)]
pub struct Place<V> {
    pub state: State<V>,
    granules: usize,
}

/// What users have in their hands: the places' numbers, and what was asked for.
type Hands = BTreeMap<User, Vec<(u64, usize)>>;

#[derive(Clone, Debug)]
pub struct Row<V> {
    pub granules: usize,
    pub longest: usize,
    /// The number of the first place.
    first: u64,
    pub places: VecDeque<Place<V>>,
    pub closed: bool,
    /// The most granules that were in use, or asked for.
    pub most: usize,
    reserved: Hands,
    held: Hands,
}

impl<V: Copy + PartialEq> Row<V> {
    pub fn new(granules: usize, longest: usize) -> Self {
        let (places, reserved, held) = (VecDeque::new(), Hands::new(), Hands::new());
        Row { granules, longest, first: 0, places, closed: false, most: 0, reserved, held }
    }

    pub fn used(&self) -> usize {
        self.places.iter().map(|place| place.granules).sum()
    }

    pub fn set(&mut self, number: u64, state: State<V>) {
        self.places[(number - self.first) as usize].state = state;
        self.trim();
    }

    fn trim(&mut self) {
        while self.places.front().is_some_and(|place| place.state == State::Done) {
            self.places.pop_front();
            self.first += 1;
        }
    }

    /// Whether there is room; where both answers are right, `got` decides.
    fn room(&mut self, user: User, need: usize, waits: bool, got: &Answer) -> Result<(), ErrorKind> {
        if self.closed {
            return Err(ErrorKind::Closed);
        }
        let surely = |m: &Self| m.used() == 0 || m.used() + need + 2 * (m.longest - 1) <= m.granules;
        let never = |m: &Self| m.used() + need > m.granules;
        // A producer passes dead ones' places only if it looks for room: then there is more.
        let full = got.is_err();
        if !surely(self) && (full || never(self)) {
            while self.places.front().is_some_and(|place| matches!(place.state, State::Gap | State::Done)) {
                self.places[0].state = State::Done;
                self.trim();
            }
        }
        if surely(self) || !full && !never(self) {
            return Ok(());
        }
        match self.places[0].state {
            State::Reserved(owner) | State::Held(owner, _) if waits && thread(owner) == thread(user) => {
                Err(ErrorKind::Deadlock)
            }
            _ => {
                self.most = self.granules;
                Err(if waits { ErrorKind::TimedOut } else { ErrorKind::Full })
            }
        }
    }

    fn add(&mut self, state: State<V>, granules: usize) {
        self.places.push_back(Place { state, granules });
        self.most = self.most.max(self.used());
    }

    pub fn push(
        &mut self,
        user: User,
        value: V,
        granules: usize,
        waits: bool,
        got: &Answer,
    ) -> Result<(), ErrorKind> {
        self.room(user, granules, waits, got)?;
        self.add(State::Message(value, false), granules);
        Ok(())
    }

    /// As a push; if there is no room, the oldest message makes way.
    pub fn force(
        &mut self,
        user: User,
        value: V,
        granules: usize,
        got: &Answer,
    ) -> Result<Option<V>, ErrorKind> {
        match (self.push(user, value, granules, false, got), self.places.front()) {
            (Err(ErrorKind::Full), Some(&Place { state: State::Message(oldest, _), .. })) => {
                self.set(self.first, State::Done);
                self.add(State::Message(value, false), granules);
                Ok(Some(oldest))
            }
            (pushed, _) => pushed.map(|()| None),
        }
    }

    pub fn reserve(
        &mut self,
        user: User,
        len: usize,
        granules: usize,
        waits: bool,
        got: &Answer,
    ) -> Result<(), ErrorKind> {
        self.room(user, granules, waits, got)?;
        self.reserved.entry(user).or_default().push((self.first + self.places.len() as u64, len));
        self.add(State::Reserved(user), granules);
        Ok(())
    }

    /// Ends one of the user's reservations, if it has any.
    pub fn end_reservation(&mut self, user: User, which: u8, state: impl Fn(usize) -> State<V>) {
        if let Some((number, len)) = take(&mut self.reserved, user, which) {
            self.set(number, state(len));
        }
    }

    /// The number of the place whose message is next.
    pub fn next(&mut self, user: User, waits: bool, got: &Answer) -> Result<(u64, V, bool), ErrorKind> {
        let refused = |owner: Option<User>| match (waits, owner.map(thread) == Some(thread(user))) {
            (true, true) => ErrorKind::Deadlock,
            (true, false) => ErrorKind::TimedOut,
            (false, _) => ErrorKind::Empty,
        };
        let mut found = None;
        for (n, place) in self.places.iter_mut().enumerate() {
            match place.state {
                State::Gap => place.state = State::Done,
                State::Reserved(owner) => {
                    found = Some(Err(refused(Some(owner))));
                    break;
                }
                State::Message(value, again) => {
                    found = Some(Ok((self.first + n as u64, value, again)));
                    break;
                }
                State::Held(..) | State::Done => {}
            }
        }
        self.trim();
        match (found, self.places.front()) {
            (Some(found), _) => found,
            // All is in somebody's hands, perhaps: then the end would be at a place that is not free.
            (None, Some(&Place { state: State::Held(owner, _), .. })) => {
                let (said, used) = (Err(refused(Some(owner))), self.used());
                let is_full = used == self.granules;
                let may_be = used + self.longest > self.granules && got.as_ref().err() == said.as_ref().err();
                if is_full || may_be {
                    said
                } else {
                    Err(if self.closed { ErrorKind::Closed } else { refused(None) })
                }
            }
            (None, _) if self.closed => Err(ErrorKind::Closed),
            (None, _) => Err(refused(None)),
        }
    }

    pub fn pop(&mut self, user: User, waits: bool, got: &Answer) -> Result<(V, bool), ErrorKind> {
        let (number, value, again) = self.next(user, waits, got)?;
        self.set(number, State::Done);
        Ok((value, again))
    }

    pub fn receive(&mut self, user: User, waits: bool, got: &Answer) -> Result<(V, bool), ErrorKind> {
        let (number, value, again) = self.next(user, waits, got)?;
        self.set(number, State::Held(user, value));
        self.held.entry(user).or_default().push((number, 0));
        Ok((value, again))
    }

    fn held_at(&self, number: u64) -> V {
        match self.places[(number - self.first) as usize].state {
            State::Held(_, value) => value,
            _ => unreachable!("what a user holds"),
        }
    }

    /// Ends one of the messages in the user's hands, if there is any, and says which.
    pub fn end_held(&mut self, user: User, which: u8, put_back: bool) -> Option<V> {
        let (number, _) = take(&mut self.held, user, which)?;
        let value = self.held_at(number);
        self.set(number, if put_back { State::Message(value, true) } else { State::Done });
        Some(value)
    }

    /// What it had in its hands is done.
    pub fn leaves(&mut self, user: User) {
        self.let_go(user, State::Done, |_| State::Done);
    }

    /// What it had in its hands is the next one's.
    pub fn dies(&mut self, user: User) {
        self.let_go(user, State::Gap, |value| State::Message(value, true));
    }

    fn let_go(&mut self, user: User, reserved: State<V>, held: impl Fn(V) -> State<V>) {
        for (number, _) in self.reserved.remove(&user).unwrap_or_default() {
            self.set(number, reserved);
        }
        for (number, _) in self.held.remove(&user).unwrap_or_default() {
            self.set(number, held(self.held_at(number)));
        }
    }
}

fn take(hands: &mut Hands, user: User, which: u8) -> Option<(u64, usize)> {
    let hands = hands.entry(user).or_default();
    pick(hands, which).map(|n| hands.remove(n))
}
