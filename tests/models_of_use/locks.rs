//! The locks: a value, and who has it. After a death the next one is told, until somebody has repaired the value.

use crate::drive::{Answer, Home, Modelled, NOTHING, Story, User, answer, not_now, pick, thread};
use crate::{kit, support};
use interproc::sync::{
    Condvar, LockError, Mutex, MutexGuard, RecursiveLockError, RecursiveMutex, RecursiveMutexGuard, RwLock,
    RwLockError, RwLockReadGuard, RwLockWriteGuard,
};
use interproc::{Deadline, ErrorKind, Object, Segment};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// How one asks for a lock: whether it may wait, and whether it repairs what the dead have left.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    pub waits: bool,
    repairs: bool,
}

impl Ask {
    pub fn repairing(self) -> Ask {
        Ask { repairs: true, ..self }
    }
}

fn asks() -> impl Strategy<Value = Ask> {
    (any::<bool>(), any::<bool>()).prop_map(|(waits, repairs)| Ask { waits, repairs })
}

/// A lock that one thread has at a time, perhaps several times.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// How many guards its users have, all of one thread.
    guards: BTreeMap<User, usize>,
    /// Whether its last holder died, and nobody has repaired it since.
    news: bool,
    value: u64,
}

impl Held {
    fn has(&self, user: User) -> bool {
        self.guards.contains_key(&user)
    }

    fn is_held_by_thread_of(&self, user: User) -> bool {
        self.guards.keys().any(|&holder| thread(holder) == thread(user))
    }

    fn lock(&mut self, user: User, ask: Ask, again: bool) -> Answer {
        match (self.guards.is_empty(), self.is_held_by_thread_of(user)) {
            (false, false) => return Err(not_now(ask.waits)),
            (_, true) if !again => return Err(ErrorKind::Deadlock),
            (true, _) if self.news && !ask.repairs => return Err(ErrorKind::OwnerDied),
            _ => *self.guards.entry(user).or_default() += 1,
        }
        Ok(vec![std::mem::take(&mut self.news).into(), self.value])
    }

    fn unlock(&mut self, user: User) {
        match self.guards.get_mut(&user) {
            Some(count) if *count > 1 => *count -= 1,
            _ => self.leaves(user),
        }
    }

    fn set(&mut self, user: User, value: u64) -> Answer {
        if self.has(user) {
            self.value = value;
        }
        NOTHING
    }

    /// Whether it is locked; after a death that is the word of the dead.
    fn is_locked(&self, got: &Answer) -> Answer {
        if self.news { got.clone() } else { Ok(vec![(!self.guards.is_empty()).into()]) }
    }

    fn leaves(&mut self, user: User) {
        self.guards.remove(&user);
    }

    fn dies(&mut self, user: User) {
        self.news |= self.guards.remove(&user).is_some();
    }
}

// ---- a mutex, with a condition variable --------------------------------------------------------------------------

#[derive(Clone, Debug)]
pub enum OfMutex {
    Lock(Ask),
    Unlock,
    Set(u64),
    IsLocked,
    /// On the condition, with a deadline that has passed; ends in time or not.
    Wait,
    NotifyOne,
    NotifyAll,
}

pub struct MutexInUse {
    guard: Option<MutexGuard<'static, u64>>,
    mutex: Home<Object<Mutex<u64>>>,
    changed: Object<Condvar>,
}

impl Modelled for MutexInUse {
    type Shape = ();
    type Op = OfMutex;
    type Model = Held;

    fn shapes() -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn ops() -> BoxedStrategy<OfMutex> {
        prop_oneof![
            4 => asks().prop_map(OfMutex::Lock),
            3 => Just(OfMutex::Unlock),
            2 => any::<u64>().prop_map(OfMutex::Set),
            1 => Just(OfMutex::IsLocked),
            1 => Just(OfMutex::Wait),
            1 => Just(OfMutex::NotifyOne),
            1 => Just(OfMutex::NotifyAll),
        ]
        .boxed()
    }

    fn concurrent(op: &OfMutex) -> bool {
        // A wait is not one step: others lock in its middle.
        !matches!(op, OfMutex::Wait)
    }

    fn open(seg: &Segment, (): &()) -> Self {
        let mutex = Home::new(seg.object("mutex", || Mutex::new(0)).expect("room in the segment"));
        let changed = seg.object("changed", Condvar::new).expect("room in the segment");
        MutexInUse { guard: None, mutex, changed }
    }

    fn apply(&mut self, op: &OfMutex) -> Answer {
        let mutex = self.mutex.get();
        match *op {
            OfMutex::Lock(ask) => {
                let locked = if ask.waits { mutex.lock_until(Deadline::now()) } else { mutex.try_lock() };
                let (guard, told) = match locked {
                    Ok(guard) => (guard, 0),
                    Err(LockError::OwnerDied(died)) if ask.repairs => (died.mark_consistent(), 1),
                    Err(error) => return Err(error.error().kind()),
                };
                let value = *guard;
                self.guard = Some(guard);
                return Ok(vec![told, value]);
            }
            OfMutex::Unlock => self.guard = None,
            OfMutex::Set(value) => {
                if let Some(guard) = &mut self.guard {
                    **guard = value;
                }
            }
            OfMutex::IsLocked => return Ok(vec![mutex.is_locked().into()]),
            OfMutex::Wait => {
                let Some(guard) = self.guard.take() else { return NOTHING };
                let (guard, _) = match self.changed.wait_until(guard, Deadline::now()) {
                    Ok(again) => again,
                    Err(error) => return Err(error.error().kind()),
                };
                let value = *guard;
                self.guard = Some(guard);
                return Ok(vec![value]);
            }
            OfMutex::NotifyOne => return answer(self.changed.notify_one(), |()| vec![]),
            OfMutex::NotifyAll => return answer(self.changed.notify_all(), |()| vec![]),
        }
        NOTHING
    }

    fn model((): &()) -> Held {
        Held::default()
    }

    fn expect(m: &mut Held, user: User, op: &OfMutex, got: &Answer) -> Answer {
        match *op {
            OfMutex::Lock(ask) => return m.lock(user, ask, false),
            OfMutex::Unlock => m.leaves(user),
            OfMutex::Set(value) => return m.set(user, value),
            OfMutex::IsLocked => return m.is_locked(got),
            OfMutex::Wait if m.has(user) => return Ok(vec![m.value]),
            OfMutex::Wait | OfMutex::NotifyOne | OfMutex::NotifyAll => {}
        }
        NOTHING
    }

    fn leaves(m: &mut Held, user: User) {
        m.leaves(user);
    }

    fn dies(m: &mut Held, user: User) {
        m.dies(user);
    }
}

// ---- waiters that are killed ---------------------------------------------------------------------------------------

/// Children wait for a condition, and are killed; the lock is held meanwhile.
pub struct Waiters;

#[derive(Clone, Debug)]
pub enum OfWaiters {
    NotifyOne,
    NotifyAll,
    Kill(u8),
    /// The lock is given back until as many have come out of their wait as must.
    Breathe,
}

impl Story for Waiters {
    /// How many; whether they are fast asleep.
    type Case = (usize, bool, Vec<OfWaiters>);

    fn cases() -> BoxedStrategy<Self::Case> {
        let step = prop_oneof![
            3 => Just(OfWaiters::NotifyOne),
            1 => Just(OfWaiters::NotifyAll),
            3 => any::<u8>().prop_map(OfWaiters::Kill),
            1 => Just(OfWaiters::Breathe),
        ];
        (1..5usize, any::<bool>(), proptest::collection::vec(step, 1..7)).boxed()
    }

    fn tell((count, asleep, steps): &Self::Case) -> Result<(), String> {
        let seg = kit::segment();
        // How many have come, and how many have gone.
        let mutex = seg.object("mutex", || Mutex::new([0u64; 2])).expect("room in the segment");
        let changed = seg.object("changed", Condvar::new).expect("room in the segment");
        let reaches = |n: usize, what: usize| {
            let there = || mutex.lock().expect("nobody dies with it")[n] >= what as u64;
            support::eventually(kit::NET, there)
        };
        let wait = || {
            let mut numbers = mutex.lock().expect("nobody dies with it");
            numbers[0] += 1;
            changed.wait(numbers).expect("nobody dies with it")[1] += 1;
        };
        let mut kids: Vec<_> = (0..*count).map(|_| kit::fork(wait)).collect();
        let here = reaches(0, *count)
            && (!asleep || support::eventually(kit::NET, || changed.waiters() == Ok(*count as u32)));
        if !here {
            return Err("not all have come".into());
        }
        let mut lock = mutex.lock().ok();
        let mut owed = 0;
        for step in steps.iter().chain([&OfWaiters::Breathe, &OfWaiters::NotifyAll, &OfWaiters::Breathe]) {
            match step {
                OfWaiters::NotifyOne => {
                    owed += 1;
                    changed.notify_one().expect("notified");
                }
                OfWaiters::NotifyAll => {
                    owed = *count;
                    changed.notify_all().expect("notified");
                }
                OfWaiters::Kill(n) => _ = pick(&kids, *n).map(|n| kids.remove(n).finish()),
                OfWaiters::Breathe => {
                    drop(lock.take());
                    if !reaches(1, owed.min(kids.len())) {
                        return Err(format!("of {} who live not {owed} were woken", kids.len()));
                    }
                    lock = mutex.lock().ok();
                }
            }
        }
        Ok(())
    }
}

// ---- one that its holder may lock again --------------------------------------------------------------------------

#[derive(Clone, Debug)]
pub enum OfRecursive {
    Lock(Ask),
    Unlock(u8),
    Set(u64),
    IsLocked,
    Depth,
}

pub struct RecursiveInUse {
    guards: Vec<RecursiveMutexGuard<'static, u64>>,
    mutex: Home<Object<RecursiveMutex<u64>>>,
}

impl Modelled for RecursiveInUse {
    type Shape = ();
    type Op = OfRecursive;
    type Model = Held;

    fn shapes() -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn ops() -> BoxedStrategy<OfRecursive> {
        prop_oneof![
            4 => asks().prop_map(OfRecursive::Lock),
            3 => any::<u8>().prop_map(OfRecursive::Unlock),
            1 => any::<u64>().prop_map(OfRecursive::Set),
            1 => Just(OfRecursive::IsLocked),
            1 => Just(OfRecursive::Depth),
        ]
        .boxed()
    }

    fn open(seg: &Segment, (): &()) -> Self {
        let mutex = seg.object("recursive", || RecursiveMutex::new(0)).expect("room in the segment");
        RecursiveInUse { guards: Vec::new(), mutex: Home::new(mutex) }
    }

    fn apply(&mut self, op: &OfRecursive) -> Answer {
        let mutex = self.mutex.get();
        match *op {
            OfRecursive::Lock(ask) => {
                let locked = if ask.waits { mutex.lock_until(Deadline::now()) } else { mutex.try_lock() };
                let (guard, told) = match locked {
                    Ok(guard) => (guard, 0),
                    Err(RecursiveLockError::OwnerDied(died)) if ask.repairs => (died.mark_consistent(), 1),
                    Err(error) => return Err(error.error().kind()),
                };
                let value = guard.get();
                self.guards.push(guard);
                return Ok(vec![told, value]);
            }
            OfRecursive::Unlock(n) => _ = pick(&self.guards, n).map(|n| self.guards.remove(n)),
            OfRecursive::Set(value) => _ = self.guards.first().map(|guard| guard.set(value)),
            OfRecursive::IsLocked => return Ok(vec![mutex.is_locked().into()]),
            OfRecursive::Depth => return answer(mutex.depth(), |depth| vec![depth.into()]),
        }
        NOTHING
    }

    fn model((): &()) -> Held {
        Held::default()
    }

    fn expect(m: &mut Held, user: User, op: &OfRecursive, got: &Answer) -> Answer {
        match *op {
            OfRecursive::Lock(ask) => m.lock(user, ask, true),
            OfRecursive::Unlock(_) => {
                m.unlock(user);
                NOTHING
            }
            OfRecursive::Set(value) => m.set(user, value),
            OfRecursive::IsLocked => m.is_locked(got),
            OfRecursive::Depth => {
                let depth: usize = if m.is_held_by_thread_of(user) { m.guards.values().sum() } else { 0 };
                Ok(vec![depth as u64])
            }
        }
    }

    fn leaves(m: &mut Held, user: User) {
        m.leaves(user);
    }

    fn dies(m: &mut Held, user: User) {
        m.dies(user);
    }
}

// ---- readers or a writer -------------------------------------------------------------------------------------------

#[derive(Clone, Debug)]
pub enum OfRwLock {
    Read(Ask),
    Write(Ask),
    EndRead(u8),
    EndWrite,
    Downgrade,
    Set(u64),
    IsWritten,
}

pub struct RwLockInUse {
    reads: Vec<RwLockReadGuard<'static, u64>>,
    write: Option<RwLockWriteGuard<'static, u64>>,
    lock: Home<Object<RwLock<u64>>>,
}

#[derive(Clone, Default)]
pub struct RwModel {
    writing: Held,
    reading: BTreeMap<User, usize>,
}

impl RwModel {
    fn read(&mut self, user: User, ask: Ask) -> Answer {
        let m = &mut self.writing;
        if m.news {
            // Whatever was wanted, it is the write lock that the heir gets.
            return m.lock(user, ask, false);
        }
        if m.is_held_by_thread_of(user) {
            return Err(ErrorKind::Deadlock);
        }
        if !m.guards.is_empty() {
            return Err(not_now(ask.waits));
        }
        *self.reading.entry(user).or_default() += 1;
        Ok(vec![0, m.value])
    }

    fn write(&mut self, user: User, ask: Ask) -> Answer {
        let mut readers = self.reading.iter().filter(|(_, count)| **count > 0).map(|(&reader, _)| reader);
        if readers.clone().any(|reader| thread(reader) == thread(user)) {
            return Err(ErrorKind::Deadlock);
        }
        if readers.next().is_some() {
            return Err(not_now(ask.waits));
        }
        self.writing.lock(user, ask, false)
    }
}

impl Modelled for RwLockInUse {
    type Shape = ();
    type Op = OfRwLock;
    type Model = RwModel;

    fn shapes() -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn ops() -> BoxedStrategy<OfRwLock> {
        prop_oneof![
            4 => asks().prop_map(OfRwLock::Read),
            3 => asks().prop_map(OfRwLock::Write),
            3 => any::<u8>().prop_map(OfRwLock::EndRead),
            2 => Just(OfRwLock::EndWrite),
            1 => Just(OfRwLock::Downgrade),
            1 => any::<u64>().prop_map(OfRwLock::Set),
            1 => Just(OfRwLock::IsWritten),
        ]
        .boxed()
    }

    fn concurrent(op: &OfRwLock) -> bool {
        // A writer that is about to be refused is seen, too.
        !matches!(op, OfRwLock::IsWritten)
    }

    fn open(seg: &Segment, (): &()) -> Self {
        let lock = seg.object("rwlock", || RwLock::new(0)).expect("room in the segment");
        RwLockInUse { reads: Vec::new(), write: None, lock: Home::new(lock) }
    }

    fn apply(&mut self, op: &OfRwLock) -> Answer {
        let lock = self.lock.get();
        let error = match *op {
            OfRwLock::Read(ask) => {
                let locked = if ask.waits { lock.read_until(Deadline::now()) } else { lock.try_read() };
                match locked {
                    Ok(guard) => {
                        let value = *guard;
                        self.reads.push(guard);
                        return Ok(vec![0, value]);
                    }
                    Err(error) => (error, ask),
                }
            }
            OfRwLock::Write(ask) => {
                let locked = if ask.waits { lock.write_until(Deadline::now()) } else { lock.try_write() };
                match locked {
                    Ok(guard) => {
                        let value = *guard;
                        self.write = Some(guard);
                        return Ok(vec![0, value]);
                    }
                    Err(error) => (error, ask),
                }
            }
            OfRwLock::EndRead(n) => {
                pick(&self.reads, n).map(|n| self.reads.remove(n));
                return NOTHING;
            }
            OfRwLock::EndWrite => {
                self.write = None;
                return NOTHING;
            }
            OfRwLock::Downgrade => {
                self.reads.extend(self.write.take().map(RwLockWriteGuard::downgrade));
                return NOTHING;
            }
            OfRwLock::Set(value) => {
                if let Some(guard) = &mut self.write {
                    **guard = value;
                }
                return NOTHING;
            }
            OfRwLock::IsWritten => return Ok(vec![lock.is_written().into()]),
        };
        match error {
            (RwLockError::OwnerDied(died), ask) if ask.repairs => {
                let guard = died.mark_consistent();
                let value = *guard;
                self.write = Some(guard);
                Ok(vec![1, value])
            }
            (error, _) => Err(error.error().kind()),
        }
    }

    fn model((): &()) -> RwModel {
        RwModel::default()
    }

    fn expect(m: &mut RwModel, user: User, op: &OfRwLock, got: &Answer) -> Answer {
        match *op {
            OfRwLock::Read(ask) => return m.read(user, ask),
            OfRwLock::Write(ask) => return m.write(user, ask),
            OfRwLock::EndRead(_) => {
                if let Some(count) = m.reading.get_mut(&user) {
                    *count = count.saturating_sub(1);
                }
            }
            OfRwLock::EndWrite => m.writing.leaves(user),
            OfRwLock::Downgrade if m.writing.has(user) => {
                m.writing.leaves(user);
                *m.reading.entry(user).or_default() += 1;
            }
            OfRwLock::Downgrade => {}
            OfRwLock::Set(value) => return m.writing.set(user, value),
            OfRwLock::IsWritten => return m.writing.is_locked(got),
        }
        NOTHING
    }

    fn leaves(m: &mut RwModel, user: User) {
        m.writing.leaves(user);
        m.reading.remove(&user);
    }

    fn dies(m: &mut RwModel, user: User) {
        m.writing.dies(user);
        m.reading.remove(&user);
    }
}
