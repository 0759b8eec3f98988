//! What lies in the cells of an MPMC ring, read past the library: so much of it is what a death leaves to be delivered.

use super::bytes::{Scribbler, field};
use std::path::Path;

/// The states of a cell.
const CLAIMED: u64 = 1;
const FULL: u64 = 2;
const TAKEN: u64 = 4;
const DONE: u64 = 5;
const ORPHAN: u64 = 6;
const ADOPTED: u64 = 7;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cells {
    /// Messages that are committed and not handed over, whoever has them in its hands.
    pub waiting: usize,
    /// Cells that somebody is in the middle of something with. A batch is one.
    pub in_hands: usize,
}

impl Cells {
    /// Of the ring of that name. To be read while nobody does anything to it.
    pub fn read(name: &str) -> Cells {
        let file = Scribbler::new(&Path::new("/dev/shm").join(name));
        let count = file.get(field("cells").0) as usize;
        let words: Vec<u64> = (0..count).map(|cell| file.get(file.cells() + cell * file.stride())).collect();
        let state = |cell: usize| words[cell % count] & 7;
        let span = |cell: usize| (words[cell] >> 16 & 255) as usize;
        // What is in these batches is not committed yet, or handed over.
        let batches = (0..count).filter(|&cell| matches!(state(cell), CLAIMED | DONE));
        let not_waiting = batches.flat_map(|cell| cell + 1..cell + span(cell)).filter(|&later| state(later) == FULL);
        let waits = |&cell: &usize| matches!(state(cell), FULL | TAKEN | ORPHAN | ADOPTED);
        Cells {
            waiting: (0..count).filter(waits).count() - not_waiting.count(),
            in_hands: (0..count).filter(|&cell| matches!(state(cell), CLAIMED | TAKEN | DONE | ADOPTED)).count(),
        }
    }
}
