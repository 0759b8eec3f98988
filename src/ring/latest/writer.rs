//! The writing end. See the parent module for the protocol.

use super::{LAST, cell, corrupted, word};
use crate::error::Corrupted;
use crate::ring::memory::Values;
use crate::sync::{Ordering, fence};

/// Nobody begins to write beyond this version: from here nobody counts up to what readers do not believe.
const LAST_TO_BEGIN: u64 = LAST / 2;

/// The writing end. Whoever makes one has the writer's role.
#[derive(Debug)]
pub(crate) struct Writer<M> {
    memory: M,
    /// The version that was published last, by us or a predecessor.
    version: u64,
}

impl<M: Values> Writer<M> {
    /// Goes on where the last writer stopped, however that one ended: what it had not published is overwritten.
    ///
    /// The caller has the role, and all that earlier holders stored is visible to it.
    pub(crate) fn take_over(memory: M) -> Result<Self, Box<Corrupted>> {
        // Relaxed: earlier writers stored it, and all they did is visible by the role.
        let version = memory.newest().load(Ordering::Relaxed);
        if version > LAST_TO_BEGIN {
            return Err(corrupted(&memory, "the newest version", (0, LAST_TO_BEGIN), version));
        }
        Ok(Writer { memory, version })
    }

    pub(crate) fn memory(&self) -> &M {
        &self.memory
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Publishes `value`, which has the bytes of a cell's value, as the next version.
    #[inline(always)]
    pub(crate) fn write(&mut self, value: &[u8]) {
        let version = self.version + 1;
        let cell = cell(version, &self.memory);
        // Release: whoever reads a word that we store from here on, and then fences, finds the version before in `newest`.
        // Pairs with the fence in `Reader::attempt`.
        fence(Ordering::Release);
        // Relaxed: published below; whoever reads them before that does not believe them.
        self.memory.version(cell).store(version, Ordering::Relaxed);
        let words = self.memory.value(cell);
        debug_assert_eq!(words.len(), value.len().div_ceil(8));
        let whole = value.chunks_exact(8);
        if let (Some(last), bytes @ [_, ..]) = (words.last(), whole.remainder()) {
            last.store(word(bytes), Ordering::Relaxed);
        }
        for (to, bytes) in words.iter().zip(whole) {
            to.store(word(bytes), Ordering::Relaxed);
        }
        // Release: the commit. Pairs with the Acquire load in `Reader::newest`.
        self.memory.newest().store(version, Ordering::Release);
        self.version = version;
    }
}
