//! What a child sets for itself before its own code runs. The parent prepares it, so that the child makes only system
//! calls: no allocation, no lock.

use crate::counted::Counted;
use crate::error::format;
use crate::fallible;
use crate::sys::parent_death::{Bound, ParentDeath};
use crate::sys::{fork, own, settings, task};
use crate::{Error, ErrorKind, Result};
use core::ffi::CStr;
use std::ffi::CString;
use std::os::fd::RawFd;
use std::vec::Vec;

/// The bytes that the kernel keeps of a name, the NUL included.
pub(super) const NAME_LEN: usize = 16;

/// A step of setting up a child, which may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    Group = 1,
    Tie,
    Nice,
    Processors,
    Directory,
    Descriptors,
    Limits,
    Exec,
    Claim,
}

impl Step {
    fn text(code: u8) -> &'static str {
        const STEPS: [(Step, &str); 9] = [
            (Step::Group, "setting the session or process group"),
            (Step::Tie, "binding the child to its parent"),
            (Step::Nice, "setting the nice value"),
            (Step::Processors, "setting the processors"),
            (Step::Directory, "entering the working directory"),
            (Step::Descriptors, "placing the descriptors"),
            (Step::Limits, "setting a resource limit"),
            (Step::Exec, "starting the program"),
            (Step::Claim, "taking over what the parent hands over"),
        ];
        STEPS.iter().find(|(step, _)| *step as u8 == code).map_or("", |(_, text)| text)
    }
}

/// Why the child could not be set up, small enough for one atomic write to a pipe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    step: u8,
    errno: i32,
}

impl Failure {
    pub fn new(step: Step, errno: i32) -> Self {
        Failure { step: step as u8, errno }
    }

    /// As bytes; all zero says that nothing failed.
    pub fn to_bytes(self) -> [u8; 8] {
        (u64::from(self.step) << 32 | u64::from(self.errno as u32)).to_le_bytes()
    }

    pub fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
        let word = u64::from_le_bytes(bytes);
        let failure = Failure { step: (word >> 32) as u8, errno: word as u32 as i32 };
        (failure.step != 0).then_some(failure)
    }

    pub fn error(self, what: &str) -> Error {
        let error = match self.errno {
            libc::ENOENT => Error::from(ErrorKind::NoFile),
            libc::EUSERS => Error::from(ErrorKind::TooManyMembers),
            errno => Error::from_errno(errno),
        };
        error.with_detail(format!("{}{what}", Step::text(self.step)))
    }
}

/// Which session and process group the child belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Group {
    /// The parent's.
    #[default]
    Inherited,
    /// That of the process with this id; 0: its own.
    Joined(i32),
    /// A new session, and in it a new group.
    NewSession,
}

/// All settings, ready to be applied.
#[derive(Default)]
pub struct Setup {
    pub group: Group,
    pub nice: Option<i32>,
    pub processors: Option<Vec<u64>>,
    pub limits: Vec<(i32, u64, u64)>,
    pub directory: Option<Counted<CString>>,
    pub umask: Option<u32>,
    /// From, to.
    pub descriptors: Vec<(RawFd, RawFd)>,
    /// Room for a copy of each of them.
    pub copies: Vec<RawFd>,
    pub close_others: bool,
    pub name: Option<[u8; NAME_LEN]>,
    /// Whether the child dies with its parent.
    pub is_bound: bool,
    /// Whether its whole group does.
    pub whole_group: bool,
}

impl Setup {
    /// Whether something may fail, so that the parent must wait for a report.
    #[inline]
    pub fn can_fail(&self) -> bool {
        self.group != Group::Inherited
            || self.nice.is_some()
            || self.processors.is_some()
            || self.directory.is_some()
            || !self.limits.is_empty()
            || !self.descriptors.is_empty()
    }

    /// Whether there is nothing to apply. Checked first, because a new child faults in each page of code that it runs.
    #[inline]
    pub fn is_nothing(&self) -> bool {
        !self.can_fail()
            && self.umask.is_none()
            && self.name.is_none()
            && !self.close_others
            && !self.is_bound
    }

    /// A number above all those at which descriptors are placed.
    pub fn above_places(&self) -> RawFd {
        self.descriptors.iter().map(|&(_, to)| to + 1).fold(3, RawFd::max)
    }

    /// Whom the tie kills.
    pub fn bound(&self, pid: i32) -> Bound {
        if self.whole_group { Bound::Group(pid) } else { Bound::Process(pid) }
    }

    /// In the child. `tie`: the child's copies of a tie that it must complete by itself.
    pub fn apply(&mut self, tie: Option<&ParentDeath>) -> core::result::Result<(), Failure> {
        let failed = |step| move |errno| Failure::new(step, errno);
        match self.group {
            Group::Inherited => {}
            Group::Joined(group) => settings::join_group(group).map_err(failed(Step::Group))?,
            Group::NewSession => settings::new_session().map_err(failed(Step::Group))?,
        }
        if self.is_bound && task::pid() == 1 {
            // The first process of a PID namespace: the tie's signal does not reach it.
            settings::end_with_parent_thread().map_err(failed(Step::Tie))?;
        }
        if let Some(tie) = tie {
            tie.bind(self.bound(task::pid() as i32)).map_err(failed(Step::Tie))?;
            tie.close_copies();
        }
        if let Some(nice) = self.nice {
            settings::set_nice(nice).map_err(failed(Step::Nice))?;
        }
        if let Some(bits) = &self.processors {
            settings::set_processors(bits).map_err(failed(Step::Processors))?;
        }
        if let Some(path) = &self.directory {
            settings::change_directory(path).map_err(failed(Step::Directory))?;
        }
        if let Some(mask) = self.umask {
            settings::set_umask(mask);
        }
        self.place_descriptors().map_err(failed(Step::Descriptors))?;
        for &(resource, soft, hard) in &self.limits {
            settings::set_limit(resource, soft, hard).map_err(failed(Step::Limits))?;
        }
        if let Some(Ok(name)) = self.name.as_ref().map(|name| CStr::from_bytes_until_nul(name)) {
            fork::set_name(name);
        }
        Ok(())
    }

    /// First copies all of them out of the way: the target of one may be the number of another.
    fn place_descriptors(&mut self) -> core::result::Result<(), i32> {
        let above = self.above_places();
        if self.close_others {
            settings::close_at_exec(3)?;
        }
        for (copy, &(from, _)) in self.copies.iter_mut().zip(&self.descriptors) {
            *copy = own::copy_above(from, above)?;
        }
        for (&copy, &(_, to)) in self.copies.iter().zip(&self.descriptors) {
            settings::place(copy, to)?;
            settings::close_copy(copy);
        }
        Ok(())
    }
}

/// A C string of these bytes; `what` names them in the error.
pub fn c_string(bytes: &[u8], what: &str) -> Result<CString> {
    c_string_of(&[bytes], what)
}

/// As [`c_string`], from several parts.
pub fn c_string_of(parts: &[&[u8]], what: &str) -> Result<CString> {
    let mut all = Vec::new();
    // With room for the NUL, so that nothing is allocated afterwards.
    fallible::reserve(&mut all, parts.iter().map(|part| part.len()).sum::<usize>() + 1)?;
    parts.iter().for_each(|part| all.extend_from_slice(part));
    CString::new(all)
        .map_err(|_| Error::from(ErrorKind::InvalidInput).with_detail(format!("{what} must not contain NUL")))
}
