//! Both ends of an SPSC ring, and whether it goes on as if nothing had happened.

use super::board::board;
use super::ledger::{BY_SUCCESSOR, Numbered, PATIENCE, compare};
use ringway::{ClaimError, TryPopError, TryPushError, spsc};
use std::time::Instant;

/// A message of a ring with few cells.
pub trait Packed: Numbered {
    const CAPACITY: usize;
    /// How many of them share a cell.
    const PER_CELL: usize;
}

/// Seven of these fit into a cell of one cache line; the ring has four cells.
impl Packed for u64 {
    const CAPACITY: usize = 20;
    const PER_CELL: usize = 7;
}

/// One of these fills three cache lines; the ring has three cells.
impl Packed for [u64; 16] {
    const CAPACITY: usize = 3;
    const PER_CELL: usize = 1;
}

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

/// Both ends go on with an empty ring: nothing that was never committed comes up, in any lap, and all the room is there.
pub fn go_on<T: Packed>(producer: &mut spsc::Producer<T>, consumer: &mut spsc::Consumer<T>) -> Result<(), String> {
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
