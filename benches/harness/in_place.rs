//! Messages that are written where they will lie in the queue, and read where they lie.

use super::contract::{Payload, Reader, Writer};
use super::cores::wait;
use super::sides::Side;
use std::marker::PhantomData;

/// An end that lends the place of the next message.
pub trait LendingWriter<T>: Writer<T> {
    /// Pushes the message that `fill` writes, if there is room.
    fn push_in_place(&mut self, fill: impl FnOnce(&mut [u8])) -> bool;
}

/// An end that lends the next message.
pub trait LendingReader<T>: Reader<T> {
    /// Pops the message that `see` sees, if there is one.
    fn pop_in_place<V>(&mut self, see: impl FnOnce(&T) -> V) -> Option<V>;
}

/// Copies one message after the other to where it will lie: the one copy that is left.
pub struct InPlaceSource<T, W> {
    to: W,
    number: u64,
    message: Box<T>,
}

impl<T: Payload, W: LendingWriter<T>> InPlaceSource<T, W> {
    pub fn new(to: W) -> Self {
        InPlaceSource { to, number: 0, message: Box::new(T::BLANK) }
    }
}

impl<T: Payload, W: LendingWriter<T>> Side for InPlaceSource<T, W> {
    fn go(&mut self, count: u64) {
        for number in self.number..self.number + count {
            self.message.stamp(number);
            wait(|| {
                let done = self.to.push_in_place(|place| place.copy_from_slice(self.message.as_bytes()));
                done.then_some(())
            });
        }
        self.number += count;
    }
}

/// Looks at the first and the last word of each message where it lies, and copies nothing.
pub struct InPlaceSink<T, R> {
    from: R,
    number: u64,
    _messages: PhantomData<fn() -> T>,
}

impl<T: Payload, R: LendingReader<T>> InPlaceSink<T, R> {
    pub fn new(from: R) -> Self {
        InPlaceSink { from, number: 0, _messages: PhantomData }
    }
}

impl<T: Payload, R: LendingReader<T>> Side for InPlaceSink<T, R> {
    fn go(&mut self, count: u64) {
        let mut difference = 0;
        for number in self.number..self.number + count {
            difference |= wait(|| self.from.pop_in_place(|message| message.differs(number)));
        }
        self.number += count;
        assert_eq!(difference, 0, "a message was lost, doubled or damaged");
    }
}
