//! Where a ring lives: what an algorithm needs of its memory, and how a segment provides it.
#![allow(unsafe_code)]

use crate::layout::geometry::CellShape;
use crate::layout::parts::Parts;
use crate::sync::{self, AtomicU64, Ordering, compiler_fence};
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;

/// Where a ring of `T` lives. The algorithm takes it as an argument, so that the same code runs on a mapped segment and
/// on the memory of a model checker.
///
/// Cells are numbered from 0, items within a cell from 0.
pub(crate) trait Memory<T> {
    /// Items that fit into a cell; the compiler knows it.
    const ITEMS_PER_CELL: usize;

    /// The name of the ring, for messages to people.
    fn name(&self) -> &str;
    fn capacity(&self) -> usize;
    fn cells(&self) -> usize;
    fn head(&self) -> &AtomicU64;
    fn tail(&self) -> &AtomicU64;
    /// The word at the start of a cell.
    fn word(&self, cell: usize) -> &AtomicU64;

    /// Copies `items` into a cell, from its item `first` on.
    ///
    /// # Safety
    /// The cell and all these items of it exist, and until this returns nobody who keeps to the protocol reads or
    /// writes them.
    unsafe fn write(&self, cell: usize, first: usize, items: &[T]);

    /// Copies `count` items out of a cell, from its item `first` on. The cell is not read again in place of `to`: a check
    /// of `to` stays true, whatever another process does to the cell afterwards.
    ///
    /// # Safety
    /// The cell and all these items of it exist, `to` has room for them, and until this returns nobody who keeps to
    /// the protocol writes them.
    unsafe fn read(&self, cell: usize, first: usize, to: *mut T, count: usize);

    /// Says that a cell will be read soon. It changes nothing but the time that this takes.
    fn prefetch(&self, _cell: usize) {}

    /// The place of an item, to be used for as long as the protocol gives it to us.
    ///
    /// # Safety
    /// The cell and the item exist.
    unsafe fn item(&self, cell: usize, item: usize) -> *mut T;

    /// Bytes of an item, at its place. Those of a `T`, unless `T` stands for something of another size.
    #[inline(always)]
    fn item_size(&self) -> usize {
        size_of::<T>()
    }
}

/// Whether the processor moves half a line at once, which the compiler must not assume: a store less or two for each line of
/// a batch is felt, as a core can only have so many on their way to lines that another one has.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn moves_half_lines() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
}

/// What a ring needs beside its cells and hints, when messages that were taken can become orphans.
pub(crate) trait Orphanage {
    /// Counts the occasions on which orphans may have been made.
    fn orphaned(&self) -> &AtomicU64;
    /// `orphaned`, as of the last search for orphans that found none.
    fn adopted(&self) -> &AtomicU64;
}

/// What `latest` needs: cells that are read while somebody overwrites them, and so consist of words, each of which is read
/// and written as one.
pub(crate) trait Values {
    /// The name of the segment, for messages to people.
    fn name(&self) -> &str;
    /// At least two.
    fn cells(&self) -> usize;
    /// The version of the newest value.
    fn newest(&self) -> &AtomicU64;
    /// Which version the value of a cell is.
    fn version(&self, cell: usize) -> &AtomicU64;
    /// The value of a cell.
    fn value(&self, cell: usize) -> &[AtomicU64];
}

/// How the cells of a kind of ring hold messages of `T`.
pub(crate) trait Cells<T> {
    const SHAPE: CellShape;
}

/// As many messages to a cell as fit: SPSC.
#[derive(Debug)]
pub(crate) struct Packed;

impl<T> Cells<T> for Packed {
    const SHAPE: CellShape = CellShape::packed::<T>();
}

/// One message to a cell: MPMC.
#[derive(Debug)]
pub(crate) struct Single;

impl<T> Cells<T> for Single {
    const SHAPE: CellShape = CellShape::single::<T>();
}

/// One value to a cell, and a cell more than the capacity says: Latest.
#[derive(Debug)]
pub(crate) struct Overwritten;

impl<T> Cells<T> for Overwritten {
    const SHAPE: CellShape = CellShape::overwritten::<T>();
}

/// The cells of a checked segment, as cells `C` of `T`.
#[derive(Debug)]
pub(crate) struct Mapped<T, C> {
    cells: NonNull<u8>,
    head: NonNull<core::sync::atomic::AtomicU64>,
    tail: NonNull<core::sync::atomic::AtomicU64>,
    messages: NonNull<AtomicU32>,
    room: NonNull<AtomicU32>,
    cell_count: usize,
    capacity: usize,
    /// Keeps all of the above mapped.
    parts: Parts,
    _items: PhantomData<fn(C) -> T>,
}

// SAFETY: the pointers are into shared memory that `parts` keeps mapped and that every thread may reach; values of `T`
// pass through it from one thread to another, hence `T: Send`.
unsafe impl<T: Send, C> Send for Mapped<T, C> {}

impl<T, C> Clone for Mapped<T, C> {
    fn clone(&self) -> Self {
        Mapped { parts: self.parts.clone(), ..*self }
    }
}

impl<T, C: Cells<T>> Mapped<T, C> {
    const SHAPE: CellShape = C::SHAPE;

    /// The word of those who sleep until there is a message.
    #[inline(always)]
    pub(crate) fn messages(&self) -> &AtomicU32 {
        // SAFETY: it was made from a reference into the control block, which `parts` keeps mapped.
        unsafe { self.messages.as_ref() }
    }

    /// The word of those who sleep until there is room.
    #[inline(always)]
    pub(crate) fn room(&self) -> &AtomicU32 {
        // SAFETY: as for `messages`.
        unsafe { self.room.as_ref() }
    }

    /// The ring's memory in `parts`, whose geometry must be one for `T`.
    pub(crate) fn new(parts: Parts) -> Self {
        let geometry = *parts.geometry();
        assert_eq!(geometry.shape, Self::SHAPE, "a segment is checked against its message type before it is used");
        // To find out takes microseconds the first time, which the first batch should not have to wait for.
        #[cfg(target_arch = "x86_64")]
        moves_half_lines();
        Mapped {
            cells: parts.cells(),
            head: NonNull::from(&*parts.control().head),
            tail: NonNull::from(&*parts.control().tail),
            messages: NonNull::from(&*parts.control().messages),
            room: NonNull::from(&*parts.control().room),
            cell_count: geometry.cells,
            capacity: geometry.capacity,
            parts,
            _items: PhantomData,
        }
    }

    #[inline(always)]
    fn cell(&self, cell: usize) -> NonNull<u8> {
        debug_assert!(cell < self.cell_count);
        // SAFETY: every caller names a cell of the geometry, and `Parts::new` was promised that all of them are mapped.
        unsafe { self.cells.add(cell * Self::SHAPE.stride) }
    }
}

impl<T, C: Cells<T>> Memory<T> for Mapped<T, C> {
    const ITEMS_PER_CELL: usize = Self::SHAPE.items_per_cell;

    fn name(&self) -> &str {
        self.parts.name()
    }

    #[inline(always)]
    fn capacity(&self) -> usize {
        self.capacity
    }

    #[inline(always)]
    fn cells(&self) -> usize {
        self.cell_count
    }

    #[inline(always)]
    fn head(&self) -> &AtomicU64 {
        // SAFETY: it was made from a reference into the control block, which `parts` keeps mapped.
        sync::mapped(unsafe { self.head.as_ref() })
    }

    #[inline(always)]
    fn tail(&self) -> &AtomicU64 {
        // SAFETY: as for `head`.
        sync::mapped(unsafe { self.tail.as_ref() })
    }

    #[inline(always)]
    fn word(&self, cell: usize) -> &AtomicU64 {
        let word = self.cell(cell).cast();
        // SAFETY: a cell starts with its word, aligned and mapped; it is only ever accessed as an atomic.
        sync::mapped(unsafe { word.as_ref() })
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn prefetch(&self, cell: usize) {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: it is a hint, of any address, for an instruction that every processor of this kind has.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(self.cell(cell).as_ptr().cast()) };
    }

    #[inline(always)]
    unsafe fn write(&self, cell: usize, first: usize, items: &[T]) {
        debug_assert!(first + items.len() <= Self::ITEMS_PER_CELL);
        // SAFETY: passed on to our caller.
        let to = unsafe { self.item(cell, first) };
        // SAFETY: the items lie within the cell and are ours to write, by the caller's word; `items` is a reference to
        // memory that is not part of any cell we may write.
        unsafe { core::ptr::copy_nonoverlapping(items.as_ptr(), to, items.len()) };
    }

    #[inline(always)]
    unsafe fn read(&self, cell: usize, first: usize, to: *mut T, count: usize) {
        debug_assert!(first + count <= Self::ITEMS_PER_CELL);
        // SAFETY: passed on to our caller.
        let from = unsafe { self.item(cell, first) };
        // SAFETY: the items lie within the cell and nobody writes them, by the caller's word; `to` has room for them.
        unsafe { core::ptr::copy_nonoverlapping(from, to, count) };
        // NB: no code, but the compiler may not read the cell again in place of `to` after this point, so that what is
        // checked and what is used are the same bytes even when a broken process overwrites the cell meanwhile.
        compiler_fence(Ordering::SeqCst);
    }

    #[inline(always)]
    unsafe fn item(&self, cell: usize, item: usize) -> *mut T {
        debug_assert!(item < Self::ITEMS_PER_CELL);
        let offset = Self::SHAPE.payload_offset + item * Self::SHAPE.item_size;
        // SAFETY: the item exists by the caller's word, so it lies within the cell's stride.
        unsafe { self.cell(cell).add(offset) }.cast().as_ptr()
    }
}

impl<T, C> Orphanage for Mapped<T, C> {
    #[inline(always)]
    fn orphaned(&self) -> &AtomicU64 {
        sync::mapped(&self.parts.control().orphans.orphaned)
    }

    #[inline(always)]
    fn adopted(&self) -> &AtomicU64 {
        sync::mapped(&self.parts.control().orphans.adopted)
    }
}

impl<T> Values for Mapped<T, Overwritten> {
    fn name(&self) -> &str {
        self.parts.name()
    }

    #[inline(always)]
    fn cells(&self) -> usize {
        self.cell_count
    }

    #[inline(always)]
    fn newest(&self) -> &AtomicU64 {
        self.tail()
    }

    #[inline(always)]
    fn version(&self, cell: usize) -> &AtomicU64 {
        self.word(cell)
    }

    #[inline(always)]
    fn value(&self, cell: usize) -> &[AtomicU64] {
        const {
            let (offset, size) = (Self::SHAPE.payload_offset, size_of::<T>().next_multiple_of(8));
            assert!(offset % 8 == 0 && Self::SHAPE.stride % 8 == 0 && offset + size <= Self::SHAPE.stride);
        };
        // SAFETY: a value begins within its cell's stride.
        let first = unsafe { self.cell(cell).add(Self::SHAPE.payload_offset) };
        // SAFETY: it begins at a multiple of eight bytes, and its whole words end where its cell does or before, as asserted;
        // it is only ever accessed as atomics, for which every bit pattern is valid.
        let words = unsafe { core::slice::from_raw_parts(first.cast().as_ptr(), size_of::<T>().div_ceil(8)) };
        sync::mapped_words(words)
    }
}
