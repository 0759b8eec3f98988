//! `crossbeam-queue`'s `ArrayQueue`: the bounded queue for many producers and consumers that Rust programs use.
//!
//! It has no answer to the death of a peer and needs none: all ends live and die with their process.
//!
//! Used in the only way that there is. Batches go one by one.

use super::{Contract, Description, Sleeps};
use crate::contract::{Payload, Reader, Writer};
use crossbeam_queue::ArrayQueue;
use std::sync::Arc;

/// What `ArrayQueue` is.
pub static DESCRIPTION: Description = Description {
    name: "crossbeam ArrayQueue",
    version: Some("0.3.14"),
    in_process_only: true,
    multi_producer: true,
    multi_consumer: true,
    has_batches: false,
    tries: true,
    sleeps: Sleeps::Neither,
    contract: Contract::EXACT,
    on_death: None,
    link: "https://crates.io/crates/crossbeam-queue",
};

/// Either end, of which there may be any number.
#[derive(Debug)]
pub struct End<T>(Arc<ArrayQueue<T>>);

impl<T> Clone for End<T> {
    fn clone(&self) -> End<T> {
        End(self.0.clone())
    }
}

/// Two ends of a new queue. Clone them for more.
///
/// # Errors
/// None.
pub fn pair<T: Payload>(capacity: usize) -> Result<(End<T>, End<T>), String> {
    let end = End(Arc::new(ArrayQueue::new(capacity)));
    Ok((end.clone(), end))
}

impl<T: Payload> Writer<T> for End<T> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        self.0.push(message)
    }

    fn push_some(&mut self, messages: &[T]) -> usize {
        messages.iter().take_while(|&&message| self.0.push(message).is_ok()).count()
    }
}

impl<T: Payload> Reader<T> for End<T> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        messages.iter_mut().map_while(|place| self.0.pop().map(|message| *place = message)).count()
    }
}
