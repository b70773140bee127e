//! Stepping one thread, instruction by instruction.
//!
//! The steps of an operation are counted as *events*: one for each instruction, and one more each time the thread
//! falls asleep inside a system call (a step over such a call does not return before somebody wakes the
//! thread, so "asleep in the kernel" is a kill point of its own between the call and its return).

use super::board::{Board, Check, Part};
use super::os::{self, Child};
use std::ops::Range;
use std::sync::atomic::Ordering::SeqCst;

/// What a victim holds in its hand: where its operation starts and ends.
pub struct Cut<'a> {
    /// The board, for facts.
    pub part: Part<'a>,
}

impl Cut<'_> {
    /// The operation starts here. The calling thread is the one that is stepped and it must not have been traced
    /// before.
    #[inline(never)]
    pub fn start(&self) {
        let seat = &self.part.board.seats[self.part.index];
        // SAFETY: makes the parent the tracer of this thread.
        let rc = unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
        assert!(rc == 0, "ptrace is not permitted here");
        os::futex_set(&seat.tid, os::tid());
        // SAFETY: stops this thread for its tracer.
        unsafe { std::arch::asm!("int3") };
    }

    /// Whether this is the first of two victims.
    pub fn is_first(&self) -> bool {
        self.part.index == super::board::FIRST
    }

    /// The operation is over.
    pub fn end(&self) {
        end_mark();
    }
}

/// The place where an operation is over.
#[inline(never)]
extern "C" fn end_mark() {
    // SAFETY: stops this thread for its tracer, which kills it here.
    unsafe { std::arch::asm!("int3") };
}

/// The executable mappings of this process, which its forked children share.
pub struct Code(Vec<Range<usize>>);

impl Code {
    /// Reads them from /proc.
    pub fn of_this_process() -> Code {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc is mounted");
        let ranges = maps.lines().filter_map(|line| {
            let mut words = line.split(' ');
            let (range, rights) = (words.next()?, words.next()?);
            let (from, to) = range.split_once('-')?;
            let parse = |text| usize::from_str_radix(text, 16).ok();
            (rights.starts_with("r-x")).then_some(parse(from)?..parse(to)?)
        });
        Code(ranges.collect())
    }

    /// Whether the instruction at `pc` is `syscall`.
    fn enters_kernel(&self, pc: usize) -> bool {
        let readable = self.0.iter().any(|r| r.contains(&pc) && r.contains(&(pc + 1)));
        // SAFETY: both bytes lie in a readable mapping of code, which nobody writes.
        readable && unsafe { std::ptr::read_volatile(pc as *const [u8; 2]) } == [0x0f, 0x05]
    }
}

/// One event of a victim's life: where it stands now.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Stand {
    /// The next instruction.
    pub pc: usize,
    /// Asleep in the system call before it.
    pub asleep: bool,
}

/// Who follows a victim's steps.
pub trait Director {
    /// The victim stands here now.
    fn stands(&mut self, _stand: Stand) {}
    /// It fell asleep, for the n-th time. It may be killed there.
    fn asleep(&mut self, _n: u32) -> Check {
        Ok(())
    }
    /// It is not killed there: wake it.
    fn cue(&mut self, _n: u32) {}
}

/// Why stepping ended.
#[derive(PartialEq, Eq)]
pub enum Stop {
    /// The wanted number of events is reached.
    Here,
    /// The operation was over before.
    Finished,
    /// Something that must not happen, in words.
    Broken(String),
}

/// A victim under the knife.
pub struct Tracee<'a> {
    child: Child,
    dead: bool,
    tid: i32,
    code: &'a Code,
    board: &'static Board,
}

fn ptrace(request: libc::c_uint, tid: i32, address: usize, data: usize) -> i64 {
    // SAFETY: requests that read or write the tracer's memory are not used.
    unsafe { libc::ptrace(request, tid, address, data) }
}

impl<'a> Tracee<'a> {
    /// Waits until the victim in this seat stands at its start mark.
    pub fn adopt(
        child: Child,
        board: &'static Board,
        index: usize,
        code: &'a Code,
        deadline: u64,
    ) -> Result<Self, String> {
        let seat = &board.seats[index];
        let started = os::futex_wait(&seat.tid, 0, deadline);
        let tracee = Tracee { child, dead: false, tid: seat.tid.load(SeqCst) as i32, code, board };
        if !started {
            return Err(format!("the victim never came to its start: {}", seat.text()));
        }
        match os::wait_until(tracee.tid, deadline) {
            Some(status) if libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) == libc::SIGTRAP => {}
            other => return Err(format!("the victim did not stop at its start mark ({other:x?})")),
        }
        ptrace(libc::PTRACE_SETOPTIONS, tracee.tid, 0, libc::PTRACE_O_EXITKILL as usize);
        Ok(tracee)
    }

    /// Ties the victim to processors.
    pub fn pin(&self, processors: &[usize]) {
        os::pin(self.tid, processors);
    }

    fn pc(&self) -> usize {
        ptrace(libc::PTRACE_PEEKUSER, self.tid, libc::RIP as usize * 8, 0) as usize
    }

    /// Steps until `events` have passed, before the director's eyes (the stand at the start is event 0).
    pub fn advance(&self, events: u32, deadline: u64, director: &mut dyn Director) -> Stop {
        let mut seen = 0;
        let mut cues = 0;
        loop {
            let pc = self.pc();
            director.stands(Stand { pc, asleep: false });
            if pc == end_mark as *const () as usize {
                return Stop::Finished;
            }
            if seen == events {
                return Stop::Here;
            }
            if ptrace(libc::PTRACE_SINGLESTEP, self.tid, 0, 0) == -1 {
                return Stop::Broken("a step failed: the victim is gone".into());
            }
            let status = if self.code.enters_kernel(pc) {
                match self.through_kernel() {
                    Some(status) => status,
                    None => {
                        cues += 1;
                        seen += 1;
                        director.stands(Stand { pc: pc + 2, asleep: true });
                        if let Err(text) = director.asleep(cues) {
                            return Stop::Broken(text);
                        }
                        if seen == events {
                            return Stop::Here;
                        }
                        director.cue(cues);
                        match os::wait_until(self.tid, deadline) {
                            Some(status) => status,
                            None => {
                                return Stop::Broken(format!("the victim sleeps for ever (sleep {cues})"));
                            }
                        }
                    }
                }
            } else {
                match os::wait(self.tid, 0) {
                    Some(status) => status,
                    None => return Stop::Broken("the victim is gone".into()),
                }
            };
            if !libc::WIFSTOPPED(status) {
                let text =
                    self.board.seats.iter().map(|s| s.text()).find(|t| !t.is_empty()).unwrap_or_default();
                return Stop::Broken(format!("the victim ended by itself, status {status:#x} {text}"));
            }
            if libc::WSTOPSIG(status) != libc::SIGTRAP {
                let signal = libc::WSTOPSIG(status);
                return Stop::Broken(format!("the victim got signal {signal} at {:#x}", self.pc()));
            }
            seen += 1;
            if seen % 256 == 0 && os::now() > deadline {
                return Stop::Broken(format!("the operation is not over after {seen} instructions"));
            }
        }
    }

    /// The stop after a system call, or `None` once the victim sleeps in it.
    fn through_kernel(&self) -> Option<i32> {
        loop {
            for _ in 0..4 {
                if let Some(status) = os::wait(self.tid, libc::WNOHANG) {
                    return Some(status);
                }
                os::yield_now();
            }
            if os::asleep(self.child.pid, self.tid) {
                return None;
            }
        }
    }

    /// Kills the whole process and waits until it is dead. With `zombie` it is reaped only when this is dropped.
    pub fn kill(&mut self, zombie: bool) {
        self.child.kill();
        if self.tid != 0 && self.tid != self.child.pid {
            os::reap(self.tid);
        }
        if zombie {
            os::await_zombie(self.child.pid);
        } else {
            os::reap(self.child.pid);
            self.dead = true;
        }
    }
}

impl Drop for Tracee<'_> {
    fn drop(&mut self) {
        if !self.dead {
            self.kill(false);
        }
    }
}
