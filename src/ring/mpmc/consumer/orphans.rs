//! Messages that were taken and not handed over: how a consumer finds them, and takes them. One that it does not meet on
//! its way it looks for when there is nothing else in front, or somebody holds it: within a lap, as nobody pushes past
//! the cell of an orphan.

use super::{Consumer, Place, Take};
use crate::layout::cell::{State, Word};
use crate::ring::memory::{Memory, Orphanage};
use crate::ring::mpmc::table;
use crate::sync::Ordering;

impl<T, M: Memory<T> + Orphanage> Consumer<T, M> {
    /// Takes the orphan `seen`.
    #[cold]
    pub(super) fn adopt(&self, cell: usize, seen: Word) -> Option<Take> {
        let adopted = table::adopted(seen, self.me);
        let word = self.memory.word(cell);
        // Acquire: the message is read after. Every exchange since its commit carries on what the commit said.
        let exchange = word.compare_exchange(seen.word(), adopted.word(), Ordering::Acquire, Ordering::Relaxed);
        exchange.is_ok().then_some(Take { place: Place { lap: seen.lap(), cell }, word: adopted, span: 1 })
    }

    /// Whether there is an orphan, by a look at all cells that changes nothing.
    pub(super) fn sees_an_orphan(&self) -> bool {
        // Relaxed: whoever adopts it confirms it by an exchange.
        let word = |cell| Word::from_word(self.memory.word(cell).load(Ordering::Relaxed));
        (0..self.memory.cells()).any(|cell| word(cell).state() == State::Orphan)
    }

    /// Whether there may be orphans that nobody has found yet.
    pub(crate) fn may_find_orphans(&self) -> bool {
        // Relaxed: for a guess.
        let (orphaned, adopted) = (self.memory.orphaned(), self.memory.adopted());
        orphaned.load(Ordering::Relaxed) != adopted.load(Ordering::Relaxed)
    }

    /// Looks for an orphan in all cells, if there may be any.
    #[inline(always)]
    pub(super) fn search(&mut self) -> Option<Take> {
        // Acquire: orphans that were made before it was counted are found. Pairs with the Release of the count.
        let orphaned = self.memory.orphaned().load(Ordering::Acquire);
        // Relaxed: it says nothing of our own.
        let adopted = self.memory.adopted().load(Ordering::Relaxed);
        if orphaned == adopted { None } else { self.search_all(orphaned, adopted) }
    }

    /// Begins where the last search has found something: what is left of a batch lies there.
    #[cold]
    fn search_all(&mut self, orphaned: u64, adopted: u64) -> Option<Take> {
        let cells = self.memory.cells();
        for cell in (self.searched..cells).chain(0..self.searched) {
            // Relaxed: confirmed by the exchange.
            let seen = Word::from_word(self.memory.word(cell).load(Ordering::Relaxed));
            if seen.state() == State::Orphan {
                if let Some(take) = self.adopt(cell, seen) {
                    self.searched = cell;
                    return Some(take);
                }
            }
        }
        // Release: all cells were looked at before. When it fails, somebody else has found the same, or more. (No model
        // can show it: in none does a store overtake the loads before it.)
        let word = self.memory.adopted();
        let _ = word.compare_exchange(adopted, orphaned, Ordering::Release, Ordering::Relaxed);
        None
    }
}
