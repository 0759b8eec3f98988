//! The sides of a crowd: several writers and readers of one queue, each in a thread of its own. Where there are more of
//! them than cores, one that finds nothing to do yields after a moment.

use super::contract::{Payload, Reader, Writer};
use super::cores::wait_in_a_crowd;
use super::shared::{POPPED, PUSHED, Shared};
use super::sides::{Side, first_word};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A message is the number of its writer and its own number among those of that writer.
const WRITER_SHIFT: u32 = 48;
/// Messages that a new crowd passes on before it is timed. Each is looked at.
pub const CHECKED: u64 = 20_000;
/// So many times a side goes in the first run.
const FIRST_RUN: u32 = 2;
pub const MOST_WRITERS: usize = 8;

/// Pushes its share of the messages.
pub struct Pushing<T, W> {
    to: W,
    /// One of so many.
    of: usize,
    number: u64,
    went: u32,
    batch: Box<[T]>,
    shared: Arc<Shared>,
}

/// Pops its share of the messages.
pub struct Popping<T, R> {
    from: R,
    of: usize,
    went: u32,
    /// The lowest number that may come next, by writer.
    next: [u64; MOST_WRITERS],
    batch: Box<[T]>,
    shared: Arc<Shared>,
}

impl<T: Payload, W: Writer<T>> Pushing<T, W> {
    pub fn new(to: W, index: usize, of: usize, batch: usize, shared: Arc<Shared>) -> Self {
        assert!(of <= MOST_WRITERS);
        let batch = vec![T::BLANK; batch].into_boxed_slice();
        Pushing { to, of, number: (index as u64) << WRITER_SHIFT, went: 0, batch, shared }
    }

    /// Pushes so many, and sums up what `digest` makes of their numbers.
    #[inline(always)]
    fn push(&mut self, count: u64, digest: impl Fn(u64) -> u64) -> u64 {
        let (mut sum, end) = (0u64, self.number + count);
        if self.batch.len() == 1 {
            for number in self.number..end {
                self.batch[0].stamp(number);
                wait_in_a_crowd(|| self.to.push(self.batch[0]).ok());
                sum = sum.wrapping_add(digest(number));
            }
            self.number = end;
        }
        while self.number < end {
            let size = (end - self.number).min(self.batch.len() as u64) as usize;
            for (message, number) in self.batch[..size].iter_mut().zip(self.number..) {
                message.stamp(number);
                sum = sum.wrapping_add(digest(number));
            }
            let mut pushed = 0;
            while pushed < size {
                pushed += wait_in_a_crowd(|| match self.to.push_some(&self.batch[pushed..size]) {
                    0 => None,
                    count => Some(count),
                });
            }
            self.number += size as u64;
        }
        sum
    }
}

impl<T: Payload, R: Reader<T>> Popping<T, R> {
    pub fn new(from: R, of: usize, batch: usize, shared: Arc<Shared>) -> Self {
        let batch = vec![T::BLANK; batch].into_boxed_slice();
        Popping { from, of, went: 0, next: [0; MOST_WRITERS], batch, shared }
    }

    /// Pops so many, and sums up what `digest` makes of their numbers.
    #[inline(always)]
    fn pop(&mut self, count: u64, mut digest: impl FnMut(&mut [u64; MOST_WRITERS], u64) -> u64) -> u64 {
        let (mut sum, mut difference, mut left) = (0u64, 0, count);
        let mut look = |message: &T, next: &mut [u64; MOST_WRITERS]| {
            let number = first_word(message);
            // That it is the same at both ends; which it should be, we cannot know here.
            difference |= message.differs(number);
            sum = sum.wrapping_add(digest(next, number));
        };
        if self.batch.len() == 1 {
            while left > 0 {
                look(&wait_in_a_crowd(|| self.from.pop()), &mut self.next);
                left -= 1;
            }
        }
        while left > 0 {
            let room = left.min(self.batch.len() as u64) as usize;
            let popped = wait_in_a_crowd(|| match self.from.pop_some(&mut self.batch[..room]) {
                0 => None,
                count => Some(count),
            });
            self.batch[..popped].iter().for_each(|message| look(message, &mut self.next));
            left -= popped as u64;
        }
        assert_eq!(difference, 0, "a message was damaged");
        sum
    }
}

impl<T: Payload, W: Writer<T>> Side for Pushing<T, W> {
    fn go(&mut self, count: u64) {
        let share = count / self.of as u64;
        let sum = if self.went < FIRST_RUN { self.push(share, mixed) } else { self.push(share, |number| number) };
        self.went += 1;
        self.shared.word(PUSHED).fetch_add(sum, Ordering::Release);
    }
}

impl<T: Payload, R: Reader<T>> Side for Popping<T, R> {
    /// In the first run: those of one writer come in the order in which they were pushed, and, as the sums of mixed
    /// numbers are the same, each comes once. Later on plain sums have to do.
    fn go(&mut self, count: u64) {
        let share = count / self.of as u64;
        let sum = if self.went < FIRST_RUN {
            self.pop(share, |next, number| {
                let next = &mut next[(number >> WRITER_SHIFT) as usize];
                assert!(number >= *next, "the messages of one writer are out of order");
                *next = number + 1;
                mixed(number)
            })
        } else {
            self.pop(share, |_, number| number)
        };
        self.went += 1;
        self.shared.word(POPPED).fetch_add(sum, Ordering::Release);
    }
}

/// A number of which no bit tells much of the number that it was made of (SplitMix64).
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
