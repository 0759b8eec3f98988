//! What there is to measure.

use std::fmt;

/// Sizes of messages, in bytes.
pub const SIZES: [usize; 4] = [8, 56, 256, 4096];
/// Sizes of the chunks of a bulk copy, in bytes, of which the fastest is the limit.
pub const CHUNKS: [usize; 6] = [8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10];

/// Which ring is measured, beside its rivals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bench {
    Spsc,
    Mpmc,
}

/// Between what the messages go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Threads,
    Processes,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Queue {
    Spsc,
    Mpmc,
    Rtrb,
    Crossbeam,
    Vyukov,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    /// One line there, one line back.
    Lines,
    /// Large pieces of memory from one core to the other.
    Bulk,
    RoundTrip(Queue),
    OneByOne(Queue),
    Batches(Queue),
}

/// One thing to measure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Job {
    pub work: Work,
    pub place: Place,
    /// Of one message, or of one chunk.
    pub bytes: usize,
}

impl Job {
    /// The jobs of all benches, so that a job has a number.
    pub fn all() -> Vec<Job> {
        [Bench::Spsc, Bench::Mpmc].into_iter().flat_map(Job::of).collect()
    }

    pub fn of(bench: Bench) -> Vec<Job> {
        let mut jobs = Vec::new();
        for place in [Place::Threads, Place::Processes] {
            let mut add = |work, bytes| jobs.push(Job { work, place, bytes });
            add(Work::Lines, 8);
            for bytes in CHUNKS {
                add(Work::Bulk, bytes);
            }
            for bytes in SIZES {
                for queue in Queue::of(bench, place) {
                    add(Work::RoundTrip(queue), bytes);
                    add(Work::OneByOne(queue), bytes);
                    if queue.has_batches() {
                        add(Work::Batches(queue), bytes);
                    }
                }
            }
        }
        jobs
    }

    /// Messages that are pushed, or popped, with one call where they go in batches.
    pub fn batch(self) -> usize {
        self.work.queue().map_or(1, Queue::batch)
    }

    /// Messages that the queue holds: many small ones, and of large ones what stays in the caches.
    pub fn capacity(self) -> usize {
        match (self.work, self.bytes) {
            (Work::RoundTrip(_), _) => 64,
            (_, 4096..) => 256,
            _ => 1024,
        }
    }
}

impl Queue {
    /// The queues that can be had there, ours first. The rivals live in one process.
    pub fn of(bench: Bench, place: Place) -> Vec<Queue> {
        match (bench, place) {
            (Bench::Spsc, Place::Threads) => vec![Queue::Spsc, Queue::Rtrb, Queue::Crossbeam],
            (Bench::Spsc, Place::Processes) => vec![Queue::Spsc],
            (Bench::Mpmc, Place::Threads) => vec![Queue::Mpmc, Queue::Crossbeam, Queue::Vyukov],
            (Bench::Mpmc, Place::Processes) => vec![Queue::Mpmc],
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Queue::Spsc | Queue::Mpmc => "ringway",
            Queue::Rtrb => "rtrb",
            Queue::Crossbeam => "ArrayQueue",
            Queue::Vyukov => "plain Vyukov",
        }
    }

    pub fn has_batches(self) -> bool {
        !matches!(self, Queue::Crossbeam | Queue::Vyukov)
    }

    fn batch(self) -> usize {
        if self == Queue::Mpmc { 32 } else { 64 }
    }
}

impl Work {
    pub fn queue(self) -> Option<Queue> {
        match self {
            Work::Lines | Work::Bulk => None,
            Work::RoundTrip(queue) | Work::OneByOne(queue) | Work::Batches(queue) => Some(queue),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Work::Lines => "raw lines",
            Work::Bulk => "bulk copy",
            Work::RoundTrip(queue) | Work::OneByOne(queue) | Work::Batches(queue) => queue.name(),
        }
    }

    pub fn is_round_trip(self) -> bool {
        matches!(self, Work::Lines | Work::RoundTrip(_))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Place::Threads => "threads",
            Place::Processes => "processes",
        })
    }
}
