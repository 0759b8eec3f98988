//! Sizes and offsets that follow from the message type, the capacity and the number of processes. Pure arithmetic.

use super::control::{Control, Record};
use super::header::Header;
use core::mem::{needs_drop, size_of};

/// Bytes of a cache line, the unit in which cores exchange memory.
pub(crate) const LINE: usize = 64;
/// Bytes of the tag, or word, at the start of each cell.
pub(crate) const TAG: usize = 8;
/// Where cells may start: a page of their own keeps control words and messages apart.
const CELLS_ALIGN: usize = 4096;
/// The most process records that a segment can have.
pub(crate) const MAX_PROCESSES: usize = 8_191;
/// The greatest alignment of a message: that of a cell.
pub(crate) const MAX_ALIGN: usize = LINE;
/// The greatest message, so that no sum of sizes below can overflow.
pub(crate) const MAX_ITEM: usize = 1 << 31;

/// How items lie in a cell. A cell is one cache line full of small items, a part of a line for one of them, or as many
/// lines as one large item needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CellShape {
    pub(crate) item_size: usize,
    pub(crate) item_align: usize,
    pub(crate) items_per_cell: usize,
    /// From the start of the cell to its first item.
    pub(crate) payload_offset: usize,
    /// From one cell to the next; a multiple of [`LINE`], or a power of two below.
    pub(crate) stride: usize,
    /// Cells beside those that the capacity takes.
    pub(crate) spare: usize,
}

impl CellShape {
    /// The shape for messages of type `T`, as many to a cell as fit. A type that cannot be a message does not compile.
    pub(crate) const fn packed<T>() -> CellShape {
        Self::assert_is_message::<T>();
        CellShape::new(size_of::<T>(), align_of::<T>())
    }

    /// The shape for messages of type `T`, one to a cell. Small cells share a line: those who meet in one disturb each other
    /// less than the fewer lines are worth that have to travel.
    pub(crate) const fn single<T>() -> CellShape {
        Self::assert_is_message::<T>();
        CellShape::new_single(size_of::<T>(), align_of::<T>())
    }

    /// The shape for values of type `T`, one to a cell, of which one more is being overwritten.
    pub(crate) const fn overwritten<T>() -> CellShape {
        Self::assert_is_message::<T>();
        CellShape::new_overwritten(size_of::<T>(), align_of::<T>())
    }

    /// Whether there can be messages of such a size and alignment.
    pub(crate) const fn is_possible(item_size: u64, item_align: u64) -> bool {
        item_align.is_power_of_two()
            && item_align <= MAX_ALIGN as u64
            && item_size > 0
            && item_size <= MAX_ITEM as u64
            && item_size % item_align == 0
    }

    const fn assert_is_message<T>() {
        const {
            assert!(size_of::<T>() > 0, "a message must have a size: a type of zero bytes cannot travel in a ring");
            assert!(align_of::<T>() <= MAX_ALIGN, "a message can be aligned to at most 64 bytes, the start of a cell");
            assert!(size_of::<T>() <= MAX_ITEM, "a message can have at most 2^31 bytes");
            assert!(!needs_drop::<T>(), "a message is bytes: nobody would know when to drop it");
        }
    }

    /// A small cell takes the smallest power of two in which it fits, so that it never straddles two lines.
    pub(super) const fn new_single(item_size: usize, item_align: usize) -> CellShape {
        let shape = CellShape { items_per_cell: 1, ..CellShape::new(item_size, item_align) };
        if shape.stride > LINE {
            return shape;
        }
        CellShape { stride: (shape.payload_offset + item_size).next_power_of_two(), ..shape }
    }

    /// Each cell has its lines to itself: those who read one are not disturbed while another is written. It has room for
    /// whole words.
    pub(super) const fn new_overwritten(item_size: usize, item_align: usize) -> CellShape {
        CellShape { items_per_cell: 1, spare: 1, ..CellShape::new(item_size, item_align) }
    }

    pub(super) const fn new(item_size: usize, item_align: usize) -> CellShape {
        let least_offset = if item_align > TAG { item_align } else { TAG };
        let in_first_line = LINE.saturating_sub(least_offset) / item_size;
        if in_first_line > 0 {
            return CellShape {
                item_size,
                item_align,
                items_per_cell: in_first_line,
                payload_offset: least_offset,
                stride: LINE,
                spare: 0,
            };
        }
        // A large item is copied faster when it starts with a line. It does where that costs no line more.
        let stride = (least_offset + item_size).next_multiple_of(LINE);
        let payload_offset = if LINE + item_size <= stride { LINE } else { least_offset };
        CellShape { item_size, item_align, items_per_cell: 1, payload_offset, stride, spare: 0 }
    }
}

/// How many cells hold `capacity` items, so that one pop makes room for one push although a cell is reused as a whole:
/// the most lines that any `capacity` consecutive items touch. The crash model shows that one cell less loses messages.
pub(crate) const fn cells_for(capacity: usize, items_per_cell: usize) -> Option<usize> {
    match capacity.checked_add(items_per_cell) {
        Some(sum) if capacity > 0 => Some((sum - 2) / items_per_cell + 1),
        _ => None,
    }
}

/// Where everything lies in one segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Geometry {
    pub(crate) shape: CellShape,
    /// Messages that the ring holds.
    pub(crate) capacity: usize,
    pub(crate) cells: usize,
    pub(crate) processes: usize,
    pub(crate) control_offset: usize,
    pub(crate) records_offset: usize,
    pub(crate) cells_offset: usize,
    /// Bytes of the whole segment.
    pub(crate) total_size: usize,
}

impl Geometry {
    /// The layout, or `None` where it would not fit into an address space. `processes` is 1 to [`MAX_PROCESSES`].
    pub(crate) fn new(shape: CellShape, capacity: usize, processes: usize) -> Option<Geometry> {
        let cells = cells_for(capacity, shape.items_per_cell)?.checked_add(shape.spare)?;
        let control_offset = size_of::<Header>();
        let records_offset = control_offset + size_of::<Control>();
        let cells_offset = (records_offset + processes * size_of::<Record>()).next_multiple_of(CELLS_ALIGN);
        let total_size = cells.checked_mul(shape.stride)?.checked_add(cells_offset)?;
        if total_size > isize::MAX as usize - CELLS_ALIGN {
            return None;
        }
        Some(Geometry { shape, capacity, cells, processes, control_offset, records_offset, cells_offset, total_size })
    }

    /// The greatest capacity that [`Geometry::new`] accepts, for an error message.
    pub(crate) fn max_capacity(shape: CellShape, processes: usize) -> usize {
        let (mut fits, mut too_large) = (0, usize::MAX);
        while too_large - fits > 1 {
            let middle = fits + (too_large - fits) / 2;
            match Geometry::new(shape, middle, processes) {
                Some(_) => fits = middle,
                None => too_large = middle,
            }
        }
        fits
    }
}

#[cfg(all(test, not(ringway_loom)))]
mod tests {
    use super::*;

    #[test]
    fn small_items_share_one_line_with_their_tag() {
        let of = |size, align| {
            let shape = CellShape::new(size, align);
            (shape.items_per_cell, shape.payload_offset, shape.stride)
        };
        assert_eq!(of(1, 1), (56, 8, 64));
        assert_eq!(of(8, 8), (7, 8, 64));
        assert_eq!(of(40, 8), (1, 8, 64));
        assert_eq!(of(56, 8), (1, 8, 64));
        assert_eq!(of(57, 1), (1, 64, 128));
        assert_eq!(of(16, 16), (3, 16, 64));
        assert_eq!(of(64, 64), (1, 64, 128));
        assert_eq!(of(120, 8), (1, 8, 128));
        assert_eq!(of(128, 8), (1, 64, 192), "no line more than with an offset of 8");
        assert_eq!(of(65_536, 1), (1, 64, 65_536 + 64));
    }

    #[test]
    fn single_cells_lie_within_a_line_or_begin_with_one() {
        let of = |size, align| {
            let shape = CellShape::new_single(size, align);
            (shape.items_per_cell, shape.payload_offset, shape.stride)
        };
        assert_eq!(of(1, 1), (1, 8, 16));
        assert_eq!(of(8, 8), (1, 8, 16));
        assert_eq!(of(9, 1), (1, 8, 32));
        assert_eq!(of(16, 16), (1, 16, 32));
        assert_eq!(of(25, 1), (1, 8, 64));
        assert_eq!(of(32, 32), (1, 32, 64));
        assert_eq!(of(56, 8), (1, 8, 64));
        assert_eq!(of(57, 1), (1, 64, 128));
        assert_eq!(of(128, 8), (1, 64, 192));
    }

    #[test]
    fn cells_that_are_overwritten_have_lines_of_their_own_and_room_for_words() {
        for (size, align) in [(1, 1), (3, 1), (8, 8), (57, 1), (121, 1), (16, 16), (64, 64), (4097, 1)] {
            let shape = CellShape::new_overwritten(size, align);
            assert_eq!((shape.items_per_cell, shape.stride % LINE, shape.payload_offset % TAG), (1, 0, 0));
            assert!(shape.payload_offset + size.next_multiple_of(TAG) <= shape.stride, "{size} bytes");
            assert_eq!(Geometry::new(shape, 3, 64).unwrap().cells, 4);
        }
    }

    #[test]
    fn every_window_of_capacity_items_fits_into_distinct_cells() {
        for items_per_cell in 1..=9 {
            for capacity in 1..=40 {
                let cells = cells_for(capacity, items_per_cell).unwrap();
                let touched = |start: usize| (start + capacity - 1) / items_per_cell - start / items_per_cell + 1;
                let most = (0..items_per_cell).map(touched).max().unwrap();
                assert_eq!(cells, most, "capacity {capacity}, {items_per_cell} per cell");
            }
        }
    }

    #[test]
    fn a_capacity_that_overflows_is_refused_and_the_greatest_one_is_known() {
        let shape = CellShape::packed::<[u8; 4096]>();
        assert_eq!(Geometry::new(shape, usize::MAX, 64), None);
        assert_eq!(Geometry::new(shape, 0, 64), None);
        let most = Geometry::max_capacity(shape, 64);
        assert!(Geometry::new(shape, most, 64).is_some());
        assert!(Geometry::new(shape, most + 1, 64).is_none());
    }

    #[test]
    fn what_lies_beside_the_cells_is_small() {
        let geometry = Geometry::new(CellShape::packed::<u64>(), 1024, 64).unwrap();
        assert!(geometry.cells_offset < 64 * 1024, "{} bytes", geometry.cells_offset);
    }
}
