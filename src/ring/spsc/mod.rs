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
//! may lag behind by what was committed but not yet counted; `head` is never beyond what was committed), and goes on to the
//! first line that is not complete. That line's count is the last thing that was committed.
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
use core::marker::PhantomData;

/// A place in the ring: a position, and the line and the cell in which it lies.
#[derive(Debug)]
struct Cursor<T, M> {
    position: u64,
    /// Position of the first item of the line.
    line_start: u64,
    line: u64,
    cell: usize,
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
        let line = position / Self::ITEMS as u64;
        Cursor {
            position,
            line_start: line * Self::ITEMS as u64,
            line,
            cell: (line % memory.cells() as u64) as usize,
            _of: PhantomData,
        }
    }

    /// The last position at which a handle may start: what comes after in this lap still has lines that fit into a tag.
    fn limit(memory: &M) -> u64 {
        (Tag::MAX_LINE - memory.cells() as u64) * Self::ITEMS as u64
    }

    /// Which item of its cell it is.
    #[inline(always)]
    fn item(&self) -> usize {
        (self.position - self.line_start) as usize
    }

    /// Items left in this cell, from the cursor to its end. At least one.
    #[inline(always)]
    fn room(&self) -> usize {
        Self::ITEMS - self.item()
    }

    /// Goes on by `count` items, at most to the start of the next line.
    #[inline(always)]
    fn advance(&mut self, count: usize, memory: &M) {
        self.position += count as u64;
        if self.position - self.line_start == Self::ITEMS as u64 {
            *self = self.next_line(memory);
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
        let line_start = self.line_start + (count * Self::ITEMS) as u64;
        Cursor {
            position: line_start,
            line_start,
            line: self.line + count as u64,
            cell: if cell < memory.cells() { cell } else { cell - memory.cells() },
            _of: PhantomData,
        }
    }

    /// How many items of this line are committed, by what its cell's tag says.
    #[inline(always)]
    fn committed(&self, tag: Tag, memory: &M) -> Result<usize, Box<Corrupted>> {
        let count = tag.count();
        if tag.line() == self.line {
            if count > Self::ITEMS {
                return Err(corrupted(memory, "the count of a cell", (0, Self::ITEMS as u64), count as u64));
            }
            return Ok(count);
        }
        let lap_before = self.line.checked_sub(memory.cells() as u64);
        if lap_before != Some(tag.line()) {
            let expected = (lap_before.unwrap_or(self.line), self.line);
            return Err(corrupted(memory, "the line of a cell", expected, tag.line()));
        }
        Ok(0)
    }
}

#[cold]
#[inline(never)]
fn corrupted<T, M: Memory<T>>(memory: &M, what: &'static str, expected: (u64, u64), found: u64) -> Box<Corrupted> {
    Box::new(Corrupted { ring: memory.name().into(), what, expected, found })
}
