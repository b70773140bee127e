//! The heavy half of the asymmetric fence.

use super::call::checked;

const GLOBAL_EXPEDITED: libc::c_int = 1 << 1;
const REGISTER_GLOBAL_EXPEDITED: libc::c_int = 1 << 2;

fn command(command: libc::c_int) -> bool {
    // SAFETY: membarrier takes two integers and touches no memory of ours.
    checked(|| unsafe { libc::syscall(libc::SYS_membarrier, command, 0) }).is_ok()
}

/// Registers this process so that [`membarrier`] reaches its threads. False where the kernel or a sandbox refuses: then the
/// segment must use full fences.
pub fn register_membarrier() -> bool {
    command(REGISTER_GLOBAL_EXPEDITED)
}

/// Makes every running thread of every registered process pass a full fence. False where the kernel refuses.
#[inline]
pub fn membarrier() -> bool {
    command(GLOBAL_EXPEDITED)
}
