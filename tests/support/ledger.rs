//! What was pushed, what came out, and whether a ring goes on as if nothing had happened.

use super::board::board;
use core::fmt::Debug;
use ringway::zerocopy::FromBytes;
use ringway::{ClaimError, Message, TryPopError, TryPushError, spsc};
use std::time::{Duration, Instant};

/// How long anything may take that takes microseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// A message that carries a number, and shows when it is not whole.
pub trait Numbered: Message + FromBytes + Copy + Debug {
    /// How a ring of these is called in the output.
    const NAME: &'static str;
    /// A ring of these messages with few cells: its capacity, and how many of them share a cell.
    const CAPACITY: usize;
    const PER_CELL: usize;

    fn new(number: u64) -> Self;
    /// The number, unless bytes of another message, or of none, are among its own.
    fn number(&self) -> Option<u64>;
}

/// Seven of these fit into a cell of one cache line; the ring has four cells.
impl Numbered for u64 {
    const NAME: &'static str = "u64";
    const CAPACITY: usize = 20;
    const PER_CELL: usize = 7;

    fn new(number: u64) -> u64 {
        !number << 32 | number
    }

    fn number(&self) -> Option<u64> {
        let number = self & 0xffff_ffff;
        (*self == u64::new(number)).then_some(number)
    }
}

/// One of these fills three cache lines; the ring has three cells.
impl Numbered for [u64; 16] {
    const NAME: &'static str = "[u64; 16]";
    const CAPACITY: usize = 3;
    const PER_CELL: usize = 1;

    fn new(number: u64) -> [u64; 16] {
        std::array::from_fn(|index| u64::new(number).rotate_left(index as u32))
    }

    fn number(&self) -> Option<u64> {
        let number = self[0].number()?;
        (*self == Self::new(number)).then_some(number)
    }
}

/// Who pushed a message: numbers of the test, of victims and of successors begin at different places.
pub const BY_TEST: u64 = 1_000;
pub const BY_VICTIM: u64 = 2_000;
pub const BY_SUCCESSOR: u64 = 3_000;

/// Takes a role over: at once, as it must be.
pub fn take_over<H>(claim: impl Fn() -> Result<H, ClaimError>) -> Result<H, String> {
    let started = Instant::now();
    let mut attempts = 0;
    loop {
        attempts += 1;
        match claim() {
            Ok(handle) => {
                let board = board();
                board.takeovers.add(1);
                board.takeovers_late.add(u64::from(attempts > 1));
                board.takeover_wait.set(board.takeover_wait.get().max(started.elapsed().as_micros() as u64));
                return Ok(handle);
            }
            Err(ClaimError::RoleTaken { .. }) if started.elapsed() < PATIENCE => std::thread::yield_now(),
            Err(error) => return Err(format!("the role of the dead was not to be had: {error}")),
        }
    }
}

/// Pops until the ring is empty.
pub fn drain<T: Numbered>(consumer: &mut spsc::Consumer<T>) -> Result<Vec<u64>, String> {
    let mut got = Vec::new();
    loop {
        match consumer.try_pop() {
            Ok(message) => got.push(message.number().ok_or(format!("{message:?} is torn, after {got:?}"))?),
            Err(TryPopError::Empty | TryPopError::Closed) => return Ok(got),
            Err(error) => return Err(format!("a pop failed: {error}")),
        }
        if got.len() > 10 * consumer.capacity() {
            return Err(format!("the ring does not get empty: {got:?}"));
        }
    }
}

/// Pushes messages with numbers from `first` on until the ring is full, and returns how many went in.
pub fn fill<T: Numbered>(producer: &mut spsc::Producer<T>, first: u64) -> Result<usize, String> {
    let mut pushed = 0;
    loop {
        match producer.try_push(T::new(first + pushed as u64)) {
            Ok(()) => pushed += 1,
            Err(TryPushError::Full(_)) => return Ok(pushed),
            Err(error) => return Err(format!("a push failed: {error}")),
        }
        if pushed > 10 * producer.capacity() {
            return Err("the ring does not get full".into());
        }
    }
}

/// Counts what was lost and what came twice, or without ever having been committed.
pub fn compare(what: &str, expected: &[u64], got: &[u64]) -> Result<(), String> {
    if expected == got {
        return Ok(());
    }
    let lost = expected.iter().filter(|message| !got.contains(message)).count();
    let extra = |&(index, message): &(usize, &u64)| !expected.contains(message) || got[..index].contains(message);
    let duplicated = got.iter().enumerate().filter(extra).count();
    board().lost.add(lost as u64);
    board().duplicated.add(duplicated as u64);
    Err(format!("{what}: expected {expected:?}, got {got:?}: {lost} lost, {duplicated} too many"))
}

/// Both ends go on with an empty ring: nothing that was never committed comes up, in any lap, and all the room is there.
pub fn go_on<T: Numbered>(producer: &mut spsc::Producer<T>, consumer: &mut spsc::Consumer<T>) -> Result<(), String> {
    let capacity = producer.capacity();
    compare("when nothing is left", &[], &drain(consumer)?)?;
    // One message at a time, for more than a lap: whatever a dead batch has left in a cell would come out.
    let mut number = BY_SUCCESSOR;
    for _ in 0..capacity + 3 * T::PER_CELL {
        number += 1;
        producer.try_push(T::new(number)).map_err(|error| format!("a push into an empty ring failed: {error}"))?;
        compare("one at a time", &[number], &drain(consumer)?)?;
    }
    let room = fill(producer, number)?;
    let all: Vec<u64> = (number..number + capacity as u64).collect();
    if room != capacity {
        return Err(format!("room for {room} messages of {capacity}"));
    }
    compare("filled one at a time", &all, &drain(consumer)?)?;
    let batch: Vec<T> = all.iter().copied().map(T::new).collect();
    let pushed = producer.push_slice(&batch).map_err(|error| error.to_string())?;
    if pushed != capacity {
        return Err(format!("room for a batch of {pushed} messages of {capacity}"));
    }
    compare("filled by a batch", &all, &drain(consumer)?)
}
