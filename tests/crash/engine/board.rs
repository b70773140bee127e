//! What the processes of one point tell each other: a page of shared memory, wiped before each point.

use super::os;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering::SeqCst};

/// What a role found: nothing wrong, or a sentence.
pub type Check = Result<(), String>;

/// Returns the sentence from the enclosing check unless the condition holds.
#[macro_export]
macro_rules! ensure {
    ($cond:expr, $($text:tt)+) => {
        if !$cond {
            return Err(format!($($text)+));
        }
    };
}

/// The most helpers a scenario has.
pub const HELPERS: usize = 6;
/// The seat of the first victim in two-death scenarios.
pub const FIRST: usize = HELPERS;
/// The victim's seat.
pub const VICTIM: usize = HELPERS + 1;
/// The verifier's seat.
pub const VERIFIER: usize = HELPERS + 2;
const SEATS: usize = HELPERS + 3;

/// Not started.
pub const ABSENT: u32 = 0;
/// Prepared; inside the operation or about to enter it.
pub const READY: u32 = 1;
/// Came to its end, all as promised.
pub const DONE: u32 = 2;
/// Came to its end and found something wrong; the text says what.
pub const WRONG: u32 = 3;

/// The cue that the victim is dead.
pub const KILLED: u32 = u32::MAX / 2;
/// The cue that the verifier is done.
pub const CURTAIN: u32 = u32::MAX;

/// One process's part of the board.
pub struct Seat {
    /// [`ABSENT`], [`READY`], [`DONE`] or [`WRONG`].
    pub phase: AtomicU32,
    /// The stepped thread of a victim, set when it stands at the start mark.
    pub tid: AtomicU32,
    /// When it began to ask for what it is promised.
    pub began: AtomicU64,
    /// When it had it; 0 = no promise to time.
    pub recovered: AtomicU64,
    /// Messages that were delivered once more, and said so.
    pub redelivered: AtomicU32,
    /// Messages that a dead reader took along, where that is allowed.
    pub lost: AtomicU32,
    text: [AtomicU8; 240],
}

/// The shared page.
pub struct Board {
    /// How many cues were given. A helper waits for its number.
    pub cue: AtomicU32,
    /// When the victim was killed.
    pub killed: AtomicU64,
    /// The crash window that the victim was killed in: its number + 1, or 0.
    pub window: AtomicU32,
    /// Not 0: that is a guess.
    pub guessed: AtomicU32,
    /// Bystanders may go on.
    pub released: AtomicU32,
    /// Somebody was told of a death, so the net may have found it.
    pub told: AtomicU32,
    /// For the scenario: what was acknowledged, and so on.
    pub facts: [AtomicU64; 32],
    /// One a process.
    pub seats: [Seat; SEATS],
}

impl Board {
    /// Wipes the board.
    pub fn reset(&self) {
        self.cue.store(0, SeqCst);
        [&self.window, &self.guessed, &self.released, &self.told].iter().for_each(|w| w.store(0, SeqCst));
        self.killed.store(0, SeqCst);
        self.facts.iter().for_each(|f| f.store(0, SeqCst));
        for s in &self.seats {
            [&s.phase, &s.tid, &s.redelivered, &s.lost].iter().for_each(|w| w.store(0, SeqCst));
            [&s.began, &s.recovered].iter().for_each(|w| w.store(0, SeqCst));
            s.text[0].store(0, SeqCst);
        }
    }

    /// Gives cues up to number `n`.
    pub fn give_cue(&self, n: u32) {
        if self.cue.load(SeqCst) < n {
            os::futex_set(&self.cue, n);
        }
    }
}

impl Seat {
    /// Writes the sentence.
    pub fn say(&self, text: &str) {
        let room = self.text.len() - 1;
        for (cell, byte) in self.text.iter().zip(text.bytes().take(room).chain([0])) {
            cell.store(byte, SeqCst);
        }
    }

    /// Reads the sentence.
    pub fn text(&self) -> String {
        let bytes = self.text.iter().map(|c| c.load(SeqCst)).take_while(|&b| b != 0).collect::<Vec<_>>();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

static MINE: AtomicPtr<Seat> = AtomicPtr::new(std::ptr::null_mut());

/// Makes a panic of this process say its message in its seat instead of on the terminal.
pub fn panics_go_to(seat: &'static Seat) {
    MINE.store(std::ptr::from_ref(seat).cast_mut(), SeqCst);
    std::panic::set_hook(Box::new(|info| {
        // SAFETY: the pointer is that of a board in memory that is never unmapped.
        let seat = unsafe { &*MINE.load(SeqCst) };
        seat.say(&info.to_string().replace('\n', " "));
        seat.phase.store(WRONG, SeqCst);
    }));
}

/// The labels of a crash window, whose name is "module label: what it is"; one of two operations has both, "Q-b/Q-e".
fn labels(window: &str) -> impl Iterator<Item = &str> {
    let (_, labelled) = window.split_once(' ').unwrap_or_default();
    let (labels, _) = labelled.split_once(':').unwrap_or((labelled, ""));
    labels.split(['/', ',']).map(str::trim)
}

/// What a helper or verifier holds in its hand.
pub struct Part<'a> {
    /// The board.
    pub board: &'static Board,
    /// The names of the crash windows.
    pub windows: &'a [String],
    /// Its seat.
    pub index: usize,
}

impl Part<'_> {
    fn seat(&self) -> &'static Seat {
        &self.board.seats[self.index]
    }

    /// Says that all is prepared and the promised operation begins now.
    pub fn ready(&self) {
        self.seat().began.store(os::now(), SeqCst);
        os::futex_set(&self.seat().phase, READY);
    }

    /// Says that what was promised has come: stops the clock of the recovery (the first call counts).
    pub fn recovered(&self) {
        let _ = self.seat().recovered.compare_exchange(0, os::now(), SeqCst, SeqCst);
    }

    /// Says that somebody was told of a death.
    pub fn told(&self) {
        self.board.told.store(1, SeqCst);
    }

    /// Says that helper `index` had at `time` what it was promised.
    pub fn served(&self, index: usize, time: u64) {
        self.board.seats[index].recovered.store(time, SeqCst);
    }

    /// Whether helper `index` has come to its end, or never came in.
    pub fn is_over(&self, index: usize) -> bool {
        self.board.seats[index].phase.load(SeqCst) != READY
    }

    /// Waits for the n-th cue. The engine gives one each time the victim falls asleep, and all at its death.
    pub fn await_cue(&self, n: u32) {
        loop {
            let given = self.board.cue.load(SeqCst);
            if given >= n {
                return;
            }
            os::futex_wait(&self.board.cue, given, os::now() + 1_000_000_000);
        }
    }

    /// Whether the victim was killed in the crash window of this label, for sure. False if the names were stripped.
    pub fn killed_in(&self, label: &str) -> bool {
        self.board.guessed.load(SeqCst) == 0 && self.perhaps_killed_in(label)
    }

    /// Whether it may have been.
    pub fn perhaps_killed_in(&self, label: &str) -> bool {
        let has = |window: &String| labels(window).any(|has| has == label);
        assert!(
            self.windows.is_empty() || self.windows.iter().any(has),
            "no crash window is labelled {label}"
        );
        let index = self.board.window.load(SeqCst) as usize;
        index > 0 && has(&self.windows[index - 1])
    }

    /// A word of the scenario's own.
    pub fn fact(&self, index: usize) -> &AtomicU64 {
        &self.board.facts[index]
    }

    /// Counts messages that were delivered again and said so.
    pub fn count_redelivered(&self, n: u32) {
        self.seat().redelivered.fetch_add(n, SeqCst);
    }

    /// Counts messages that a dead reader took along.
    pub fn count_lost(&self, n: u32) {
        self.seat().lost.fetch_add(n, SeqCst);
    }
}
