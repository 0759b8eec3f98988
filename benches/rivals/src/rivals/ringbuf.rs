//! `ringbuf`: a lock-free ring for one producer and one consumer in one process.
//!
//! It has no answer to the death of a peer and needs none: both ends live and die with their process.
//!
//! Used as its documentation recommends: a `HeapRb`, split into its caching ends, which look at the other side's index
//! only when they have to; `push_slice` and `pop_slice` for batches.

use super::{Contract, Description, Sleeps};
use crate::contract::{self, Payload};
use ringbuf::traits::{Consumer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

/// What `ringbuf` is.
pub static DESCRIPTION: Description = Description {
    name: "ringbuf",
    version: Some("0.6.0"),
    in_process_only: true,
    multi_producer: false,
    multi_consumer: false,
    has_batches: true,
    tries: true,
    sleeps: Sleeps::Neither,
    contract: Contract::EXACT,
    on_death: None,
    link: "https://crates.io/crates/ringbuf",
};

/// The end that is written to.
#[allow(missing_debug_implementations)]
pub struct WriteEnd<T>(HeapProd<T>);

/// The end that is read from.
#[allow(missing_debug_implementations)]
pub struct ReadEnd<T>(HeapCons<T>);

/// The two ends of a new ring.
///
/// # Errors
/// None.
pub fn pair<T: Payload>(capacity: usize) -> Result<(WriteEnd<T>, ReadEnd<T>), String> {
    let (producer, consumer) = HeapRb::new(capacity).split();
    Ok((WriteEnd(producer), ReadEnd(consumer)))
}

impl<T: Payload> contract::Writer<T> for WriteEnd<T> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        self.0.try_push(message)
    }

    #[inline(always)]
    fn push_some(&mut self, messages: &[T]) -> usize {
        self.0.push_slice(messages)
    }
}

impl<T: Payload> contract::Reader<T> for ReadEnd<T> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        self.0.try_pop()
    }

    #[inline(always)]
    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        self.0.pop_slice(messages)
    }
}
