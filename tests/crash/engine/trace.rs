//! Stepping one thread, instruction by instruction.
//!
//! The steps of an operation are counted as *events*: one for each instruction, and one more each time the thread
//! falls asleep inside a system call (a step over such a call does not return before somebody wakes the
//! thread, so "asleep in the kernel" is a kill point of its own between the call and its return).
//!
//! Stepping costs some microseconds an instruction. So a far point is reached by a *leap*: the thread runs freely to
//! a hardware breakpoint (nothing in the code is changed), as often as the measured run passed there, and is
//! stepped from there.

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
        if self.part.board.released.load(SeqCst) == 0 {
            end_mark();
        }
    }
}

/// The place where an operation is over.
#[inline(never)]
extern "C" fn end_mark() {
    // SAFETY: stops this thread for its tracer, which kills it here.
    unsafe { std::arch::asm!("int3") };
}

/// What the program is called with to do nothing.
pub const PARK: &std::ffi::CStr = c"--park";

/// The arguments for [`Tracee::exec`], and an empty environment.
struct Arguments([*const std::ffi::c_char; 3]);
// SAFETY: pointers to constants.
unsafe impl Sync for Arguments {}
static ARGUMENTS: Arguments = Arguments([c"crash".as_ptr(), PARK.as_ptr(), std::ptr::null()]);

std::arch::global_asm!(".globl crash_system_call", "crash_system_call:", "syscall", "int3");
unsafe extern "C" {
    #[link_name = "crash_system_call"]
    fn system_call();
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
    sleeps: u32,
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
        let tracee = Tracee { child, dead: false, sleeps: 0, tid: seat.tid.load(SeqCst) as i32, code, board };
        if !started {
            return Err(format!("the victim never came to its start: {}", seat.text()));
        }
        match os::wait_until(tracee.tid, deadline) {
            Some(status) if libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) == libc::SIGTRAP => {}
            other => return Err(format!("the victim did not stop at its start mark ({other:x?})")),
        }
        let options = libc::PTRACE_O_EXITKILL | libc::PTRACE_O_TRACESYSGOOD;
        ptrace(libc::PTRACE_SETOPTIONS, tracee.tid, 0, options as usize);
        Ok(tracee)
    }

    /// Ties the victim to processors.
    pub fn pin(&self, processors: &[usize]) {
        os::pin(self.tid, processors);
    }

    /// Lets the victim go on until it forks. Its child is the victim from there on, before its first instruction; the
    /// parent is given back, an ordinary process.
    pub fn follow(&mut self, deadline: u64) -> Result<Child, String> {
        let options = libc::PTRACE_O_EXITKILL | libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACEFORK;
        ptrace(libc::PTRACE_SETOPTIONS, self.tid, 0, options as usize);
        ptrace(libc::PTRACE_CONT, self.tid, 0, 0);
        match os::wait_until(self.tid, deadline) {
            Some(status) if status >> 8 == libc::SIGTRAP | libc::PTRACE_EVENT_FORK << 8 => {}
            other => return Err(format!("the victim did not fork ({other:x?})")),
        }
        let mut pid: libc::c_ulong = 0;
        // SAFETY: the kernel writes one long there.
        unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, self.tid, 0, &raw mut pid) };
        let child = Child::of(pid as i32);
        match os::wait_until(child.pid, deadline) {
            Some(status) if libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) == libc::SIGSTOP => {}
            other => return Err(format!("the forked victim did not stop ({other:x?})")),
        }
        ptrace(libc::PTRACE_DETACH, self.tid, 0, 0);
        self.tid = child.pid;
        Ok(std::mem::replace(&mut self.child, child))
    }

    fn pc(&self) -> usize {
        ptrace(libc::PTRACE_PEEKUSER, self.tid, libc::RIP as usize * 8, 0) as usize
    }

    /// Runs freely until it stands at `pc` for the `nth` time, counted from 1 (where it stands now counts). If it never
    /// does, the operation is finished. `None` where there are no breakpoints.
    pub fn leap(&mut self, pc: usize, nth: u32, deadline: u64, director: &mut dyn Director) -> Option<Stop> {
        let mut passed = u32::from(self.pc() == pc);
        if passed < nth && !self.set_breakpoint(pc) {
            return None;
        }
        let mut in_kernel = false;
        while passed < nth {
            if ptrace(libc::PTRACE_SYSCALL, self.tid, 0, 0) == -1 {
                return Some(Stop::Broken("the victim is gone".into()));
            }
            let status = match in_kernel {
                true => self.out_of_kernel(pc, deadline, director, None),
                false => os::wait_until(self.tid, deadline).ok_or_else(|| "the victim runs for ever".into()),
            };
            let status = match status {
                Ok(status) => status,
                Err(text) => return Some(Stop::Broken(text)),
            };
            if libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) == libc::SIGTRAP | 0x80 {
                in_kernel = !in_kernel;
                continue;
            }
            if let Err(text) = self.is_trap(status) {
                return Some(Stop::Broken(text));
            }
            if self.pc() != pc {
                return Some(Stop::Finished); // the trap of the end mark
            }
            passed += 1;
        }
        self.set_breakpoint(0);
        Some(Stop::Here)
    }

    /// Sets the one breakpoint, or takes it away.
    fn set_breakpoint(&self, pc: usize) -> bool {
        let register = |n: usize| std::mem::offset_of!(libc::user, u_debugreg) + n * size_of::<usize>();
        let poke = |n, value| ptrace(libc::PTRACE_POKEUSER, self.tid, register(n), value) != -1;
        poke(7, 0) && (pc == 0 || poke(0, pc) && poke(7, 1))
    }

    /// Waits for the stop after a system call. If it sleeps there: tells the director, who may kill it (`Ok(0)`, if
    /// this sleep is the event `left`), or wakes it.
    fn out_of_kernel(
        &mut self,
        pc: usize,
        deadline: u64,
        director: &mut dyn Director,
        left: Option<u32>,
    ) -> Result<i32, String> {
        if let Some(status) = self.through_kernel() {
            return Ok(status);
        }
        self.sleeps += 1;
        director.stands(Stand { pc, asleep: true });
        director.asleep(self.sleeps)?;
        if left == Some(1) {
            return Ok(0);
        }
        director.cue(self.sleeps);
        let woken = os::wait_until(self.tid, deadline);
        woken.ok_or_else(|| format!("the victim sleeps for ever (sleep {})", self.sleeps))
    }

    /// Steps until `events` have passed, before the director's eyes.
    pub fn advance(&mut self, events: u32, deadline: u64, director: &mut dyn Director) -> Stop {
        let mut seen = 0;
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
                let before = self.sleeps;
                let status = self.out_of_kernel(pc + 2, deadline, director, Some(events - seen));
                seen += self.sleeps - before;
                match status {
                    Ok(0) => return Stop::Here,
                    Ok(status) => status,
                    Err(text) => return Stop::Broken(text),
                }
            } else {
                match os::wait(self.tid, 0) {
                    Some(status) => status,
                    None => return Stop::Broken("the victim is gone".into()),
                }
            };
            if let Err(text) = self.is_trap(status) {
                return Stop::Broken(text);
            }
            seen += 1;
            if seen % 256 == 0 && os::now() > deadline {
                return Stop::Broken(format!("the operation is not over after {seen} instructions"));
            }
        }
    }

    fn is_trap(&self, status: i32) -> Result<(), String> {
        if !libc::WIFSTOPPED(status) {
            let text = self.board.seats.iter().map(|s| s.text()).find(|t| !t.is_empty()).unwrap_or_default();
            return Err(format!("the victim ended by itself, status {status:#x} {text}"));
        }
        match libc::WSTOPSIG(status) {
            libc::SIGTRAP => Ok(()),
            signal => Err(format!("the victim got signal {signal} at {:#x}", self.pc())),
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

    /// Lets the victim, which stands, go on as an ordinary child.
    pub fn release(mut self) -> Child {
        self.board.released.store(1, SeqCst);
        ptrace(libc::PTRACE_DETACH, self.tid, 0, 0);
        self.dead = true; // not to be killed by the drop
        Child { pid: self.child.pid, fd: std::mem::replace(&mut self.child.fd, -1) }
    }

    /// Kills the process and takes its memory away before it runs again (it is tied to the engine's processor).
    pub fn kill_and_reap_memory(&mut self) {
        self.child.kill();
        // SAFETY: plain system call on a descriptor of ours. On failure the victim was faster.
        unsafe { libc::syscall(libc::SYS_process_mrelease, self.child.fd, 0) };
        self.kill(false);
    }

    /// Makes the victim, which stands, call `execve`: it becomes this program in the role of [`PARK`].
    pub fn exec(&mut self, deadline: u64) -> Result<(), String> {
        // SAFETY: all-zero is a valid set of registers, filled by the first call; the arguments lie in memory that the
        // victim has a copy of.
        unsafe {
            let mut regs: libc::user_regs_struct = std::mem::zeroed();
            if libc::ptrace(libc::PTRACE_GETREGS, self.tid, 0, &raw mut regs) == -1 {
                return Err("the victim does not stand".into());
            }
            regs.rip = system_call as *const () as u64;
            regs.rax = libc::SYS_execve as u64;
            regs.orig_rax = u64::MAX; // no system call is to be restarted
            regs.rdi = c"/proc/self/exe".as_ptr() as u64;
            regs.rsi = ARGUMENTS.0.as_ptr() as u64;
            regs.rdx = ARGUMENTS.0[2..].as_ptr() as u64;
            libc::ptrace(libc::PTRACE_SETREGS, self.tid, 0, &raw const regs);
        }
        ptrace(libc::PTRACE_CONT, self.tid, 0, 0);
        // Whichever thread it was, its id is the process's from now on.
        self.tid = self.child.pid;
        match os::wait_until(self.child.pid, deadline) {
            Some(status) if libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) == libc::SIGTRAP => {
                ptrace(libc::PTRACE_DETACH, self.tid, 0, 0);
                Ok(())
            }
            other => Err(format!("execve failed: {other:x?}")),
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
