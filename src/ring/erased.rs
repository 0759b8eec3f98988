//! Memory of a ring whose messages are known by their size only, and only when the program runs.
//!
//! The algorithms copy messages of a type. Here that type is `()`: they keep the books, of which cell is whose and what is
//! committed, and the bytes are copied by whoever holds the place of a message, which is as large as [`Memory::item_size`]
//! says. How many messages a cell holds is a constant for the algorithms, so there is one type of memory for each number
//! that there can be.
#![allow(unsafe_code)]

use super::memory::{Memory, Orphanage};
use crate::layout::geometry::CellShape;
use crate::layout::parts::Parts;
use crate::sync::{self, AtomicU64};
use core::ptr::NonNull;

/// The cells of a checked segment, with `ITEMS` messages each, of whatever size.
#[derive(Clone, Debug)]
pub(crate) struct Erased<const ITEMS: usize> {
    parts: Parts,
}

impl<const ITEMS: usize> Erased<ITEMS> {
    /// The ring's memory in `parts`, whose cells must hold `ITEMS` messages each.
    pub(crate) fn new(parts: Parts) -> Self {
        assert_eq!(parts.geometry().shape.items_per_cell, ITEMS, "a ring is as its header says that it is");
        Erased { parts }
    }

    fn shape(&self) -> &CellShape {
        &self.parts.geometry().shape
    }

    fn cell(&self, cell: usize) -> NonNull<u8> {
        assert!(cell < self.parts.geometry().cells);
        // SAFETY: it is a cell of the geometry, and all of them are mapped, as `Parts::new` was promised.
        unsafe { self.parts.cells().add(cell * self.shape().stride) }
    }
}

impl<const ITEMS: usize> Memory<()> for Erased<ITEMS> {
    const ITEMS_PER_CELL: usize = ITEMS;

    fn name(&self) -> &str {
        self.parts.name()
    }

    fn capacity(&self) -> usize {
        self.parts.geometry().capacity
    }

    fn cells(&self) -> usize {
        self.parts.geometry().cells
    }

    fn head(&self) -> &AtomicU64 {
        sync::mapped(&self.parts.control().head)
    }

    fn tail(&self) -> &AtomicU64 {
        sync::mapped(&self.parts.control().tail)
    }

    fn word(&self, cell: usize) -> &AtomicU64 {
        let word = self.cell(cell).cast();
        // SAFETY: a cell starts with its word, aligned and mapped; it is only ever accessed as an atomic.
        sync::mapped(unsafe { word.as_ref() })
    }

    /// Does nothing: what is copied has no bytes.
    unsafe fn write(&self, _cell: usize, _first: usize, _items: &[()]) {}

    /// Does nothing: what is copied has no bytes.
    unsafe fn read(&self, _cell: usize, _first: usize, _to: *mut (), _count: usize) {}

    unsafe fn item(&self, cell: usize, item: usize) -> *mut () {
        assert!(item < ITEMS);
        let offset = self.shape().payload_offset + item * self.shape().item_size;
        // SAFETY: the item is one of the cell's, so it lies within the cell's stride.
        unsafe { self.cell(cell).add(offset) }.cast().as_ptr()
    }

    fn item_size(&self) -> usize {
        self.shape().item_size
    }
}

impl<const ITEMS: usize> Orphanage for Erased<ITEMS> {
    fn orphaned(&self) -> &AtomicU64 {
        sync::mapped(&self.parts.control().orphans.orphaned)
    }

    fn adopted(&self) -> &AtomicU64 {
        sync::mapped(&self.parts.control().orphans.adopted)
    }
}

/// Runs `$body` with `$items` as a constant, for each number of messages that a cell can hold.
macro_rules! for_items_per_cell {
    ($number:expr, $items:ident => $body:expr) => {
        $crate::ring::erased::for_items_per_cell!(
            @match $number, $items => $body; 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 14, 18, 28, 56
        )
    };
    (@match $number:expr, $items:ident => $body:expr; $($possible:literal),*) => {
        match $number {
            $($possible => {
                const $items: usize = $possible;
                $body
            })*
            impossible => unreachable!("no cell holds {impossible} messages: see `CellShape::new`"),
        }
    };
}
pub(crate) use for_items_per_cell;

#[cfg(all(test, not(ringway_loom)))]
mod tests {
    use crate::layout::geometry::{CellShape, MAX_ALIGN};
    use crate::layout::header::Kind;

    #[test]
    fn every_shape_has_its_type_of_memory() {
        for align in [1, 2, 4, 8, 16, 32, MAX_ALIGN] {
            for size in (align..=300).step_by(align) {
                assert!(CellShape::is_possible(size as u64, align as u64));
                for kind in [Kind::Spsc, Kind::Mpmc] {
                    let items = kind.shape_of(size, align).items_per_cell;
                    assert_eq!(for_items_per_cell!(items, ITEMS => ITEMS), items);
                }
            }
        }
    }
}
