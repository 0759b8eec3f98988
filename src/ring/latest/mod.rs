//! One writer, many readers, and the newest value only.
//!
//! Versions are numbered from 1, and version `v` lies in cell `v % cells`. So a cell is overwritten only when a cell's
//! worth of turns has passed, and the one word that all share, `newest`, says how far the writer has come:
//!
//! ```text
//! newest = 7    cell 0 [4|....]   cell 1 [5|....]   cell 2 [6|....]   cell 3 [7|....]
//!               version 8 is being written here; 5, 6 and 7 are whole, and stay so until it is published
//! ```
//!
//! The writer fills the cell of version `newest + 1` and then stores that number: the commit. It looks at nothing that
//! readers do, and it has nothing to undo: it is wait-free, and when it is killed, at whatever step, all that is left is a
//! cell that no reader believes and that its successor writes next.
//!
//! A reader loads `newest`, say `v`, copies the cell, and loads `newest` again. The writer begins to overwrite the cell of
//! `v` with version `v + cells`, after it has published the one before. So as long as `newest` is below
//! `v + cells - 1`, the copy is of `v` and whole. Else the reader has been *overtaken*: that takes as many whole writes
//! as the capacity during one copy, and it begins again with what is then the newest. Versions have 64 bits and never come
//! round, so it does not matter for how long a reader sleeps in between.
//!
//! # Why there is no data race
//!
//! A cell may be overwritten while it is read. So it is made of words that are read and written as atomics, Relaxed, and a
//! value that is torn between two of them is never looked at. What keeps the second load of `newest` honest is a pair of
//! fences: the writer's before it overwrites, the reader's after it has copied. If any word of the copy is of version
//! `v + cells`, then the writer's fence comes before the reader's, and with it the store of `v + cells - 1`, which the
//! second load then sees.
//!
//! # Progress
//!
//! Writing is wait-free. Reading is lock-free: each attempt that fails has been overtaken by as many values as the
//! capacity. A reader that is so much slower than the writer could be overtaken for ever, and so it gives up after
//! [`TRIES`] attempts, with an error: also of a peer that does nothing but count `newest` up.
//!
//! The models beside this file check the orderings of this very code, with deaths of the writer at each of its steps.

pub(crate) mod reader;
pub(crate) mod writer;

#[cfg(all(test, ringway_loom))]
mod models;

use super::memory::Values;
use crate::error::Corrupted;

/// How often a reader tries that is overtaken each time.
pub(crate) const TRIES: usize = 100;

/// The last version that anybody believes in: out of reach by counting, and so that no sum of a version and a number of
/// cells overflows.
pub(crate) const LAST: u64 = u64::MAX / 2;

/// Where a version lies.
#[inline(always)]
fn cell<M: Values>(version: u64, memory: &M) -> usize {
    (version % memory.cells() as u64) as usize
}

/// The word that `bytes`, at most eight of them, are in a cell.
#[inline(always)]
fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_ne_bytes(word)
}

#[cold]
#[inline(never)]
fn corrupted<M: Values>(memory: &M, what: &'static str, expected: (u64, u64), found: u64) -> Box<Corrupted> {
    Box::new(Corrupted { ring: memory.name().into(), what, expected, found })
}
