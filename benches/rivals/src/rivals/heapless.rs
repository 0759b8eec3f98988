//! `heapless::spsc`: a queue for one producer and one consumer in one process, made for small machines without a heap.
//!
//! It has no answer to the death of a peer and needs none: both ends live and die with their process.
//!
//! Used as its documentation says: a queue that is split into a producer and a consumer. Two things to know of its
//! figures: both indices share a cache line, which costs nothing where it is at home, and its capacity is part of its
//! type, so there are the capacities of [`CAPACITIES`] only. They are no powers of two: the ends do not know the capacity
//! at compile time, and divide in any case. Batches go one by one. Its `mpmc` is left out, as its authors advise against
//! using it.

use super::{Contract, Description, Sleeps};
use crate::contract::{self, Payload};
use heapless::spsc::{Consumer, Producer, Queue};
use std::ptr::NonNull;
use std::sync::Arc;

/// What `heapless::spsc` is.
pub static DESCRIPTION: Description = Description {
    name: "heapless spsc",
    version: Some("0.9.3"),
    in_process_only: true,
    multi_producer: false,
    multi_consumer: false,
    has_batches: false,
    tries: true,
    sleeps: Sleeps::Neither,
    contract: Contract::EXACT,
    on_death: None,
    link: "https://crates.io/crates/heapless",
};

/// The capacities that were compiled.
pub const CAPACITIES: [usize; 4] = [16, 64, 256, 1024];

/// The end that is written to.
#[allow(missing_debug_implementations)]
pub struct WriteEnd<T: 'static> {
    // Before the memory that it borrows.
    producer: Producer<'static, T>,
    _memory: Arc<dyn Send + Sync>,
}

/// The end that is read from.
#[allow(missing_debug_implementations)]
pub struct ReadEnd<T: 'static> {
    // Before the memory that it borrows.
    consumer: Consumer<'static, T>,
    _memory: Arc<dyn Send + Sync>,
}

/// The memory of a queue, for as long as one of its ends lives.
struct Memory<T, const N: usize>(NonNull<Queue<T, N>>);

// SAFETY: nothing is done with it but to drop it, once both ends are gone.
unsafe impl<T: Send, const N: usize> Send for Memory<T, N> {}
// SAFETY: as above.
unsafe impl<T: Send, const N: usize> Sync for Memory<T, N> {}

impl<T, const N: usize> Drop for Memory<T, N> {
    fn drop(&mut self) {
        // SAFETY: it was a box, and the ends, which borrowed from it, are dropped before their share of this.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// The two ends of a new queue.
///
/// # Errors
/// The capacity is none of [`CAPACITIES`].
pub fn pair<T: Payload>(capacity: usize) -> Result<(WriteEnd<T>, ReadEnd<T>), String> {
    // A queue of `N` has room for one message less.
    match capacity {
        16 => Ok(split::<T, 17>()),
        64 => Ok(split::<T, 65>()),
        256 => Ok(split::<T, 257>()),
        1024 => Ok(split::<T, 1025>()),
        other => Err(format!(
            "heapless: a capacity of {other} was asked for, but only {CAPACITIES:?} were compiled; ask for one of these"
        )),
    }
}

fn split<T: Payload, const N: usize>() -> (WriteEnd<T>, ReadEnd<T>) {
    // On the heap from the start: it would not fit on a stack.
    let queue = Box::<Queue<T, N>>::new_zeroed();
    // SAFETY: an empty queue is two indices that are 0, and cells that need not be initialised.
    let queue = unsafe { queue.assume_init() };
    let mut queue = NonNull::from(Box::leak(queue));
    let memory = Arc::new(Memory(queue));
    // SAFETY: nobody else refers to it, and it lives as long as `memory`, of which each end keeps a share.
    let (producer, consumer) = unsafe { queue.as_mut() }.split();
    (WriteEnd { producer, _memory: memory.clone() }, ReadEnd { consumer, _memory: memory })
}

impl<T: Payload> contract::Writer<T> for WriteEnd<T> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        self.producer.enqueue(message)
    }

    fn push_some(&mut self, messages: &[T]) -> usize {
        messages.iter().take_while(|&&message| self.producer.enqueue(message).is_ok()).count()
    }
}

impl<T: Payload> contract::Reader<T> for ReadEnd<T> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        self.consumer.dequeue()
    }

    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        messages.iter_mut().map_while(|place| self.consumer.dequeue().map(|message| *place = message)).count()
    }
}
