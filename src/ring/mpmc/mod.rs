//! Many producers, many consumers: a ring in which each cell says who is in the middle of what with it.
//!
//! A cell has one message and one word. Whoever wants the cell puts its own name into that word, with the one exchange
//! that an operation costs; so a claim is never half made, and when its owner dies everybody can see what it was doing.
//!
//! ```text
//! Free(lap)     -exchange->  Claimed(lap, me, span)   push: reserve
//! Claimed       -store---->  Full(lap)                push: commit         (by its owner)
//! Claimed       -store---->  Skip(lap)                push: change of mind (by its owner)
//! Full          -exchange->  Taken(lap, me, span)     pop
//! Taken         -store---->  Free(lap + 1)            pop: hand over       (by its owner)
//! Skip          -exchange->  Free(lap + 1)            anybody
//!
//! owner dead:  Claimed -> Skip,  Taken -> Orphan      anybody, by an exchange
//! Orphan        -exchange->  Adopted(me) -store-> Free(lap + 1)   a consumer: the message is *redelivered*
//! ```
//!
//! Message `p` lies in cell `p % cells`, in lap `p / cells`. There is no shared index that anybody must win: `head` and
//! `tail` are hints, from which a new handle starts looking; each handle has a position of its own and goes on from
//! there. It steps over cells whose word says that others were there first. All decisions are taken in `table`.
//!
//! # Batches
//!
//! A batch claims the first of its cells with a *span*, after finding the others free (or full): nobody gets to them
//! except past the first. Producers publish from the last cell back, so that the batch is committed by the store to its
//! first cell. Consumers hand a batch over by one store to its first cell as well, `Done`, and free the cells after
//! that, from the last one back. So each batch is all or nothing, whenever its owner dies. (What a dead consumer had taken
//! as a batch is redelivered message by message.)
//!
//! # Who is in the way
//!
//! The producer at the front of the room, or the consumer in front of the messages, may find a cell in the hands of
//! somebody who is in the middle of its copy: `Held`. Its owner will be done in a moment, unless it is stopped, or dead.
//! The ring cannot know. It says who it is, and when it is told that the owner is dead, it repairs the cell.
//!
//! # Repair
//!
//! Read the word, learn that its owner is dead, read the word again: if it is unchanged it is the word of the dead, who
//! will never come back to it. What is to become of it is in `table`; first the cells behind it, from the last one back,
//! and itself at the end. Each step is an exchange of exactly the word that was read. Any number of processes may repair
//! the same cell at the same time, be late, or die at it: no word of a lap ever comes back, so what is late fails. (An
//! adoption is counted in the word for that reason. From 128 on the count goes round, from 255 to 128: a repairer who
//! slept, between two of its steps, through exactly 128 adoptions of one and the same message could mistake a living
//! adopter for the dead one that it knew.)
//!
//! The crash model beside `table` tries all of this in every order, with deaths at any step; the models beside this file
//! check the orderings of this very code.
//!
//! # Orderings
//!
//! A look at a cell is an Acquire, whatever has changed its word is a Release. So whoever steps over a cell knows what
//! those knew who have been there, and sees none of the cells behind as it was laps ago.
//!
//! Some orderings of exchanges are there for good measure. No model fails without them:
//! - *Acquire, behind a look*: the exchange succeeds on the very store that the look has seen, as no word comes back.
//! - *Release, in a claim*: an exchange carries on what the store before it has released. That is what the last consumer
//!   of the cell knew when a producer claims it, and what the producer knew when a consumer does. Either has been past
//!   the cells to which one steps from here. What the claimant knows beyond that, it releases when it commits, or hands
//!   over. So it would do without; but that takes an argument over laps and batches, and Release takes none.
//! - *Both, in the repair of later cells*: whoever learns of a death sees all that the dead has seen, and nobody claims
//!   these cells but past the first one, which is repaired behind them.
//!
//! # Orphans
//!
//! An orphan that a consumer does not meet on its way is found by looking at all cells. `orphaned` counts the occasions
//! on which orphans may have been made, and is counted up after each; `adopted` is the count as of the last search that
//! found none. While they differ, a consumer that finds nothing else to do searches. A process that dies between making
//! an orphan and counting is a dead process, and whoever clears up behind it counts.

pub(crate) mod consumer;
#[cfg(all(test, ringway_loom))]
mod models;
pub(crate) mod producer;
pub(crate) mod repair;
mod table;

use super::memory::Memory;
use crate::error::Corrupted;
use crate::layout::cell::{Owner, Word};
use crate::sync::{AtomicU64, Ordering};
use core::convert::Infallible;
use core::hint::spin_loop;

/// How often a hint is stored: whenever a cell that is a multiple of this is reached.
const HINT: usize = 32;

/// A position in the ring: the lap and the cell in which it lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    lap: u64,
    cell: usize,
}

impl Place {
    fn at(position: u64, cells: usize) -> Place {
        let cells = cells as u64;
        Place { lap: position / cells, cell: (position % cells) as usize }
    }

    fn position(self, cells: usize) -> u64 {
        self.lap.wrapping_mul(cells as u64).wrapping_add(self.cell as u64)
    }

    /// `count` positions later, at most as many as there are cells.
    #[inline(always)]
    fn later(self, count: usize, cells: usize) -> Place {
        let cell = self.cell + count;
        match cell < cells {
            true => Place { lap: self.lap, cell },
            false => Place { lap: self.lap.wrapping_add(1), cell: cell - cells },
        }
    }

    /// `count` positions later, however many.
    #[inline(always)]
    fn far_later(self, count: u64, cells: usize) -> Place {
        match count <= cells as u64 {
            true => self.later(count as usize, cells),
            false => Place::at(self.position(cells).wrapping_add(count), cells),
        }
    }
}

/// Making way for somebody who wants the same cells: who loses one pauses. Meanwhile the other gets on with lines that
/// stay in its cache, where two who take turns would fetch each line for each message.
///
/// One that loses again and again pauses for longer, until so many messages have passed between two losses that they do
/// not matter.
#[derive(Debug, Default)]
struct Contention {
    /// Where we lost a cell the last time.
    lost_at: u64,
    /// How long we paused then.
    pauses: u32,
}

impl Contention {
    // In instructions that tell a processor to pause, 25 ns each where this was measured: at first about as long as a line
    // takes from core to core and back.
    const SHORTEST: u32 = 4;
    const LONGEST: u32 = 64;
    /// So many messages from one loss to the next are few. (Measured with two and four threads on each of two cores.)
    const FEW: u64 = 256;

    /// Somebody else has got the cell at `place`. Says how often it has paused.
    #[cold]
    fn lose(&mut self, place: Place, cells: usize) -> usize {
        let position = place.position(cells);
        let passed = position.wrapping_sub(self.lost_at);
        self.lost_at = position;
        let pauses = if passed < Self::FEW { self.pauses * 2 } else { 0 };
        self.pauses = pauses.clamp(Self::SHORTEST, Self::LONGEST);
        (0..self.pauses).for_each(|_| spin_loop());
        self.pauses as usize
    }
}

/// A cell that somebody is in the middle of something with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Held {
    cell: usize,
    word: Word,
    owner: Owner,
}

impl Held {
    /// The process record of who it is.
    pub(crate) fn owner(&self) -> usize {
        self.owner.into()
    }

    /// Which cell, and what its word says.
    pub(crate) fn cell_and_word(&self) -> (u64, u64) {
        (self.cell as u64, self.word.word())
    }

    /// Whether it still is as it was.
    pub(crate) fn persists<T, M: Memory<T>>(&self, memory: &M) -> bool {
        // Acquire: as for the load in `repair::sweep`, when it does not. Whoever acts on it when it does, looks again.
        memory.word(self.cell).load(Ordering::Acquire) == self.word.word()
    }
}

/// How many messages are in the ring, orphans aside: exact when nobody is in the middle of anything.
pub(crate) fn count<T, M: Memory<T>>(memory: &M) -> usize {
    // Relaxed: for counting.
    let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
    let (head, tail) = (load(memory.head()), load(memory.tail()));
    let word = |cell| Ok::<Word, Infallible>(Word::from_word(load(memory.word(cell))));
    let Ok((head, tail)) = ends(head, tail, memory.cells(), word);
    (tail.wrapping_sub(head) as i64).clamp(0, memory.capacity() as i64) as usize
}

/// The positions of the next message to pop and to push, found from the hints `head` and `tail` on, by the words of `cells`
/// cells.
///
/// # Errors
/// Those of `word`.
pub(crate) fn ends<E>(
    head: u64,
    tail: u64,
    cells: usize,
    mut word: impl FnMut(usize) -> Result<Word, E>,
) -> Result<(u64, u64), E> {
    let mut walk = |hint: u64, behind: fn(Word, u64, usize) -> Option<u64>| {
        let mut place = Place::at(hint, cells);
        for _ in 0..tries(cells) {
            match behind(word(place.cell)?, place.lap, cells) {
                Some(by) => place = place.far_later(by, cells),
                None => break,
            }
        }
        Ok(place.position(cells))
    };
    let head = walk(head, |word, lap, cells| match table::at_head(word, lap, cells) {
        table::AtHead::Behind(by) => Some(by),
        table::AtHead::Skipped(_) => Some(1),
        table::AtHead::Orphan if word.laps_ahead_of(lap) == 0 => Some(1),
        _ => None,
    })?;
    let tail = walk(tail, |word, lap, cells| match table::at_tail(word, lap, cells) {
        table::AtTail::Behind(by) => Some(by),
        _ => None,
    })?;
    Ok((head, tail))
}

/// Stores where others may start looking, now and then: a line that all ends write to is what a ring is slow by.
#[inline(always)]
fn hint(hint: &AtomicU64, span: usize, to: Place, cells: usize) {
    // Whether such a cell lies behind where we come from, up to where we go. Cell 0 is one.
    if to.cell % HINT < span {
        // Release: who starts there does not see cells as they were before. Pairs with the loads of hints.
        hint.store(to.position(cells), Ordering::Release);
    }
}

/// The place `by` positions further, or where the hint says, whichever is later.
fn ahead(place: Place, by: u64, hint: &AtomicU64, cells: usize) -> Place {
    hinted(place, by, hint, cells).unwrap_or_else(|| place.far_later(by, cells))
}

/// Where the hint says, if that is more than `by` positions further.
fn hinted(place: Place, by: u64, hint: &AtomicU64, cells: usize) -> Option<Place> {
    // Acquire: as in `hint`.
    let hinted = hint.load(Ordering::Acquire);
    let further = hinted.wrapping_sub(place.position(cells));
    (further > by && further <= i64::MAX as u64).then(|| Place::at(hinted, cells))
}

/// Frees the cell of a message that will never come. When it fails, somebody else has done it.
#[cold]
fn free_skipped(word: &AtomicU64, skip: Word, free: Word) {
    // Release: whoever writes to the cell next does it after whoever abandoned it; and whoever learns from it that it is
    // late sees no cell as it was laps ago. Acquire: for good measure, behind the look. See the head of this file.
    let _ = word.compare_exchange(skip.word(), free.word(), Ordering::AcqRel, Ordering::Relaxed);
}

/// How often an operation looks at a cell before it gives up. Each time but a few somebody else has got on, so a correct
/// ring never comes near it; it keeps a process that scribbles on the words from holding us up.
fn tries(cells: usize) -> usize {
    cells.saturating_mul(4).saturating_add(100_000)
}

#[cold]
#[inline(never)]
fn corrupted<T, M: Memory<T>>(memory: &M, place: Place, found: Word) -> Box<Corrupted> {
    let expected = (Word::free(place.lap.wrapping_sub(1)).word(), Word::adopted(place.lap, 8_191, 255).word());
    Box::new(Corrupted { ring: memory.name().into(), what: "the word of a cell", expected, found: found.word() })
}

#[cold]
#[inline(never)]
fn restless<T, M: Memory<T>>(memory: &M, place: Place) -> Box<Corrupted> {
    let found = memory.word(place.cell).load(Ordering::Relaxed);
    let expected = (Word::free(place.lap).word(), Word::full(place.lap).word());
    Box::new(Corrupted { ring: memory.name().into(), what: "a cell that changes all the time", expected, found })
}
