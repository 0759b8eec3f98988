//! What there is to measure.

use std::fmt;

/// Sizes of messages, in bytes.
pub const SIZES: [usize; 4] = [8, 56, 256, 4096];
/// Sizes of the chunks of a bulk copy, in bytes, of which the fastest is the limit.
pub const CHUNKS: [usize; 6] = [8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10];

/// Between what the messages go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Threads,
    Processes,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Queue {
    Ringway,
    Rtrb,
    Crossbeam,
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
    pub fn all() -> Vec<Job> {
        let mut jobs = Vec::new();
        for place in [Place::Threads, Place::Processes] {
            let mut add = |work, bytes| jobs.push(Job { work, place, bytes });
            add(Work::Lines, 8);
            for bytes in CHUNKS {
                add(Work::Bulk, bytes);
            }
            for bytes in SIZES {
                for queue in Queue::of(place) {
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
    /// The queues that can be had there. The rivals live in one process.
    pub fn of(place: Place) -> Vec<Queue> {
        match place {
            Place::Threads => vec![Queue::Ringway, Queue::Rtrb, Queue::Crossbeam],
            Place::Processes => vec![Queue::Ringway],
        }
    }

    pub fn has_batches(self) -> bool {
        self != Queue::Crossbeam
    }
}

impl Work {
    pub fn name(self) -> &'static str {
        match self {
            Work::Lines => "raw lines",
            Work::Bulk => "bulk copy",
            Work::RoundTrip(queue) | Work::OneByOne(queue) | Work::Batches(queue) => match queue {
                Queue::Ringway => "ringway",
                Queue::Rtrb => "rtrb",
                Queue::Crossbeam => "ArrayQueue",
            },
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
