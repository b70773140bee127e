//! A queue under a lock that is held for a moment only: the work queue, the broadcast.

use crate::error::{ErrorKind, Result};
use crate::member::Member;
use crate::sync::{Acquired, RawMutex};
use crate::time::{Deadline, Wait};

/// How long a try waits for the lock: its holder is stopped then.
const PATIENCE_NS: u64 = 50_000_000;

/// How long a call waits for the lock. It is held for a moment, unless its holder is stopped. So also a try waits, and a call that is
/// late already.
fn patience(wait: Wait) -> Option<Deadline> {
    let patience =
        || Deadline::from_monotonic_ns(Deadline::now().as_monotonic_ns().saturating_add(PATIENCE_NS));
    match wait {
        Wait::ForEver => None,
        Wait::Never => Some(patience()),
        Wait::Until(deadline) => Some(patience().max(deadline)),
    }
}

/// Takes the lock, which was not simply free.
///
/// # Errors
/// `WouldBlock` (for a try), `TimedOut`; `Deadlock`.
#[cold]
pub(super) fn lock_patiently(lock: &RawMutex, me: &Member, wait: Wait) -> Result<Acquired> {
    let how = match lock.try_lock(me) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => lock.lock(me, patience(wait)),
        how => how,
    };
    how.map_err(|error| match (error.kind(), wait) {
        (ErrorKind::TimedOut, Wait::Never) => ErrorKind::WouldBlock.into(),
        _ => error,
    })
}
