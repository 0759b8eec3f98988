//! What there is to measure.

use super::channel::Candidate;
use std::fmt;

/// Sizes of messages, in bytes.
pub const SIZES: [usize; 5] = [8, 56, 256, 4096, 65536];
/// Sizes of the chunks of a bulk copy, in bytes, of which the fastest is the limit.
pub const CHUNKS: [usize; 6] = [8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10];
/// Messages that go with one call where they go in batches, and their bytes, at most.
const BATCH: usize = 64;
const BATCH_BYTES: usize = 256 << 10;

/// Between what the messages go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Threads,
    Processes,
}

/// How the messages of a flow are pushed and popped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Calls {
    OneByOne,
    /// Many with one call.
    Batches,
    /// Written where they will lie, and read where they lie.
    InPlace,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    /// A message there, one back, and so on; the time of all together.
    RoundTrip,
    /// The same, and the time of each.
    EachTrip,
    /// Messages one way, as fast as they go.
    Flow { writers: usize, readers: usize, calls: Calls },
    /// Messages one way, one each so many nanoseconds whatever happens, and how late each came.
    Paced { nanoseconds: u64 },
    /// Push and pop, or whatever the candidate does, in one thread.
    Alone,
}

/// One thing to measure.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Job {
    pub candidate: &'static Candidate,
    pub work: Work,
    pub place: Place,
    /// Of one message, or of one chunk.
    pub bytes: usize,
}

impl Work {
    /// One writer, one reader.
    pub const fn flow(calls: Calls) -> Work {
        Work::Flow { writers: 1, readers: 1, calls }
    }

    /// Whether messages go both ways.
    pub fn is_round_trip(self) -> bool {
        matches!(self, Work::RoundTrip | Work::EachTrip)
    }

    /// Whether messages are written and read where they lie.
    pub fn is_in_place(self) -> bool {
        matches!(self, Work::Flow { calls: Calls::InPlace, .. })
    }

    /// Whether how long each message takes is what counts, rather than all together.
    pub fn is_timed(self) -> bool {
        matches!(self, Work::EachTrip | Work::Paced { .. })
    }

    /// Whether there are more ends than cores.
    pub fn is_crowd(self) -> bool {
        matches!(self, Work::Flow { writers, readers, .. } if writers + readers > 2)
    }

    /// The work that [`Display`](fmt::Display) makes this text of.
    fn parse(text: &str) -> Option<Work> {
        let mut words = text.split(':');
        let work = match words.next()? {
            "round-trip" => Work::RoundTrip,
            "each-trip" => Work::EachTrip,
            "alone" => Work::Alone,
            "paced" => Work::Paced { nanoseconds: words.next()?.parse().ok()? },
            "flow" => {
                let (writers, readers) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                let calls = [Calls::OneByOne, Calls::Batches, Calls::InPlace];
                let word = words.next()?;
                Work::Flow { writers, readers, calls: calls.into_iter().find(|calls| calls.word() == word)? }
            }
            _ => return None,
        };
        words.next().is_none().then_some(work)
    }
}

impl Calls {
    fn word(self) -> &'static str {
        match self {
            Calls::OneByOne => "one-by-one",
            Calls::Batches => "batches",
            Calls::InPlace => "in-place",
        }
    }
}

impl Job {
    /// Messages that are pushed, or popped, with one call.
    pub fn batch(&self) -> usize {
        match self.work {
            Work::Flow { calls: Calls::Batches, .. } => BATCH.min(BATCH_BYTES / self.bytes).max(1),
            _ => 1,
        }
    }

    /// Messages that the queue holds: many small ones, and of large ones what stays in the caches.
    pub fn capacity(&self) -> usize {
        match (self.work, self.bytes) {
            (_, 32768..) => 16,
            (Work::RoundTrip | Work::EachTrip, _) => 64,
            (_, 4096..) => 256,
            _ => 1024,
        }
    }

    /// For the other process, which makes the same job of it.
    pub fn arguments(&self) -> [String; 3] {
        [self.candidate.name.into(), self.work.to_string(), self.bytes.to_string()]
    }

    /// The far side's part of a job between processes.
    pub fn of_arguments([name, work, bytes]: [&str; 3], candidates: &[&'static Candidate]) -> Result<Job, String> {
        let candidate = candidates.iter().find(|candidate| candidate.name == name);
        let candidate = candidate.ok_or_else(|| format!("there is no candidate `{name}`"))?;
        let work = Work::parse(work).ok_or_else(|| format!("there is no work `{work}`"))?;
        let bytes = bytes.parse().map_err(|error| format!("`{bytes}` bytes: {error}"))?;
        Ok(Job { candidate, work, place: Place::Processes, bytes })
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Work::RoundTrip => f.write_str("round-trip"),
            Work::EachTrip => f.write_str("each-trip"),
            Work::Alone => f.write_str("alone"),
            Work::Paced { nanoseconds } => write!(f, "paced:{nanoseconds}"),
            Work::Flow { writers, readers, calls } => write!(f, "flow:{writers}:{readers}:{}", calls.word()),
        }
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
