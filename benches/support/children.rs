//! Children: from start to end.

use super::machine::now;
use super::{Measurement, Sample, median};
use interproc::process::{Builder, Child, Program, fork};
use std::process::{Command, Stdio};

/// The middle one of `n` timed calls: a start that was interrupted by somebody else's work says nothing.
fn middle(n: u64, mut one: impl FnMut() -> u64) -> Sample {
    Sample::plain(median((0..n.max(1)).map(|_| one() as f64).collect()))
}

fn timed(f: impl FnOnce()) -> u64 {
    let start = now();
    f();
    now() - start
}

/// Forks a child that ends at once, and joins it.
pub fn fork_join() -> Measurement {
    Box::new(|n| middle(n, || timed(|| assert!(fork(|| ()).expect("fork").join().expect("join").success()))))
}

/// Reaps by number.
fn bare_wait(pid: i32) {
    // SAFETY: the output is writable.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        assert_eq!(libc::waitid(libc::P_PID, pid as u32, &raw mut info, libc::WEXITED), 0);
        assert_eq!(info.si_status(), 0);
    }
}

/// The same by the system calls alone.
pub fn bare_fork_wait() -> Measurement {
    Box::new(|n| {
        middle(n, || {
            timed(|| {
                // SAFETY: the child ends at once.
                let pid = unsafe {
                    let pid = libc::fork();
                    if pid == 0 {
                        libc::_exit(0)
                    }
                    pid
                };
                bare_wait(pid);
            })
        })
    })
}

/// Private memory of a large parent.
fn large(bytes: usize) -> Vec<u8> {
    let mut memory = vec![0u8; bytes];
    memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    memory
}

/// Starts a program that ends at once, and joins it, from a process with so much private memory.
pub fn spawn_join(bytes: usize) -> Measurement {
    Box::new(move |n| {
        let memory = large(bytes);
        let program = Program::new("/bin/true");
        let sample = middle(n, || {
            timed(|| {
                let child = Builder::new().spawn(&program).expect("spawn");
                assert!(child.join().expect("join").success());
            })
        });
        drop(std::hint::black_box(memory));
        sample
    })
}

unsafe extern "C" {
    static environ: *const *mut libc::c_char;
}

/// The same by `posix_spawn`.
pub fn posix_spawn(bytes: usize) -> Measurement {
    Box::new(move |n| {
        let memory = large(bytes);
        let path = c"/bin/true";
        let arguments = [path.as_ptr().cast_mut(), std::ptr::null_mut()];
        let sample = middle(n, || {
            timed(|| {
                let mut pid = 0;
                // SAFETY: C strings in null-terminated lists; nobody changes the environment.
                let rc = unsafe {
                    libc::posix_spawn(
                        &raw mut pid,
                        path.as_ptr(),
                        std::ptr::null(),
                        std::ptr::null(),
                        arguments.as_ptr(),
                        environ,
                    )
                };
                assert_eq!(rc, 0);
                bare_wait(pid);
            })
        });
        drop(std::hint::black_box(memory));
        sample
    })
}

fn sleeper() -> Child {
    let child = fork(|| {
        loop {
            // SAFETY: no arguments.
            unsafe { libc::pause() };
        }
    });
    let child = child.expect("fork");
    while child.state().expect("state").letter() != 'S' {
        std::thread::yield_now();
    }
    child
}

/// From the SIGKILL to the return of the join.
pub fn kill_join() -> Measurement {
    Box::new(|n| {
        middle(n, || {
            let child = sleeper();
            timed(|| {
                child.kill().expect("kill");
                assert_eq!(child.join().expect("join").signal(), Some(libc::SIGKILL));
            })
        })
    })
}

/// From the SIGKILL by a pidfd until that polls readable and the child is reaped.
pub fn bare_kill_poll() -> Measurement {
    Box::new(|n| {
        middle(n, || {
            let child = sleeper();
            let fd = std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(&child));
            let took = timed(|| {
                // SAFETY: the descriptor is open, the outputs are writable.
                unsafe {
                    assert_eq!(libc::syscall(libc::SYS_pidfd_send_signal, fd, libc::SIGKILL, 0, 0), 0);
                    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
                    assert_eq!(libc::poll(&raw mut poll, 1, -1), 1);
                    let mut info: libc::siginfo_t = std::mem::zeroed();
                    assert_eq!(libc::waitid(libc::P_PIDFD, fd as u32, &raw mut info, libc::WEXITED), 0);
                }
            });
            let _ = child.join(); // reaped above
            took
        })
    })
}

const PYTHON: &str = "
import multiprocessing as m, sys, time
c = m.get_context('fork')
def f(): pass
t = []
for _ in range(int(sys.argv[1])):
    a = time.monotonic_ns()
    p = c.Process(target=f)
    p.start()
    p.join()
    t.append(time.monotonic_ns() - a)
print(sorted(t)[len(t) // 2])
";

fn python() -> Command {
    let mut python = Command::new("python3");
    python.args(["-c", PYTHON]).stdin(Stdio::null());
    python
}

/// Whether there is a Python.
pub fn has_python() -> bool {
    python().arg("1").output().is_ok_and(|output| output.status.success())
}

/// Python's `multiprocessing.Process`, start method fork, start and join.
pub fn python_process() -> Measurement {
    Box::new(|n| {
        let output = python().arg(n.clamp(5, 200).to_string()).output().expect("python3");
        Sample::plain(String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number"))
    })
}
