//! Processes die before any of their steps, while others go on, and clear up.
//!
//! Whoever clears up in the thread of the deceased sees all that the dead stored, and does so alone: that is what a freed
//! lock byte promises. Others ask `Deaths`, as one asks the kernel.

use super::*;
use crate::ring::mpmc::repair::{Repaired, repair, sweep};
use crate::sync::mortal;
use loom::sync::atomic::AtomicBool;
use loom::thread;
use std::sync::Arc;

const FIRST: Owner = 0;
const SECOND: Owner = 1;

/// Who has died. Whoever learns of a death sees all that the dead have stored.
#[derive(Default)]
struct Deaths([AtomicBool; 2]);

impl Deaths {
    /// The last thing that becomes of a process.
    fn record(&self, owner: Owner) {
        self.0[usize::from(owner)].store(true, Ordering::Release);
    }

    fn is_dead(&self, owner: usize) -> bool {
        self.0.get(owner).is_some_and(|dead| dead.load(Ordering::Acquire))
    }
}

#[derive(Clone, Copy)]
enum Act {
    Push(&'static [u64]),
    Pop(usize),
    /// Looks at a message, and releases it.
    Peek,
    /// Looks at a message, and gives it back.
    GiveBack,
    /// Reserves a place, and abandons it.
    Abandon,
}

/// Somebody who pushes and pops, and what became of it.
struct Process {
    ring: Ring,
    writer: Writer,
    reader: Reader,
    deaths: Arc<Deaths>,
    pushed: Vec<u64>,
    popped: Vec<u64>,
    /// What it is in the middle of.
    doing: Option<Act>,
    repaired: Repaired,
}

impl Process {
    fn new(ring: &Ring, deaths: &Arc<Deaths>, me: Owner) -> Process {
        Process {
            ring: Rc::clone(ring),
            writer: writer(ring, me),
            reader: reader(ring, me),
            deaths: Arc::clone(deaths),
            pushed: Vec::new(),
            popped: Vec::new(),
            doing: None,
            repaired: Repaired::default(),
        }
    }

    fn attempt(&mut self, act: Act) -> Result<(), Held> {
        match act {
            Act::Push(values) => {
                let count = try_push(&mut self.writer, values)?;
                self.pushed.extend(&values[..count]);
            }
            Act::Pop(most) => self.popped.extend(try_pop(&mut self.reader, most)?),
            Act::Peek | Act::GiveBack => {
                if popped(self.reader.peek().expect("nothing is corrupted"))?.is_some() {
                    let value = self.ring.look(self.reader.front().as_ptr().cast());
                    match act {
                        Act::Peek => {
                            self.reader.release();
                            self.popped.push(value);
                        }
                        _ => self.reader.give_back(),
                    }
                }
            }
            Act::Abandon => {
                if pushed(self.writer.reserve().expect("nothing is corrupted"))? > 0 {
                    self.ring.fill(self.writer.place_mut().as_mut_ptr().cast(), 777);
                    self.writer.abandon();
                }
            }
        }
        Ok(())
    }

    /// One attempt at each act, and another one when a dead process was in the way, and its cell was repaired.
    fn live(&mut self, acts: &[Act]) {
        for &act in acts {
            self.doing = Some(act);
            if let Err(held) = self.attempt(act) {
                if self.deaths.is_dead(held.owner()) {
                    self.count(repair(&self.ring, held));
                    let _ = self.attempt(act);
                }
            }
            self.doing = None;
        }
    }

    fn sweep(&mut self, dead: impl Fn(Owner) -> bool) {
        let ring = Rc::clone(&self.ring);
        sweep(&ring, dead, |_, repaired| self.count(repaired));
    }

    fn count(&mut self, repaired: Repaired) {
        self.repaired.skipped += repaired.skipped;
        self.repaired.orphaned += repaired.orphaned;
    }
}

/// One process dies; a second one clears up behind it, goes on, and may die as well, at that or later; a third one clears
/// up behind both. Others are at it all the time.
#[derive(Clone, Copy)]
struct Crash {
    position: u64,
    capacity: usize,
    waiting: u64,
    first: &'static [Act],
    second: &'static [Act],
    survivors: &'static [&'static [Act]],
}

impl Crash {
    /// The second one does not die.
    fn explore(self, preemptions: usize) {
        explore_every_death(Some(preemptions), move |steps| self.run(steps, usize::MAX).0);
    }

    fn explore_two_deaths(self, preemptions: usize) {
        for first in 0.. {
            let died = Arc::new(std::sync::atomic::AtomicBool::new(false));
            let seen = Arc::clone(&died);
            explore_every_death(Some(preemptions), move |second| {
                let (first, second) = self.run(first, second);
                seen.fetch_or(first, Ordering::Relaxed);
                second
            });
            if !died.load(Ordering::Relaxed) {
                break;
            }
        }
    }

    /// Says which of the two have died.
    fn run(&self, first_steps: usize, second_steps: usize) -> (bool, bool) {
        let ring = ring_at(self.position, self.capacity);
        let waiting = Vec::from_iter(0..self.waiting);
        assert_eq!(push(&mut writer(&ring, 90), &waiting), waiting.len());
        let deaths = Arc::new(Deaths::default());
        let process = |me| Process::new(&ring, &deaths, me);

        let Crash { first: first_acts, second: second_acts, .. } = *self;
        let (mut first, mut second, mut third) = (process(FIRST), process(SECOND), process(2));
        let dying = thread::spawn(move || {
            let first_died = mortal::at_most(first_steps, || first.live(first_acts)).is_none();
            if first_died {
                first.deaths.record(FIRST);
            }
            let life = || {
                if first_died {
                    second.sweep(|owner| owner == FIRST);
                }
                second.live(second_acts);
            };
            let second_died = mortal::at_most(second_steps, life).is_none();
            if second_died {
                second.deaths.record(SECOND);
                third.sweep(|owner| owner == SECOND || first_died && owner == FIRST);
            }
            (first_died, second_died, [first, second, third])
        });
        let mut survivors: Vec<_> = (3..).zip(self.survivors).map(|(me, acts)| (process(me), acts)).collect();
        let (mut mine, my_acts) = survivors.remove(0);
        let others: Vec<_> = survivors
            .into_iter()
            .map(|(mut process, acts)| {
                thread::spawn(move || {
                    process.live(acts);
                    process
                })
            })
            .collect();
        mine.live(my_acts);
        let (first_died, second_died, dead) = dying.join().unwrap();
        let others = others.into_iter().map(|other| other.join().unwrap());
        let mut all = Vec::from_iter(dead.into_iter().chain(others));
        mine.popped.extend(drain(&mut mine.reader));
        all.push(mine);
        check(waiting, &all, second_died);
        assert_full_capacity_is_usable(&ring, &mut all.last_mut().unwrap().reader);
        (first_died, second_died)
    }
}

/// What was committed was delivered, once; what was not, was not.
fn check(mut accepted: Vec<u64>, all: &[Process], second_died: bool) {
    let mut delivered: Vec<u64> = all.iter().flat_map(|process| process.popped.iter().copied()).collect();
    let mut repaired = Repaired::default();
    let mut may_be_gone = 0;
    for process in all {
        accepted.extend(&process.pushed);
        repaired.skipped += process.repaired.skipped;
        repaired.orphaned += process.repaired.orphaned;
        match process.doing {
            // Nobody was told; but what is delivered, is delivered as a whole.
            Some(Act::Push(batch)) if delivered.contains(&batch[0]) => {
                accepted.extend(batch);
                assert_eq!(repaired.skipped, 0, "{batch:?} was delivered and skipped");
            }
            // Handed over as a whole before it died, and not returned by then.
            Some(Act::Pop(most)) => may_be_gone += most,
            Some(Act::Peek) => may_be_gone += 1,
            _ => {}
        }
    }
    accepted.sort_unstable();
    delivered.sort_unstable();
    let missing = Vec::from_iter(accepted.iter().filter(|&value| !delivered.contains(value)));
    if !missing.is_empty() {
        assert!(missing.len() <= may_be_gone, "{missing:?} are lost");
        assert!(second_died || repaired.orphaned == 0, "{missing:?} were taken by the dead, and lost");
        accepted.retain(|value| delivered.contains(value));
    }
    assert_eq!(delivered, accepted);
}

const BASE: Crash = Crash { position: 1, capacity: 2, waiting: 0, first: &[], second: &[], survivors: &[] };

#[test]
fn a_message_whose_producer_died_never_existed_or_is_delivered_once() {
    let crash = Crash { first: &[Act::Push(&[11]), Act::Push(&[12])], ..BASE };
    Crash { survivors: &[&[Act::Pop(1), Act::Pop(1)]], ..crash }.explore(2);
    Crash { capacity: 1, survivors: &[&[Act::Push(&[31]), Act::Pop(1)]], ..crash }.explore(2);
}

#[test]
fn a_batch_whose_producer_died_never_existed_or_is_delivered_whole() {
    let crash = Crash { first: &[Act::Push(&[11, 12])], ..BASE };
    Crash { survivors: &[&[Act::Pop(2), Act::Pop(1)]], ..crash }.explore(2);
    Crash { survivors: &[&[Act::Push(&[31]), Act::Pop(1)]], ..crash }.explore(2);
    // It dies when it has committed the batch, and goes on.
    Crash { first: &[Act::Push(&[11, 12]), Act::Push(&[13])], survivors: &[&[Act::Pop(1)]], ..crash }.explore(2);
}

#[test]
fn of_a_batch_whose_producer_died_each_cell_is_used_again() {
    let crash = Crash { first: &[Act::Push(&[11, 12])], ..BASE };
    Crash { survivors: &[&[Act::Pop(1)], &[Act::Push(&[41])]], ..crash }.explore(1);
    Crash { survivors: &[&[Act::Push(&[31])], &[Act::Push(&[41])]], ..crash }.explore(1);
}

#[test]
fn a_message_whose_consumer_died_is_redelivered() {
    let crash = Crash { waiting: 2, survivors: &[&[Act::Pop(1), Act::Push(&[31])]], ..BASE };
    Crash { first: &[Act::Pop(1)], ..crash }.explore(2);
    Crash { first: &[Act::Peek], ..crash }.explore(2);
    Crash { first: &[Act::GiveBack], ..crash }.explore(2);
}

#[test]
fn a_batch_whose_consumer_died_is_handed_over_whole_or_redelivered() {
    let crash = Crash { waiting: 2, first: &[Act::Pop(2)], ..BASE };
    Crash { survivors: &[&[Act::Push(&[31]), Act::Pop(1)]], ..crash }.explore(2);
    Crash { survivors: &[&[Act::Pop(2)]], ..crash }.explore(2);
}

#[test]
fn of_a_batch_whose_consumer_died_each_cell_is_used_again() {
    let crash = Crash { waiting: 2, first: &[Act::Pop(2)], ..BASE };
    Crash { survivors: &[&[Act::Pop(1)], &[Act::Push(&[41])]], ..crash }.explore(1);
    Crash { survivors: &[&[Act::Push(&[31])], &[Act::Push(&[41])]], ..crash }.explore(1);
}

#[test]
fn a_place_whose_producer_died_in_two_minds_is_skipped() {
    let crash = Crash { first: &[Act::Abandon, Act::Push(&[11])], waiting: 1, ..BASE };
    Crash { survivors: &[&[Act::Pop(1), Act::Push(&[31])]], ..crash }.explore(2);
}

#[test]
fn whoever_clears_up_may_die_at_it() {
    let crash = Crash { survivors: &[&[Act::Pop(1), Act::Push(&[31])]], ..BASE };
    Crash { first: &[Act::Push(&[11, 12])], ..crash }.explore_two_deaths(1);
    Crash { waiting: 2, first: &[Act::Pop(2)], second: &[Act::Pop(1)], ..crash }.explore_two_deaths(1);
    Crash { waiting: 1, first: &[Act::Peek], second: &[Act::GiveBack], ..crash }.explore_two_deaths(1);
}

/// One process repairs the cells of the dead, counts nothing, and adopts one of the orphans; another one finds nothing
/// left to repair, and counts. Whoever goes by the count finds the other orphan.
#[test]
fn orphans_that_one_process_made_and_another_one_counted_are_found() {
    for position in 0..2 {
        explore_every_death(Some(2), move |steps| {
            let ring = ring_at(position, 2);
            let (mut writer, mut reader, mut other) = (writer(&ring, 2), reader(&ring, 3), super::reader(&ring, 4));
            assert_eq!(push(&mut writer, &[1, 2]), 2);
            let mut victim = super::reader(&ring, FIRST);
            let taken = mortal::at_most(steps, || pop(&mut victim, 2));
            // Whoever comes later is past what the dead one had taken.
            let mut delivered = taken.clone().unwrap_or_default();
            delivered.extend(pop(&mut reader, 1));
            let (held, memory) = (try_push(&mut writer, &[3]).err(), Rc::clone(&ring));
            let repairing = thread::spawn(move || {
                held.map(|held| repair(&memory, held));
                pop(&mut other, 1)
            });
            let memory = Rc::clone(&ring);
            let sweeping = thread::spawn(move || sweep(&memory, |owner| owner == FIRST, |_, _| ()));
            delivered.extend(pop(&mut reader, 1));
            delivered.extend(repairing.join().unwrap());
            sweeping.join().unwrap();
            delivered.extend(drain(&mut reader));
            delivered.retain(|&value| value != 3);
            delivered.sort_unstable();
            let handed_over = taken.is_none() && delivered.is_empty();
            assert!(handed_over || delivered == [1, 2], "only {delivered:?} were found");
            assert_full_capacity_is_usable(&ring, &mut reader);
            taken.is_none()
        });
    }
}
