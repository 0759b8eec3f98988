//! The plain bounded queue of Dmitry Vyukov: what a ring with a sequence number in each cell costs when nobody dies.
#![allow(unsafe_code)]

use super::contract::Payload;
use super::queues::Heap;
use crossbeam_utils::CachePadded;
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the cells are aligned to, so that they are as large as those of the ring that they are compared with.
#[repr(align(16))]
pub struct QuarterOfALine;
#[repr(align(64))]
pub struct Line;

struct Cell<T, A> {
    _align: [A; 0],
    sequence: AtomicUsize,
    message: UnsafeCell<MaybeUninit<T>>,
}

pub struct Vyukov<T, A> {
    tail: CachePadded<AtomicUsize>,
    head: CachePadded<AtomicUsize>,
    cells: Box<[Cell<T, A>]>,
}

// SAFETY: a cell's message is written and read only by who has won its position, one after the other.
unsafe impl<T: Send, A> Sync for Vyukov<T, A> {}
// SAFETY: as above; nothing of `A` is there.
unsafe impl<T: Send, A> Send for Vyukov<T, A> {}

impl<T, A> Vyukov<T, A> {
    pub fn new(capacity: usize) -> Vyukov<T, A> {
        assert!(capacity.is_power_of_two());
        let cell = |sequence| Cell {
            _align: [],
            sequence: AtomicUsize::new(sequence),
            message: UnsafeCell::new(MaybeUninit::uninit()),
        };
        Vyukov { tail: Default::default(), head: Default::default(), cells: (0..capacity).map(cell).collect() }
    }

    /// Wins the next position of `index` whose cell has that position plus `offset` as its sequence number.
    #[inline(always)]
    fn win(&self, index: &AtomicUsize, offset: usize) -> Option<(usize, &Cell<T, A>)> {
        let mut position = index.load(Ordering::Relaxed);
        loop {
            let cell = &self.cells[position & (self.cells.len() - 1)];
            // Acquire: whoever had the cell before is done with it. Pairs with the Release stores below.
            let ahead = cell.sequence.load(Ordering::Acquire).wrapping_sub(position.wrapping_add(offset)) as isize;
            if ahead < 0 {
                return None;
            }
            if ahead > 0 {
                position = index.load(Ordering::Relaxed);
                continue;
            }
            let next = position.wrapping_add(1);
            match index.compare_exchange_weak(position, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some((position, cell)),
                Err(now) => position = now,
            }
        }
    }
}

impl<T: Payload, A> Heap<T> for Vyukov<T, A> {
    #[inline(always)]
    fn push(&self, message: T) -> Result<(), T> {
        let Some((position, cell)) = self.win(&self.tail, 0) else {
            return Err(message);
        };
        // SAFETY: the position is ours, and the message of the lap before was read.
        unsafe { (*cell.message.get()).write(message) };
        cell.sequence.store(position.wrapping_add(1), Ordering::Release);
        Ok(())
    }

    #[inline(always)]
    fn pop(&self) -> Option<T> {
        let (position, cell) = self.win(&self.head, 1)?;
        // SAFETY: the position is ours.
        let message = unsafe { *cell.message.get() };
        // SAFETY: its message was written.
        let message = unsafe { message.assume_init() };
        cell.sequence.store(position.wrapping_add(self.cells.len()), Ordering::Release);
        Some(message)
    }
}
