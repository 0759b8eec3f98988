//! A message that is written, or read, where it lies in the ring.

use super::{Consumer, Producer};
use crate::message::Message;
use std::fmt;
use std::ops::{Deref, DerefMut};
use zerocopy::FromBytes;

const ALIGNED: &str = "an item lies at a multiple of its alignment and has the size of its type";

/// The place of a message, lent by [`Producer::reserve`](super::Producer::reserve). Dropped, the place is skipped.
///
/// It holds what an earlier lap left there, or zeros. A type that is valid in every bit pattern can be written through
/// [`DerefMut`]; any type can be written as a whole with [`write`](Reserved::write), or as bytes.
#[must_use = "dropping it abandons the place: nothing is pushed without `commit`"]
pub struct Reserved<'p, T: Message> {
    pub(super) producer: &'p mut Producer<T>,
}

impl<T: Message> Reserved<'_, T> {
    /// Writes `message` to the place. Nothing is pushed yet.
    pub fn write(&mut self, message: T) {
        self.as_mut_bytes().copy_from_slice(message.as_bytes());
    }

    /// The bytes of the place. The receiver checks them: bytes that are no `T` come out as an error there.
    pub fn as_mut_bytes(&mut self) -> &mut [u8] {
        self.producer.ring.place_mut()
    }

    /// Pushes what lies there. From here on it is delivered, also if we are killed.
    pub fn commit(self) {
        self.producer.ring.commit();
        self.producer.notify();
    }
}

impl<T: Message + FromBytes> Deref for Reserved<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        T::ref_from_bytes(self.producer.ring.place()).expect(ALIGNED)
    }
}

impl<T: Message + FromBytes> DerefMut for Reserved<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        T::mut_from_bytes(self.producer.ring.place_mut()).expect(ALIGNED)
    }
}

impl<T: Message> Drop for Reserved<'_, T> {
    fn drop(&mut self) {
        self.producer.abandon(); // nothing, once it is committed
    }
}

impl<T: Message> fmt::Debug for Reserved<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserved").finish_non_exhaustive()
    }
}

/// A message, lent by [`Consumer::peek`](super::Consumer::peek). Dropped, it is redelivered to any consumer.
#[must_use = "dropping it gives the message back: hand it over with `release`"]
pub struct Peek<'c, T: Message> {
    pub(super) consumer: &'c mut Consumer<T>,
    pub(super) redeliveries: u8,
}

impl<T: Message> Peek<'_, T> {
    /// Hands the message over: it is delivered, and its place may be overwritten.
    pub fn release(self) {
        self.consumer.ring.release();
        self.consumer.notify();
    }

    /// As [`Popped::redelivered`](super::Popped::redelivered).
    pub fn redelivered(&self) -> bool {
        self.redeliveries > 0
    }

    /// As [`Popped::redeliveries`](super::Popped::redeliveries).
    pub fn redeliveries(&self) -> u8 {
        self.redeliveries
    }
}

impl<T: Message + FromBytes> Deref for Peek<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        T::ref_from_bytes(self.consumer.ring.front()).expect(ALIGNED)
    }
}

impl<T: Message> Drop for Peek<'_, T> {
    fn drop(&mut self) {
        self.consumer.give_back(); // nothing, once it is released
    }
}

impl<T: Message> fmt::Debug for Peek<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peek").finish_non_exhaustive()
    }
}
