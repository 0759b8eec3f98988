//! The plain bounded queue of Dmitry Vyukov: what a ring with a sequence number in each cell costs when nobody dies.
//!
//! It has no answer to the death of a peer and needs none: all ends live and die with their process.
//!
//! Written here, as its author describes it. A cell is aligned as in a ring of ringway: to a line, or to a quarter of one
//! where the message is a word. Batches go one by one.

use super::{Contract, Description, Sleeps};
use crate::contract::{Payload, Reader, Writer};
use crossbeam_utils::CachePadded;
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What it is.
pub static DESCRIPTION: Description = Description {
    name: "plain Vyukov",
    version: None,
    in_process_only: true,
    multi_producer: true,
    multi_consumer: true,
    has_batches: false,
    tries: true,
    sleeps: Sleeps::Neither,
    contract: Contract::EXACT,
    on_death: None,
    link: "https://www.1024cores.net/home/lock-free-algorithms/queues/bounded-mpmc-queue",
};

/// Either end, of which there may be any number.
#[allow(missing_debug_implementations)]
pub struct End<T>(Arc<Size<T>>);

/// A queue with cells of the right size.
enum Size<T> {
    Small(Vyukov<T, QuarterOfALine>),
    Large(Vyukov<T, Line>),
}

impl<T> Clone for End<T> {
    fn clone(&self) -> End<T> {
        End(self.0.clone())
    }
}

/// Two ends of a new queue. Clone them for more.
///
/// # Errors
/// The capacity is no power of two.
pub fn pair<T: Payload>(capacity: usize) -> Result<(End<T>, End<T>), String> {
    if !capacity.is_power_of_two() {
        return Err(format!("a capacity of {capacity} was asked for, but it has to be a power of two"));
    }
    let is_small = size_of::<T>() <= 8;
    let queue = if is_small { Size::Small(Vyukov::new(capacity)) } else { Size::Large(Vyukov::new(capacity)) };
    let end = End(Arc::new(queue));
    Ok((end.clone(), end))
}

impl<T: Payload> End<T> {
    #[inline(always)]
    fn try_push(&self, message: T) -> Result<(), T> {
        match &*self.0 {
            Size::Small(queue) => queue.push(message),
            Size::Large(queue) => queue.push(message),
        }
    }

    #[inline(always)]
    fn try_pop(&self) -> Option<T> {
        match &*self.0 {
            Size::Small(queue) => queue.pop(),
            Size::Large(queue) => queue.pop(),
        }
    }
}

impl<T: Payload> Writer<T> for End<T> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        self.try_push(message)
    }

    fn push_some(&mut self, messages: &[T]) -> usize {
        messages.iter().take_while(|&&message| self.try_push(message).is_ok()).count()
    }
}

impl<T: Payload> Reader<T> for End<T> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        self.try_pop()
    }

    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        messages.iter_mut().map_while(|place| self.try_pop().map(|message| *place = message)).count()
    }
}

#[repr(align(16))]
struct QuarterOfALine;
#[repr(align(64))]
struct Line;

struct Cell<T, A> {
    _align: [A; 0],
    sequence: AtomicUsize,
    message: UnsafeCell<MaybeUninit<T>>,
}

struct Vyukov<T, A> {
    tail: CachePadded<AtomicUsize>,
    head: CachePadded<AtomicUsize>,
    cells: Box<[Cell<T, A>]>,
}

// SAFETY: a cell's message is written and read only by who has won its position, one after the other.
unsafe impl<T: Send, A> Sync for Vyukov<T, A> {}
// SAFETY: as above; nothing of `A` is there.
unsafe impl<T: Send, A> Send for Vyukov<T, A> {}

impl<T, A> Vyukov<T, A> {
    fn new(capacity: usize) -> Vyukov<T, A> {
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

impl<T: Payload, A> Vyukov<T, A> {
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
