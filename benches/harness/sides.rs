//! What each side of a measurement does. Every message is verified on its way.

use super::contract::{Payload, Reader, Writer};
use super::cores::wait;
use std::marker::PhantomData;

/// One side of a measurement, on a core of its own.
pub trait Side: Send {
    /// Does its part of `count` round trips, messages or chunks.
    fn go(&mut self, count: u64);
}

/// The number that a message was stamped with.
#[inline(always)]
pub fn first_word<T: Payload>(message: &T) -> u64 {
    let bytes = message.as_bytes().first_chunk().expect("a message has eight bytes at least");
    u64::from_ne_bytes(*bytes)
}

/// Pushes a copy of `message` as soon as there is room.
#[inline(always)]
pub fn send<T: Payload>(to: &mut impl Writer<T>, message: &T) {
    wait(|| to.push(*message).ok());
}

/// Sends a message, waits for it to come back, and so on.
pub struct Ping<T, W, R> {
    to: W,
    from: R,
    number: u64,
    message: T,
}

impl<T: Payload, W: Writer<T>, R: Reader<T>> Ping<T, W, R> {
    pub fn new(to: W, from: R) -> Self {
        Ping { to, from, number: 0, message: T::BLANK }
    }
}

impl<T: Payload, W: Writer<T>, R: Reader<T>> Side for Ping<T, W, R> {
    fn go(&mut self, count: u64) {
        let mut difference = 0;
        for number in self.number..self.number + count {
            self.message.stamp(number);
            send(&mut self.to, &self.message);
            difference |= wait(|| self.from.pop()).differs(number);
        }
        self.number += count;
        assert_eq!(difference, 0, "what came back is not what was sent");
    }
}

/// Sends back whatever comes.
pub struct Pong<T, W, R> {
    to: W,
    from: R,
    _messages: PhantomData<fn(T) -> T>,
}

impl<T: Payload, W: Writer<T>, R: Reader<T>> Pong<T, W, R> {
    pub fn new(to: W, from: R) -> Self {
        Pong { to, from, _messages: PhantomData }
    }
}

impl<T: Payload, W: Writer<T>, R: Reader<T>> Side for Pong<T, W, R> {
    fn go(&mut self, count: u64) {
        for _ in 0..count {
            let message = wait(|| self.from.pop());
            send(&mut self.to, &message);
        }
    }
}

/// Sends one message after the other.
pub struct Source<T, W> {
    to: W,
    number: u64,
    message: T,
}

impl<T: Payload, W: Writer<T>> Source<T, W> {
    pub fn new(to: W) -> Self {
        Source { to, number: 0, message: T::BLANK }
    }
}

impl<T: Payload, W: Writer<T>> Side for Source<T, W> {
    fn go(&mut self, count: u64) {
        for number in self.number..self.number + count {
            self.message.stamp(number);
            send(&mut self.to, &self.message);
        }
        self.number += count;
    }
}

/// Receives one message after the other.
pub struct Sink<T, R> {
    from: R,
    number: u64,
    _messages: PhantomData<fn() -> T>,
}

impl<T: Payload, R: Reader<T>> Sink<T, R> {
    pub fn new(from: R) -> Self {
        Sink { from, number: 0, _messages: PhantomData }
    }
}

impl<T: Payload, R: Reader<T>> Side for Sink<T, R> {
    fn go(&mut self, count: u64) {
        let mut difference = 0;
        for number in self.number..self.number + count {
            difference |= wait(|| self.from.pop()).differs(number);
        }
        self.number += count;
        assert_eq!(difference, 0, "a message was lost, doubled or damaged");
    }
}

/// Sends so many messages with one call, and the rest of them as soon as there is room.
///
/// Each carries its place in its batch, and not a number of its own: to write one into each message, and to read it, takes
/// a quarter of the speed of a good queue.
pub struct BatchSource<T, W> {
    to: W,
    number: u64,
    batch: Box<[T]>,
}

impl<T: Payload, W: Writer<T>> BatchSource<T, W> {
    pub fn new(to: W, batch: usize) -> Self {
        let mut batch = vec![T::BLANK; batch].into_boxed_slice();
        batch.iter_mut().zip(0..).for_each(|(message, place)| message.stamp(place));
        BatchSource { to, number: 0, batch }
    }
}

impl<T: Payload, W: Writer<T>> Side for BatchSource<T, W> {
    fn go(&mut self, count: u64) {
        let end = self.number + count;
        while self.number < end {
            let place = (self.number % self.batch.len() as u64) as usize;
            let size = (end - self.number).min((self.batch.len() - place) as u64) as usize;
            let mut pushed = 0;
            while pushed < size {
                pushed += wait(|| match self.to.push_some(&self.batch[place + pushed..place + size]) {
                    0 => None,
                    count => Some(count),
                });
            }
            self.number += size as u64;
        }
    }
}

/// Receives up to so many messages with one call, and verifies the first and the last of them, as is done with a chunk of
/// a bulk copy.
pub struct BatchSink<T, R> {
    from: R,
    number: u64,
    batch: Box<[T]>,
}

impl<T: Payload, R: Reader<T>> BatchSink<T, R> {
    pub fn new(from: R, batch: usize) -> Self {
        BatchSink { from, number: 0, batch: vec![T::BLANK; batch].into_boxed_slice() }
    }
}

impl<T: Payload, R: Reader<T>> Side for BatchSink<T, R> {
    fn go(&mut self, count: u64) {
        let mut difference = 0;
        let end = self.number + count;
        let sent = self.batch.len() as u64;
        while self.number < end {
            // As much as fits, even beyond the end: what comes there was not sent.
            let popped = wait(|| match self.from.pop_some(&mut self.batch) {
                0 => None,
                count => Some(count),
            });
            // All of them have to be there, whichever we look at.
            let batch = std::hint::black_box(&self.batch[..popped]);
            for place in [0, popped - 1] {
                difference |= batch[place].differs((self.number + place as u64) % sent);
            }
            self.number += popped as u64;
        }
        assert_eq!(difference, 0, "a message was lost, doubled or damaged");
        assert!(self.number == end, "more messages came than were sent");
    }
}

/// One thread that pushes a message and pops it, and so on.
pub struct Both<T, W, R> {
    to: W,
    from: R,
    number: u64,
    message: T,
}

impl<T: Payload, W: Writer<T>, R: Reader<T>> Both<T, W, R> {
    pub fn new(to: W, from: R) -> Self {
        Both { to, from, number: 0, message: T::BLANK }
    }
}

impl<T: Payload, W: Writer<T>, R: Reader<T>> Side for Both<T, W, R> {
    fn go(&mut self, count: u64) {
        let mut difference = 0;
        for number in self.number..self.number + count {
            self.message.stamp(number);
            assert!(self.to.push(self.message).is_ok(), "there is room");
            difference |= self.from.pop().expect("a message").differs(number);
        }
        self.number += count;
        assert_eq!(difference, 0, "what was popped is not what was pushed");
    }
}
