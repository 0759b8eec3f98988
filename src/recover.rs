//! Clearing up after the dead: whose cells are repaired, and how it is known that they are dead.
//!
//! Nobody is in charge of it. Whoever finds a cell in the hands of a dead process repairs that cell and goes on; whoever
//! finds nothing to do looks now and then for processes that died, and goes through all cells for what they held; and
//! whoever attaches with the process record of a dead one does so first. All of them may do it at the same time, and die
//! at it: the record says that there was a death until somebody got to the end.

use crate::layout::cell::Owner;
use crate::layout::control::Record;
use crate::registry::Register;
use crate::ring::memory::{Memory, Orphanage};
use crate::ring::mpmc::repair::{self, Held, Repaired};
use crate::sync::Ordering;

/// What was cleared up after processes that died.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// Processes that died while they were attached.
    pub deaths: u64,
    /// Messages that were being pushed and were not committed: they never existed.
    pub skipped: u64,
    /// Messages that had been taken and not handed over: they are delivered again, to somebody else.
    pub redelivered: u64,
}

impl Recovered {
    /// Whether there was anything to do.
    pub fn is_empty(&self) -> bool {
        *self == Recovered::default()
    }

    fn add(&mut self, deaths: u64, repaired: Repaired) {
        // Saturating: the words that are added up are anybody's to scribble on.
        self.deaths = self.deaths.saturating_add(deaths);
        self.skipped = self.skipped.saturating_add(repaired.skipped);
        self.redelivered = self.redelivered.saturating_add(repaired.orphaned);
    }
}

/// Clears up after all who have died.
pub(crate) fn recover<T, M: Memory<T> + Orphanage>(memory: &M, register: Register<'_>) -> Recovered {
    let dead: Vec<(usize, u64)> = register.dead().collect();
    if dead.is_empty() {
        return Recovered::default();
    }
    let mut recovered = sweep(memory, register, |owner| dead.iter().any(|&(record, _)| record == owner));
    for (record, generation) in dead {
        let first = register.clear(record, generation);
        recovered.deaths += count_death(register.records, record, first);
    }
    recovered
}

/// Clears up after the dead process whose record is going to be ours.
pub(crate) fn recover_record<T, M>(memory: &M, register: Register<'_>, record: usize)
where
    M: Memory<T> + Orphanage,
{
    sweep(memory, register, |owner| owner == record);
    count_death(register.records, record, true);
}

/// Repairs the one cell that `held` speaks of, when its owner is dead. Says whether it is.
pub(crate) fn repair<T, M: Memory<T> + Orphanage>(memory: &M, register: Register<'_>, held: Held) -> bool {
    let is_dead = register.is_dead(held.owner());
    if is_dead {
        let repaired = repair::repair(memory, held);
        if repaired.orphaned > 0 {
            // Release: as at the end of a sweep. If we die before, whoever sweeps up behind the dead counts.
            memory.orphaned().fetch_add(1, Ordering::Release);
        }
        count(register.records, held.owner(), repaired);
    }
    is_dead
}

/// What was cleared up since the ring was created.
pub(crate) fn total(records: &[Record]) -> Recovered {
    let mut total = Recovered::default();
    for words in records {
        let load = |word: &core::sync::atomic::AtomicU64| word.load(Ordering::Relaxed);
        total.add(load(&words.deaths), Repaired { skipped: load(&words.skipped), orphaned: load(&words.orphaned) });
    }
    total
}

/// Repairs what those hold who are `suspected`, and dead.
fn sweep<T, M>(memory: &M, register: Register<'_>, suspected: impl Fn(usize) -> bool) -> Recovered
where
    M: Memory<T> + Orphanage,
{
    let mut sum = Recovered::default();
    let is_dead = |owner: Owner| suspected(owner.into()) && register.is_dead(owner.into());
    repair::sweep(memory, is_dead, |owner, repaired| {
        count(register.records, owner.into(), repaired);
        sum.add(0, repaired);
    });
    sum
}

fn count(records: &[Record], record: usize, repaired: Repaired) {
    // Relaxed: for people to read. A hostile record is none of ours.
    if let Some(words) = records.get(record).filter(|_| repaired != Repaired::default()) {
        words.skipped.fetch_add(repaired.skipped, Ordering::Relaxed);
        words.orphaned.fetch_add(repaired.orphaned, Ordering::Relaxed);
    }
}

fn count_death(records: &[Record], record: usize, first: bool) -> u64 {
    if first {
        // Relaxed: for people to read.
        records[record].deaths.fetch_add(1, Ordering::Relaxed);
    }
    u64::from(first)
}
