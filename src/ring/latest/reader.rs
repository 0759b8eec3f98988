//! The reading end. See the parent module for the protocol.

use super::{LAST, TRIES, cell, corrupted};
use crate::error::Corrupted;
use crate::ring::memory::Values;
use crate::sync::{Ordering, fence};

/// A reading end. There may be any number.
#[derive(Debug)]
pub(crate) struct Reader<M> {
    memory: M,
    /// The newest version of which it has got the value: there is no way back.
    seen: u64,
}

/// What became of an attempt to copy the newest value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Copied {
    /// This version of it.
    Version(u64),
    /// Nothing was written yet.
    Nothing,
    /// As many values as the capacity were published meanwhile.
    Overtaken,
}

impl<M: Values> Reader<M> {
    pub(crate) fn new(memory: M) -> Self {
        Reader { memory, seen: 0 }
    }

    pub(crate) fn memory(&self) -> &M {
        &self.memory
    }

    /// The version of the newest value; 0 before the first. It is believed when that value is found to be there.
    #[inline(always)]
    pub(crate) fn newest(&self) -> Result<u64, Box<Corrupted>> {
        // Acquire: the value is read after. Pairs with the Release store in `Writer::write`.
        let version = self.memory.newest().load(Ordering::Acquire);
        if version < self.seen || version > LAST {
            return Err(corrupted(&self.memory, "the newest version", (self.seen, LAST), version));
        }
        Ok(version)
    }

    /// Copies the newest value to `to`, which has the bytes of one. What is there after anything but a version is no value.
    #[inline(always)]
    pub(crate) fn copy(&mut self, to: &mut [u8]) -> Result<Copied, Box<Corrupted>> {
        for _ in 0..TRIES {
            match self.attempt(to)? {
                Copied::Overtaken => {}
                copied => return Ok(copied),
            }
        }
        Ok(Copied::Overtaken)
    }

    #[inline(always)]
    pub(super) fn attempt(&mut self, to: &mut [u8]) -> Result<Copied, Box<Corrupted>> {
        let version = self.newest()?;
        if version == 0 {
            return Ok(Copied::Nothing);
        }
        let cell = cell(version, &self.memory);
        // Relaxed, all of them: what they are worth is decided below.
        let found = self.memory.version(cell).load(Ordering::Relaxed);
        let words = self.memory.value(cell);
        debug_assert_eq!(words.len(), to.len().div_ceil(8));
        let mut whole = to.chunks_exact_mut(8);
        for (bytes, word) in whole.by_ref().zip(words) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        if let (Some(last), bytes @ [_, ..]) = (words.last(), whole.into_remainder()) {
            bytes.copy_from_slice(&last.load(Ordering::Relaxed).to_ne_bytes()[..bytes.len()]);
        }
        // Acquire: what overwrote a word that we have read was published after the versions before it. Pairs with the fence
        // in `Writer::write`.
        fence(Ordering::Acquire);
        // Relaxed: ordered by the fence.
        let now = self.memory.newest().load(Ordering::Relaxed);
        // A number that went back is as good as one far ahead: the next attempt finds out.
        if now.wrapping_sub(version) >= self.memory.cells() as u64 - 1 {
            return Ok(Copied::Overtaken);
        }
        if found != version {
            return Err(corrupted(&self.memory, "the version of a cell", (version, version), found));
        }
        self.seen = version;
        Ok(Copied::Version(version))
    }
}
