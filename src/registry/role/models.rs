//! Models of claims under loom: one winner at a time, who sees all that the holders before did. Run by `cargo loom`.
//!
//! What a role protects is a plain cell here: two holders at once, or one that does not see what the last one did, are
//! a data race, and that fails the model. The ring's own models (`ring/spsc/models`) put a ring in its place.
//!
//! | operation | ordering | the model that fails when it is weaker, or why none can |
//! |---|---|---|
//! | `claim`: look at the word | Relaxed | what it says is confirmed by the exchange, or answered with the holder's name |
//! | `claim`: exchange, on success | Acquire | `a_role_that_is_given_up_goes_to_one_claimant_who_sees_all_that_was_done` |
//! | `claim`: exchange, on failure | Relaxed | as for the look: it is what the next turn starts with |
//! | `give_up`: exchange, on success | Release | `a_role_that_is_given_up_goes_to_one_claimant_who_sees_all_that_was_done` |
//! | `give_up`: exchange, on failure | Relaxed | the value is not used |
//! | `holder` | Acquire | `whoever_sees_that_the_holder_has_left_sees_all_that_it_did` |
#![allow(unsafe_code)]

use super::*;
use crate::sync::mortal;
use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicBool;
use loom::thread::{self, JoinHandle};
use std::rc::Rc;

/// A role, what it protects, and the kernel's knowledge of who is dead.
struct World {
    role: AtomicU64,
    /// How many turns at the role there have been. Only its holder touches it.
    turns: UnsafeCell<u64>,
    dead: [AtomicBool; 3],
}

/// Process `n` is that of record `n`, whose records have been used `n` times before.
fn process(n: usize) -> Holder {
    Holder::of(n, n as u32, 0)
}

impl World {
    fn new(holder: Option<usize>) -> Rc<World> {
        Rc::new(World {
            role: AtomicU64::new(holder.map_or(0, |n| process(n).word())),
            turns: UnsafeCell::new(0),
            dead: [(); 3].map(|()| AtomicBool::new(false)),
        })
    }

    fn is_alive(&self, record: usize, generation: u32) -> bool {
        assert_eq!(process(record), Holder::of(record, generation, 0), "a process that never was is asked for");
        !self.dead[record].load(Ordering::Acquire)
    }

    fn dies(&self, n: usize) {
        self.dead[n].store(true, Ordering::Release);
    }

    fn claim(&self, n: usize) -> Result<Granted, Taken> {
        claim(&self.role, process(n), |record, generation| self.is_alive(record, generation))
    }

    /// What a holder does with its role.
    fn turn(&self) -> u64 {
        // SAFETY: loom fails the model when anybody else may access it now.
        self.turns.with_mut(|turns| unsafe { *turns += 1 });
        self.seen_turns()
    }

    fn seen_turns(&self) -> u64 {
        // SAFETY: as for `turn`.
        self.turns.with(|turns| unsafe { *turns })
    }

    /// Process `n` in a thread of its own: claims, takes its turn if it may, keeps the role.
    fn spawn_claim(self: &Rc<World>, n: usize) -> JoinHandle<Result<Granted, Taken>> {
        let world = Rc::clone(self);
        thread::spawn(move || {
            world.claim(n).inspect(|_| {
                world.turn();
            })
        })
    }
}

/// One of the two is granted the role, the other is told who it was. Returns what the winner was told.
fn only_winner(a: (usize, Result<Granted, Taken>), b: (usize, Result<Granted, Taken>)) -> Granted {
    match (a, b) {
        ((winner, Ok(granted)), (_, Err(taken))) | ((_, Err(taken)), (winner, Ok(granted))) => {
            assert_eq!(taken.by, process(winner));
            granted
        }
        both => panic!("not exactly one winner: {both:?}"),
    }
}

#[test]
fn of_two_claimants_of_a_free_role_one_gets_it_and_the_other_is_told_who() {
    loom::model(|| {
        let world = World::new(None);
        let first = world.spawn_claim(0);
        let second = world.claim(1).inspect(|_| {
            world.turn();
        });
        let granted = only_winner((0, first.join().unwrap()), (1, second));
        assert!(!granted.repair, "nobody had it before");
        assert_eq!(world.seen_turns(), 1);
    });
}

#[test]
fn of_two_claimants_of_a_dead_holders_role_one_gets_it_to_repair() {
    loom::model(|| {
        let world = World::new(Some(0));
        world.turn();
        world.dies(0);
        let first = world.spawn_claim(1);
        let second = world.claim(2).inspect(|_| {
            world.turn();
        });
        let granted = only_winner((1, first.join().unwrap()), (2, second));
        assert!(granted.repair, "the dead may have left something half-done");
        assert_eq!(world.seen_turns(), 2);
    });
}

#[test]
fn a_role_is_taken_from_the_dead_never_from_the_living() {
    loom::model(|| {
        let world = World::new(Some(0));
        let holder = Rc::clone(&world);
        let dying = thread::spawn(move || {
            holder.turn();
            holder.dies(0);
        });
        let first = world.spawn_claim(1);
        let claim = world.claim(2);
        match &claim {
            Ok(granted) => assert!(granted.repair && world.turn() >= 2),
            Err(taken) => assert!(taken.by == process(0) || taken.by == process(1)),
        }
        dying.join().unwrap();
        let others = first.join().unwrap();
        assert!(claim.is_err() || others.is_err(), "two have the role");
        assert_eq!(others.is_ok() || claim.is_ok(), world.claim(2).is_err_and(|taken| taken.by != process(0)));
    });
}

#[test]
fn a_role_that_is_given_up_goes_to_one_claimant_who_sees_all_that_was_done() {
    for clean in [true, false] {
        loom::model(move || {
            let world = World::new(Some(0));
            let holder = Rc::clone(&world);
            let leaving = thread::spawn(move || {
                holder.turn();
                give_up(&holder.role, process(0), clean);
            });
            let first = world.spawn_claim(1);
            let second = world.claim(2).inspect(|_| assert_eq!(world.turn(), 2));
            let first = first.join().unwrap();
            leaving.join().unwrap();
            match (first, second) {
                (Ok(_), Ok(_)) => panic!("two have the role"),
                (Err(first), Err(second)) => assert_eq!((first.by, second.by), (process(0), process(0))),
                (first, second) => {
                    let granted = first.or(second).unwrap();
                    assert_eq!(granted, Granted { repair: !clean });
                    assert_eq!(world.seen_turns(), 2);
                }
            }
        });
    }
}

#[test]
fn whoever_sees_that_the_holder_has_left_sees_all_that_it_did() {
    loom::model(|| {
        let world = World::new(Some(0));
        let leaving = Rc::clone(&world);
        let leaving = thread::spawn(move || {
            leaving.turn();
            give_up(&leaving.role, process(0), true);
        });
        let seen = holder(&world.role);
        match seen.held_by() {
            Some(held_by) => assert_eq!(held_by, (0, 0)),
            None => assert_eq!((world.seen_turns(), seen.needs_repair()), (1, false)),
        }
        leaving.join().unwrap();
    });
}

/// A process claims, takes its turn, and leaves; or dies before any of these steps, while another claims.
#[test]
fn wherever_a_claimant_dies_the_role_goes_on_to_the_next() {
    // The look, the exchange, another one if somebody came and left meanwhile, the one that gives up.
    for steps in 0..=4 {
        loom::model(move || {
            let world = World::new(None);
            let victim = Rc::clone(&world);
            let dying = thread::spawn(move || {
                let life = mortal::at_most(steps, || {
                    let Ok(_) = victim.claim(0) else { return };
                    victim.turn();
                    give_up(&victim.role, process(0), true);
                });
                victim.dies(0);
                life.is_none()
            });
            let claimed = world.claim(1).inspect(|_| {
                world.turn();
                give_up(&world.role, process(1), true);
            });
            let died = dying.join().unwrap();
            assert!(claimed.is_ok() || steps > 1, "the role was free");
            let granted = world.claim(2).expect("all others are dead or have left");
            assert!(!granted.repair || died, "whoever leaves in order leaves nothing to repair");
            assert!(world.turn() <= 3);
        });
    }
}

#[test]
fn whoever_has_lost_the_role_cannot_give_it_up() {
    loom::model(|| {
        let world = World::new(Some(0));
        world.dies(0);
        let late = Rc::clone(&world);
        let late = thread::spawn(move || give_up(&late.role, process(0), true));
        let granted = world.claim(1).expect("it is free, or its holder is dead");
        late.join().unwrap();
        assert_eq!(holder(&world.role), process(1));
        assert!(!granted.repair || world.claim(2).is_err());
    });
}
