//! The candidates behind one interface.

use super::contract::{Payload, Reader, Writer};
use crossbeam_queue::ArrayQueue;
use ringway::{Lifetime, Options, PopSliceError, PushSliceError, TryPopError, TryPushError, mpmc, spsc};
use std::sync::Arc;

/// The longest batch of the MPMC ring.
const MOST_AT_ONCE: usize = 255;

impl<T: Payload> Writer<T> for spsc::Producer<T> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        match self.try_push(message) {
            Ok(()) => Ok(()),
            Err(TryPushError::Full(message)) => Err(message),
            Err(error) => broken(&error),
        }
    }

    #[inline(always)]
    fn push_some(&mut self, messages: &[T]) -> usize {
        self.push_slice(messages).unwrap_or_else(|error| broken(&error))
    }
}

impl<T: Payload> Reader<T> for spsc::Consumer<T> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        match self.try_pop() {
            Ok(message) => Some(message),
            Err(TryPopError::Empty) => None,
            Err(error) => broken(&error),
        }
    }

    #[inline(always)]
    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        self.pop_slice(messages).unwrap_or_else(|error| broken(&error))
    }
}

impl<T: Payload> Writer<T> for mpmc::Producer<T> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        match self.try_push(message) {
            Ok(()) => Ok(()),
            Err(TryPushError::Full(message) | TryPushError::Busy { message, .. }) => Err(message),
            Err(error) => broken(&error),
        }
    }

    #[inline(always)]
    fn push_some(&mut self, messages: &[T]) -> usize {
        let mut pushed = 0;
        for chunk in messages.chunks(MOST_AT_ONCE) {
            let count = match self.push_slice(chunk) {
                Ok(count) => count,
                Err(PushSliceError::Busy { .. }) => 0,
                Err(error) => broken(&error),
            };
            pushed += count;
            if count < chunk.len() {
                break;
            }
        }
        pushed
    }
}

impl<T: Payload> Reader<T> for mpmc::Consumer<T> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        match self.try_pop() {
            Ok(message) => Some(message.into_inner()),
            Err(TryPopError::Empty | TryPopError::Busy { .. }) => None,
            Err(error) => broken(&error),
        }
    }

    #[inline(always)]
    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        let mut popped = 0;
        for chunk in messages.chunks_mut(MOST_AT_ONCE) {
            let count = match self.pop_slice(chunk) {
                Ok(count) => count.into_inner(),
                Err(PopSliceError::Busy { .. }) => 0,
                Err(error) => broken(&error),
            };
            popped += count;
            if count < chunk.len() {
                break;
            }
        }
        popped
    }
}

#[cold]
fn broken(error: &dyn std::fmt::Debug) -> ! {
    panic!("the ring is broken: {error:?}")
}

impl<T: Payload> Writer<T> for rtrb::Producer<T> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        rtrb::Producer::push(self, message).map_err(|rtrb::PushError::Full(message)| message)
    }

    #[inline(always)]
    fn push_some(&mut self, messages: &[T]) -> usize {
        self.push_partial_slice(messages).0.len()
    }
}

impl<T: Payload> Reader<T> for rtrb::Consumer<T> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        rtrb::Consumer::pop(self).ok()
    }

    #[inline(always)]
    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        self.pop_partial_slice(messages).0.len()
    }
}

/// A queue within one process that all ends share. It has no batches: they go one by one.
pub trait Heap<T>: Send + Sync {
    fn push(&self, message: T) -> Result<(), T>;
    fn pop(&self) -> Option<T>;
}

impl<T: Payload> Heap<T> for ArrayQueue<T> {
    #[inline(always)]
    fn push(&self, message: T) -> Result<(), T> {
        ArrayQueue::push(self, message)
    }

    #[inline(always)]
    fn pop(&self) -> Option<T> {
        ArrayQueue::pop(self)
    }
}

impl<T: Payload, Q: Heap<T>> Writer<T> for Arc<Q> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        Heap::push(&**self, message)
    }

    fn push_some(&mut self, messages: &[T]) -> usize {
        messages.iter().take_while(|&&message| Heap::push(&**self, message).is_ok()).count()
    }
}

impl<T: Payload, Q: Heap<T>> Reader<T> for Arc<Q> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        Heap::pop(&**self)
    }

    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        messages.iter_mut().map_while(|place| Heap::pop(&**self).map(|message| *place = message)).count()
    }
}

/// A name in the system, until this is dropped: then whoever is attached goes on without it.
pub struct Name(String);

impl Drop for Name {
    fn drop(&mut self) {
        // The last one to detach may have been first.
        let _ = spsc::Ring::<u64>::unlink(&self.0);
    }
}

/// Our rings, which are met by name. Even if we are killed, the name goes with the last process that detaches in an
/// orderly way.
pub trait RingOf<T>: Sized {
    type Writer: Writer<T> + 'static;
    type Reader: Reader<T> + 'static;

    fn create(name: String, capacity: usize) -> (Self, Name);
    fn open(name: &str) -> Self;
    fn writer(&self) -> Self::Writer;
    fn reader(&self) -> Self::Reader;
}

fn options(capacity: usize) -> Options {
    Options::new().capacity(capacity).lifetime(Lifetime::LastDetach)
}

impl<T: Payload> RingOf<T> for spsc::Ring<T> {
    type Writer = spsc::Producer<T>;
    type Reader = spsc::Consumer<T>;

    fn create(name: String, capacity: usize) -> (Self, Name) {
        (spsc::Ring::create(&name, &options(capacity)).expect("a new ring"), Name(name))
    }

    fn open(name: &str) -> Self {
        spsc::Ring::open(name).expect("the ring of the near side")
    }

    fn writer(&self) -> Self::Writer {
        self.producer().expect("a free role")
    }

    fn reader(&self) -> Self::Reader {
        self.consumer().expect("a free role")
    }
}

impl<T: Payload> RingOf<T> for mpmc::Ring<T> {
    type Writer = mpmc::Producer<T>;
    type Reader = mpmc::Consumer<T>;

    fn create(name: String, capacity: usize) -> (Self, Name) {
        (mpmc::Ring::create(&name, &options(capacity)).expect("a new ring"), Name(name))
    }

    fn open(name: &str) -> Self {
        mpmc::Ring::open(name).expect("the ring of the near side")
    }

    fn writer(&self) -> Self::Writer {
        self.producer()
    }

    fn reader(&self) -> Self::Reader {
        self.consumer()
    }
}
