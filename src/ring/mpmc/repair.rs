//! Clearing up after the dead. See the parent module for the protocol.

pub(crate) use super::Held;
use super::{Place, table};
use crate::layout::cell::{Owner, State, Word};
use crate::ring::memory::{Memory, Orphanage};
use crate::sync::Ordering;

/// What was repaired, in messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repaired {
    /// Claimed, and never committed: they never existed.
    pub(crate) skipped: u64,
    /// Taken, and not handed over: they will be delivered to somebody else.
    pub(crate) orphaned: u64,
}

/// Repairs the cell that the dead one holds, and those of its batch. The caller has learnt of its death after it saw
/// `held`.
pub(crate) fn repair<T, M: Memory<T>>(memory: &M, held: Held) -> Repaired {
    let (cells, dead, word) = (memory.cells(), held.word, memory.word(held.cell));
    let (Some(repaired), true) = (table::repaired(dead), held.persists(memory)) else {
        return Repaired::default();
    };
    let place = Place { lap: dead.lap(), cell: held.cell };
    let span = dead.span().min(cells);
    for index in (1..span).rev() {
        let later = place.later(index, cells);
        let word = memory.word(later.cell);
        // Relaxed: confirmed by the exchange.
        let seen = Word::from_word(word.load(Ordering::Relaxed));
        if let Some(repaired) = table::repaired_later(dead, seen, later.lap) {
            // Acquire and Release: what the dead one did to the cell comes before what is done to it next. For good
            // measure, see the parent module. When it fails, somebody else has done it.
            let _ = word.compare_exchange(seen.word(), repaired.word(), Ordering::AcqRel, Ordering::Relaxed);
        }
    }
    // Release: as above, and the cells behind come first. Acquire: for good measure, behind `persists`.
    let exchange = word.compare_exchange(dead.word(), repaired.word(), Ordering::AcqRel, Ordering::Relaxed);
    match (exchange, dead.state()) {
        (Ok(_), State::Claimed) => Repaired { skipped: span as u64, orphaned: 0 },
        (Ok(_), State::Taken | State::Adopted) => Repaired { skipped: 0, orphaned: span as u64 },
        _ => Repaired::default(),
    }
}

/// Whether some message was taken and is not handed over, by the living or the dead: it may still come.
pub(crate) fn is_any_taken<T, M: Memory<T>>(memory: &M) -> bool {
    (0..memory.cells()).any(|cell| {
        // Acquire: when it was handed over, what came of that is seen.
        let word = Word::from_word(memory.word(cell).load(Ordering::Acquire));
        matches!(word.state(), State::Taken | State::Adopted | State::Orphan)
    })
}

/// Repairs all that the dead hold, and tells `done` of each. `is_dead` is asked for each as well, as somebody alive may
/// use a process record of the dead by then. When this returns, nothing is left of whoever was dead when it was called.
pub(crate) fn sweep<T, M: Memory<T> + Orphanage>(
    memory: &M,
    is_dead: impl Fn(Owner) -> bool,
    mut done: impl FnMut(Owner, Repaired),
) {
    for cell in 0..memory.cells() {
        // Acquire: when somebody else has repaired it, we have seen all that he made of the batch, before it is counted.
        let word = Word::from_word(memory.word(cell).load(Ordering::Acquire));
        if let Some(owner) = word.owner().filter(|&owner| is_dead(owner)) {
            done(owner, repair(memory, Held { cell, word, owner }));
        }
    }
    // NB: also when we have made none. Somebody who died, perhaps this very owner, may have made one and not counted it.
    // Release: who sees this finds the orphans. Pairs with the load in `Consumer::search_all`.
    memory.orphaned().fetch_add(1, Ordering::Release);
}
