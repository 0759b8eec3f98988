//! A message that is written, or read, where it lies in the ring.
#![allow(unsafe_code)]

use crate::message::Message;
use crate::ring::memory::Mapped;
use crate::ring::spsc::{consumer, producer};
use std::fmt;
use std::mem::size_of;
use std::ops::{Deref, DerefMut};
use zerocopy::FromBytes;

/// The place of the next message, lent by [`Producer::reserve`](super::Producer::reserve).
///
/// It holds what an earlier lap left there, or zeros. A type that is valid in every bit pattern can be written through
/// [`DerefMut`]; any type can be written as a whole with [`write`](Reserved::write), or as bytes.
#[must_use = "dropping it abandons the place: nothing is pushed without `commit`"]
pub struct Reserved<'p, T> {
    ring: &'p mut producer::Producer<T, Mapped<T>>,
    item: *mut T,
}

impl<'p, T: Message> Reserved<'p, T> {
    pub(super) fn new(ring: &'p mut producer::Producer<T, Mapped<T>>, item: *mut T) -> Self {
        Reserved { ring, item }
    }

    /// Writes `message` to the place. Nothing is pushed yet.
    pub fn write(&mut self, message: T) -> &mut Self {
        // SAFETY: the place was reserved: it is aligned, as large as a `T`, and nobody else's until it is committed.
        unsafe { self.item.write(message) };
        self
    }

    /// The bytes of the place. The receiver checks them: bytes that are no `T` come out as an error there.
    pub fn as_mut_bytes(&mut self) -> &mut [u8] {
        // SAFETY: as for `write`; shared memory is initialised, and bytes are valid whatever they are.
        unsafe { core::slice::from_raw_parts_mut(self.item.cast(), size_of::<T>()) }
    }

    /// Pushes what lies there. From here on it is the consumer's, also if we are killed.
    pub fn commit(self) {
        self.ring.commit();
    }
}

impl<T: Message + FromBytes> Deref for Reserved<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the place was reserved: it is aligned, as large as a `T`, and nobody else's until it is committed;
        // whatever lies there is a valid `T`, by `FromBytes`.
        unsafe { &*self.item }
    }
}

impl<T: Message + FromBytes> DerefMut for Reserved<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as for `deref`, and we have it exclusively.
        unsafe { &mut *self.item }
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
    ring: &'c mut consumer::Consumer<T, Mapped<T>>,
    item: *const T,
}

impl<'c, T: Message + FromBytes> Peek<'c, T> {
    pub(super) fn new(ring: &'c mut consumer::Consumer<T, Mapped<T>>, item: *const T) -> Self {
        Peek { ring, item }
    }

    /// Hands the message over: it is delivered, and its place may be overwritten.
    pub fn release(self) {
        self.ring.release(1);
    }
}

impl<T: Message + FromBytes> Deref for Peek<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the message is committed, so it is aligned, as large as a `T`, and nobody who keeps to the protocol
        // writes it before we release it; whatever lies there is a valid `T`, by `FromBytes`.
        unsafe { &*self.item }
    }
}

impl<T> fmt::Debug for Peek<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peek").finish_non_exhaustive()
    }
}
