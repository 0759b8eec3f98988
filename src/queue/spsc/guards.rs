//! A message that is written, or read, where it lies in the ring.

use super::{Consumer, Producer};
use crate::message::Message;
use std::fmt;
use std::ops::{Deref, DerefMut};
use zerocopy::FromBytes;

const ALIGNED: &str = "an item lies at a multiple of its alignment and has the size of its type";

/// The place of the next message, lent by [`Producer::reserve`](super::Producer::reserve).
///
/// It holds what an earlier lap left there, or zeros. A type that is valid in every bit pattern can be written through
/// [`DerefMut`]; any type can be written as a whole with [`write`](Reserved::write), or as bytes.
#[must_use = "dropping it abandons the place: nothing is pushed without `commit`"]
pub struct Reserved<'p, T> {
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

    /// Pushes what lies there. From here on it is the consumer's, also if we are killed.
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

impl<T> fmt::Debug for Reserved<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserved").finish_non_exhaustive()
    }
}

/// The next message, lent by [`Consumer::peek`](super::Consumer::peek).
#[must_use = "dropping it leaves the message in the ring: hand it over with `release`"]
pub struct Peek<'c, T> {
    pub(super) consumer: &'c mut Consumer<T>,
}

impl<T: Message + FromBytes> Peek<'_, T> {
    /// Hands the message over: it is delivered, and its place may be overwritten.
    pub fn release(self) {
        self.consumer.ring.release(1);
        self.consumer.notify();
    }
}

impl<T: Message + FromBytes> Deref for Peek<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        T::ref_from_bytes(self.consumer.ring.front()).expect(ALIGNED)
    }
}

impl<T> fmt::Debug for Peek<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peek").finish_non_exhaustive()
    }
}
