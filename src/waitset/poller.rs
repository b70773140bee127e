//! What a set has to do with descriptors: an epoll, the eventfd that the helper's thread makes readable, and a timer.
#![allow(unsafe_code)]

use super::helper::Registration;
use crate::counted::Counted;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::own::Own;
use crate::sys::{own, poll};
use crate::time::Deadline;
use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::os::fd::BorrowedFd;

/// Numbers in the epoll that are no source's.
const EVENT: u64 = u64::MAX;
const TIMER: u64 = u64::MAX - 1;
/// How many are collected at a time. Others are collected next time: the kernel goes round.
const EVENTS: usize = 64;

/// The descriptors of one set.
pub(super) struct Poller {
    epoll: Counted<Own>,
    signal: Counted<Signal>,
    /// How often it was sent, as far as is known.
    received: u64,
    timer: Own,
    /// When the timer is set for.
    until: Option<Deadline>,
    pub(super) registration: Registration,
}

/// An eventfd, and how often it was written, or is about to be: so its owner reads it only if there is something to read.
pub(super) struct Signal {
    event: Own,
    sent: AtomicU64,
    /// Everything is to be looked at, also what nothing was heard of.
    everything: AtomicBool,
}

impl Signal {
    fn new(event: Own) -> Self {
        Signal { event, sent: AtomicU64::new(0), everything: AtomicBool::new(false) }
    }

    /// Makes it readable.
    pub(super) fn send(&self, everything: bool) {
        if everything {
            self.everything.store(true, Ordering::Release);
        }
        if let Some(event) = self.event.get() {
            self.sent.fetch_add(1, Ordering::AcqRel);
            poll::signal(event);
        }
    }
}

fn open(own: &Own) -> Result<c_int> {
    own.get_or(|| Err(libc::EBADF)).map_err(Error::no_descriptor)
}

impl Poller {
    pub(super) fn new() -> Result<Self> {
        let epoll = poll::epoll().map_err(Error::from_errno)?;
        let event = poll::event().map_err(Error::from_errno)?;
        let timer = poll::timer().map_err(Error::from_errno)?;
        for (own, number) in [(&event, EVENT), (&timer, TIMER)] {
            poll::add(open(&epoll)?, open(own)?, libc::EPOLLIN as u32, number).map_err(Error::from_errno)?;
        }
        let registration = Registration::new();
        Ok(Poller {
            epoll: Counted::new(epoll)?,
            signal: Counted::new(Signal::new(event))?,
            received: 0,
            timer,
            until: None,
            registration,
        })
    }

    /// The epoll's descriptor.
    pub(super) fn fd(&self) -> Result<BorrowedFd<'_>> {
        // SAFETY: open as long as `self`, unless the program closes it.
        Ok(unsafe { BorrowedFd::borrow_raw(open(&self.epoll)?) })
    }

    /// The epoll itself: open as long as anybody has it.
    pub(super) fn epoll(&self) -> Counted<Own> {
        self.epoll.clone()
    }

    /// The descriptor is readable from now on: there is something to look at.
    pub(super) fn signal(&self) {
        self.signal.send(false);
    }

    /// By which the helper does the same.
    pub(super) fn by(&self) -> &Counted<Signal> {
        &self.signal
    }

    /// Adds a descriptor of the program's. One that is there already is added by a copy, which is returned.
    pub(super) fn add(&self, fd: c_int, events: u32, number: u64) -> Result<Option<Own>> {
        let epoll = open(&self.epoll)?;
        match poll::add(epoll, fd, events, number) {
            Ok(()) => Ok(None),
            Err(libc::EEXIST) => {
                let copy = own::copy_above(fd, 3).and_then(Own::new).map_err(Error::from_errno)?;
                poll::add(epoll, copy.number(), events, number).map_err(Error::from_errno)?;
                Ok(Some(copy))
            }
            Err(libc::EPERM) => Err(Error::from(ErrorKind::InvalidInput)
                .with_detail("a regular file or directory is always ready: it cannot be waited for")),
            Err(errno) => Err(Error::from_errno(errno)),
        }
    }

    /// Takes it out. (One that the program has closed is out already.)
    pub(super) fn remove(&self, fd: c_int) {
        if let Ok(epoll) = open(&self.epoll) {
            let _ = poll::remove(epoll, fd);
        }
    }

    /// Calls `each` with the numbers of the sources that are ready.
    pub(super) fn collect(&self, each: impl FnMut(u64)) -> Result<()> {
        let mut events = [poll::Event { events: 0, u64: 0 }; EVENTS];
        let ready = poll::ready(open(&self.epoll)?, &mut events).map_err(Error::from_errno)?;
        let numbers = events[..ready].iter().map(|event| event.u64);
        numbers.filter(|number| !matches!(number, &EVENT | &TIMER)).for_each(each);
        Ok(())
    }

    /// Before an announcement: what was said until now is known. Whether everything is to be looked at.
    pub(super) fn calm(&mut self) -> Result<bool> {
        if self.signal.sent.load(Ordering::Acquire) != self.received {
            self.received += poll::calm(open(&self.signal.event)?);
        }
        Ok(self.says_everything())
    }

    /// Whether the helper has said that everything is to be looked at, also what nothing was heard of.
    pub(super) fn says_everything(&self) -> bool {
        self.signal.everything.load(Ordering::Relaxed) && self.signal.everything.swap(false, Ordering::AcqRel)
    }

    /// The descriptor becomes readable then at the latest.
    pub(super) fn set_timer(&mut self, until: Option<Deadline>) -> Result<()> {
        if self.until != until || until.is_some_and(Deadline::has_passed) {
            poll::set(open(&self.timer)?, until);
            self.until = until;
        }
        Ok(())
    }

    /// Sleeps until something is ready, or as long as that.
    pub(super) fn sleep(&self, deadline: Option<Deadline>) -> Result<()> {
        poll::await_readable(open(&self.epoll)?, deadline).map_err(Error::from_errno)
    }
}
