//! The protocol, checked in every state that it can reach, with deaths at any step.
//!
//! Each process does one operation on shared memory at a time, in every possible order. All decisions about words are
//! those of the released table; what is around it, the loops of the ring, is written here once more, as single steps. Up
//! to two or three processes die, before any step, and in some settings others come after them and take their process
//! records. Checked in every state: nothing is handed over that was not committed, nor twice, nor a batch in part; nobody
//! touches a message that is not in its hands; "full" and "empty" are true at the moment of the load that says so; nobody
//! finds an impossible word; and as long as there is a consumer, some way leads on, without a further death, to a ring
//! that is drained, with all that was committed handed over, and each cell free for the position that comes next.
//!
//! It abstracts from:
//! - *orderings*: each step is seen by all at once. The models under loom check the orderings of the ring's very code.
//! - *locks*: a question whether a process is dead is one step, and the answer is right.
//! - *bytes*: a message is written in one step and read in one step.
//! - *when a handle looks for dead processes*: it may before any look at its place, when there are any.
//! - *hints*: only a handle that does not know where to begin needs them, and in some settings anybody may believe them.

mod bugs;
mod clearing;
mod explore;
mod state;
mod steps;

use super::{AtHead, AtTail};
use crate::layout::cell::{Owner, Word};
use bugs::Bug;
use state::{Doing, Process, State};
use std::ops::Range;

/// The functions under test.
#[derive(Clone, Copy)]
struct Table {
    at_tail: fn(Word, u64, usize) -> AtTail,
    at_head: fn(Word, u64, usize) -> AtHead,
    repaired: fn(Word) -> Option<Word>,
    repaired_later: fn(Word, Word, u64) -> Option<Word>,
    adopted: fn(Word, Owner) -> Word,
    given_back: fn(Word) -> Word,
}

const RELEASED: Table = Table {
    at_tail: super::at_tail,
    at_head: super::at_head,
    repaired: super::repaired,
    repaired_later: super::repaired_later,
    adopted: super::adopted,
    given_back: super::given_back,
};

/// A promise that is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Broken {
    /// A process finds a word that no correct process writes there.
    Impossible,
    /// A process touches a message that is not in its hands.
    NotItsOwn,
    /// A message is handed over that was not committed.
    NotCommitted,
    /// A message is handed over twice.
    Twice,
    /// Something is handed over that is no message.
    NotThere,
    /// A batch is handed over in part.
    InPart,
    /// The ring is drained, and a message was committed and never handed over.
    Lost,
    /// "Full", and there is room.
    NotFull,
    /// "Empty", and there is a message that nobody has taken.
    NotEmpty,
    /// The ring is drained, and the cells do not wait for as many positions, one after the other.
    Gap,
    /// No way leads on to a drained ring.
    Stuck,
}

/// What a process is there for.
#[derive(Clone, Copy, Debug)]
struct Job {
    /// How many it pushes. 0: it pops, for ever.
    messages: u8,
    batch: u8,
}

const fn push(messages: u8, batch: u8) -> Job {
    Job { messages, batch }
}

const fn pop(batch: u8) -> Job {
    Job { messages: 0, batch }
}

#[derive(Clone)]
struct Setting {
    cells: usize,
    /// One process each. The first ones have a record of their own, the others come when somebody is dead, and take its.
    jobs: Vec<Job>,
    records: usize,
    deaths: u8,
    /// How many messages may be claimed and abandoned, and how many taken and given back.
    abandons: u8,
    give_backs: u8,
    hints: bool,
    /// Whether to die may be to leave in an orderly way, too.
    leaves: bool,
    table: Table,
    bug: Bug,
}

impl Setting {
    fn of(cells: usize, jobs: &[Job], deaths: u8) -> Setting {
        Setting {
            cells,
            jobs: jobs.to_vec(),
            records: jobs.len(),
            deaths,
            abandons: 0,
            give_backs: 0,
            hints: false,
            leaves: false,
            table: RELEASED,
            bug: Bug::None,
        }
    }

    /// These come later, one after the other.
    fn then(mut self, jobs: &[Job]) -> Setting {
        self.jobs.extend_from_slice(jobs);
        self
    }

    fn with_second_thoughts(self, abandons: u8, give_backs: u8) -> Setting {
        Setting { abandons, give_backs, ..self }
    }

    fn with_hints_and_leaving(self) -> Setting {
        Setting { hints: true, leaves: true, ..self }
    }

    fn processes(&self) -> usize {
        self.records
    }

    fn successors(&self) -> Range<usize> {
        self.records..self.jobs.len()
    }

    fn pushes(&self, process: &Process) -> bool {
        self.jobs[process.job as usize].messages > 0
    }

    fn first_message(&self, job: usize) -> u8 {
        1 + self.jobs[..job].iter().map(|job| job.messages).sum::<u8>()
    }

    fn messages(&self) -> u8 {
        self.first_message(self.jobs.len()) - 1
    }

    fn start(&self) -> State {
        let mut state = State::start();
        for record in 0..self.records {
            state.processes[record] = Process { doing: Doing::Look, job: record as u8, ..Process::DEAD };
            state.alive |= 1 << record;
            (state.generations[record], state.marks[record]) = (1, 1);
        }
        state
    }
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Setting { cells, deaths, abandons, give_backs, hints, leaves, bug, .. } = self;
        let job = |job: &Job| match *job {
            Job { messages: 0, batch } => format!("pop({batch})"),
            Job { messages, batch } => format!("push({messages}, {batch})"),
        };
        let jobs: Vec<_> = self.jobs.iter().map(job).collect();
        let (first, then) = jobs.split_at(self.records);
        write!(f, "{cells} cells, {}", first.join(", "))?;
        if !then.is_empty() {
            write!(f, " then {}", then.join(", "))?;
        }
        write!(f, "; {deaths} deaths, {abandons} abandoned, {give_backs} given back")?;
        write!(f, ", hints {hints}, leaves {leaves}, bug {bug:?}")
    }
}

/// Goes through all states of each setting.
fn check(settings: &[Setting]) {
    for setting in settings {
        let start = std::time::Instant::now();
        match setting.explore() {
            Ok(states) => println!("{setting}: {states} states in {:.1?}", start.elapsed()),
            Err(found) => panic!("{setting}: {:?}\n{}", found.broken, found.trace),
        }
    }
}

#[test]
fn in_small_rings_whoever_dies_what_was_committed_is_handed_over_once() {
    check(&[
        Setting::of(2, &[push(2, 2), pop(2), pop(1)], 2),
        Setting::of(2, &[push(2, 2), push(2, 1), pop(2)], 1),
        Setting::of(3, &[push(4, 3), pop(3), pop(2)], 2).with_second_thoughts(1, 0),
        Setting::of(2, &[push(3, 1), pop(2), pop(1)], 2),
        Setting::of(2, &[push(2, 2), pop(1)], 2).then(&[push(1, 1)]).with_hints_and_leaving(),
        Setting::of(1, &[push(1, 1), pop(1)], 2).then(&[pop(1)]).with_second_thoughts(1, 1),
    ]);
}

#[cfg(not(debug_assertions))]
#[test]
fn two_producers_and_two_consumers() {
    let jobs = [push(2, 2), push(2, 1), pop(2), pop(1)];
    check(&[
        Setting::of(1, &jobs, 2),
        Setting::of(2, &jobs, 2),
        Setting::of(3, &jobs, 2),
        Setting::of(4, &[push(3, 2), push(2, 2), pop(3), pop(1)], 2),
    ]);
}

/// What one consumer leaves, the others find, although all of them are past it.
#[cfg(not(debug_assertions))]
#[test]
fn three_consumers() {
    check(&[
        Setting::of(2, &[push(3, 1), pop(2), pop(1), pop(1)], 2),
        Setting::of(2, &[push(3, 2), pop(2), pop(2), pop(2)], 2),
        Setting::of(3, &[push(4, 1), pop(3), pop(1), pop(1)], 1),
        Setting::of(3, &[push(3, 3), pop(3), pop(2), pop(2)], 2),
    ]);
}

#[cfg(not(debug_assertions))]
#[test]
fn messages_are_abandoned_and_given_back() {
    check(&[
        Setting::of(2, &[push(2, 1), push(1, 1), pop(1), pop(1)], 2).with_second_thoughts(1, 1),
        Setting::of(3, &[push(4, 3), pop(3), pop(2)], 2).with_second_thoughts(1, 2),
        Setting::of(2, &[push(2, 2), pop(2), pop(1)], 2).then(&[pop(1)]).with_second_thoughts(1, 1),
        Setting::of(1, &[push(2, 1), pop(1), pop(1)], 1).then(&[pop(1)]).with_second_thoughts(0, 2),
    ]);
}

#[cfg(not(debug_assertions))]
#[test]
fn others_come_after_the_dead_and_take_their_records() {
    check(&[
        Setting::of(2, &[push(3, 2), pop(2), pop(2)], 2).then(&[pop(2)]).with_hints_and_leaving(),
        Setting::of(2, &[push(3, 2), pop(2), pop(2)], 2).then(&[push(2, 2)]).with_hints_and_leaving(),
        Setting::of(2, &[push(2, 2), push(2, 1), pop(2)], 2).then(&[pop(2)]),
        Setting::of(3, &[push(4, 2), pop(3), pop(2)], 2).then(&[pop(2)]),
        Setting::of(2, &[push(1, 1), pop(1), pop(1)], 3).then(&[pop(1), pop(1)]),
    ]);
}
