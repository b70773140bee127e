//! One point: a fresh world, its helpers, the victim killed after a number of events, the survivors' verdict.

use super::board::{self, Board, Check, Part};
use super::case::{Death, End, Enter, First, Limits, Scenario, Stage, Until};
use super::os::{self, Child};
use super::plan::Aim;
use super::trace::{Code, Cut, Director, Stand, Stop, Tracee};
use super::windows::Windows;
use bytemuck::{Pod, Zeroable};
use std::rc::Rc;
use std::sync::atomic::Ordering::SeqCst;

/// Where to kill: how far into the operation, and where the first victim died.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Kill {
    /// In the first victim's operation, in two-death scenarios.
    pub first: Aim,
    /// In the victim's.
    pub victim: Aim,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As promised.
    Kept,
    /// As promised, but the recovery took longer than the scenario allows.
    Late,
    /// A promise was broken.
    Broken(String),
    /// This time the story took another turn: a bystander was asleep before it came to its point.
    Void,
}

/// The result of one point.
pub struct Outcome {
    /// Whether the promises were kept.
    pub verdict: Verdict,
    /// The operation was over before the kill.
    pub finished: bool,
    /// Killed asleep in the kernel.
    pub asleep: bool,
    /// The longest time from the death (or the asking, if later) until a survivor had what it was promised.
    pub recovery_ns: u64,
    /// Messages delivered again and flagged.
    pub redelivered: u32,
    /// Messages that a dead reader took along, where allowed.
    pub lost: u32,
    /// The last crash window entered, and the address.
    pub window: Option<usize>,
    /// It is a guess.
    pub guessed: bool,
    /// Where the victim died.
    pub pc: usize,
}

/// What stays the same from point to point.
pub struct Lab {
    /// The page of the point's processes.
    pub board: &'static Board,
    /// This program's code.
    pub code: Code,
    /// The crash windows named in it. Read once in a run: a worker that read the program anew had its bytes on its heap, and
    /// every process of every point was forked with their pages (half of the time of a point).
    pub windows: Rc<Windows>,
    /// The processor of the engine and the victim.
    pub here: Vec<usize>,
    /// All that may be used.
    pub everywhere: Vec<usize>,
}

struct Cast {
    children: Vec<Option<Child>>,
}

impl Drop for Cast {
    fn drop(&mut self) {
        self.children.drain(..).flatten().for_each(|child| {
            child.finish();
        });
    }
}

/// Brings a victim to where it is to be killed.
fn go(tracee: &mut Tracee, aim: Aim, deadline: u64, director: &mut dyn Director) -> Stop {
    if aim.nth > 0 {
        match tracee.leap(aim.pc as usize, aim.nth, deadline, director) {
            Some(Stop::Here) => {}
            Some(stop) => return stop,
            None => return tracee.advance(aim.events, deadline, director),
        }
    }
    tracee.advance(aim.steps, deadline, director)
}

/// Shows the stands of a first victim.
struct Watcher<F> {
    show: F,
    /// It is to be stopped before it falls asleep.
    bystander: bool,
}

const ASLEEP: &str = "the bystander fell asleep";

impl<F: FnMut(Stand)> Director for Watcher<F> {
    fn stands(&mut self, stand: Stand) {
        (self.show)(stand);
    }

    fn asleep(&mut self, _n: u32) -> Check {
        if self.bystander { Err(ASLEEP.into()) } else { Ok(()) }
    }
}

/// What goes on around the victim while it is stepped.
struct Play<'a> {
    lab: &'a Lab,
    stage: &'a dyn Stage,
    helpers: &'a [(Enter, Until, End)],
    cast: Cast,
    first: Option<Tracee<'a>>,
    first_dies: bool,
    patience: u64,
    outcome: &'a mut Outcome,
    show: &'a mut dyn FnMut(usize, Stand),
}

impl Director for Play<'_> {
    fn stands(&mut self, stand: Stand) {
        if !stand.asleep
            && let Some(window) = self.lab.windows.at(stand.pc)
        {
            (self.outcome.window, self.outcome.guessed) = (Some(window), false);
        }
        self.outcome.asleep = stand.asleep;
        self.outcome.pc = stand.pc;
        (self.show)(board::VICTIM, stand);
    }

    fn asleep(&mut self, n: u32) -> Check {
        if n > 1 {
            return Ok(());
        }
        self.lab.enter(self.stage, self.helpers, Enter::WhenAsleep, &mut self.cast, self.patience)
    }

    fn cue(&mut self, n: u32) {
        if self.first_dies {
            self.first = None; // dropping it kills it
        }
        self.lab.board.give_cue(n);
    }
}

impl Lab {
    /// The laboratory on one processor.
    pub fn new(here: usize, windows: Rc<Windows>) -> Lab {
        os::block_sigchld();
        let code = Code::of_this_process();
        Lab { board: os::shared(), code, windows, here: vec![here], everywhere: os::processors() }
    }

    fn spawn(&self, index: usize, body: impl FnOnce(&Part) -> Check) -> Child {
        let board = self.board;
        os::fork(|| {
            os::pin(0, &self.everywhere);
            let seat = &board.seats[index];
            board::panics_go_to(seat);
            match body(&Part { board, windows: self.windows.names(), index }) {
                Ok(()) => os::futex_set(&seat.phase, board::DONE),
                Err(text) => {
                    seat.say(&text);
                    os::futex_set(&seat.phase, board::WRONG);
                }
            }
            0
        })
    }

    /// Runs one point. `show` sees each stand of the victims, by their seats.
    pub fn run(&self, scenario: &dyn Scenario, kill: Kill, mut show: impl FnMut(usize, Stand)) -> Outcome {
        let mut outcome = Outcome {
            verdict: Verdict::Kept,
            finished: false,
            asleep: false,
            recovery_ns: 0,
            redelivered: 0,
            lost: 0,
            window: None,
            guessed: false,
            pc: 0,
        };
        self.board.reset();
        let stage = scenario.stage();
        if let Err(text) = self.play(scenario, &*stage, kill, &mut show, &mut outcome) {
            outcome.verdict = if text == ASLEEP { Verdict::Void } else { Verdict::Broken(text) };
            return outcome;
        }
        let killed = self.board.killed.load(SeqCst);
        for seat in &self.board.seats {
            let recovered = seat.recovered.load(SeqCst);
            let from = killed.max(seat.began.load(SeqCst));
            outcome.recovery_ns = outcome.recovery_ns.max(recovered.saturating_sub(from));
            outcome.redelivered += seat.redelivered.load(SeqCst);
            outcome.lost += seat.lost.load(SeqCst);
        }
        let limits = scenario.limits();
        let by_net = limits.net_when_told && self.board.told.load(SeqCst) != 0;
        if outcome.recovery_ns > if by_net { 120_000_000 } else { limits.late_ns } {
            outcome.verdict = Verdict::Late;
        }
        outcome
    }

    fn play(
        &self,
        scenario: &dyn Scenario,
        stage: &dyn Stage,
        kill: Kill,
        show: &mut dyn FnMut(usize, Stand),
        outcome: &mut Outcome,
    ) -> Check {
        let limits = scenario.limits();
        let patience = limits.patience_ns;
        let helpers = stage.helpers();
        let mut cast = Cast { children: helpers.iter().map(|_| None).collect() };
        self.enter(stage, &helpers, Enter::Before, &mut cast, patience)?;
        let deadline = || os::now() + patience + 20_000_000_000;
        let comes_first = scenario.has_first() && !matches!(limits.first, First::GoesOn(_));
        let mut first =
            if comes_first { self.first(stage, limits, kill.first, deadline(), show)? } else { None };
        let mut victim = self.victim(board::VICTIM, |cut| stage.victim(cut), limits.follows, patience)?;
        if limits.follows {
            cast.children.push(Some(victim.follow(deadline())?));
        }
        self.enter(stage, &helpers, Enter::AtStart, &mut cast, patience)?;
        if scenario.has_first() && !comes_first {
            first = self.first(stage, limits, kill.first, deadline(), show)?;
        }
        if !limits.roams {
            victim.pin(&self.here);
        }
        let first_dies = limits.first == First::StandsAndDies;
        let helpers = &helpers;
        let mut play = Play { lab: self, stage, helpers, cast, first, first_dies, patience, outcome, show };
        play.outcome.window = (kill.victim.window as usize).checked_sub(1);
        play.outcome.guessed = kill.victim.guessed != 0;
        let stop = go(&mut victim, kill.victim, deadline(), &mut play);
        let Play { mut cast, first, outcome, .. } = play;
        match stop {
            Stop::Here => {}
            Stop::Finished => outcome.finished = true,
            Stop::Broken(text) => return Err(text),
        }
        self.enter(stage, helpers, Enter::AtKill, &mut cast, patience)?;
        self.board.window.store(outcome.window.map_or(0, |w| w as u32 + 1), SeqCst);
        self.board.guessed.store(u32::from(outcome.guessed), SeqCst);
        // Every other victim stays a zombie until all is verified: a parent may be slow to reap.
        self.board.killed.store(os::now(), SeqCst);
        if !(outcome.finished && limits.lives_at_end) {
            match limits.death {
                // One that is another's child must be reaped here before its parent can reap it.
                Death::Kill => victim.kill(kill.victim.events % 2 == 1 && !limits.follows),
                Death::Reaped => victim.kill_and_reap_memory(),
                Death::Exec => victim.exec(os::now() + patience)?,
            }
        }
        let bystander = match limits.first {
            First::GoesOn(end) => first.map(|tracee| (tracee.release(), end)),
            _ => {
                drop(first); // which kills it
                None
            }
        };
        self.board.give_cue(board::KILLED);
        if let Some(parent) = cast.children.drain(helpers.len()..).next().flatten() {
            self.hear(board::VICTIM, parent, End::Alone, os::now() + patience)?;
        }
        self.curtain(helpers, &mut cast, End::Dies, patience)?;
        self.curtain(helpers, &mut cast, End::Alone, patience)?;
        let bystander = match bystander {
            Some((child, End::Alone)) => {
                self.hear(board::FIRST, child, End::Alone, os::now() + patience).map(|()| None)?
            }
            other => other,
        };
        let verifier = self.spawn(board::VERIFIER, |part| {
            part.ready();
            stage.verify(part)
        });
        let in_time = verifier.ended_by(os::now() + patience);
        verifier.finish();
        self.board.give_cue(board::CURTAIN);
        self.judge(board::VERIFIER, in_time, "the verifier")?;
        self.curtain(helpers, &mut cast, End::AfterVerifier, patience)?;
        match bystander {
            Some((child, end)) => self.hear(board::FIRST, child, end, os::now() + patience),
            None => Ok(()),
        }
    }

    /// The first victim, brought to its point; `None` if it is dead.
    fn first(
        &self,
        stage: &dyn Stage,
        limits: &Limits,
        aim: Aim,
        deadline: u64,
        show: &mut dyn FnMut(usize, Stand),
    ) -> Result<Option<Tracee<'_>>, String> {
        let mut tracee = self.victim(board::FIRST, |cut| stage.first(cut), false, limits.patience_ns)?;
        let bystander = matches!(limits.first, First::GoesOn(_));
        let mut watcher = Watcher { show: |stand| show(board::FIRST, stand), bystander };
        // Beside the tracer: a step is a way there and back.
        tracee.pin(&self.here);
        let stop = go(&mut tracee, aim, deadline, &mut watcher);
        tracee.pin(&self.everywhere);
        match stop {
            // Only when its way is measured: it has no part in that run.
            Stop::Broken(text) if text == ASLEEP && aim == Aim::END => {
                tracee.kill(false);
                self.board.seats[board::FIRST].phase.store(board::DONE, SeqCst);
            }
            Stop::Broken(text) if text == ASLEEP => return Err(text),
            Stop::Broken(text) => return Err(format!("first victim: {text}")),
            _ if limits.first == First::Dies => tracee.kill(false),
            _ => return Ok(Some(tracee)),
        }
        Ok(None)
    }

    /// A victim, standing at its start mark. One that only forks the victim lives on.
    fn victim(
        &self,
        index: usize,
        body: impl FnOnce(&Cut),
        lives_on: bool,
        patience: u64,
    ) -> Result<Tracee<'_>, String> {
        let child = self.spawn(index, |_| {
            let cut = Cut { part: Part { board: self.board, windows: self.windows.names(), index } };
            body(&cut);
            let released = index == board::FIRST && self.board.released.load(SeqCst) != 0;
            if released || lives_on { Ok(()) } else { Err("the victim ended by itself".into()) }
        });
        Tracee::adopt(child, self.board, index, &self.code, os::now() + patience)
    }

    /// Lets the helpers of this entrance in, one after the other.
    fn enter(
        &self,
        stage: &dyn Stage,
        helpers: &[(Enter, Until, End)],
        when: Enter,
        cast: &mut Cast,
        patience: u64,
    ) -> Check {
        for (index, &(_, until, _)) in helpers.iter().enumerate().filter(|(_, h)| h.0 == when) {
            let child = self.spawn(index, |part| stage.help(index, part));
            let (pid, deadline) = (child.pid, os::now() + patience);
            cast.children[index] = Some(child);
            let phase = &self.board.seats[index].phase;
            os::futex_wait(phase, board::ABSENT, deadline);
            while until == Until::Asleep && phase.load(SeqCst) == board::READY && os::now() < deadline {
                if os::asleep(pid, pid) {
                    break;
                }
                os::yield_now();
            }
            if until == Until::Over {
                os::futex_wait(phase, board::READY, deadline);
            }
            if until != Until::Ready && phase.load(SeqCst) == board::DONE {
                continue;
            }
            if phase.load(SeqCst) != board::READY || os::now() >= deadline {
                let text = self.board.seats[index].text();
                return Err(format!("helper {index} did not get to its place: {text}"));
            }
        }
        Ok(())
    }

    /// Waits for the helpers that end so, and hears their verdicts.
    fn curtain(&self, helpers: &[(Enter, Until, End)], cast: &mut Cast, end: End, patience: u64) -> Check {
        let deadline = os::now() + patience;
        for (index, _) in helpers.iter().enumerate().filter(|(_, h)| h.2 == end) {
            let Some(child) = cast.children[index].take() else { continue };
            self.hear(index, child, end, deadline)?;
        }
        Ok(())
    }

    /// Waits for one of them, and hears its verdict.
    fn hear(&self, index: usize, child: Child, end: End, deadline: u64) -> Check {
        let in_time = child.ended_by(deadline);
        let status = child.finish();
        if end == End::Dies && in_time && libc::WIFSIGNALED(status) {
            return Ok(());
        }
        let who = match index {
            board::FIRST => "the bystander".into(),
            board::VICTIM => "the victim's parent".into(),
            _ => format!("helper {index}"),
        };
        self.judge(index, in_time, &who)
    }

    fn judge(&self, index: usize, in_time: bool, who: &str) -> Check {
        let seat = &self.board.seats[index];
        match seat.phase.load(SeqCst) {
            board::DONE => Ok(()),
            board::WRONG => Err(format!("{who}: {}", seat.text())),
            _ if in_time => Err(format!("{who} died")),
            _ => Err(format!("{who} is stuck")),
        }
    }
}
