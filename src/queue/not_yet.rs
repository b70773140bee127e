//! [`NotYet`]: what a look for a wait set says that found nothing.

/// Nothing is there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NotYet {
    /// When to look again, on the monotonic clock.
    pub(crate) due: Option<u64>,
    /// Somebody alive has it in hand, and his death is an event. The kernel does not report every death, so who sleeps looks from time to
    /// time.
    pub(crate) held: bool,
}

impl NotYet {
    /// Whether somebody alive has it in hand.
    pub(crate) fn held(held: bool) -> Self {
        NotYet { due: None, held }
    }
}
