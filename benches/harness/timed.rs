//! Sides that time each message.
//!
//! A flow at a fixed rate has a schedule that nothing changes: the time of a message counts from when it should have been
//! sent, whether or not the writer could do so. Otherwise a queue that stops everybody for a while would be late for one
//! message only, the one that it stopped (*coordinated omission*).

use super::contract::{Payload, Reader, Writer};
use super::cores::wait;
use super::sides::{Side, first_word, send};
use hdrhistogram::Histogram;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

/// The longest time that is told from longer ones.
const LONGEST: u64 = 10_000_000_000;
/// A schedule begins so long after the writer is ready.
const LEAD: u64 = 2_000;

/// Nanoseconds that the messages of the last run took.
pub type Latencies = Arc<Mutex<Histogram<u64>>>;

pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("bounds that make sense")
}

/// Nanoseconds of a clock that all processes share.
#[inline(always)]
fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Sends a message, waits for it to come back, notes how long that took, and so on.
pub struct TimedPing<T, W, R> {
    to: W,
    from: R,
    number: u64,
    message: T,
    latencies: Latencies,
}

impl<T: Payload, W: Writer<T>, R: Reader<T>> TimedPing<T, W, R> {
    pub fn new(to: W, from: R, latencies: Latencies) -> Self {
        TimedPing { to, from, number: 0, message: T::BLANK, latencies }
    }
}

impl<T: Payload, W: Writer<T>, R: Reader<T>> Side for TimedPing<T, W, R> {
    fn go(&mut self, count: u64) {
        let mut difference = 0;
        time_each(&self.latencies, self.number..self.number + count, |number| {
            self.message.stamp(number);
            send(&mut self.to, &self.message);
            difference |= wait(|| self.from.pop()).differs(number);
        });
        self.number += count;
        assert_eq!(difference, 0, "what came back is not what was sent");
    }
}

/// Notes how long each takes.
pub fn time_each(latencies: &Latencies, numbers: std::ops::Range<u64>, mut each: impl FnMut(u64)) {
    let mut latencies = latencies.lock().expect("nobody panicked");
    // What was noted before was the warm-up, or has been fetched.
    latencies.reset();
    for number in numbers {
        let start = now();
        each(number);
        latencies.saturating_record(now() - start);
    }
}

/// Sends messages on schedule, each with the time at which it should be sent.
pub struct PacedSource<T, W> {
    to: W,
    nanoseconds: u64,
    message: T,
}

impl<T: Payload, W: Writer<T>> PacedSource<T, W> {
    pub fn new(to: W, nanoseconds: u64) -> Self {
        PacedSource { to, nanoseconds, message: T::BLANK }
    }
}

impl<T: Payload, W: Writer<T>> Side for PacedSource<T, W> {
    fn go(&mut self, count: u64) {
        let start = now() + LEAD;
        for number in 0..count {
            let due = start + number * self.nanoseconds;
            while now() < due {}
            self.message.stamp(due);
            send(&mut self.to, &self.message);
        }
    }
}

/// Receives them, and notes how late each is.
pub struct PacedSink<T, R> {
    from: R,
    nanoseconds: u64,
    latencies: Latencies,
    _messages: PhantomData<fn() -> T>,
}

impl<T: Payload, R: Reader<T>> PacedSink<T, R> {
    pub fn new(from: R, nanoseconds: u64, latencies: Latencies) -> Self {
        PacedSink { from, nanoseconds, latencies, _messages: PhantomData }
    }
}

impl<T: Payload, R: Reader<T>> Side for PacedSink<T, R> {
    fn go(&mut self, count: u64) {
        let mut latencies = self.latencies.lock().expect("nobody panicked");
        latencies.reset();
        let (mut difference, mut due) = (0, 0);
        for number in 0..count {
            let message = wait(|| self.from.pop());
            let came = now();
            // The first one says when the schedule began; of the others we know when they were due.
            due = if number == 0 { first_word(&message) } else { due + self.nanoseconds };
            difference |= message.differs(due);
            latencies.saturating_record(came.saturating_sub(due));
        }
        assert_eq!(difference, 0, "a message was lost, doubled or damaged");
    }
}
