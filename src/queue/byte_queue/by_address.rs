//! Claims that are known by the address of their message only, as in C.

use super::raw::{Claim, RawByteQueue};
use super::word::Ctl;
use crate::atomic::Ordering;
use crate::error::{ErrorKind, Result};
use crate::member::Member;
use crate::queue::position::{self as pos, Role};

impl RawByteQueue {
    /// The calling thread's claim of the record whose message is at this address. The word says whose it is and how long. The
    /// record is not freed, so it is less than a lap beyond the head, which gives the lap.
    fn claim_at(&self, me: &Member, message: *const u8, role: Role) -> Result<Claim> {
        let index = self.ring.index_of(message).ok_or(ErrorKind::InvalidInput)?;
        // Relaxed: our own word, or none of our business.
        let word = self.ring.ctl(index).load(Ordering::Relaxed);
        let Ctl::Owned { owner, role: found, granules } = Ctl::read(word) else {
            return Err(ErrorKind::NotOwner.into());
        };
        let fits = granules != 0 && granules <= self.ring.granules() - index;
        if owner != Some(me.id()) || found != role || !fits {
            return Err(ErrorKind::NotOwner.into());
        }
        let head = self.head();
        let lap = pos::lap(head) + u64::from(index < pos::index(head));
        let position = pos::position(lap & ((1 << 40) - 1), index);
        Ok(self.claim(position, granules, false, Some(position), true))
    }

    /// [`commit`](Self::commit) of what was reserved at this address.
    ///
    /// # Errors
    /// `TooLarge` for more than was reserved.
    pub(crate) fn commit_at(&self, me: &Member, message: *const u8, len: usize) -> Result<()> {
        let claim = self.claim_at(me, message, Role::Writer)?;
        // As `reserve` noted it; whatever a peer has written there, the room is the limit.
        if len > self.room(&claim).1 || len as u64 > self.length_word(&claim) {
            return Err(ErrorKind::TooLarge.into());
        }
        self.commit(me, claim, len)
    }

    /// [`abort`](Self::abort) of what was reserved at this address.
    pub(crate) fn abort_at(&self, me: &Member, message: *const u8) -> Result<()> {
        self.abort(me, self.claim_at(me, message, Role::Writer)?)
    }

    /// [`release`](Self::release) of what was borrowed at this address.
    pub(crate) fn release_at(&self, me: &Member, message: *const u8) -> Result<()> {
        self.release(me, self.claim_at(me, message, Role::Reader)?)
    }

    /// [`put_back`](Self::put_back) of what was borrowed at this address.
    pub(crate) fn put_back_at(&self, me: &Member, message: *const u8) -> Result<()> {
        self.put_back(me, self.claim_at(me, message, Role::Reader)?)
    }
}
