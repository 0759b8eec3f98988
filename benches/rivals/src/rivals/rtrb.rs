//! `rtrb`: a wait-free ring for one producer and one consumer in one process, made for real-time audio.
//!
//! It has no answer to the death of a peer and needs none: both ends live and die with their process.
//!
//! Used as its documentation says: `push` and `pop` for single messages, each of which is published at once, and the
//! slice functions of its chunks for batches, which publish once a batch.

use super::{Contract, Description, Sleeps};
use crate::contract::{self, Payload};

/// What `rtrb` is.
pub static DESCRIPTION: Description = Description {
    name: "rtrb",
    version: Some("0.4.1"),
    in_process_only: true,
    multi_producer: false,
    multi_consumer: false,
    has_batches: true,
    tries: true,
    sleeps: Sleeps::Neither,
    contract: Contract::EXACT,
    on_death: None,
    link: "https://crates.io/crates/rtrb",
};

/// The end that is written to.
#[derive(Debug)]
pub struct WriteEnd<T>(rtrb::Producer<T>);

/// The end that is read from.
#[derive(Debug)]
pub struct ReadEnd<T>(rtrb::Consumer<T>);

/// The two ends of a new ring.
///
/// # Errors
/// None.
pub fn pair<T: Payload>(capacity: usize) -> Result<(WriteEnd<T>, ReadEnd<T>), String> {
    let (producer, consumer) = rtrb::RingBuffer::new(capacity);
    Ok((WriteEnd(producer), ReadEnd(consumer)))
}

impl<T: Payload> contract::Writer<T> for WriteEnd<T> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        self.0.push(message).map_err(|rtrb::PushError::Full(message)| message)
    }

    #[inline(always)]
    fn push_some(&mut self, messages: &[T]) -> usize {
        self.0.push_partial_slice(messages).0.len()
    }
}

impl<T: Payload> contract::Reader<T> for ReadEnd<T> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        self.0.pop().ok()
    }

    #[inline(always)]
    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        self.0.pop_partial_slice(messages).0.len()
    }
}
