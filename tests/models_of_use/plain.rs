//! Objects that nobody holds: the semaphore, the event, the once and its value, the latest value.

use crate::drive::{Answer, Modelled, NOTHING, User, answer};
use crate::kit;
use interproc::queue::Latest;
use interproc::sync::{Event, Once, OnceLock, Semaphore};
use interproc::{Deadline, ErrorKind, Object, Segment};
use proptest::prelude::*;

// ---- a number that does not go below zero ----------------------------------------------------------------------

#[derive(Clone, Debug)]
pub enum OfSemaphore {
    Try,
    Now,
    Post,
    Many(u32),
    Value,
}

impl Modelled for Object<Semaphore> {
    type Shape = u32;
    type Op = OfSemaphore;
    type Model = u32;

    fn shapes() -> BoxedStrategy<u32> {
        prop_oneof![0..4u32, Semaphore::MAX - 2..=Semaphore::MAX].boxed()
    }

    fn ops() -> BoxedStrategy<OfSemaphore> {
        prop_oneof![
            Just(OfSemaphore::Try),
            Just(OfSemaphore::Now),
            Just(OfSemaphore::Post),
            (0..4u32).prop_map(OfSemaphore::Many),
            Just(OfSemaphore::Value),
        ]
        .boxed()
    }

    fn open(seg: &Segment, &value: &u32) -> Self {
        seg.object("semaphore", || Semaphore::new(value)).expect("room in the segment")
    }

    fn apply(&mut self, op: &OfSemaphore) -> Answer {
        match op {
            OfSemaphore::Try => answer(self.try_acquire(), |()| vec![]),
            OfSemaphore::Now => answer(self.acquire_until(Deadline::now()), |()| vec![]),
            OfSemaphore::Post => answer(self.post(), |()| vec![]),
            OfSemaphore::Many(n) => answer(self.post_many(*n), |()| vec![]),
            OfSemaphore::Value => Ok(vec![self.value().into()]),
        }
    }

    fn model(&value: &u32) -> u32 {
        value
    }

    fn expect(value: &mut u32, _: User, op: &OfSemaphore, _: &Answer) -> Answer {
        let add = match op {
            OfSemaphore::Try | OfSemaphore::Now if *value > 0 => {
                *value -= 1;
                return NOTHING;
            }
            OfSemaphore::Try => return Err(ErrorKind::WouldBlock),
            OfSemaphore::Now => return Err(ErrorKind::TimedOut),
            OfSemaphore::Value => return Ok(vec![(*value).into()]),
            OfSemaphore::Post => 1,
            OfSemaphore::Many(n) => *n,
        };
        if add > Semaphore::MAX - *value {
            return Err(ErrorKind::Overflow);
        }
        *value += add;
        NOTHING
    }
}

// ---- a flag ----------------------------------------------------------------------------------------------------

#[derive(Clone, Debug)]
pub enum OfEvent {
    Set,
    Clear,
    IsSet,
    Now,
}

impl Modelled for Object<Event> {
    type Shape = ();
    type Op = OfEvent;
    type Model = bool;

    fn shapes() -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn ops() -> BoxedStrategy<OfEvent> {
        prop_oneof![Just(OfEvent::Set), Just(OfEvent::Clear), Just(OfEvent::IsSet), Just(OfEvent::Now)]
            .boxed()
    }

    fn open(seg: &Segment, (): &()) -> Self {
        seg.object("event", Event::new).expect("room in the segment")
    }

    fn apply(&mut self, op: &OfEvent) -> Answer {
        match op {
            OfEvent::Set => self.set(),
            OfEvent::Clear => self.clear(),
            OfEvent::IsSet => return Ok(vec![self.is_set().into()]),
            OfEvent::Now => return answer(self.wait_until(Deadline::now()), |()| vec![]),
        }
        NOTHING
    }

    fn model((): &()) -> bool {
        false
    }

    fn expect(set: &mut bool, _: User, op: &OfEvent, _: &Answer) -> Answer {
        match op {
            OfEvent::Set => *set = true,
            OfEvent::Clear => *set = false,
            OfEvent::IsSet => return Ok(vec![(*set).into()]),
            OfEvent::Now if !*set => return Err(ErrorKind::TimedOut),
            OfEvent::Now => {}
        }
        NOTHING
    }
}

// ---- what is done once -----------------------------------------------------------------------------------------

#[derive(Clone, Debug)]
pub enum OfOnce {
    /// The job does well; the answer is whether it was run, and told of a retry.
    Call,
    Now,
    /// The job fails.
    Fail,
    IsDone,
}

#[derive(Clone, Default)]
pub struct OnceModel {
    done: bool,
    tried: bool,
}

impl Modelled for Object<Once> {
    type Shape = ();
    type Op = OfOnce;
    type Model = OnceModel;

    fn shapes() -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn ops() -> BoxedStrategy<OfOnce> {
        prop_oneof![
            1 => Just(OfOnce::Call),
            1 => Just(OfOnce::Now),
            3 => Just(OfOnce::Fail),
            2 => Just(OfOnce::IsDone),
        ]
        .boxed()
    }

    fn open(seg: &Segment, (): &()) -> Self {
        seg.object("once", Once::new).expect("room in the segment")
    }

    fn apply(&mut self, op: &OfOnce) -> Answer {
        let mut ran = Vec::new();
        let called = match op {
            OfOnce::Call => self.call(|state| ran.push(state.is_retry().into())),
            OfOnce::Now => self.call_until(Deadline::now(), |state| ran.push(state.is_retry().into())),
            OfOnce::Fail => self.try_call(|_| Err(ErrorKind::NoSpace.into())),
            OfOnce::IsDone => return Ok(vec![self.is_done().into()]),
        };
        answer(called, |()| ran)
    }

    fn dies_amid(&mut self, op: &OfOnce) {
        // As far as the job is run.
        let _ = match op {
            OfOnce::Call => self.call(|_| kit::die()),
            OfOnce::Now => self.call_until(Deadline::now(), |_| kit::die()),
            OfOnce::Fail => self.try_call(|_| kit::die()),
            OfOnce::IsDone => return,
        };
    }

    fn model((): &()) -> OnceModel {
        OnceModel::default()
    }

    fn expect(m: &mut OnceModel, _: User, op: &OfOnce, _: &Answer) -> Answer {
        match op {
            OfOnce::IsDone => return Ok(vec![m.done.into()]),
            _ if m.done => {}
            OfOnce::Call | OfOnce::Now => {
                m.done = true;
                return Ok(vec![m.tried.into()]);
            }
            OfOnce::Fail => {
                m.tried = true;
                return Err(ErrorKind::NoSpace);
            }
        }
        NOTHING
    }

    fn died_amid(m: &mut OnceModel, _: User, _: &OfOnce) {
        assert!(!m.done, "a job was run twice");
        m.tried = true;
    }
}

#[derive(Clone, Debug)]
pub enum OfOnceLock {
    Get,
    Set(u64),
    GetOrInit(u64),
    Now(u64),
    Fail,
}

impl Modelled for Object<OnceLock<u64>> {
    type Shape = ();
    type Op = OfOnceLock;
    type Model = Option<u64>;

    fn shapes() -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn ops() -> BoxedStrategy<OfOnceLock> {
        prop_oneof![
            2 => Just(OfOnceLock::Get),
            1 => any::<u64>().prop_map(OfOnceLock::Set),
            1 => any::<u64>().prop_map(OfOnceLock::GetOrInit),
            1 => any::<u64>().prop_map(OfOnceLock::Now),
            3 => Just(OfOnceLock::Fail),
        ]
        .boxed()
    }

    fn open(seg: &Segment, (): &()) -> Self {
        seg.object("value", OnceLock::new).expect("room in the segment")
    }

    fn apply(&mut self, op: &OfOnceLock) -> Answer {
        let got = match *op {
            OfOnceLock::Get => return Ok(self.get().copied().into_iter().collect()),
            OfOnceLock::Set(value) => return answer(self.set(value), |first| vec![first.into()]),
            OfOnceLock::GetOrInit(value) => self.get_or_init(|| value),
            OfOnceLock::Now(value) => self.get_or_init_until(Deadline::now(), || value),
            OfOnceLock::Fail => self.get_or_try_init(|| Err(ErrorKind::NoSpace.into())),
        };
        answer(got, |&value| vec![value])
    }

    fn dies_amid(&mut self, op: &OfOnceLock) {
        let _ = match op {
            OfOnceLock::GetOrInit(_) => self.get_or_init(|| kit::die()),
            OfOnceLock::Now(_) => self.get_or_init_until(Deadline::now(), || kit::die()),
            OfOnceLock::Fail => self.get_or_try_init(|| kit::die()),
            OfOnceLock::Get | OfOnceLock::Set(_) => return,
        };
    }

    fn model((): &()) -> Option<u64> {
        None
    }

    fn expect(m: &mut Option<u64>, _: User, op: &OfOnceLock, _: &Answer) -> Answer {
        match *op {
            OfOnceLock::Get => Ok(m.iter().copied().collect()),
            OfOnceLock::Set(value) => {
                let first = m.is_none();
                m.get_or_insert(value);
                Ok(vec![first.into()])
            }
            OfOnceLock::GetOrInit(value) | OfOnceLock::Now(value) => Ok(vec![*m.get_or_insert(value)]),
            OfOnceLock::Fail => m.map(|value| vec![value]).ok_or(ErrorKind::NoSpace),
        }
    }

    fn died_amid(m: &mut Option<u64>, _: User, _: &OfOnceLock) {
        assert!(m.is_none(), "a value was made twice");
    }
}

// ---- a variable that counts its sets ---------------------------------------------------------------------------

#[derive(Clone, Debug)]
pub enum OfLatest {
    Get,
    Versioned,
    Announced,
    Version,
    Set(u64),
    SetRef(u64),
    TrySet(u64),
    SetNow(u64),
    /// Waits for one newer than so many sets ago.
    Newer(u64),
}

impl Modelled for Latest<[u64; 3]> {
    type Shape = ();
    type Op = OfLatest;
    /// The value and its version.
    type Model = (u64, u64);

    fn shapes() -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn ops() -> BoxedStrategy<OfLatest> {
        prop_oneof![
            Just(OfLatest::Get),
            Just(OfLatest::Versioned),
            Just(OfLatest::Announced),
            Just(OfLatest::Version),
            any::<u64>().prop_map(OfLatest::Set),
            any::<u64>().prop_map(OfLatest::SetRef),
            any::<u64>().prop_map(OfLatest::TrySet),
            any::<u64>().prop_map(OfLatest::SetNow),
            (0..4u64).prop_map(OfLatest::Newer),
        ]
        .boxed()
    }

    fn open(seg: &Segment, (): &()) -> Self {
        seg.latest("latest", [0; 3]).expect("room in the segment")
    }

    fn apply(&mut self, op: &OfLatest) -> Answer {
        let whole = |value: [u64; 3]| {
            assert_eq!(value, [value[0]; 3], "half of a value");
            value[0]
        };
        let set = match *op {
            OfLatest::Get => return answer(self.get(), |value| vec![whole(value)]),
            OfLatest::Versioned => {
                return answer(self.get_versioned(), |got| vec![whole(got.value), got.version]);
            }
            OfLatest::Announced => {
                return answer(self.get_announced(), |got| vec![whole(got.value), got.version]);
            }
            OfLatest::Version => return Ok(vec![self.version()]),
            OfLatest::Newer(seen) => {
                return answer(self.wait_newer_until(seen, Deadline::now()), |got| {
                    vec![whole(got.value), got.version]
                });
            }
            OfLatest::Set(value) => self.set([value; 3]),
            OfLatest::SetRef(value) => self.set_ref(&[value; 3]),
            OfLatest::TrySet(value) => self.try_set([value; 3]),
            OfLatest::SetNow(value) => self.set_until([value; 3], Deadline::now()),
        };
        answer(set, |version| vec![version])
    }

    fn model((): &()) -> (u64, u64) {
        (0, 0)
    }

    fn expect((value, version): &mut (u64, u64), _: User, op: &OfLatest, _: &Answer) -> Answer {
        match *op {
            OfLatest::Get => Ok(vec![*value]),
            OfLatest::Versioned | OfLatest::Announced => Ok(vec![*value, *version]),
            OfLatest::Version => Ok(vec![*version]),
            OfLatest::Newer(seen) if seen < *version => Ok(vec![*value, *version]),
            OfLatest::Newer(_) => Err(ErrorKind::TimedOut),
            OfLatest::Set(new) | OfLatest::SetRef(new) | OfLatest::TrySet(new) | OfLatest::SetNow(new) => {
                (*value, *version) = (new, *version + 1);
                Ok(vec![*version])
            }
        }
    }
}
