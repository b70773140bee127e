//! [`RawRendezvous`] under all interleavings: callers, listeners and those who leave, killed at every step. What goes through
//! a pipe is the lane's business.

use crate::runner::Model;
use crate::support::{Data, Place, leak};
use interproc::ErrorKind;
use interproc::raw::member::Member;
use interproc::raw::pipe::{self, RawEnd, RawRendezvous};
use interproc::sys::model::{Bounds, Death, Outcome, check, for_every_death, settle};

pub const MODELS: &[Model] = &[
    Model {
        name: "pipe: a caller is answered",
        run: || check(two_preemptions(), answered),
        catches: &["pipe-call-no-wake"],
    },
    Model {
        name: "pipe: a caller may die anywhere, another one is heard",
        run: || for_every_death(one_preemption(), false, caller),
        catches: &["pipe-call-no-wake"],
    },
    Model {
        name: "pipe: a call that was made is not taken away",
        run: || for_every_death(two_preemptions(), false, not_taken_away),
        catches: &["pipe-no-second-look"],
    },
    Model {
        name: "pipe: a dead caller leaves no slot behind",
        run: || for_every_death(one_preemption(), false, nothing_left),
        catches: &["pipe-void-stays"],
    },
    Model {
        name: "pipe: who listens no more refuses or hangs up, and may die anywhere",
        run: || for_every_death(two_preemptions(), false, resigns),
        catches: &["pipe-no-third-look"],
    },
    Model {
        name: "pipe: who listens moves, and its caller is answered",
        run: || check(two_preemptions(), moves),
        catches: &["pipe-no-redirection"],
    },
    Model {
        name: "pipe: who leaves makes room, and may die anywhere",
        run: || for_every_death(one_preemption(), false, leaves),
        catches: &["pipe-lost-race-is-full", "pipe-room-no-wake"],
    },
];

fn two_preemptions() -> Bounds {
    Bounds { preemptions: Bounds::default().preemptions.min(2), ..Bounds::default() }
}

fn one_preemption() -> Bounds {
    Bounds { preemptions: 1, ..Bounds::default() }
}

struct Meeting {
    raw: RawRendezvous,
    /// A call was made.
    called: Data,
}

fn meeting() -> &'static Meeting {
    leak(Meeting { raw: RawRendezvous::new(pipe::Place::leak(1, 2, 4)), called: Data::new() })
}

fn leave(meeting: &RawRendezvous, me: &Member, mut end: RawEnd) {
    end.consumer.close(me);
    let _ = end.producer.close(me);
    end.consumer.leave();
    end.producer.leave();
    meeting.make_room();
}

fn answered() {
    let (place, meeting) = (Place::new(2), meeting());
    let me = place.member();
    meeting.raw.listen(&me).expect("nobody listens");
    let caller = place.thread(Death::NEVER, |me| {
        let (mut end, _) = meeting.raw.connect(me, None).expect("a free slot");
        end.producer.look_for(me, 1).expect("open")
    });
    let (mut end, _) = meeting.raw.accept(&me, None).expect("a call");
    settle();
    assert!(!end.consumer.look_for(&me, 1).expect("open"));
    assert_eq!(caller.join(), Outcome::Finished(true));
    assert_eq!(meeting.raw.try_accept(&me).map(drop).map_err(|e| e.kind()), Err(ErrorKind::Empty));
}

fn caller(death: Death) {
    let (place, meeting) = (Place::new(3), leak(RawRendezvous::new(pipe::Place::leak(2, 2, 4))));
    let me = place.member();
    meeting.listen(&me).expect("nobody listens");
    let victim = place.thread(death, |me| meeting.try_connect(me).is_ok());
    // Whatever becomes of the first, the second is heard: it has a slot of its own.
    let second = place.thread(Death::NEVER, |me| meeting.connect(me, None).is_ok());
    meeting.accept(&me, None).expect("a call");
    settle();
    let first = victim.join();
    assert_eq!(second.join(), Outcome::Finished(true));
    let more = meeting.try_accept(&me).is_ok();
    assert!(more || first == Outcome::Died, "a call was not heard");
}

fn not_taken_away(death: Death) {
    let (place, meeting) = (Place::new(3), meeting());
    let me = place.member();
    meeting.raw.listen(&me).expect("nobody listens");
    let victim = place.thread(death, |me| {
        let called = meeting.raw.try_connect(me).map(drop);
        if called.is_ok() {
            meeting.called.set(1);
        }
    });
    let second = place.thread(Death::NEVER, |me| meeting.raw.try_connect(me).map(drop).is_ok());
    let second = second.join().finished().expect("it lives");
    victim.join();
    settle();
    if meeting.called.get() == 1 {
        assert!(!second, "two in one slot");
        meeting.raw.try_accept(&me).expect("a call that was made");
    } else if second {
        meeting.raw.try_accept(&me).expect("a call that was made");
    }
}

fn nothing_left(death: Death) {
    let (place, meeting) = (Place::new(2), meeting());
    let me = place.member();
    meeting.raw.listen(&me).expect("nobody listens");
    let victim = place.thread(death, |me| drop(meeting.raw.try_connect(me)));
    // Meets it anywhere.
    let early = meeting.raw.try_connect(&me).ok();
    if victim.join() == Outcome::Died {
        settle();
        if early.is_none() {
            if let Ok((end, _)) = meeting.raw.try_accept(&me) {
                leave(&meeting.raw, &me, end);
            }
            let again = meeting.raw.try_connect(&me).map(drop).map_err(|e| e.kind());
            assert_eq!(again, Ok(()), "the slot is lost");
        }
        meeting.raw.try_accept(&me).expect("our own call");
    }
}

fn resigns(death: Death) {
    let (place, meeting) = (Place::new(2), meeting());
    let id = place.join();
    meeting.raw.listen(&Member::modelled(place.table, id)).expect("nobody listens");
    let listener = place.thread_of(id, death, |me| meeting.raw.resign(me));
    let me = place.member();
    let called = meeting.raw.try_connect(&me);
    listener.join();
    settle();
    match called {
        Ok((mut end, _)) => {
            let seen = end.consumer.look_for(&me, 1).map_err(|e| e.kind());
            if meeting.raw.listener().is_none() || death.at.is_none() {
                assert_eq!(seen, Err(ErrorKind::Closed), "nobody will ever answer");
            }
        }
        Err(e) => assert_eq!(e.kind(), ErrorKind::Refused),
    }
}

fn moves() {
    let (place, meeting) = (Place::new(3), meeting());
    let from = place.join();
    meeting.raw.listen(&Member::modelled(place.table, from)).expect("nobody listens");
    let caller = place.thread(Death::NEVER, |me| {
        let (mut end, _) = meeting.raw.connect(me, None).expect("somebody listens");
        end.producer.look_for(me, 1).expect("open")
    });
    let me = place.member();
    meeting.raw.move_to(&me, from).expect("ours");
    let (mut end, _) = meeting.raw.accept(&me, None).expect("a call");
    settle();
    assert!(!end.consumer.look_for(&me, 1).expect("open"));
    assert_eq!(caller.join(), Outcome::Finished(true));
}

fn leaves(death: Death) {
    let (place, meeting) = (Place::new(3), meeting());
    let me = place.member();
    meeting.raw.listen(&me).expect("nobody listens");
    let id = place.join();
    let holder = Member::modelled(place.table, id);
    let (end, _) = meeting.raw.try_connect(&holder).expect("a free slot");
    let (server, _) = meeting.raw.try_accept(&me).expect("a call");
    leave(&meeting.raw, &me, server);
    let victim = place.thread_of(id, death, move |me| leave(&meeting.raw, me, end));
    let _ = meeting.raw.connect(&me, None).expect("a slot, sooner or later");
    settle();
    victim.join();
    meeting.raw.try_accept(&me).expect("our own call");
}
