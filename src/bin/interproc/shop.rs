//! Part a: a ticket shop in shared memory, without a lock and with one.

use crate::books::{Books, CONTRADICTIONS, MAX_BUYERS, MAX_TICKETS, PRICE, Witness, audit};
use crate::cli::Options;
use crate::crew::{Crew, now, spin_for, start, two_processors};
use crate::report::{Failure, Finding, Progress, Verdict, grouped, plural, time};
use bytemuck::{Pod, Zeroable};
use interproc::queue::Queue;
use interproc::sync::{LockError, Mutex, MutexGuard};
use interproc::{Object, Result, Segment};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// The part's name.
pub const NAME: &str = "a, the ticket shop";
/// Between looking at the number of tickets and writing the new one. Without this pause the window is a nanosecond
/// or so, and the mistake is just as real but takes longer to show itself.
const WINDOW_NS: u64 = 5_000;
/// If no process says anything for so long, something is wrong.
const SILENCE: Duration = Duration::from_secs(20);

/// Runs the part.
pub fn run(options: &Options) -> std::result::Result<Verdict, Failure> {
    crate::streams::say!(
        "{} buyers, each a process of its own, buy {} tickets from one shop in shared memory.\n",
        options.buyers,
        grouped(options.tickets.into())
    );
    let oversold = without_a_lock(options)?;
    let (mut findings, killed) = with_the_lock(options)?;
    findings.insert(0, oversold);
    let all = findings.iter().all(|finding| finding.ok);
    let books = if all { "the books balance" } else { "the books do not balance" };
    Ok(Verdict {
        part: NAME,
        findings,
        summary: format!("{} killed in mid-sale; {books}", plural(killed, "buyer")),
    })
}

interproc::shared! {
    /// A shop that nobody locks. Atomics, because Rust allows no other unlocked access; but a sale is a load, a
    /// pause and a store, just what `left -= 1` is on a processor.
    struct OpenShop {
        at_the_door: AtomicU32,
        left: AtomicU32,
        /// How often each seat was sold.
        sold: [AtomicU32; MAX_TICKETS],
    }
}

fn without_a_lock(options: &Options) -> std::result::Result<Finding, Failure> {
    crate::streams::say!(
        "  1. Without a lock. Each buyer reads how many tickets are left, waits {} (to make the",
        time(WINDOW_NS)
    );
    crate::streams::say!("     mistake likely within a short demo), and writes back one less.");
    // Once is enough in practice; a machine with one busy processor may be lucky.
    const TRIES: u32 = 20;
    for attempt in 0..TRIES {
        // Longer each time: on a very busy machine the buyers may come one after the other.
        let window = Duration::from_nanos(WINDOW_NS << attempt.min(10));
        let (sold, twice) = one_unlocked_sale(options, window)?;
        let tickets = u64::from(options.tickets);
        if sold > tickets {
            crate::streams::say!(
                "     Sold {} tickets of {}: {} too many, {} sold more than once.",
                grouped(sold),
                grouped(tickets),
                grouped(sold - tickets),
                plural(twice, "seat")
            );
            crate::streams::say!("     That is what a lock is for.\n");
            let text = format!(
                "without a lock the shop oversold, as it must: {} of {}",
                grouped(sold),
                grouped(tickets)
            );
            return Ok(Finding::new(true, text));
        }
    }
    Ok(Finding::new(false, format!("without a lock the shop should oversell, and did not in {TRIES} tries")))
}

/// How many tickets were sold, and how many seats more than once.
fn one_unlocked_sale(options: &Options, window: Duration) -> std::result::Result<(u64, u64), Failure> {
    let segment = Segment::anonymous(size_of::<OpenShop>() + 4096)?;
    let shop = segment.object("shop", || OpenShop {
        at_the_door: AtomicU32::new(0),
        left: AtomicU32::new(options.tickets),
        sold: [const { AtomicU32::new(0) }; MAX_TICKETS],
    })?;
    let [first, second] = two_processors();
    let mut crew = Crew::default();
    for _ in 0..options.buyers {
        // Relaxed everywhere: the shop's only order would be that of a lock.
        crew.add(start("buyer", || {
            // All begin together, or the first would be done before the last has come.
            shop.at_the_door.fetch_add(1, Relaxed);
            while shop.at_the_door.load(Relaxed) < options.buyers {
                std::thread::yield_now();
            }
            for _ in 0..options.tickets {
                let left = shop.left.load(Relaxed);
                if left == 0 || left > options.tickets {
                    break;
                }
                if window < Duration::from_micros(100) {
                    spin_for(window.as_nanos() as u64);
                } else {
                    std::thread::sleep(window);
                }
                if first == second {
                    // One processor: another process comes in between only if we let it.
                    std::thread::yield_now();
                }
                shop.left.store(left - 1, Relaxed);
                shop.sold[left as usize - 1].fetch_add(1, Relaxed);
            }
        })?);
    }
    for buyer in 0..crew.len() {
        crew.get(buyer).join_timeout(SILENCE)?;
    }
    let sales = || shop.sold.iter().map(|times| u64::from(times.load(Relaxed)));
    Ok((sales().sum(), sales().filter(|&times| times > 1).count() as u64))
}

/// A planned death: the first sale with at most this many tickets left is cut off after this step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Death {
    left: u32,
    after: Step,
}

/// The steps of a sale between which a buyer can die.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Took,
    Named,
    Paid,
}

/// Spread over the sale, at another step each time. One buyer always survives.
fn plan(options: &Options) -> Vec<Death> {
    let mut random = fastrand::Rng::with_seed(options.seed);
    let mut steps = [Step::Took, Step::Named, Step::Paid];
    random.shuffle(&mut steps);
    let deaths = (options.buyers - 1).min(steps.len() as u32);
    let part = options.tickets / (deaths + 1);
    let nth = |n: u32| Death {
        left: options.tickets - part * (n + 1) + random.u32(0..=part / 4),
        after: steps[n as usize],
    };
    (0..deaths).map(nth).collect()
}

/// What buyers tell the one who watches.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct News {
    what: u32,
    buyer: u32,
    at: u64,
    /// What the repairer found: a place in [`CONTRADICTIONS`].
    found: u64,
}

/// In the middle of a sale, holding the lock, waiting to be killed.
const IN_THE_MIDDLE: u32 = 1;
/// Got the lock from the dead, and repaired the books.
const REPAIRED: u32 = 2;
/// Nothing left to buy.
const WENT_HOME: u32 = 3;

struct Shop<'a> {
    books: &'a Mutex<Books>,
    receipts: &'a [AtomicU32; MAX_BUYERS],
    news: &'a Queue<News>,
    /// Nobody ever pushes here: who pops waits for its end.
    never: &'a Queue<u64>,
    plan: &'a [Death],
    tickets: u32,
}

impl Shop<'_> {
    /// A buyer's life.
    fn buy_all(&self, me: u32) -> Result<()> {
        loop {
            let mut books = self.lock(me)?;
            if books.left == 0 {
                break;
            }
            let death = self.plan.get(books.deaths as usize).filter(|death| books.left <= death.left);
            books.deaths += u32::from(death.is_some());
            let dies_after = |step| death.is_some_and(|death| death.after == step);

            books.left -= 1;
            if dies_after(Step::Took) {
                self.wait_for_the_end(me)?;
            }
            let seat = books.left as usize;
            books.seats[seat] = me + 1;
            if dies_after(Step::Named) {
                self.wait_for_the_end(me)?;
            }
            books.paid[me as usize] += PRICE;
            if dies_after(Step::Paid) {
                self.wait_for_the_end(me)?;
            }
            books.till += PRICE;
            drop(books);
            // Relaxed: read after this process has ended.
            self.receipts[me as usize].fetch_add(1, Relaxed);
        }
        self.tell(WENT_HOME, me)
    }

    fn lock(&self, me: u32) -> Result<MutexGuard<'_, Books>> {
        match self.books.lock() {
            Ok(books) => Ok(books),
            Err(LockError::OwnerDied(mut books)) => {
                let at = now();
                let found = books.contradiction(self.tickets) as u64;
                books.repair(self.tickets);
                self.news.push(News { what: REPAIRED, buyer: me, at, found })?;
                Ok(books.mark_consistent())
            }
            Err(LockError::Failed(error)) => Err(error),
        }
    }

    /// Only so that the kill hits here for certain: nothing below knows about it.
    fn wait_for_the_end(&self, me: u32) -> Result<()> {
        self.tell(IN_THE_MIDDLE, me)?;
        self.never.pop().map(|_| ())
    }

    fn tell(&self, what: u32, buyer: u32) -> Result<()> {
        Ok(self.news.push(News { what, buyer, at: now(), found: 0 })?)
    }
}

fn with_the_lock(options: &Options) -> std::result::Result<(Vec<Finding>, u64), Failure> {
    let plan = plan(options);
    crate::streams::say!(
        "  2. With a Mutex. A sale has four steps (ticket off the pile, name on the seat, buyer pays, money in"
    );
    crate::streams::say!(
        "     the till), and {} killed with SIGKILL between two of them, holding the lock.",
        if plan.len() == 1 { "1 buyer is".into() } else { format!("{} buyers are", plan.len()) }
    );
    let segment = Segment::anonymous(size_of::<Books>() + (1 << 16))?;
    let books: Object<Mutex<Books>> = segment.object("books", || Mutex::new(Books::new(options.tickets)))?;
    let receipts = segment.object("receipts", || [const { AtomicU32::new(0) }; MAX_BUYERS])?;
    let (news, never) = (segment.queue("news", 256)?, segment.queue("never", 1)?);
    let tickets = options.tickets;
    let shop = Shop { books: &books, receipts: &receipts, news: &news, never: &never, plan: &plan, tickets };

    let mut crew = Crew::default();
    for me in 0..options.buyers {
        crew.add(start("buyer", || shop.buy_all(me))?);
    }
    let progress = Progress::new("tickets sold", tickets.into());
    let mut killed = vec![false; crew.len()];
    let (mut at_home, mut repairs, mut killed_at) = (0, 0, 0);
    while at_home + killed.iter().filter(|&&dead| dead).count() < crew.len() {
        let told = news.pop_timeout(SILENCE)?;
        let buyer = told.buyer as usize;
        progress.set(receipts.iter().map(|count| u64::from(count.load(Relaxed))).sum());
        match told.what {
            IN_THE_MIDDLE => {
                killed_at = now();
                crew.get(buyer).kill()?;
                let end = crew.get(buyer).join_timeout(SILENCE)?;
                killed[buyer] = end.signal() == Some(9);
            }
            REPAIRED => {
                repairs += 1;
                let took = time(told.at.saturating_sub(killed_at));
                let found = CONTRADICTIONS.get(told.found as usize).copied().unwrap_or("nonsense");
                progress.say(&format!("     kill -9!  The next buyer has the lock {took} later,"));
                progress.say(&format!("               finds {found}, and repairs the books."));
            }
            _ => at_home += 1,
        }
    }
    let mut left_well = true;
    for buyer in (0..crew.len()).filter(|&buyer| !killed[buyer]) {
        left_well &= crew.get(buyer).join_timeout(SILENCE)?.success();
    }
    drop(progress);

    let killed_count = killed.iter().filter(|&&dead| dead).count() as u64;
    let witness = Witness {
        receipts: receipts.iter().take(crew.len()).map(|count| count.load(Relaxed).into()).collect(),
        killed,
    };
    let mut findings = audit(&*shop.lock(options.buyers)?, tickets, &witness);
    findings.push(Finding::new(
        killed_count == plan.len() as u64 && repairs == killed_count && left_well,
        format!(
            "{} killed while holding the lock, {} by the next holder, all others came home well",
            plural(killed_count, "buyer"),
            plural(repairs, "repair")
        ),
    ));
    Ok((findings, killed_count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn options(args: &str) -> Options {
        let args = format!("interproc demo {args}");
        let crate::cli::Command::Demo(options) = crate::cli::Cli::parse_from(args.split_whitespace()).command
        else {
            panic!("a demo")
        };
        options
    }

    #[test]
    fn deaths_are_planned_at_each_step_and_in_the_order_of_the_sale() {
        for seed in 0..100 {
            let deaths = plan(&options(&format!("--seed {seed} --tickets 10 --buyers 4")));
            assert_eq!(deaths.len(), 3);
            assert!(deaths.windows(2).all(|pair| pair[0].left > pair[1].left), "{deaths:?}");
            assert!(deaths.iter().all(|death| (1..10).contains(&death.left)), "{deaths:?}");
            assert!(
                [Step::Took, Step::Named, Step::Paid]
                    .iter()
                    .all(|&step| deaths.iter().any(|d| d.after == step))
            );
        }
    }

    #[test]
    fn one_buyer_always_survives() {
        assert_eq!(plan(&options("--buyers 2")).len(), 1);
        assert_eq!(plan(&options("--buyers 32")).len(), 3);
    }
}
