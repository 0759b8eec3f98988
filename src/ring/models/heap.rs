//! A ring's memory on the heap, in which loom sees every access.
#![allow(unsafe_code)]

use crate::layout::geometry::cells_for;
use crate::ring::memory::{Memory, Orphanage};
use crate::sync::{AtomicU64, mortal};
use loom::cell::UnsafeCell;
use std::rc::Rc;

/// Memory for a ring of `u64` with `K` of them in a cell. Each item is a cell of loom's: two accesses of which one is a
/// write, and which no chain of Acquire and Release puts in order, fail the model, whatever values they see.
#[derive(Debug)]
pub(crate) struct Heap<const K: usize> {
    capacity: usize,
    head: AtomicU64,
    tail: AtomicU64,
    orphaned: AtomicU64,
    adopted: AtomicU64,
    words: Box<[AtomicU64]>,
    items: Box<[UnsafeCell<u64>]>,
}

impl<const K: usize> Heap<K> {
    /// A ring in which each cell has the `word` of its number at first. The threads of a model take turns on one real
    /// thread, so an `Rc` will do; loom does not see it, so that counting references puts nothing in order.
    pub(crate) fn new(capacity: usize, word: impl Fn(usize) -> u64) -> Rc<Self> {
        let cells = cells_for(capacity, K).expect("models are small");
        Rc::new(Heap {
            capacity,
            head: AtomicU64::new(0),
            tail: AtomicU64::new(0),
            orphaned: AtomicU64::new(0),
            adopted: AtomicU64::new(0),
            words: (0..cells).map(|cell| AtomicU64::new(word(cell))).collect(),
            items: (0..cells * K).map(|_| UnsafeCell::new(0)).collect(),
        })
    }

    /// Writes to a place that [`Memory::item`] gave out.
    pub(crate) fn fill(&self, place: *mut u64, value: u64) {
        mortal::step();
        // SAFETY: the place is an item of ours, and loom fails the model when anybody else may access it now.
        self.item_at(place).with_mut(|item| unsafe { *item = value });
    }

    /// Reads a place that [`Memory::item`] gave out.
    pub(crate) fn look(&self, place: *const u64) -> u64 {
        mortal::step();
        // SAFETY: as for `fill`.
        self.item_at(place).with(|item| unsafe { *item })
    }

    fn item_at(&self, place: *const u64) -> &UnsafeCell<u64> {
        let offset = place.addr() - self.items.as_ptr().addr();
        &self.items[offset / size_of::<UnsafeCell<u64>>()]
    }
}

impl<const K: usize> Memory<u64> for Rc<Heap<K>> {
    const ITEMS_PER_CELL: usize = K;

    fn name(&self) -> &str {
        "model"
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn cells(&self) -> usize {
        self.words.len()
    }

    fn head(&self) -> &AtomicU64 {
        &self.head
    }

    fn tail(&self) -> &AtomicU64 {
        &self.tail
    }

    fn word(&self, cell: usize) -> &AtomicU64 {
        &self.words[cell]
    }

    unsafe fn write(&self, cell: usize, first: usize, items: &[u64]) {
        assert!(first + items.len() <= K);
        for (index, value) in items.iter().enumerate() {
            mortal::step();
            // SAFETY: loom fails the model when anybody else may access the item now.
            self.items[cell * K + first + index].with_mut(|item| unsafe { *item = *value });
        }
    }

    unsafe fn read(&self, cell: usize, first: usize, to: *mut u64, count: usize) {
        assert!(first + count <= K);
        for index in 0..count {
            mortal::step();
            // SAFETY: loom fails the model when anybody may write the item now.
            let value = self.items[cell * K + first + index].with(|item| unsafe { *item });
            // SAFETY: the caller has room for `count` items at `to`.
            let to = unsafe { to.add(index) };
            // SAFETY: as above, and it is the caller's own.
            unsafe { to.write(value) };
        }
    }

    /// NB: loom sees a read here. Whoever uses the place goes through `fill` or `look`, so that it sees that as well.
    unsafe fn item(&self, cell: usize, item: usize) -> *mut u64 {
        assert!(item < K);
        self.items[cell * K + item].with(|item| item.cast_mut())
    }
}

impl<const K: usize> Orphanage for Rc<Heap<K>> {
    fn orphaned(&self) -> &AtomicU64 {
        &self.orphaned
    }

    fn adopted(&self) -> &AtomicU64 {
        &self.adopted
    }
}
