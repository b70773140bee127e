//! Part a: a ticket shop in shared memory, without a lock and with one.

use crate::children::{Children, now, spin_for, start, two_processors};
use crate::cli::Options;
use crate::ledger::{CONTRADICTIONS, Ledger, MAX_BUYERS, MAX_TICKETS, PRICE, Witness, audit};
use crate::report::{Failure, Finding, Progress, Verdict, grouped, plural, time};
use bytemuck::{Pod, Zeroable};
use interproc::queue::Queue;
use interproc::sync::{LockError, Mutex, MutexGuard};
use interproc::{Object, Result, Segment};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// The part's name.
pub const NAME: &str = "a, the ticket shop";
/// The pause between reading the number of tickets and writing the new one. Without it the window is about a nanosecond,
/// and the race is just as real but takes longer to show.
const WINDOW_NS: u64 = 5_000;
/// If no process reports anything for so long, something is wrong.
const SILENCE: Duration = Duration::from_secs(20);

/// Runs the part.
pub fn run(options: &Options) -> std::result::Result<Verdict, Failure> {
    crate::streams::say!(
        "{} buyers, each its own process, buy {} tickets from one shop in shared memory.\n",
        options.buyers,
        grouped(options.tickets.into())
    );
    let oversold = without_a_lock(options)?;
    let (mut findings, killed) = with_the_lock(options)?;
    findings.insert(0, oversold);
    let all = findings.iter().all(|finding| finding.ok);
    let ledger = if all { "the ledger balances" } else { "the ledger does not balance" };
    Ok(Verdict {
        part: NAME,
        findings,
        summary: format!("{} killed in mid-sale; {ledger}", plural(killed, "buyer")),
    })
}

interproc::shared! {
    /// A shop without a lock. It has atomics, because Rust allows no other unlocked access; but a sale is a load, a pause
    /// and a store, just as `left -= 1` is on a processor.
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
    // One try is enough in practice; a machine with one busy processor may be lucky.
    const TRIES: u32 = 20;
    for attempt in 0..TRIES {
        // Longer each time: on a very busy machine the buyers may run one after the other.
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
                "without a lock the shop oversold, as expected: {} of {}",
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
    let mut children = Children::default();
    for _ in 0..options.buyers {
        // Relaxed everywhere: only a lock would give the shop an order.
        children.add(start("buyer", || {
            // All start together, or the first would be done before the last has started.
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
                    // With one processor another process comes in between only if we let it.
                    std::thread::yield_now();
                }
                shop.left.store(left - 1, Relaxed);
                shop.sold[left as usize - 1].fetch_add(1, Relaxed);
            }
        })?);
    }
    for buyer in 0..children.len() {
        children.get(buyer).join_timeout(SILENCE)?;
    }
    let sales = || shop.sold.iter().map(|times| u64::from(times.load(Relaxed)));
    Ok((sales().sum(), sales().filter(|&times| times > 1).count() as u64))
}

/// A planned death: the first sale with at most this many tickets left is interrupted after this step.
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

/// The deaths, spread over the sale, each at another step. One buyer always survives.
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

/// What buyers report to the parent.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct News {
    what: u32,
    buyer: u32,
    at: u64,
    /// What the repairer found: an index into [`CONTRADICTIONS`].
    found: u64,
}

/// The buyer is in the middle of a sale, holds the lock, and waits to be killed.
const IN_THE_MIDDLE: u32 = 1;
/// The buyer inherited the lock and repaired the ledger.
const REPAIRED: u32 = 2;
/// The buyer is done: nothing is left to buy.
const FINISHED: u32 = 3;

struct Shop<'a> {
    ledger: &'a Mutex<Ledger>,
    receipts: &'a [AtomicU32; MAX_BUYERS],
    news: &'a Queue<News>,
    /// Nobody ever pushes here: a buyer that pops waits to be killed.
    never: &'a Queue<u64>,
    plan: &'a [Death],
    tickets: u32,
}

impl Shop<'_> {
    /// Buys until nothing is left.
    fn buy_all(&self, me: u32) -> Result<()> {
        loop {
            let mut ledger = self.lock(me)?;
            if ledger.left == 0 {
                break;
            }
            let death = self.plan.get(ledger.deaths as usize).filter(|death| ledger.left <= death.left);
            ledger.deaths += u32::from(death.is_some());
            let dies_after = |step| death.is_some_and(|death| death.after == step);

            ledger.left -= 1;
            if dies_after(Step::Took) {
                self.wait_for_the_end(me)?;
            }
            let seat = ledger.left as usize;
            ledger.seats[seat] = me + 1;
            if dies_after(Step::Named) {
                self.wait_for_the_end(me)?;
            }
            ledger.paid[me as usize] += PRICE;
            if dies_after(Step::Paid) {
                self.wait_for_the_end(me)?;
            }
            ledger.till += PRICE;
            drop(ledger);
            // Relaxed: read after this process has ended.
            self.receipts[me as usize].fetch_add(1, Relaxed);
        }
        self.tell(FINISHED, me)
    }

    fn lock(&self, me: u32) -> Result<MutexGuard<'_, Ledger>> {
        match self.ledger.lock() {
            Ok(ledger) => Ok(ledger),
            Err(LockError::OwnerDied(mut ledger)) => {
                let at = now();
                let found = ledger.contradiction(self.tickets) as u64;
                ledger.repair(self.tickets);
                self.news.push(News { what: REPAIRED, buyer: me, at, found })?;
                Ok(ledger.mark_consistent())
            }
            Err(LockError::Failed(error)) => Err(error),
        }
    }

    /// Makes sure that the kill hits here; nothing else depends on it.
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
        "  2. With a Mutex. A sale has four steps (take a ticket, name on the seat, buyer pays, money in"
    );
    crate::streams::say!(
        "     the till), and {} killed with SIGKILL between two of them, holding the lock.",
        if plan.len() == 1 { "1 buyer is".into() } else { format!("{} buyers are", plan.len()) }
    );
    let segment = Segment::anonymous(size_of::<Ledger>() + (1 << 16))?;
    let ledger: Object<Mutex<Ledger>> =
        segment.object("ledger", || Mutex::new(Ledger::new(options.tickets)))?;
    let receipts = segment.object("receipts", || [const { AtomicU32::new(0) }; MAX_BUYERS])?;
    let (news, never) = (segment.queue("news", 256)?, segment.queue("never", 1)?);
    let tickets = options.tickets;
    let shop =
        Shop { ledger: &ledger, receipts: &receipts, news: &news, never: &never, plan: &plan, tickets };

    let mut children = Children::default();
    for me in 0..options.buyers {
        children.add(start("buyer", || shop.buy_all(me))?);
    }
    let progress = Progress::new("tickets sold", tickets.into());
    let mut killed = vec![false; children.len()];
    let (mut finished, mut repairs, mut killed_at) = (0, 0, 0);
    while finished + killed.iter().filter(|&&dead| dead).count() < children.len() {
        let told = news.pop_timeout(SILENCE)?;
        let buyer = told.buyer as usize;
        progress.set(receipts.iter().map(|count| u64::from(count.load(Relaxed))).sum());
        match told.what {
            IN_THE_MIDDLE => {
                killed_at = now();
                children.get(buyer).kill()?;
                let end = children.get(buyer).join_timeout(SILENCE)?;
                killed[buyer] = end.signal() == Some(9);
            }
            REPAIRED => {
                repairs += 1;
                let took = time(told.at.saturating_sub(killed_at));
                let found = CONTRADICTIONS.get(told.found as usize).copied().unwrap_or("nonsense");
                progress.say(&format!("     kill -9!  The next buyer gets the lock {took} later,"));
                progress.say(&format!("               finds {found}, and repairs the ledger."));
            }
            _ => finished += 1,
        }
    }
    let mut ended_well = true;
    for buyer in (0..children.len()).filter(|&buyer| !killed[buyer]) {
        ended_well &= children.get(buyer).join_timeout(SILENCE)?.success();
    }
    drop(progress);

    let killed_count = killed.iter().filter(|&&dead| dead).count() as u64;
    let witness = Witness {
        receipts: receipts.iter().take(children.len()).map(|count| count.load(Relaxed).into()).collect(),
        killed,
    };
    let mut findings = audit(&*shop.lock(options.buyers)?, tickets, &witness);
    findings.push(Finding::new(
        killed_count == plan.len() as u64 && repairs == killed_count && ended_well,
        format!(
            "{} killed while holding the lock, {} by the next holder, all others ended well",
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
