//! The shop's books, how they are repaired after a death, and their audit.

use crate::report::Finding;
use bytemuck::{Pod, Zeroable};

/// The most tickets a shop sells.
pub const MAX_TICKETS: usize = 4096;
/// The most buyers.
pub const MAX_BUYERS: usize = 32;
/// What a ticket costs.
pub const PRICE: u64 = 25;

/// What lies in shared memory, guarded by the lock. A sale changes four places, one after the other; a buyer that
/// is killed in between leaves them contradicting each other.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Books {
    /// Tickets left, which is also the number of the last free seat and of the free seats below it.
    pub left: u32,
    /// How many of the planned deaths have been begun.
    pub deaths: u32,
    /// The money in the shop's till.
    pub till: u64,
    /// What each buyer has paid.
    pub paid: [u64; MAX_BUYERS],
    /// Who has each seat: the buyer's number and 1, or 0. **The seat plan is the truth**: a sale is done when the
    /// name is in it. All else can be counted anew from it.
    pub seats: [u32; MAX_TICKETS],
}

impl Books {
    /// So many tickets, nothing sold.
    pub const fn new(tickets: u32) -> Self {
        Books { left: tickets, deaths: 0, till: 0, paid: [0; MAX_BUYERS], seats: [0; MAX_TICKETS] }
    }

    /// How many seats are this buyer's.
    pub fn seats_of(&self, buyer: usize) -> u64 {
        self.seats.iter().filter(|&&name| name as usize == buyer + 1).count() as u64
    }

    /// How many seats have a name.
    pub fn sold(&self) -> u64 {
        self.seats.iter().filter(|&&name| name != 0).count() as u64
    }

    /// Makes books whole that a dead buyer left in the middle of a sale: counts all anew from the seat plan.
    pub fn repair(&mut self, tickets: u32) {
        self.left = tickets - self.sold() as u32;
        for buyer in 0..MAX_BUYERS {
            self.paid[buyer] = PRICE * self.seats_of(buyer);
        }
        self.till = self.paid.iter().sum();
    }

    /// What does not fit, as a place in [`CONTRADICTIONS`]: 0 if the books balance.
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
    "a ticket off the pile and in nobody's hand",
    "a seat with a name and nothing paid for it",
    "a buyer who had paid, and no money in the till",
];

/// What the buyers say themselves, independent of the books.
pub struct Witness {
    /// Each buyer's own count of its finished sales, kept outside the lock.
    pub receipts: Vec<u64>,
    /// Who was killed. Its own count may be one behind: it died before it could count its last sale.
    pub killed: Vec<bool>,
}

/// Whether the books balance at the end, to the last ticket and the last coin.
pub fn audit(books: &Books, tickets: u32, witness: &Witness) -> Vec<Finding> {
    let sold = books.sold();
    let paid: u64 = books.paid.iter().sum();
    let honest = (0..witness.receipts.len()).all(|buyer| {
        let (seats, receipts) = (books.seats_of(buyer), witness.receipts[buyer]);
        seats == receipts || (witness.killed[buyer] && seats == receipts + 1)
    });
    let tickets = u64::from(tickets);
    vec![
        Finding::new(
            sold == tickets && books.left == 0,
            format!("{sold} of {tickets} tickets sold, each once; {} left", books.left),
        ),
        Finding::new(
            paid == PRICE * tickets && books.till == paid,
            format!("{} paid, {} in the till, {} due", paid, books.till, PRICE * tickets),
        ),
        Finding::new(
            honest && (0..MAX_BUYERS).all(|buyer| books.paid[buyer] == PRICE * books.seats_of(buyer)),
            "what each buyer holds, paid and counted for itself agree",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKETS: u32 = 10;

    fn sold_out() -> (Books, Witness) {
        let mut books = Books::new(TICKETS);
        for seat in 0..TICKETS as usize {
            books.seats[seat] = 1 + (seat as u32 % 2);
        }
        books.repair(TICKETS);
        (books, Witness { receipts: vec![5, 5], killed: vec![false, false] })
    }

    fn is_right(books: &Books, witness: &Witness) -> bool {
        audit(books, TICKETS, witness).iter().all(|finding| finding.ok)
    }

    #[test]
    fn honest_books_pass_the_audit() {
        let (books, witness) = sold_out();
        assert!(is_right(&books, &witness));
        assert_eq!(books.contradiction(TICKETS), 0);
    }

    #[test]
    fn each_kind_of_wrong_book_is_noticed() {
        let wrongs: [fn(&mut Books, &mut Witness); 7] = [
            |books, _| books.left = 1,
            |books, _| books.seats[3] = 0,
            |books, _| books.seats[3] = 1, // another one's seat
            |books, _| books.till -= 1,
            |books, _| books.paid[0] += PRICE,
            |_, witness| witness.receipts[0] -= 1,
            |_, witness| witness.receipts[1] += 1,
        ];
        for (number, wrong) in wrongs.iter().enumerate() {
            let (mut books, mut witness) = sold_out();
            wrong(&mut books, &mut witness);
            assert!(!is_right(&books, &witness), "wrong book {number} passed");
        }
    }

    #[test]
    fn only_the_dead_may_have_missed_their_last_receipt() {
        let (books, mut witness) = sold_out();
        witness.receipts[0] -= 1;
        witness.killed[0] = true;
        assert!(is_right(&books, &witness));
        witness.receipts[0] -= 1;
        assert!(!is_right(&books, &witness));
    }

    #[test]
    fn a_sale_cut_off_after_any_step_is_seen_and_repaired() {
        let steps: [fn(&mut Books); 3] =
            [|books| books.left -= 1, |books| books.seats[9] = 1, |books| books.paid[0] += PRICE];
        let mut books = Books::new(TICKETS);
        for (number, step) in steps.iter().enumerate() {
            step(&mut books);
            let mut repaired = books;
            assert_eq!(books.contradiction(TICKETS), number + 1);
            repaired.repair(TICKETS);
            assert_eq!(repaired.contradiction(TICKETS), 0);
        }
    }
}
