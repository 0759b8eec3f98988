//! What the hardware can do: no queue between two cores is faster than these.
#![allow(unsafe_code)]

use super::channel::{Candidate, Part, Session, Sides};
use super::contract::{Reader, Writer};
use super::cores::wait;
use super::job::{Job, Work};
use super::shared::{FREE, Shared};
use super::sides::Side;
use super::timed::{Latencies, PacedSink, PacedSource, time_each};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const PING: usize = FREE;
const PONG: usize = FREE + 1;
const FIRST_FLAG: usize = FREE + 2;
/// Buffers of a bulk copy: the writer fills one while the reader empties the other.
const BUFFERS: usize = 2;

/// One line there, another one back: what a message and its answer need at least.
pub static TWO_LINES: Candidate = limit("two bare lines", |job, session, part| lines(job, session, part, PONG));
/// One line there and back, written by both sides in turn.
pub static ONE_LINE: Candidate = limit("one bare line", |job, session, part| lines(job, session, part, PING));
/// Large pieces of memory from one core to the other: the limit of bytes per second.
pub static BULK: Candidate = limit("bulk copy", |job, session, part| {
    let shared = || session.shared.clone();
    let near = part.near(|| Box::new(BulkReader::new(shared(), job.bytes)));
    Ok(alone(near, part.far(|| Box::new(BulkWriter::new(shared(), job.bytes)))))
});
/// One exchange on a line that nobody else wants: what a claim costs at least.
pub static EXCHANGE: Candidate = limit("one exchange", |_, session, part| {
    Ok(alone(part.near(|| Box::new(Exchange(session.shared.clone()))), Vec::new()))
});
/// One copy of a message in the caches of one core.
pub static COPY: Candidate = limit("one memcpy", |job, session, part| {
    let (shared, message) = (session.shared.clone(), vec![0; job.bytes].into_boxed_slice());
    let side = Copy { shared, places: job.capacity(), message, copied: 0 };
    Ok(alone(part.near(|| Box::new(side)), Vec::new()))
});

type MakeSides = fn(&Job, &Session, Part) -> Result<Sides, String>;

const fn limit(name: &'static str, sides: MakeSides) -> Candidate {
    Candidate { name, across: true, crowds: false, sides }
}

fn alone(near: Vec<Box<dyn Side>>, far: Vec<Box<dyn Side>>) -> Sides {
    Sides { near, far, until_met: Box::new(()) }
}

/// Bytes of buffers that both sides of a job share.
pub fn buffers_of(job: &Job) -> usize {
    match job.candidate {
        candidate if *candidate == BULK => job.bytes * BUFFERS,
        // As many places as a ring has, so that it is a copy within the same cache.
        candidate if *candidate == COPY => job.bytes * job.capacity(),
        _ => 0,
    }
}

fn lines(job: &Job, session: &Session, part: Part, pong: usize) -> Result<Sides, String> {
    if let Work::Paced { nanoseconds } = job.work {
        let end = || OneMessage { shared: session.shared.clone(), last: 0 };
        let near = part.near(|| Box::new(PacedSink::new(end(), nanoseconds, session.latencies.clone())));
        return Ok(alone(near, part.far(|| Box::new(PacedSource::new(end(), nanoseconds)))));
    }
    let near = part.near(|| {
        let latencies = (job.work == Work::EachTrip).then(|| session.latencies.clone());
        Box::new(Ping { shared: session.shared.clone(), pong, turn: 0, latencies })
    });
    Ok(alone(near, part.far(|| Box::new(Pong { shared: session.shared.clone(), pong, turn: 0 }))))
}

/// The side that begins. A turn has two numbers: odd is there, even is back.
struct Ping {
    shared: Arc<Shared>,
    pong: usize,
    turn: u64,
    latencies: Option<Latencies>,
}

/// The side that answers.
struct Pong {
    shared: Arc<Shared>,
    pong: usize,
    turn: u64,
}

#[inline(always)]
fn trip(ping: &AtomicU64, pong: &AtomicU64, turn: u64) {
    // Release and Acquire: what a message needs to travel with it.
    ping.store(turn * 2 + 1, Ordering::Release);
    wait(|| (pong.load(Ordering::Acquire) == turn * 2 + 2).then_some(()));
}

impl Side for Ping {
    fn go(&mut self, count: u64) {
        let (ping, pong) = (self.shared.word(PING), self.shared.word(self.pong));
        let turns = self.turn..self.turn + count;
        match &self.latencies {
            None => turns.for_each(|turn| trip(ping, pong, turn)),
            Some(latencies) => time_each(latencies, turns, |turn| trip(ping, pong, turn)),
        }
        self.turn += count;
    }
}

impl Side for Pong {
    fn go(&mut self, count: u64) {
        let (ping, pong) = (self.shared.word(PING), self.shared.word(self.pong));
        for turn in self.turn..self.turn + count {
            wait(|| (ping.load(Ordering::Acquire) == turn * 2 + 1).then_some(()));
            pong.store(turn * 2 + 2, Ordering::Release);
        }
        self.turn += count;
    }
}

/// A line for a message, and one that says that it was read. No message is the same as the one before.
struct OneMessage {
    shared: Arc<Shared>,
    last: u64,
}

impl Writer<[u64; 1]> for OneMessage {
    #[inline(always)]
    fn push(&mut self, message: [u64; 1]) -> Result<(), [u64; 1]> {
        if self.shared.word(PONG).load(Ordering::Acquire) != self.last {
            return Err(message);
        }
        [self.last] = message;
        self.shared.word(PING).store(self.last, Ordering::Release);
        Ok(())
    }

    fn push_some(&mut self, messages: &[[u64; 1]]) -> usize {
        messages.iter().take_while(|&&message| self.push(message).is_ok()).count()
    }
}

impl Reader<[u64; 1]> for OneMessage {
    #[inline(always)]
    fn pop(&mut self) -> Option<[u64; 1]> {
        let message = self.shared.word(PING).load(Ordering::Acquire);
        if message == self.last {
            return None;
        }
        self.last = message;
        self.shared.word(PONG).store(message, Ordering::Release);
        Some([message])
    }

    fn pop_some(&mut self, messages: &mut [[u64; 1]]) -> usize {
        messages.iter_mut().map_while(|place| self.pop().map(|message| *place = message)).count()
    }
}

struct Exchange(Arc<Shared>);

impl Side for Exchange {
    fn go(&mut self, count: u64) {
        let word = self.0.word(FREE);
        let start = word.load(Ordering::Relaxed);
        for number in start..start + count {
            let exchanged = word.compare_exchange(number, number + 1, Ordering::AcqRel, Ordering::Relaxed);
            assert!(exchanged.is_ok(), "nobody else writes here");
        }
    }
}

struct Copy {
    shared: Arc<Shared>,
    /// So many, to which messages go in turn.
    places: usize,
    message: Box<[u8]>,
    copied: usize,
}

impl Side for Copy {
    fn go(&mut self, count: u64) {
        let bytes = self.message.len();
        for _ in 0..count {
            let place = self.shared.buffer(self.copied % self.places * bytes, bytes);
            self.copied += 1;
            self.message[0] = self.copied as u8;
            // SAFETY: the place has so many bytes, and nobody else is there.
            unsafe { place.copy_from_nonoverlapping(NonNull::from(&*self.message).cast(), bytes) };
            std::hint::black_box(place);
        }
    }
}

/// Bytes in large pieces, copied in by one core and out by the other.
///
/// A flag for each buffer says how often it was filled and emptied: odd is full.
struct Bulk {
    shared: Arc<Shared>,
    chunk: usize,
    /// Of our own, and as large as a chunk, so that it stays in our caches: the copy between the cores is what counts.
    private: Box<[u64]>,
    passed: u64,
}

impl Bulk {
    fn new(shared: Arc<Shared>, chunk: usize) -> Bulk {
        Bulk { shared, chunk, private: vec![0; chunk / 8].into_boxed_slice(), passed: 0 }
    }

    /// Waits until the next buffer is full, or empty, lets `pass` do with it what it wants, and says that it did.
    #[inline(always)]
    fn pass(&mut self, full: bool, copy: impl FnOnce(NonNull<u8>, &mut [u64], u64)) {
        let index = (self.passed % BUFFERS as u64) as usize;
        let turn = self.passed / BUFFERS as u64 * 2 + u64::from(full);
        let flag = self.shared.word(FIRST_FLAG + index);
        // Acquire: the other side is done with the buffer. Pairs with its Release store below.
        wait(|| (flag.load(Ordering::Acquire) == turn).then_some(()));
        copy(self.shared.buffer(index * self.chunk, self.chunk), &mut self.private, self.passed);
        flag.store(turn + 1, Ordering::Release);
        self.passed += 1;
    }
}

/// The side that copies in.
struct BulkWriter(Bulk);

/// The side that copies out.
struct BulkReader(Bulk);

impl BulkWriter {
    fn new(shared: Arc<Shared>, chunk: usize) -> BulkWriter {
        BulkWriter(Bulk::new(shared, chunk))
    }
}

impl BulkReader {
    fn new(shared: Arc<Shared>, chunk: usize) -> BulkReader {
        BulkReader(Bulk::new(shared, chunk))
    }
}

impl Side for BulkWriter {
    fn go(&mut self, count: u64) {
        for _ in 0..count {
            self.0.pass(false, |buffer, private, passed| {
                private[0] = passed;
                private[private.len() - 1] = passed;
                // SAFETY: the buffer is as long as `private`, and ours while its flag says that it is empty.
                unsafe {
                    buffer.cast().copy_from_nonoverlapping(NonNull::from(&*private).cast::<u64>(), private.len())
                };
            });
        }
    }
}

impl Side for BulkReader {
    fn go(&mut self, count: u64) {
        for _ in 0..count {
            self.0.pass(true, |buffer, private, passed| {
                // SAFETY: the buffer is as long as `private`, and ours while its flag says that it is full.
                unsafe {
                    buffer.cast().copy_to_nonoverlapping(NonNull::from(&mut *private).cast::<u64>(), private.len())
                };
                assert_eq!((private[0], private[private.len() - 1]), (passed, passed), "a chunk came out of order");
            });
        }
    }
}
