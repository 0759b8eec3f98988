//! Ring and role together: whoever is granted a role goes on where the last holder stopped, however that one ended.
//!
//! NB: nothing that is released joins these two here, they are siblings; the queue does. The models need both, because
//! each believes a promise of the other.

use super::*;
use crate::layout::control::Holder;
use crate::registry::role::{claim, give_up, holder};
use crate::sync::{AtomicU64, mortal};
use loom::thread;

/// The kernel's view: who has died. It is asked as a lock byte is, and whoever learns of a death sees all that the dead
/// have stored.
struct Deaths([loom::sync::atomic::AtomicBool; 2]);

impl Deaths {
    fn new() -> Deaths {
        Deaths([loom::sync::atomic::AtomicBool::new(false), loom::sync::atomic::AtomicBool::new(false)])
    }

    /// The last thing that becomes of a process.
    fn record(&self, process: usize) {
        self.0[process].store(true, Ordering::Release);
    }

    fn is_alive(&self, process: usize) -> bool {
        !self.0.get(process).is_some_and(|dead| dead.load(Ordering::Acquire))
    }
}

/// A ring with the word of its producer's role.
struct Shared<const K: usize> {
    ring: Rc<Heap<K>>,
    role: AtomicU64,
    deaths: Deaths,
}

impl<const K: usize> Shared<K> {
    fn new(capacity: usize) -> Rc<Self> {
        Rc::new(Shared { ring: ring(capacity), role: AtomicU64::new(0), deaths: Deaths::new() })
    }

    fn claim_writer(&self, process: usize) -> Option<Writer<K>> {
        let granted = claim(&self.role, Holder::of(process, 1, 0), |process, _| self.deaths.is_alive(process)).ok()?;
        Some(writer(&self.ring, granted.repair))
    }
}

#[test]
fn a_producer_that_leaves_hands_the_ring_over_as_it_is() {
    explore(None, || {
        let shared = Shared::<2>::new(2);
        let first = Rc::clone(&shared);
        let leaving = thread::spawn(move || {
            let mut writer = first.claim_writer(0)?;
            assert!(push(&mut writer, 1));
            give_up(&first.role, Holder::of(0, 1, 0), true);
            Some(())
        });
        let second = shared.claim_writer(1).map(|mut writer| {
            assert!(push(&mut writer, 2));
            give_up(&shared.role, Holder::of(1, 1, 0), true);
        });
        let first = leaving.join().unwrap();
        let mut reader = reader(&shared.ring);
        let popped = drain(&mut reader);
        match (first, second) {
            (Some(()), Some(())) => assert!(popped == [1, 2] || popped == [2, 1], "{popped:?}"),
            (Some(()), None) => assert_eq!(popped, [1]),
            (None, Some(())) => assert_eq!(popped, [2]),
            (None, None) => panic!("nobody was granted a free role"),
        }
        let mut last = shared.claim_writer(1).expect("all have left");
        assert_full_capacity_is_usable(&mut last, &mut reader, 2);
    });
}

#[test]
fn a_consumer_that_sees_the_producer_gone_and_the_ring_empty_has_everything() {
    explore(None, || {
        let shared = Shared::<1>::new(1);
        let first = Rc::clone(&shared);
        let leaving = thread::spawn(move || {
            let mut writer = first.claim_writer(0).expect("nobody else wants it");
            assert!(push(&mut writer, 1));
            give_up(&first.role, Holder::of(0, 1, 0), true);
        });
        let mut reader = reader(&shared.ring);
        let seen = holder(&shared.role);
        let gone = seen.is_used() && seen.held_by().is_none();
        let popped = pop(&mut reader);
        assert!(!gone || popped == Some(1), "the ring seemed closed and empty with a message in it");
        leaving.join().unwrap();
    });
}

/// The first producer claims, pushes a batch and leaves, or dies before any of these steps. The second claims when it
/// can: before, meanwhile or after.
///
/// Bounded to three preemptions: with three threads, more take too long.
#[test]
fn whoever_takes_a_role_over_from_the_dead_goes_on_where_they_stopped() {
    const CAPACITY: usize = 6;
    const FIRST: &[u64] = &[11, 12, 13];
    // As much as completes the first cell of a dead batch, so that what was left in the second comes to light.
    const SECOND: &[&[u64]] = &[&[21], &[22]];
    explore_every_death(Some(3), |steps| {
        let shared = Shared::<2>::new(CAPACITY);
        let first = Rc::clone(&shared);
        let dying = thread::spawn(move || {
            let end = mortal::at_most(steps, || {
                let Some(mut writer) = first.claim_writer(0) else { return 0 };
                let pushed = push_slice(&mut writer, FIRST);
                give_up(&first.role, Holder::of(0, 1, 0), true);
                pushed
            });
            first.deaths.record(0);
            end
        });
        let second = Rc::clone(&shared);
        let succeeding = thread::spawn(move || {
            let Some(mut writer) = second.claim_writer(1) else { return 0 };
            let pushed = SECOND.iter().map(|batch| push_slice(&mut writer, batch)).sum();
            give_up(&second.role, Holder::of(1, 1, 0), true);
            pushed
        });
        let mut reader = reader(&shared.ring);
        let mut popped = pop_slice(&mut reader, CAPACITY);
        let acknowledged = dying.join().unwrap();
        let second = SECOND.concat()[..succeeding.join().unwrap()].to_vec();
        let mut last = shared.claim_writer(1).expect("the first is dead or has left, the second has left");
        popped.extend(drain(&mut reader));

        let without_first = || popped == second;
        let with_first = || popped == [FIRST, &second].concat() || popped == [&second, FIRST].concat();
        match acknowledged {
            Some(0) => assert!(without_first(), "{popped:?}"),
            Some(_) => assert!(with_first(), "{popped:?}"),
            None => assert!(with_first() || without_first(), "{popped:?}"),
        }
        assert_full_capacity_is_usable(&mut last, &mut reader, CAPACITY);
        acknowledged.is_none()
    });
}
