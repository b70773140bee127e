//! Part b: a word count by worker processes, some of which are killed meanwhile.
//!
//! The count stays exact, whichever worker dies and whenever:
//!
//! 1. The text is cut into chunks. A chunk is handed out through a queue, together with a *result slot* in shared memory.
//! 2. A worker fills the slot with the chunk's words and their counts. Then **one atomic store** of the chunk's number into the
//!    slot's `committed` word says that the result is complete. A slot without its chunk's number there holds nothing, whatever
//!    else a killed worker has written into it.
//! 3. The worker sends the slot's number through a second queue. That is only a hint to look there.
//! 4. The supervisor adds up committed slots, each once, and hands the slot out again for another chunk.
//! 5. When the queue is drained and all workers have ended, a slot that is still handed out is either committed, and only the
//!    hint was lost with its worker: it is added. Or it is not committed: then its chunk was lost with its worker, and goes into
//!    the next round. No other worker can be working on it, because all have ended.
//!
//! So a chunk's result is added exactly once, and no step needs to know at which instruction a worker died.

use crate::children::{Children, now, start};
use crate::cli::Options;
use crate::report::{Failure, Finding, Progress, Verdict, grouped, plural, time};
use crate::words::{Counts, TEXT, compare, words};
use crate::workers::{Chunk, FINISHED, SLOTS, Work, chunks};
use interproc::queue::Queue;
use interproc::{ErrorKind, Result};
use std::time::Duration;

/// The part's name.
pub const NAME: &str = "b, the word count";
/// How long to wait for a hint before checking whether a worker died that we did not kill.
const CHECK_AFTER: Duration = Duration::from_millis(200);

/// How it went.
#[derive(Default)]
struct Story {
    killed: u64,
    holding: u64,
    died_otherwise: u64,
    rounds: u64,
    lost: u64,
    hints_lost: u64,
    added: u64,
    redelivered: u64,
}

/// Runs the part.
pub fn run(options: &Options) -> std::result::Result<Verdict, Failure> {
    let text = text(options)?;
    let todo = chunks(&text);
    // At most one for each 8 chunks, and none for a text that is one endless word.
    let planned = u64::from(options.kills()).min(todo.len() as u64 / 8);
    crate::streams::say!(
        "Worker processes ({}) count the words of {:.1} MB of text. Chunks of it come through a queue, results",
        options.workers,
        text.len() as f64 / 1e6
    );
    crate::streams::say!(
        "go into shared memory. Meanwhile {planned} of the workers are killed with SIGKILL, at random moments, and"
    );
    crate::streams::say!("replaced.\n");
    let begun = now();
    let alone = Counts::of(&text);
    let took_alone = now() - begun;
    let begun = now();
    let (workers, story) = count(&text, todo, options, planned)?;
    let took = now() - begun;

    crate::streams::say!(
        "  One process alone took {}; the workers, with all deaths, took {}.",
        time(took_alone),
        time(took)
    );
    crate::streams::say!(
        "  {} killed, {} of them with a chunk in hand. {} lost and counted again in round {}.",
        plural(story.killed, "worker"),
        story.holding,
        plural(story.lost, "chunk"),
        story.rounds
    );
    if story.hints_lost > 0 {
        crate::streams::say!(
            "  {} had just finished one and died before reporting it: it was counted all the same.",
            plural(story.hints_lost, "worker")
        );
    }
    if story.redelivered > 0 {
        crate::streams::say!(
            "  {} interrupted by a death while taking a chunk from the queue: the next pop delivered it.",
            plural(story.redelivered, "pop")
        );
    }
    if story.died_otherwise > 0 {
        crate::streams::say!(
            "  {} died that we did not kill, and it made no difference.",
            plural(story.died_otherwise, "worker")
        );
    }
    draw(&workers);
    let mut findings = compare(&workers, &alone);
    findings.push(deaths(&story, planned));
    let same = findings.iter().all(|finding| finding.ok);
    Ok(Verdict {
        part: NAME,
        findings,
        summary: format!(
            "{} killed, {} in mid-work; {} words{}",
            plural(story.killed, "worker"),
            story.holding,
            grouped(workers.total()),
            if same { ", all exact" } else { "; NOT exact" }
        ),
    })
}

/// Checks that the kills hit workers at work.
fn deaths(story: &Story, planned: u64) -> Finding {
    let hit = story.killed == planned && (planned == 0 || story.holding > 0);
    Finding::new(
        hit,
        format!(
            "{} of {} planned kills done, {} hit a worker with a chunk in hand",
            story.killed, planned, story.holding
        ),
    )
}

/// The text, repeated until there is enough work.
fn text(options: &Options) -> std::result::Result<String, Failure> {
    let (name, once) = match &options.input {
        None => ("A text that comes with the tool".to_string(), TEXT.to_string()),
        Some(path) => {
            let name = path.display().to_string();
            let bytes = std::fs::read(path).map_err(|e| format!("cannot read {name}: {e}"))?;
            (name, String::from_utf8_lossy(&bytes).into_owned() + "\n")
        }
    };
    if word_count_is_zero(&once) {
        return Err(format!("{name} has no words").into());
    }
    let enough = if options.quick { 6_000_000 } else { 80_000_000 };
    let times = usize::div_ceil(enough, once.len());
    if times > 1 {
        crate::streams::say!(
            "{name} ({} bytes) is counted {} times, so that there is enough work.",
            grouped(once.len() as u64),
            grouped(times as u64)
        );
    }
    Ok(once.repeat(times))
}

fn word_count_is_zero(text: &str) -> bool {
    let mut none = true;
    words(text, |_, _| none = false);
    none
}

fn count(
    text: &str,
    mut todo: Vec<Chunk>,
    options: &Options,
    planned: u64,
) -> std::result::Result<(Counts, Story), Failure> {
    let work = Work::new(text)?;
    let progress = Progress::new("chunks counted", todo.len() as u64);
    let mut random = fastrand::Rng::with_seed(options.seed);
    // After so many results the next worker is killed. As long as more chunks are missing than there are slots, some wait
    // to be handed out, so no worker has ended yet.
    let last = (todo.len() as u64).saturating_sub(SLOTS as u64 + 1);
    let mut kills: Vec<u64> = (0..planned).map(|_| random.u64(0..=last)).collect();
    kills.sort_unstable_by(|a, b| b.cmp(a));

    let (mut counts, mut story) = (Counts::default(), Story::default());
    while !todo.is_empty() {
        story.rounds += 1;
        if story.rounds > 20 {
            return Err("workers keep dying".into());
        }
        let mut round = Round::begin(&work, options, todo, &mut counts, &mut story, &progress)?;
        round.kills = std::mem::take(&mut kills);
        round.random = random.fork();
        todo = round.work()?;
    }
    story.redelivered = work.redelivered();
    Ok((counts, story))
}

/// The work on a list of chunks, until all workers have ended.
struct Round<'a> {
    work: &'a Work<'a>,
    jobs: Queue<Chunk>,
    hints: Queue<u64>,
    children: Children,
    finished: usize,
    /// No hint came for a while, and nothing waits in the queue.
    idle: bool,
    /// Not handed out yet, the next one last.
    waiting: Vec<Chunk>,
    /// By slot: handed out, result not added yet.
    out: [Option<Chunk>; SLOTS],
    /// After so many results the next worker is killed; the next kill last.
    kills: Vec<u64>,
    random: fastrand::Rng,
    counts: &'a mut Counts,
    story: &'a mut Story,
    progress: &'a Progress,
}

impl<'a> Round<'a> {
    fn begin(
        work: &'a Work<'a>,
        options: &Options,
        mut waiting: Vec<Chunk>,
        counts: &'a mut Counts,
        story: &'a mut Story,
        progress: &'a Progress,
    ) -> std::result::Result<Self, Failure> {
        waiting.reverse();
        let (jobs, hints) = work.queues(story.rounds)?;
        let mut round = Round {
            work,
            jobs,
            hints,
            children: Children::default(),
            finished: 0,
            idle: false,
            waiting,
            out: [None; SLOTS],
            kills: Vec::new(),
            random: fastrand::Rng::with_seed(0),
            counts,
            story,
            progress,
        };
        for me in 0..options.workers as usize {
            let child = round.start_worker(me)?;
            round.children.add(child);
        }
        Ok(round)
    }

    fn start_worker(&self, me: usize) -> Result<interproc::process::Child> {
        let Round { work, jobs, hints, .. } = self;
        start("counter", || work.worker(me, jobs, hints))
    }

    /// Returns the chunks that were lost with their workers.
    fn work(mut self) -> std::result::Result<Vec<Chunk>, Failure> {
        self.hand_out()?;
        while self.finished < self.children.len() {
            match self.hints.pop_timeout(CHECK_AFTER) {
                Ok(FINISHED) => self.finished += 1,
                Ok(slot) => {
                    self.idle = false;
                    self.take_in(slot as usize);
                }
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    self.idle = self.jobs.is_empty();
                    self.replace_the_dead()?;
                }
                Err(error) => return Err(error.into()),
            }
            self.hand_out()?;
            if self.kills.last().is_some_and(|&after| self.story.added >= after) {
                self.kills.pop();
                self.kill_one()?;
            }
        }
        for worker in 0..self.children.len() {
            self.children.get(worker).join()?;
        }
        // All have ended. A slot that is handed out now is committed, and only its hint was lost; or its chunk is lost.
        while let Ok(slot) = self.hints.try_pop() {
            if slot != FINISHED {
                self.take_in(slot as usize);
            }
        }
        let added = self.story.added;
        (0..SLOTS).for_each(|slot| self.take_in(slot));
        self.story.hints_lost += self.story.added - added;
        let lost = self.out.iter().flatten().copied();
        self.story.lost += lost.clone().count() as u64;
        Ok(lost.chain(self.waiting.iter().rev().copied()).collect())
    }

    /// Gives a chunk to each free slot. Closes the queue after the last chunk, or when nothing comes back any more because
    /// dead workers had all slots: then the next round goes on.
    fn hand_out(&mut self) -> Result<()> {
        for slot in 0..SLOTS {
            if self.out[slot].is_none() {
                let Some(mut chunk) = self.waiting.pop() else { break };
                chunk.slot = slot as u64;
                self.out[slot] = Some(chunk);
                self.jobs.push(chunk)?;
            }
        }
        let all_out = self.out.iter().all(|slot| slot.is_some());
        if self.waiting.is_empty() || (self.idle && all_out) {
            self.jobs.close()?;
        }
        Ok(())
    }

    fn take_in(&mut self, slot: usize) {
        let Some(place) = self.out.get_mut(slot) else { return };
        if place.is_some_and(|chunk| self.work.add(&chunk, self.counts)) {
            *place = None;
            self.story.added += 1;
            self.progress.set(self.story.added);
        }
    }

    fn kill_one(&mut self) -> Result<()> {
        // At any moment of its work, not only when a result has just come in; but before all work handed out is done.
        std::thread::sleep(Duration::from_micros(self.random.u64(0..200)));
        let (first, workers) = (self.random.usize(0..self.children.len()), self.children.len());
        let mut candidates = (0..workers).map(|n| (first + n) % workers);
        let victim = candidates.find(|&worker| self.work.has_in_hand(worker)).unwrap_or(first);
        self.children.get(victim).kill()?;
        self.story.killed += u64::from(self.children.get(victim).join()?.signal() == Some(9));
        self.replace(victim)
    }

    /// Replaces workers that we did not kill, for example those killed by `kill -9` from another terminal.
    fn replace_the_dead(&mut self) -> Result<()> {
        for worker in 0..self.children.len() {
            if self.children.get(worker).try_join()?.is_some_and(|end| !end.success()) {
                self.replace(worker)?;
                self.story.died_otherwise += 1;
            }
        }
        Ok(())
    }

    /// Replaces a dead worker.
    fn replace(&mut self, worker: usize) -> Result<()> {
        self.children.get(worker).join()?;
        self.story.holding += u64::from(self.work.died_holding(worker));
        let next = self.start_worker(worker)?;
        self.children.replace(worker, next);
        Ok(())
    }
}

fn draw(counts: &Counts) {
    let top = counts.top(10);
    let most = top.first().map_or(1, |&(_, times)| times.max(1));
    crate::streams::say!("\n  The ten most frequent words:");
    for (word, times) in top {
        let length = (30 * times).div_ceil(most) as usize;
        crate::streams::say!("    {word:<12.12} {:>12}  {}", grouped(times), "█".repeat(length));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_that_never_hit_anybody_at_work_is_noticed() {
        let story = |killed, holding| Story { killed, holding, ..Story::default() };
        assert!(deaths(&story(12, 11), 12).ok);
        assert!(deaths(&story(0, 0), 0).ok);
        assert!(!deaths(&story(12, 0), 12).ok);
        assert!(!deaths(&story(11, 11), 12).ok);
    }
}
