//! What the hardware can do: no queue between two cores is faster than these.
#![allow(unsafe_code)]

use super::cores::wait;
use super::shared::Shared;
use super::sides::Side;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;

// The first words of the shared memory are the start signal's.
const PING: usize = 3;
const PONG: usize = 4;
const FIRST_FLAG: usize = 5;
/// Buffers of a bulk copy: the writer fills one while the reader empties the other.
pub const BUFFERS: usize = 2;

/// One line each way, and nothing else: the limit of a round trip.
pub struct PingLines {
    shared: Arc<Shared>,
    turn: u64,
}

/// The side that answers [`PingLines`].
pub struct PongLines {
    shared: Arc<Shared>,
    turn: u64,
}

impl PingLines {
    pub fn new(shared: Arc<Shared>) -> PingLines {
        PingLines { shared, turn: 0 }
    }
}

impl PongLines {
    pub fn new(shared: Arc<Shared>) -> PongLines {
        PongLines { shared, turn: 0 }
    }
}

impl Side for PingLines {
    fn go(&mut self, count: u64) {
        let (ping, pong) = (self.shared.word(PING), self.shared.word(PONG));
        for turn in self.turn + 1..=self.turn + count {
            // Release and Acquire: what a message needs to travel with it.
            ping.store(turn, Ordering::Release);
            wait(|| (pong.load(Ordering::Acquire) == turn).then_some(()));
        }
        self.turn += count;
    }
}

impl Side for PongLines {
    fn go(&mut self, count: u64) {
        let (ping, pong) = (self.shared.word(PING), self.shared.word(PONG));
        for turn in self.turn + 1..=self.turn + count {
            wait(|| (ping.load(Ordering::Acquire) == turn).then_some(()));
            pong.store(turn, Ordering::Release);
        }
        self.turn += count;
    }
}

/// Bytes in large pieces, copied in by one core and out by the other: the limit of bytes per second.
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
pub struct BulkWriter(Bulk);

/// The side that copies out.
pub struct BulkReader(Bulk);

impl BulkWriter {
    pub fn new(shared: Arc<Shared>, chunk: usize) -> BulkWriter {
        BulkWriter(Bulk::new(shared, chunk))
    }
}

impl BulkReader {
    pub fn new(shared: Arc<Shared>, chunk: usize) -> BulkReader {
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
