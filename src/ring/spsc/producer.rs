//! The writing end. See the parent module for the protocol.
#![allow(unsafe_code)]

use super::{Cursor, corrupted};
use crate::error::Corrupted;
use crate::layout::tag::Tag;
use crate::ring::memory::Memory;
#[cfg(target_arch = "x86_64")]
use crate::ring::memory::moves_half_lines;
use crate::sync::{Ordering, compiler_fence};

/// The writing end of a ring. Whoever makes one has the producer's role.
#[derive(Debug)]
pub(crate) struct Producer<T, M> {
    memory: M,
    /// The place of the next message.
    cursor: Cursor<T, M>,
    /// Position of the first message for which there may be no room: the consumer's `head` as last seen, which is never
    /// beyond the true one, and the capacity.
    limit: u64,
}

impl<T, M: Memory<T>> Producer<T, M> {
    /// Goes on where the last producer stopped. `repair` says that it may have died.
    ///
    /// The caller has the role, and all that earlier holders stored is visible to it.
    pub(crate) fn take_over(memory: M, repair: bool) -> Result<Self, Box<Corrupted>> {
        let capacity = memory.capacity() as u64;
        // Acquire: we overwrite what `head` gives us. Pairs with the consumer's store of `head`.
        let head = memory.head().load(Ordering::Acquire);
        // Relaxed: earlier producers wrote it, and all they did is visible by the role.
        let tail = memory.tail().load(Ordering::Relaxed);
        let limit = Cursor::<T, M>::limit(&memory);
        if head > limit {
            return Err(corrupted(&memory, "head", (0, limit), head));
        }
        if tail > head.saturating_add(capacity) {
            return Err(corrupted(&memory, "tail", (head, head + capacity), tail));
        }
        let start = head.max(tail);
        let mut cursor = Cursor::at(start, &memory);
        // Relaxed: as for `tail`. Bounded: no more cells than there are can carry the lines of one lap.
        let mut committed = cursor.committed(load(&memory, cursor.cell), &memory)?;
        for _ in 0..memory.cells() {
            if committed < M::ITEMS_PER_CELL {
                break;
            }
            cursor = cursor.next_line(&memory);
            committed = cursor.committed(load(&memory, cursor.cell), &memory)?;
        }
        let position = cursor.position() - cursor.item() as u64 + committed as u64;
        if committed == M::ITEMS_PER_CELL || position < start || position - head > capacity {
            return Err(corrupted(&memory, "the end of the committed messages", (start, head + capacity), position));
        }
        let cursor = Cursor::at(position, &memory);
        if repair {
            wipe_uncommitted(&memory, cursor)?;
        }
        // Release: as in `count`, for what a dead producer committed and did not count.
        memory.tail().store(position, Ordering::Release);
        Ok(Producer { memory, cursor, limit: head + capacity })
    }

    pub(crate) fn memory(&self) -> &M {
        &self.memory
    }

    pub(crate) fn position(&self) -> u64 {
        self.cursor.position()
    }

    /// How many messages there is room for: exact when it is below `wanted`, else at least `wanted`.
    #[inline(always)]
    fn room(&mut self, wanted: usize) -> Result<usize, Box<Corrupted>> {
        let room = (self.limit - self.cursor.position()) as usize;
        if room >= wanted {
            return Ok(room);
        }
        self.look_for_room()
    }

    /// Reads the consumer's `head`. Rare: once per lap while the consumer keeps up.
    #[inline(never)]
    fn look_for_room(&mut self) -> Result<usize, Box<Corrupted>> {
        self.limit = self.load_head()? + self.memory.capacity() as u64;
        Ok((self.limit - self.cursor.position()) as usize)
    }

    fn load_head(&self) -> Result<u64, Box<Corrupted>> {
        // Acquire: the consumer is done with all that lies before `head`, and we overwrite it. Pairs with the Release
        // store in `Consumer::publish`.
        let head = self.memory.head().load(Ordering::Acquire);
        let seen = self.limit - self.memory.capacity() as u64;
        if head < seen || head > self.cursor.position() {
            return Err(corrupted(&self.memory, "head", (seen, self.cursor.position()), head));
        }
        Ok(head)
    }

    /// Messages that were pushed and not popped.
    pub(crate) fn len(&self) -> Result<usize, Box<Corrupted>> {
        Ok((self.cursor.position() - self.load_head()?) as usize)
    }

    /// Pushes `item` and says `true`, or says `false` when the ring is full.
    #[inline(always)]
    pub(crate) fn push(&mut self, item: &T) -> Result<bool, Box<Corrupted>> {
        if self.push_at_once(item) {
            return Ok(true);
        }
        let there_is = self.look_for_room()? > 0;
        if there_is {
            self.push_here(item);
        }
        Ok(there_is)
    }

    /// Pushes `item` if there is known to be room. Then it is all that [`push`](Self::push) does.
    #[inline(always)]
    pub(crate) fn push_at_once(&mut self, item: &T) -> bool {
        let there_is = self.cursor.position() != self.limit;
        if there_is {
            self.push_here(item);
        }
        there_is
    }

    /// Pushes `item` to the cursor, where there is room.
    #[inline(always)]
    fn push_here(&mut self, item: &T) {
        debug_assert!(self.cursor.position() < self.limit);
        // NB: read once, as after a write to shared memory the compiler would read it again.
        let place = self.cursor;
        // SAFETY: there is room at the cursor, so the item there is ours to write until we commit it.
        unsafe { self.memory.write(place.cell, place.item(), core::slice::from_ref(item)) };
        self.commit_at(place);
    }

    /// Whether there is room for one message, whose place is then [`place_mut`](Self::place_mut).
    pub(crate) fn reserve(&mut self) -> Result<bool, Box<Corrupted>> {
        Ok(self.room(1)? > 0)
    }

    /// The bytes of the next message's place, to be read. There must be room for it.
    pub(crate) fn place(&self) -> &[u8] {
        // SAFETY: `item` is so large, of initialised shared memory, and ours while we are borrowed.
        unsafe { core::slice::from_raw_parts(self.item().cast(), self.memory.item_size()) }
    }

    /// The bytes of the next message's place, to be written. There must be room for it.
    pub(crate) fn place_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `place`; we are borrowed exclusively.
        unsafe { core::slice::from_raw_parts_mut(self.item().cast(), self.memory.item_size()) }
    }

    fn item(&self) -> *mut T {
        assert!(
            self.limit > self.cursor.position(),
            "a place is lent only while there is room: the consumer may be reading there"
        );
        // SAFETY: the cursor names a cell and an item that exist.
        unsafe { self.memory.item(self.cursor.cell, self.cursor.item()) }
    }

    /// Commits the one item at the cursor.
    #[inline(always)]
    pub(crate) fn commit(&mut self) {
        self.commit_at(self.cursor);
    }

    #[inline(always)]
    fn commit_at(&mut self, place: Cursor<T, M>) {
        self.cursor.advance(1, &self.memory);
        self.publish(place.cell, place.tag.plus(1));
        // NB: only the last of a line is counted. A store more for each message would be felt: a core can only have so many
        // on their way, and those to lines that the consumer has looked at take their time.
        if place.room() == 1 {
            self.count(place.position() + 1);
        }
    }

    /// Pushes as many of `items` as there is room for, and returns how many. They are committed all at once.
    pub(crate) fn push_slice(&mut self, items: &[T]) -> Result<usize, Box<Corrupted>> {
        let count = items.len().min(self.room(items.len())?);
        if count == 0 {
            return Ok(0);
        }
        let place = self.cursor;
        let (first, rest) = items[..count].split_at(count.min(place.room()));
        // The later cells, from the last one back, so that each cell is touched once and the commit comes last.
        let later = rest.len().div_ceil(M::ITEMS_PER_CELL);
        // NB: apart from the whole cells, so that for those the compiler knows how much it copies.
        let (whole_cells, in_last) = rest.split_at(rest.len() - rest.len() % M::ITEMS_PER_CELL);
        match later {
            0 => self.cursor.advance(first.len(), &self.memory),
            _ => {
                self.cursor = place.lines_later(later, &self.memory);
                self.cursor.advance(rest.len() - (later - 1) * M::ITEMS_PER_CELL, &self.memory);
            }
        }
        let last = place.lines_later(later, &self.memory);
        let (mut cell, mut line) = (last.cell, last.line());
        if !in_last.is_empty() {
            self.write_later(cell, line, in_last);
            (cell, line) = (self.cell_before(cell), line - 1);
        }
        if !whole_cells.is_empty() {
            self.write_whole_cells(cell, line, whole_cells);
        }
        // SAFETY: there is room for them at the cursor, and they end within its cell.
        unsafe { self.memory.write(place.cell, place.item(), first) };
        self.publish(place.cell, place.tag.plus(first.len()));
        self.count(place.position() + count as u64);
        Ok(count)
    }

    /// Writes the later cells of a batch that it fills, from the last one back, which is `cell`. The batch is not committed
    /// yet.
    #[inline(always)]
    fn write_whole_cells(&self, cell: usize, line: u64, items: &[T]) {
        #[cfg(target_arch = "x86_64")]
        if moves_half_lines() {
            // SAFETY: `moves_half_lines` has found AVX2, which is all that the function asks of a processor.
            return unsafe { self.write_whole_cells_by_halves(cell, line, items) };
        }
        self.write_each_cell(cell, line, items);
    }

    /// The same, compiled for processors that move half a line at once.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    unsafe fn write_whole_cells_by_halves(&self, cell: usize, line: u64, items: &[T]) {
        self.write_each_cell(cell, line, items);
    }

    #[inline(always)]
    fn write_each_cell(&self, mut cell: usize, mut line: u64, items: &[T]) {
        for items in items.chunks_exact(M::ITEMS_PER_CELL).rev() {
            self.write_later(cell, line, items);
            (cell, line) = (self.cell_before(cell), line - 1);
        }
    }

    /// Writes the items of a later cell of a batch. The batch is not committed yet.
    #[inline(always)]
    fn write_later(&self, cell: usize, line: u64, items: &[T]) {
        // SAFETY: `push_slice` names a cell behind the cursor, and has found room for these items in it.
        unsafe { self.memory.write(cell, 0, items) };
        // Relaxed: the consumer gets here only after the tag of the first cell, which is stored last.
        self.memory.word(cell).store(Tag::new(line, items.len()).word(), Ordering::Relaxed);
    }

    #[inline(always)]
    fn cell_before(&self, cell: usize) -> usize {
        if cell == 0 { self.memory.cells() - 1 } else { cell - 1 }
    }

    /// The commit: from here on the message, or the batch that begins in this cell, is the consumer's.
    #[inline(always)]
    fn publish(&self, cell: usize, tag: Tag) {
        // Release: the items are written before. Pairs with the Acquire load in `Consumer::look`.
        self.memory.word(cell).store(tag.word(), Ordering::Release);
        // NB: no code, but nothing that comes after in this program happens before, such as the store of `tail`: we may
        // be killed in between, and a successor must not start beyond what is committed.
        compiler_fence(Ordering::SeqCst);
    }

    #[inline(always)]
    fn count(&self, pushed: u64) {
        // Release: a consumer that counts by it finds the tags. Pairs with the Acquire load in `super::pushed`. The tags
        // alone say what is committed; for a successor this is a place to start looking from.
        self.memory.tail().store(pushed, Ordering::Release);
    }
}

fn load<T, M: Memory<T>>(memory: &M, cell: usize) -> Tag {
    Tag::from_word(memory.word(cell).load(Ordering::Relaxed))
}

/// Takes back the tags of a batch whose producer died before it committed: those of the current lap that lie beyond
/// `end`, the first line that is not complete. The consumer does not look there.
fn wipe_uncommitted<T, M: Memory<T>>(memory: &M, end: Cursor<T, M>) -> Result<(), Box<Corrupted>> {
    let mut cursor = end;
    for _ in 1..memory.cells() {
        cursor = cursor.next_line(memory);
        if cursor.committed(load(memory, cursor.cell), memory)? > 0 {
            // Relaxed: the consumer gets here only after we have published the lines before, with Release.
            memory.word(cursor.cell).store(cursor.tag.word(), Ordering::Relaxed);
        }
    }
    Ok(())
}
