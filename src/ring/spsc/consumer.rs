//! The reading end. See the parent module for the protocol.
#![allow(unsafe_code)]

use super::{Cursor, corrupted};
use crate::error::{Corrupted, Invalid};
use crate::layout::tag::Tag;
use crate::message::{self, Message};
use crate::ring::memory::Memory;
use crate::sync::{Ordering, compiler_fence};
use core::mem::{MaybeUninit, size_of};

/// The reading end of a ring. Whoever makes one has the consumer's role.
#[derive(Debug)]
pub(crate) struct Consumer<T, M> {
    memory: M,
    /// The place of the next message: always where `head` says.
    cursor: Cursor<T, M>,
    /// Position up to which messages of the cursor's line are known to be committed. The cursor's own, if none are.
    committed: u64,
}

/// So many lines ahead are fetched while one is read: as far as a line takes to come from another core.
const AHEAD: usize = 2;

/// What became of an attempt to read.
pub(crate) enum Read<V> {
    Got(V),
    Empty,
    Invalid(Box<Invalid>),
}

impl<T: Message, M: Memory<T>> Consumer<T, M> {
    /// Goes on where the last consumer stopped. The caller has the role.
    pub(crate) fn take_over(memory: M) -> Result<Self, Box<Corrupted>> {
        // Relaxed: earlier consumers wrote it, and all they did is visible by the role.
        let position = memory.head().load(Ordering::Relaxed);
        let limit = Cursor::<T, M>::limit(&memory);
        if position > limit {
            return Err(corrupted(&memory, "head", (0, limit), position));
        }
        let cursor = Cursor::at(position, &memory);
        Ok(Consumer { memory, cursor, committed: position })
    }

    pub(crate) fn memory(&self) -> &M {
        &self.memory
    }

    pub(crate) fn position(&self) -> u64 {
        self.cursor.position
    }

    /// How many messages of the cell in front can be read. Looks at the tag only when none is known to be there.
    #[inline(always)]
    fn available(&mut self) -> Result<usize, Box<Corrupted>> {
        if self.committed == self.cursor.position {
            self.committed = self.look()?;
            let at_start = M::ITEMS_PER_CELL > 1 && self.cursor.item() == 0;
            if at_start && self.committed - self.cursor.position == M::ITEMS_PER_CELL as u64 {
                // A whole line was waiting, so there may be more. Else the producer is about to write there: a look would
                // take the line away from it.
                self.memory.prefetch(self.cursor.lines_later(AHEAD.min(self.memory.cells()), &self.memory).cell);
            }
        }
        Ok((self.committed - self.cursor.position) as usize)
    }

    /// Up to which position the messages of the cursor's line are committed.
    #[inline(always)]
    fn look(&self) -> Result<u64, Box<Corrupted>> {
        // Acquire: the items are read after. Pairs with the Release store in `Producer::publish`.
        let tag = Tag::from_word(self.memory.word(self.cursor.cell).load(Ordering::Acquire));
        let committed = self.cursor.committed(tag, &self.memory)?;
        if committed < self.cursor.item() {
            let expected = (self.cursor.item() as u64, M::ITEMS_PER_CELL as u64);
            return Err(corrupted(&self.memory, "the count of the cell in front", expected, committed as u64));
        }
        Ok(self.cursor.line_start + committed as u64)
    }

    /// Whether there is nothing to pop. Exact: only we pop, and what is pushed stays.
    pub(crate) fn is_empty(&self) -> Result<bool, Box<Corrupted>> {
        Ok(self.committed == self.cursor.position && self.look()? == self.cursor.position)
    }

    /// Messages that can be popped: at least this many.
    pub(crate) fn len(&self) -> Result<usize, Box<Corrupted>> {
        let here = self.look()?;
        // Acquire: what is counted can be popped. Pairs with the Release stores of `tail`, which may lag behind the tags.
        let tail = self.memory.tail().load(Ordering::Acquire);
        let counted = tail.max(here).max(self.committed) - self.cursor.position;
        Ok(counted.min(self.memory.capacity() as u64) as usize)
    }

    /// Takes the next message.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Result<Read<T>, Box<Corrupted>> {
        if self.available()? == 0 {
            return Ok(Read::Empty);
        }
        let mut item = MaybeUninit::<T>::uninit();
        let place = self.cursor;
        // SAFETY: the item at the cursor is committed, and stays as it is until we release it.
        unsafe { self.memory.read(place.cell, place.item(), item.as_mut_ptr(), 1) };
        self.release(1);
        // SAFETY: `read` has initialised all of it.
        match unsafe { message::assume_checked(item) } {
            Some(item) => Ok(Read::Got(item)),
            None => Ok(Read::Invalid(self.invalid(place.position))),
        }
    }

    /// Whether there is a message, which is then [`front`](Self::front) until it is [released](Self::release).
    pub(crate) fn peek(&mut self) -> Result<bool, Box<Corrupted>> {
        Ok(self.available()? > 0)
    }

    /// The bytes of the message in front. Nothing has checked that they are a `T`.
    pub(crate) fn front(&self) -> &[u8] {
        assert!(self.committed > self.cursor.position, "a message is lent only when it is there");
        // SAFETY: the cursor names a cell and an item that exist.
        let item = unsafe { self.memory.item(self.cursor.cell, self.cursor.item()) };
        // SAFETY: it is so large, of initialised shared memory, and committed: nobody who keeps to the protocol
        // writes it before we release it, which takes us exclusively.
        unsafe { core::slice::from_raw_parts(item.cast(), self.memory.item_size()) }
    }

    /// Copies the bytes of the message in front, as many as it has. As good as a copy of a `T`, whatever another process
    /// does meanwhile.
    pub(crate) fn copy_front(&self, to: &mut [u8]) {
        assert!(self.committed > self.cursor.position, "a message is copied only when it is there");
        assert_eq!(to.len(), self.memory.item_size(), "a message is copied as a whole");
        // SAFETY: the cursor names a cell and an item that exist.
        let item = unsafe { self.memory.item(self.cursor.cell, self.cursor.item()) };
        // SAFETY: it is as large as `to`, and committed, so that nobody who keeps to the protocol writes it.
        unsafe { core::ptr::copy_nonoverlapping(item.cast(), to.as_mut_ptr(), to.len()) };
    }

    /// Hands over `count` messages of the cell in front: from here on they are delivered, and may be overwritten.
    #[inline(always)]
    pub(crate) fn release(&mut self, count: usize) {
        self.cursor.advance(count, &self.memory);
        self.publish();
    }

    #[inline(always)]
    fn publish(&self) {
        // Release: the items are read before. Pairs with the Acquire load in `Producer::load_head`.
        self.memory.head().store(self.cursor.position, Ordering::Release);
        // NB: no code, but nothing that comes after in this program happens before: we may be killed in between.
        compiler_fence(Ordering::SeqCst);
    }

    /// Fills `items` from the front with as many messages as there are, and returns how many.
    ///
    /// Stops before a message that is not valid. When that is the first one, it is consumed and reported.
    pub(crate) fn pop_slice(&mut self, items: &mut [T]) -> Result<Read<usize>, Box<Corrupted>> {
        let mut filled = 0;
        while filled < items.len() {
            let available = match self.available() {
                Ok(available) => available,
                // What has been read is good; the next call meets the corruption first.
                Err(_) if filled > 0 => break,
                Err(corrupted) => return Err(corrupted),
            };
            if available == 0 {
                break;
            }
            let run = &mut items[filled..];
            let run_length = available.min(run.len());
            let valid = match run_length {
                // NB: apart from the others, so that for whole cells the compiler knows how much it copies.
                whole if whole == M::ITEMS_PER_CELL => self.read_run(&mut run[..M::ITEMS_PER_CELL]),
                part => self.read_run(&mut run[..part]),
            };
            filled += valid;
            self.cursor.advance(valid, &self.memory);
            if valid < run_length {
                if filled == 0 {
                    let position = self.cursor.position;
                    self.release(1);
                    return Ok(Read::Invalid(self.invalid(position)));
                }
                break;
            }
        }
        if filled > 0 {
            self.publish();
        }
        Ok(if filled > 0 { Read::Got(filled) } else { Read::Empty })
    }

    /// Copies a run of committed items from the cell in front into `run`, up to the first that is not valid, and
    /// returns how many. The others of `run` keep their values.
    #[inline(always)]
    fn read_run(&self, run: &mut [T]) -> usize {
        /// Room for what a run overwrites: one large item, or the small items of one line.
        union Saved<T> {
            _item: core::mem::ManuallyDrop<MaybeUninit<T>>,
            _line: [MaybeUninit<u64>; 8],
        }
        const { assert!(M::ITEMS_PER_CELL == 1 || M::ITEMS_PER_CELL * size_of::<T>() <= 64) };
        let mut saved = MaybeUninit::<Saved<T>>::uninit();
        let saved = saved.as_mut_ptr().cast::<T>();
        // SAFETY: `run` has one item, or as many as fit beside a tag in a line of 64 bytes.
        unsafe { core::ptr::copy_nonoverlapping(run.as_ptr(), saved, run.len()) };
        // SAFETY: these items are committed, and stay as they are until we publish `head`. `run` may hold bytes that
        // are no `T` from here on, but only until the end of this function, which makes them good again.
        unsafe { self.memory.read(self.cursor.cell, self.cursor.item(), run.as_mut_ptr(), run.len()) };
        for index in 0..run.len() {
            // SAFETY: `index` is within `run`.
            let item = unsafe { run.as_ptr().add(index) };
            // SAFETY: `read` has initialised it.
            if !unsafe { message::is_valid(item) } {
                // SAFETY: `index` is within what was saved.
                let from = unsafe { saved.add(index) };
                // SAFETY: `index` is within `run`.
                let to = unsafe { run.as_mut_ptr().add(index) };
                // SAFETY: both have `run.len() - index` items; `saved` is a place of our own.
                unsafe { core::ptr::copy_nonoverlapping(from, to, run.len() - index) };
                return index;
            }
        }
        run.len()
    }

    #[cold]
    fn invalid(&self, position: u64) -> Box<Invalid> {
        Box::new(Invalid { ring: self.memory.name().into(), position, expected: core::any::type_name::<T>() })
    }
}
