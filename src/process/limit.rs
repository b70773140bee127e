//! [`Limit`]: the resource limits of a process.

/// A resource limit of a process: see `setrlimit(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Bytes of address space.
    AddressSpace,
    /// Seconds of processor time.
    Cpu,
    /// Bytes of a core dump.
    Core,
    /// Bytes of data segment.
    Data,
    /// Bytes of a file that it may write.
    FileSize,
    /// Bytes of locked memory.
    LockedMemory,
    /// Open descriptors: one more than the highest possible number.
    OpenFiles,
    /// Processes and threads of its user. It does not bind root.
    Processes,
    /// Bytes of the stack.
    Stack,
    /// Another one, by its number in `sys/resource.h`.
    Number(i32),
}

impl Limit {
    pub(super) fn number(self) -> i32 {
        match self {
            Limit::AddressSpace => libc::RLIMIT_AS as i32,
            Limit::Cpu => libc::RLIMIT_CPU as i32,
            Limit::Core => libc::RLIMIT_CORE as i32,
            Limit::Data => libc::RLIMIT_DATA as i32,
            Limit::FileSize => libc::RLIMIT_FSIZE as i32,
            Limit::LockedMemory => libc::RLIMIT_MEMLOCK as i32,
            Limit::OpenFiles => libc::RLIMIT_NOFILE as i32,
            Limit::Processes => libc::RLIMIT_NPROC as i32,
            Limit::Stack => libc::RLIMIT_STACK as i32,
            Limit::Number(number) => number,
        }
    }
}
