//! The reading end. See the parent module for the protocol.
#![allow(unsafe_code)]

use super::{Cursor, corrupted};
use crate::error::{Corrupted, Invalid};
use crate::layout::tag::Tag;
use crate::message::{self, Message};
use crate::ring::memory::Memory;
#[cfg(target_arch = "x86_64")]
use crate::ring::memory::moves_half_lines;
use crate::sync::{Ordering, compiler_fence};
use core::mem::{MaybeUninit, size_of};

/// The reading end of a ring. Whoever makes one has the consumer's role.
#[derive(Debug)]
pub(crate) struct Consumer<T, M> {
    memory: M,
    /// The place of the next message: always where `head` says.
    cursor: Cursor<T, M>,
    /// What the tag of the cursor's cell is known to say. The cursor's own tag, if nothing more is known.
    seen: Tag,
}

/// So many lines ahead are fetched while one is read: as far as a line takes to come from another core.
const AHEAD: usize = 2;

/// What became of an attempt to read several messages.
pub(crate) enum Read {
    Got(usize),
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
        Ok(Consumer { memory, cursor, seen: cursor.tag })
    }

    pub(crate) fn memory(&self) -> &M {
        &self.memory
    }

    pub(crate) fn position(&self) -> u64 {
        self.cursor.position()
    }

    /// How many messages of the cell in front can be read. Looks at the tag only when none is known to be there.
    #[inline(always)]
    fn available(&mut self) -> Result<usize, Box<Corrupted>> {
        if self.known() == 0 {
            if let Err(tag) = self.notice() {
                self.judge(tag)?;
            }
        }
        Ok(self.known())
    }

    /// Looks for messages where none was known to be. If there are some, they are known from now on; else, says what the
    /// tag says.
    #[inline(always)]
    fn notice(&mut self) -> Result<(), Tag> {
        let tag = self.tag();
        let ahead = tag.word().wrapping_sub(self.cursor.tag.word());
        if ahead == 0 || ahead > self.cursor.room() as u64 {
            return Err(tag);
        }
        self.seen = tag;
        if M::ITEMS_PER_CELL > 1 && ahead == M::ITEMS_PER_CELL as u64 {
            // A whole line was waiting, so there may be more. Else the producer is about to write there: a look would
            // take the line away from it.
            self.memory.prefetch(self.cursor.lines_later(AHEAD.min(self.memory.cells()), &self.memory).cell);
        }
        Ok(())
    }

    /// How many messages of the cell in front are known to be there.
    #[inline(always)]
    fn known(&self) -> usize {
        // Both are tags of one line.
        (self.seen.word() - self.cursor.tag.word()) as usize
    }

    #[inline(always)]
    fn tag(&self) -> Tag {
        // Acquire: the items are read after. Pairs with the Release store in `Producer::publish`.
        Tag::from_word(self.memory.word(self.cursor.cell).load(Ordering::Acquire))
    }

    /// What the tag of the cursor's cell means: the cursor's own tag, when nothing from the cursor on is there.
    #[inline(always)]
    fn judge(&self, tag: Tag) -> Result<Tag, Box<Corrupted>> {
        let ahead = tag.word().wrapping_sub(self.cursor.tag.word());
        if ahead <= self.cursor.room() as u64 {
            return Ok(tag);
        }
        // Still the tag of the lap before?
        let is_old = tag.line() + self.memory.cells() as u64 == self.cursor.line();
        if is_old && self.cursor.item() == 0 { Ok(self.cursor.tag) } else { Err(self.wrong(tag)) }
    }

    /// What is wrong with the tag of the cursor's cell.
    #[cold]
    #[inline(never)]
    fn wrong(&self, tag: Tag) -> Box<Corrupted> {
        match self.cursor.committed(tag, &self.memory) {
            Err(corrupted) => corrupted,
            Ok(committed) => {
                let expected = (self.cursor.item() as u64, M::ITEMS_PER_CELL as u64);
                corrupted(&self.memory, "the count of the cell in front", expected, committed as u64)
            }
        }
    }

    /// Whether there is nothing to pop. Exact: only we pop, and what is pushed stays.
    pub(crate) fn is_empty(&self) -> Result<bool, Box<Corrupted>> {
        Ok(self.known() == 0 && self.judge(self.tag())? == self.cursor.tag)
    }

    /// Messages that can be popped: at least this many.
    pub(crate) fn len(&self) -> Result<usize, Box<Corrupted>> {
        let here = self.judge(self.tag())?.count().max(self.seen.count()) - self.cursor.item();
        let position = self.cursor.position();
        // Beyond our own line `tail` says what there is, which may lag behind the tags.
        let counted = super::pushed(&self.memory).max(position + here as u64) - position;
        Ok(counted.min(self.memory.capacity() as u64) as usize)
    }

    /// Takes the next message if there is one and it is valid; else `seen` is what the tag said, for
    /// [`why_not`](Self::why_not).
    ///
    /// NB: a tag in the result, in the place of the message, would have the compiler move each message in two pieces, of
    /// which the larger one is not aligned: ten times slower, when it is large.
    #[inline(always)]
    pub(crate) fn pop(&mut self, seen: &mut Tag) -> Option<T> {
        if self.known() == 0 {
            if let Err(tag) = self.notice() {
                *seen = tag;
                return None;
            }
        }
        let item = self.read();
        if item.is_some() {
            self.release(1);
        }
        item
    }

    /// Why [`pop`](Self::pop) has not popped: there is nothing (`None`), or what there was is not valid, and is consumed.
    pub(crate) fn why_not(&mut self, seen: Tag) -> Result<Option<Box<Invalid>>, Box<Corrupted>> {
        if self.known() == 0 {
            return self.judge(seen).map(|_| None);
        }
        let position = self.cursor.position();
        self.release(1);
        Ok(Some(self.invalid(position)))
    }

    /// A copy of the message in front, which is known to be there. `None`: it is not valid.
    #[inline(always)]
    fn read(&self) -> Option<T> {
        debug_assert!(self.known() > 0);
        let mut item = MaybeUninit::<T>::uninit();
        // SAFETY: the item at the cursor is committed, and stays as it is until we release it.
        unsafe { self.memory.read(self.cursor.cell, self.cursor.item(), item.as_mut_ptr(), 1) };
        // SAFETY: `read` has initialised all of it.
        unsafe { message::assume_checked(item) }
    }

    /// Whether there is a message, which is then [`front`](Self::front) until it is [released](Self::release).
    pub(crate) fn peek(&mut self) -> Result<bool, Box<Corrupted>> {
        Ok(self.available()? > 0)
    }

    /// The bytes of the message in front. Nothing has checked that they are a `T`.
    pub(crate) fn front(&self) -> &[u8] {
        assert!(self.known() > 0, "a message is lent only when it is there");
        // SAFETY: the cursor names a cell and an item that exist.
        let item = unsafe { self.memory.item(self.cursor.cell, self.cursor.item()) };
        // SAFETY: it is so large, of initialised shared memory, and committed: nobody who keeps to the protocol
        // writes it before we release it, which takes us exclusively.
        unsafe { core::slice::from_raw_parts(item.cast(), self.memory.item_size()) }
    }

    /// Copies the bytes of the message in front, as many as it has. As good as a copy of a `T`, whatever another process
    /// does meanwhile.
    pub(crate) fn copy_front(&self, to: &mut [u8]) {
        assert!(self.known() > 0, "a message is copied only when it is there");
        assert_eq!(to.len(), self.memory.item_size(), "a message is copied as a whole");
        // SAFETY: the cursor names a cell and an item that exist.
        let item = unsafe { self.memory.item(self.cursor.cell, self.cursor.item()) };
        // SAFETY: it is as large as `to`, and committed, so that nobody who keeps to the protocol writes it.
        unsafe { core::ptr::copy_nonoverlapping(item.cast(), to.as_mut_ptr(), to.len()) };
    }

    /// Leaves the message in front behind, which is known to be there, and hands nothing over: the next one is in front.
    pub(crate) fn pass(&mut self) {
        self.go_on(1);
    }

    /// Hands over all that was passed.
    pub(crate) fn release_passed(&mut self) {
        self.publish();
    }

    /// Goes back by `count` messages that were passed and not handed over.
    pub(crate) fn go_back(&mut self, count: u64) {
        self.cursor = Cursor::at(self.cursor.position() - count, &self.memory);
        self.seen = self.cursor.tag;
    }

    /// Hands over `count` messages of the cell in front: from here on they are delivered, and may be overwritten.
    #[inline(always)]
    pub(crate) fn release(&mut self, count: usize) {
        self.go_on(count);
        self.publish();
    }

    /// Leaves `count` messages of the cell in front behind, which are known to be there.
    #[inline(always)]
    fn go_on(&mut self, count: usize) {
        let is_through = count == self.cursor.room();
        self.cursor.advance(count, &self.memory);
        if is_through {
            self.seen = self.cursor.tag;
        }
    }

    #[inline(always)]
    fn publish(&self) {
        // Release: the items are read before. Pairs with the Acquire load in `Producer::load_head`.
        self.memory.head().store(self.cursor.position(), Ordering::Release);
        // NB: no code, but nothing that comes after in this program happens before: we may be killed in between.
        compiler_fence(Ordering::SeqCst);
    }

    /// Fills `items` from the front with as many messages as there are, and returns how many.
    ///
    /// Stops before a message that is not valid. When that is the first one, it is consumed and reported.
    pub(crate) fn pop_slice(&mut self, items: &mut [T]) -> Result<Read, Box<Corrupted>> {
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
            let whole = self.read_whole_cells(&mut items[filled..]);
            if whole > 0 {
                filled += whole;
                continue;
            }
            let run = &mut items[filled..];
            let run_length = available.min(run.len());
            let valid = self.read_run(self.cursor, &mut run[..run_length]);
            filled += valid;
            self.go_on(valid);
            if valid < run_length {
                if filled == 0 {
                    let position = self.cursor.position();
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

    /// Fills `items` from the front as long as the next cell is known to be complete and `items` has room for all of it, and
    /// returns with how many. Nothing is handed over. Apart from the rest, so that the compiler knows how much it copies.
    #[inline(always)]
    fn read_whole_cells(&mut self, items: &mut [T]) -> usize {
        #[cfg(target_arch = "x86_64")]
        if moves_half_lines() {
            // SAFETY: `moves_half_lines` has found AVX2, which is all that the function asks of a processor.
            return unsafe { self.read_whole_cells_by_halves(items) };
        }
        self.read_each_cell(items)
    }

    /// The same, compiled for processors that move half a line at once.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    unsafe fn read_whole_cells_by_halves(&mut self, items: &mut [T]) -> usize {
        self.read_each_cell(items)
    }

    #[inline(always)]
    fn read_each_cell(&mut self, items: &mut [T]) -> usize {
        let (mut cursor, mut filled) = (self.cursor, 0);
        while filled + M::ITEMS_PER_CELL <= items.len() {
            let run = &mut items[filled..filled + M::ITEMS_PER_CELL];
            let tag = match filled {
                0 => self.seen,
                // Acquire: as in `tag`.
                _ => Tag::from_word(self.memory.word(cursor.cell).load(Ordering::Acquire)),
            };
            let is_whole = cursor.item() == 0 && tag == cursor.tag.plus(M::ITEMS_PER_CELL);
            // What is not valid is for the caller to find once more.
            if !is_whole || self.read_run(cursor, run) < run.len() {
                break;
            }
            cursor = cursor.next_line(&self.memory);
            filled += run.len();
        }
        if filled > 0 {
            (self.cursor, self.seen) = (cursor, cursor.tag);
        }
        filled
    }

    /// Copies a run of committed items from the cell at `place` into `run`, up to the first that is not valid, and
    /// returns how many. The others of `run` keep their values.
    #[inline(always)]
    fn read_run(&self, place: Cursor<T, M>, run: &mut [T]) -> usize {
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
        unsafe { self.memory.read(place.cell, place.item(), run.as_mut_ptr(), run.len()) };
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
