//! The shop's ledger, how it is repaired after a death, and its audit.

use crate::report::Finding;
use bytemuck::{Pod, Zeroable};

/// The most tickets a shop sells.
pub const MAX_TICKETS: usize = 4096;
/// The most buyers.
pub const MAX_BUYERS: usize = 32;
/// What a ticket costs.
pub const PRICE: u64 = 25;

/// The data in shared memory, guarded by the lock. A sale changes four places, one after the other; a buyer that is killed
/// in between leaves them contradicting each other.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Ledger {
    /// Tickets left, which is also the number of the last free seat and of the free seats below it.
    pub left: u32,
    /// How many of the planned deaths have begun.
    pub deaths: u32,
    /// The money in the shop's till.
    pub till: u64,
    /// What each buyer has paid.
    pub paid: [u64; MAX_BUYERS],
    /// Who has each seat: the buyer's number and 1, or 0. **The seat plan is the truth**: a sale is done when the
    /// name is in it. Everything else can be computed from it.
    pub seats: [u32; MAX_TICKETS],
}

impl Ledger {
    /// A ledger with so many tickets and none sold.
    pub const fn new(tickets: u32) -> Self {
        Ledger { left: tickets, deaths: 0, till: 0, paid: [0; MAX_BUYERS], seats: [0; MAX_TICKETS] }
    }

    /// How many seats are this buyer's.
    pub fn seats_of(&self, buyer: usize) -> u64 {
        self.seats.iter().filter(|&&name| name as usize == buyer + 1).count() as u64
    }

    /// How many seats have a name.
    pub fn sold(&self) -> u64 {
        self.seats.iter().filter(|&&name| name != 0).count() as u64
    }

    /// Repairs the ledger that a dead buyer left in the middle of a sale: computes everything from the seat plan.
    pub fn repair(&mut self, tickets: u32) {
        self.left = tickets - self.sold() as u32;
        for buyer in 0..MAX_BUYERS {
            self.paid[buyer] = PRICE * self.seats_of(buyer);
        }
        self.till = self.paid.iter().sum();
    }

    /// The contradiction in it, as an index into [`CONTRADICTIONS`]: 0 if the ledger balances.
    pub fn contradiction(&self, tickets: u32) -> usize {
        let sold = self.sold();
        let paid: u64 = self.paid.iter().sum();
        if u64::from(self.left) + sold != u64::from(tickets) {
            1
        } else if paid != PRICE * sold {
            2
        } else if self.till != paid {
            3
        } else {
            0
        }
    }
}

/// What can be wrong in the middle of a sale.
pub const CONTRADICTIONS: [&str; 4] = [
    "nothing wrong",
    "a ticket taken that nobody has",
    "a seat with a name and nothing paid for it",
    "a buyer who had paid, and no money in the till",
];

/// What the buyers counted themselves, independently of the ledger.
pub struct Witness {
    /// Each buyer's own count of its finished sales, kept outside the lock.
    pub receipts: Vec<u64>,
    /// Who was killed. Its own count may be one behind: it died before it could count its last sale.
    pub killed: Vec<bool>,
}

/// Checks that the ledger balances at the end, to the last ticket and the last coin.
pub fn audit(ledger: &Ledger, tickets: u32, witness: &Witness) -> Vec<Finding> {
    let sold = ledger.sold();
    let paid: u64 = ledger.paid.iter().sum();
    let honest = (0..witness.receipts.len()).all(|buyer| {
        let (seats, receipts) = (ledger.seats_of(buyer), witness.receipts[buyer]);
        seats == receipts || (witness.killed[buyer] && seats == receipts + 1)
    });
    let tickets = u64::from(tickets);
    vec![
        Finding::new(
            sold == tickets && ledger.left == 0,
            format!("{sold} of {tickets} tickets sold, each once; {} left", ledger.left),
        ),
        Finding::new(
            paid == PRICE * tickets && ledger.till == paid,
            format!("{} paid, {} in the till, {} due", paid, ledger.till, PRICE * tickets),
        ),
        Finding::new(
            honest && (0..MAX_BUYERS).all(|buyer| ledger.paid[buyer] == PRICE * ledger.seats_of(buyer)),
            "what each buyer holds, paid and counted for itself agree",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKETS: u32 = 10;

    fn sold_out() -> (Ledger, Witness) {
        let mut ledger = Ledger::new(TICKETS);
        for seat in 0..TICKETS as usize {
            ledger.seats[seat] = 1 + (seat as u32 % 2);
        }
        ledger.repair(TICKETS);
        (ledger, Witness { receipts: vec![5, 5], killed: vec![false, false] })
    }

    fn is_right(ledger: &Ledger, witness: &Witness) -> bool {
        audit(ledger, TICKETS, witness).iter().all(|finding| finding.ok)
    }

    #[test]
    fn an_honest_ledger_passes_the_audit() {
        let (ledger, witness) = sold_out();
        assert!(is_right(&ledger, &witness));
        assert_eq!(ledger.contradiction(TICKETS), 0);
    }

    #[test]
    fn each_kind_of_wrong_book_is_noticed() {
        let wrongs: [fn(&mut Ledger, &mut Witness); 7] = [
            |ledger, _| ledger.left = 1,
            |ledger, _| ledger.seats[3] = 0,
            |ledger, _| ledger.seats[3] = 1, // another one's seat
            |ledger, _| ledger.till -= 1,
            |ledger, _| ledger.paid[0] += PRICE,
            |_, witness| witness.receipts[0] -= 1,
            |_, witness| witness.receipts[1] += 1,
        ];
        for (number, wrong) in wrongs.iter().enumerate() {
            let (mut ledger, mut witness) = sold_out();
            wrong(&mut ledger, &mut witness);
            assert!(!is_right(&ledger, &witness), "wrong book {number} passed");
        }
    }

    #[test]
    fn only_the_dead_may_have_missed_their_last_receipt() {
        let (ledger, mut witness) = sold_out();
        witness.receipts[0] -= 1;
        witness.killed[0] = true;
        assert!(is_right(&ledger, &witness));
        witness.receipts[0] -= 1;
        assert!(!is_right(&ledger, &witness));
    }

    #[test]
    fn a_sale_cut_off_after_any_step_is_seen_and_repaired() {
        let steps: [fn(&mut Ledger); 3] =
            [|ledger| ledger.left -= 1, |ledger| ledger.seats[9] = 1, |ledger| ledger.paid[0] += PRICE];
        let mut ledger = Ledger::new(TICKETS);
        for (number, step) in steps.iter().enumerate() {
            step(&mut ledger);
            let mut repaired = ledger;
            assert_eq!(ledger.contradiction(TICKETS), number + 1);
            repaired.repair(TICKETS);
            assert_eq!(repaired.contradiction(TICKETS), 0);
        }
    }
}
