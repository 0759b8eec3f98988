//! One producer, one consumer: a ring of line-packed, lap-tagged cells.
//!
//! A cell is one cache line: a tag, then as many items as fit beside it (a larger item takes the lines it needs). The
//! tag says which line of the ring's history the cell holds and how many of its items are committed. The Release store
//! of the tag *is* the commit, and the consumer polls nothing else, so a small message costs one line crossing from
//! core to core where a ring with a shared index costs two: the index's line, then the data's.
//!
//! ```text
//! line 0: [0,7|a b c d e f g]   complete
//! line 1: [1,3|h i j . . . .]   three committed, room for four more
//! line 2: [2,0|. . . . . . .]   first lap, nothing yet; on later laps the tag of the lap before, which means the same
//! ```
//!
//! Positions run freely: message `p` is item `p % K` of line `p / K`, which lies in cell `line % cells`. The consumer
//! never writes a cell. It stores `head` on every pop, and that store hands the message over: an item may be overwritten
//! only after it. The producer keeps a copy of `head` and looks again only when the ring seems full.
//!
//! # What survives a death
//!
//! *The consumer dies.* All that its successor needs is `head`, which is exact. (Were it published late, a successor
//! would deliver again what was delivered already.)
//!
//! *The producer dies.* Its successor believes the tags: it starts at `tail` or `head`, whichever is later (`tail`
//! lags behind by what was committed and not counted: messages that were pushed by themselves are counted when their line
//! is complete; `head` is never beyond what was committed), and goes on to the first line that is not complete. That line's count is the last thing that was committed.
//!
//! A batch commits by the tag of its *first* cell, which is stored last, so it is there as a whole or not at all. A
//! producer that dies before that store leaves tags of the current lap on later cells. Its successor wipes them before
//! it publishes anything: else, once it reaches such a line, the dead batch would be delivered.
//!
//! `tests/model_spsc.rs` checks this protocol exhaustively, with deaths at any step; the models beside this file check
//! the orderings of this very code.

pub(crate) mod consumer;
pub(crate) mod producer;

#[cfg(all(test, ringway_loom))]
mod models;

use super::memory::Memory;
use crate::error::Corrupted;
use crate::layout::tag::Tag;
use crate::sync::Ordering;
use core::marker::PhantomData;

/// A place in the ring.
#[derive(Debug)]
struct Cursor<T, M> {
    /// The line, and as its count the item: what the cell's tag says when all before this place is committed, and nothing
    /// else of the line.
    tag: Tag,
    cell: usize,
    /// What is to be added to the tag to have the position. It changes from line to line only.
    //
    // NB: one store less per message than with a position: a core can only have so many stores on their way.
    to_position: u64,
    _of: PhantomData<fn(T, M)>,
}

impl<T, M> Clone for Cursor<T, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, M> Copy for Cursor<T, M> {}

impl<T, M: Memory<T>> Cursor<T, M> {
    const ITEMS: usize = M::ITEMS_PER_CELL;

    fn at(position: u64, memory: &M) -> Self {
        let (line, item) = (position / Self::ITEMS as u64, position % Self::ITEMS as u64);
        let cell = (line % memory.cells() as u64) as usize;
        Cursor::new(Tag::new(line, item as usize), cell, position)
    }

    #[inline(always)]
    fn new(tag: Tag, cell: usize, position: u64) -> Self {
        Cursor { tag, cell, to_position: position.wrapping_sub(tag.word()), _of: PhantomData }
    }

    /// The number of the message at this place.
    #[inline(always)]
    fn position(&self) -> u64 {
        self.tag.word().wrapping_add(self.to_position)
    }

    /// The last position at which a handle may start: what comes after in this lap still has lines that fit into a tag.
    fn limit(memory: &M) -> u64 {
        (Tag::MAX_LINE - memory.cells() as u64) * Self::ITEMS as u64
    }

    #[inline(always)]
    fn line(&self) -> u64 {
        self.tag.line()
    }

    /// Which item of its cell it is.
    #[inline(always)]
    fn item(&self) -> usize {
        if Self::ITEMS == 1 { 0 } else { self.tag.count() }
    }

    /// Items left in this cell, from the cursor to its end. At least one.
    #[inline(always)]
    fn room(&self) -> usize {
        Self::ITEMS - self.item()
    }

    /// Goes on by `count` items, at most to the start of the next line.
    #[inline(always)]
    fn advance(&mut self, count: usize, memory: &M) {
        match count == self.room() {
            true => *self = self.next_line(memory),
            false => self.tag = self.tag.plus(count),
        }
    }

    /// The start of the next line.
    #[inline(always)]
    fn next_line(self, memory: &M) -> Self {
        self.lines_later(1, memory)
    }

    /// The start of the line `count` lines later, at most as many as there are cells.
    #[inline(always)]
    fn lines_later(self, count: usize, memory: &M) -> Self {
        let cell = self.cell + count;
        let cell = if cell < memory.cells() { cell } else { cell - memory.cells() };
        let position = self.position() - self.item() as u64 + (count * Self::ITEMS) as u64;
        Cursor::new(Tag::new(self.line() + count as u64, 0), cell, position)
    }

    /// How many items of this line are committed, by what its cell's tag says.
    #[inline(always)]
    fn committed(&self, tag: Tag, memory: &M) -> Result<usize, Box<Corrupted>> {
        let count = tag.count();
        if tag.line() == self.line() {
            if count > Self::ITEMS {
                return Err(corrupted(memory, "the count of a cell", (0, Self::ITEMS as u64), count as u64));
            }
            return Ok(count);
        }
        let lap_before = self.line().checked_sub(memory.cells() as u64);
        if lap_before != Some(tag.line()) {
            let expected = (lap_before.unwrap_or(self.line()), self.line());
            return Err(corrupted(memory, "the line of a cell", expected, tag.line()));
        }
        Ok(0)
    }
}

/// How many messages have been pushed: exact when nobody is pushing, never too many.
pub(crate) fn pushed<T, M: Memory<T>>(memory: &M) -> u64 {
    // Acquire: whoever counts by it finds the tags of the lines before. Pairs with the Release stores of `tail`.
    let tail = memory.tail().load(Ordering::Acquire);
    if tail > Cursor::<T, M>::limit(memory) {
        return tail; // for others to find out
    }
    let cursor = Cursor::<T, M>::at(tail, memory);
    // The others of its line are not counted by themselves. Relaxed: whoever pops them looks at this very tag again.
    let tag = Tag::from_word(memory.word(cursor.cell).load(Ordering::Relaxed));
    let more = tag.count().min(M::ITEMS_PER_CELL).saturating_sub(cursor.item());
    if tag.line() == cursor.line() { tail + more as u64 } else { tail }
}

#[cold]
#[inline(never)]
fn corrupted<T, M: Memory<T>>(memory: &M, what: &'static str, expected: (u64, u64), found: u64) -> Box<Corrupted> {
    Box::new(Corrupted { ring: memory.name().into(), what, expected, found })
}
