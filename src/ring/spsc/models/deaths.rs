//! One end dies before any of its steps, while the other goes on.
//!
//! The successor runs in the thread of the deceased: that makes all which the dead stored visible to it and to nobody
//! else, which is what a freed lock byte promises.

use super::*;
use crate::sync::mortal;
use loom::thread;

/// What a producer meets and does before it dies, and what is done after.
#[derive(Clone, Copy)]
struct Producers {
    capacity: usize,
    /// Messages that have been through the ring.
    offset: usize,
    waiting: &'static [u64],
    victim: &'static [u64],
    successor: &'static [&'static [u64]],
    /// How often the consumer looks meanwhile, and for how many messages at most.
    looks: &'static [usize],
}

impl Producers {
    fn explore<const K: usize>(self, preemptions: Option<usize>) {
        explore_every_death(preemptions, move |steps| self.run::<K>(steps));
    }

    fn run<const K: usize>(&self, steps: usize) -> bool {
        let Producers { capacity, offset, waiting, victim, successor, looks } = *self;
        let ring = ring::<K>(capacity);
        start_at(&ring, offset, waiting);
        let mut reader = reader(&ring);
        let pushing = thread::spawn(move || {
            let acknowledged = mortal::at_most(steps, || push_slice(&mut writer(&ring, false), victim));
            let mut writer = writer(&ring, true);
            let mut sent = Vec::new();
            for batch in successor {
                sent.extend(&batch[..push_slice(&mut writer, batch)]);
            }
            (writer, acknowledged, sent)
        });
        let mut popped = Vec::new();
        for most in looks {
            popped.extend(pop_slice(&mut reader, *most));
        }
        let (mut writer, acknowledged, sent) = pushing.join().unwrap();
        popped.extend(drain(&mut reader));

        let with_victim = [waiting, victim, &sent].concat();
        let without_victim = [waiting, &sent].concat();
        match acknowledged {
            Some(pushed) => assert_eq!(popped, [waiting, &victim[..pushed], &sent].concat()),
            None => assert!(popped == with_victim || popped == without_victim, "{popped:?}, not {with_victim:?}"),
        }
        assert_full_capacity_is_usable(&mut writer, &mut reader, capacity);
        acknowledged.is_none()
    }
}

const TRIES_AGAIN: &[&[u64]] = &[&[21, 22, 23]];
const TRIES_TWO_AGAIN: &[&[u64]] = &[&[21, 22]];
const MOVES_ON: &[&[u64]] = &[&[31], &[32, 33]];

#[test]
fn a_batch_whose_producer_died_is_delivered_whole_or_not_at_all() {
    for successor in [TRIES_AGAIN, MOVES_ON] {
        for offset in 0..2 {
            let victim = &[11, 12, 13];
            let producers = Producers { capacity: 4, offset, waiting: &[], victim, successor, looks: &[4, 4] };
            producers.explore::<2>(None);
            Producers { capacity: 3, ..producers }.explore::<1>(None);
        }
    }
}

#[test]
fn a_message_whose_producer_died_is_delivered_once_or_not_at_all() {
    let producers =
        Producers { capacity: 2, offset: 1, waiting: &[1], victim: &[11], successor: &[&[21], &[22]], looks: &[1, 1] };
    producers.explore::<1>(None);
    producers.explore::<2>(None);
    producers.explore::<3>(None);
}

#[test]
fn the_successor_of_a_producer_uses_what_the_consumer_has_freed_and_no_more() {
    let producers = Producers { capacity: 3, offset: 0, waiting: &[1], victim: &[11, 12], successor: &[], looks: &[2] };
    for successor in [TRIES_TWO_AGAIN, MOVES_ON] {
        Producers { successor, ..producers }.explore::<1>(None);
        Producers { successor, ..producers }.explore::<2>(None);
        Producers { successor, offset: 2, ..producers }.explore::<3>(None);
    }
}

#[test]
fn what_a_dead_producer_committed_and_its_successor_counted_can_be_popped() {
    explore_every_death(None, |steps| {
        let ring = ring::<1>(2);
        let mut reader = reader(&ring);
        let pushing = thread::spawn(move || {
            let end = mortal::at_most(steps, || push_slice(&mut writer(&ring, false), &[1, 2]));
            writer(&ring, true);
            end.is_none()
        });
        let counted = reader.len().expect("nothing is corrupted");
        assert!(pop_slice(&mut reader, 2).len() >= counted, "what was counted could not be popped");
        pushing.join().unwrap()
    });
}

/// Two producers die, each before any of its steps: also while the second cleans up behind the first.
#[test]
fn a_producer_may_die_while_it_takes_over_from_the_dead() {
    const FIRST: &[u64] = &[11, 12, 13];
    const SECOND: &[u64] = &[21, 22];
    const THIRD: &[u64] = &[31, 32, 33];
    for first in 0.. {
        let died = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&died);
        explore_every_death(None, move |second| {
            let ring = ring::<1>(3);
            start_at(&ring, 1, &[]);
            let mut reader = reader(&ring);
            let pushing = thread::spawn(move || {
                let a = mortal::at_most(first, || push_slice(&mut writer(&ring, false), FIRST));
                let b = mortal::at_most(second, || push_slice(&mut writer(&ring, true), SECOND));
                let mut writer = writer(&ring, true);
                let pushed = push_slice(&mut writer, THIRD);
                (writer, a, b, pushed)
            });
            let mut popped = pop_slice(&mut reader, 3);
            let (mut writer, a, b, pushed) = pushing.join().unwrap();
            popped.extend(drain(&mut reader));
            seen.fetch_or(a.is_none(), Ordering::Relaxed);

            // A dead producer's batch is there or not; how much of it there was room for, only itself knew.
            let possible = |done: Option<usize>, batch: &'static [u64]| match done {
                Some(pushed) => pushed..=pushed,
                None => 0..=batch.len(),
            };
            let explained = possible(a, FIRST).any(|x| {
                let whole = x == 0 || x == FIRST.len();
                whole && possible(b, SECOND).any(|y| popped == [&FIRST[..x], &SECOND[..y], &THIRD[..pushed]].concat())
            });
            assert!(explained, "{popped:?}");
            assert_full_capacity_is_usable(&mut writer, &mut reader, 3);
            b.is_none()
        });
        if !died.load(Ordering::Relaxed) {
            break;
        }
    }
}

/// A consumer that takes one message at a time, or all at once, dies before any of its steps.
fn a_consumer_dies<const K: usize>(capacity: usize, waiting: &'static [u64], at_once: usize, pushes: u64) {
    explore_every_death(None, move |steps| {
        let ring = ring::<K>(capacity);
        start_at(&ring, 1, waiting);
        let mut writer = writer(&ring, false);
        let popping = thread::spawn(move || {
            let mut popped = Vec::new();
            let end = mortal::at_most(steps, || {
                let mut victim = reader(&ring);
                for _ in 0..2 {
                    popped.extend(pop_slice(&mut victim, at_once));
                }
            });
            let mut reader = reader(&ring);
            popped.extend(pop_slice(&mut reader, at_once));
            (reader, popped, end.is_none())
        });
        let mut accepted = waiting.to_vec();
        for value in 0..pushes {
            if push(&mut writer, 50 + value) {
                accepted.push(50 + value);
            }
        }
        let (mut reader, mut popped, died) = popping.join().unwrap();
        popped.extend(drain(&mut reader));
        assert_eq!(popped, accepted);
        assert_full_capacity_is_usable(&mut writer, &mut reader, capacity);
        died
    });
}

#[test]
fn after_a_consumer_died_each_message_is_delivered_exactly_once() {
    a_consumer_dies::<1>(1, &[1], 1, 2);
    a_consumer_dies::<1>(2, &[1], 1, 2);
    a_consumer_dies::<2>(2, &[1, 2], 1, 2);
    a_consumer_dies::<2>(3, &[1, 2, 3], 3, 2);
    a_consumer_dies::<3>(3, &[1], 2, 3);
}

/// The producer dies before any of its steps and the consumer before any of its own, in the same run.
#[test]
fn both_ends_may_die_at_any_step() {
    const VICTIM: &[u64] = &[11, 12];
    const SUCCESSOR: &[u64] = &[21, 22];
    for producer_steps in 0.. {
        let died = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&died);
        explore_every_death(None, move |consumer_steps| {
            let ring = ring::<1>(2);
            let consumers_ring = Rc::clone(&ring);
            let pushing = thread::spawn(move || {
                let acknowledged = mortal::at_most(producer_steps, || push_slice(&mut writer(&ring, false), VICTIM));
                let mut writer = writer(&ring, true);
                let pushed = push_slice(&mut writer, SUCCESSOR);
                (writer, acknowledged, pushed)
            });
            let mut popped = Vec::new();
            let end = mortal::at_most(consumer_steps, || popped.extend(pop_slice(&mut reader(&consumers_ring), 2)));
            let mut reader = reader(&consumers_ring);
            popped.extend(pop_slice(&mut reader, 2));
            let (mut writer, acknowledged, pushed) = pushing.join().unwrap();
            popped.extend(drain(&mut reader));
            seen.fetch_or(acknowledged.is_none(), Ordering::Relaxed);
            let sent = &SUCCESSOR[..pushed];
            let without_victim = acknowledged.is_none() && popped == sent;
            assert!(without_victim || popped == [VICTIM, sent].concat(), "{popped:?}");
            assert_full_capacity_is_usable(&mut writer, &mut reader, 2);
            end.is_none()
        });
        if !died.load(Ordering::Relaxed) {
            break;
        }
    }
}
