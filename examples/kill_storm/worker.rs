//! A process of the storm: pushes, or pops, in every way there is, until it is killed.

use super::ledger::{BATCH, DELIVERIES, Doing, Ledger, Ledgers, Message, PRODUCERS};
use super::{Random, Result};
use ringway::mpmc::{Consumer, Producer, Ring};
use ringway::{PopSliceError, PushSliceError, ReserveError, TryPopError, TryPushError};
use std::hint::spin_loop;
use std::io::Write;
use std::sync::atomic::Ordering;
use std::thread::yield_now;

/// The sequence of what is written to a place that is then abandoned. Nobody must ever get it.
const ABANDONED: u64 = u64::MAX;

/// Life number `life`, which writes to the ledger `slot`.
pub fn live(ring: &str, ledgers: &Ledgers, slot: usize, life: u64, seed: u64) -> Result<()> {
    // Nobody is left over when the parent is killed.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let mut random = Random(seed);
    let ring = Ring::<Message>::open(ring)?;
    std::io::stdout().write_all(b"attached\n")?;
    let ledger = ledgers.of(slot);
    if slot < PRODUCERS {
        produce(&mut ring.producer(), ledger, life, &mut random)
    } else {
        // SAFETY: the slot is ours until we have ended.
        let deliveries = unsafe { ledger.deliveries() };
        consume(&mut ring.consumer(), ledger, deliveries, &mut random)
    }
}

/// Writes down what it is going to push before it does, and how much that was when it is done.
fn produce(producer: &mut Producer<Message>, ledger: &Ledger, life: u64, random: &mut Random) -> Result<()> {
    let mut next = 0;
    loop {
        let way = random.below(8);
        let count = if way < 3 { 1 + random.below(BATCH as u64) } else { 1 };
        ledger.intended.store(next + count, Ordering::SeqCst);
        ledger.set_doing(Doing::Pushing);
        let pushed = match way {
            0..3 => {
                let batch: Vec<_> = (next..next + count).map(|sequence| Message::new(life, sequence)).collect();
                match producer.push_slice(&batch) {
                    Ok(pushed) => pushed as u64,
                    Err(PushSliceError::Busy { pid }) => busy(ledger, pid),
                    Err(error) => return Err(error.into()),
                }
            }
            3..6 => match producer.try_push(Message::new(life, next)) {
                Ok(()) => 1,
                Err(TryPushError::Full(_)) => 0,
                Err(TryPushError::Busy { pid, .. }) => busy(ledger, pid),
                Err(error) => return Err(error.to_string().into()),
            },
            _ => match producer.reserve() {
                Ok(mut place) if random.below(4) == 0 => {
                    place.write(Message::new(life, ABANDONED));
                    drop(place);
                    0
                }
                Ok(mut place) => {
                    linger(random);
                    *place = Message::new(life, next);
                    place.commit();
                    1
                }
                Err(ReserveError::Full) => 0,
                Err(ReserveError::Busy { pid }) => busy(ledger, pid),
                Err(error) => return Err(error.into()),
            },
        };
        next += pushed;
        ledger.acknowledged.store(next, Ordering::SeqCst);
        if pushed == 0 {
            ledger.set_doing(Doing::Waiting);
            pause(random);
        }
    }
}

/// Pops, and writes down what it got right after.
fn consume(
    consumer: &mut Consumer<Message>,
    ledger: &Ledger,
    deliveries: &mut [Message; DELIVERIES],
    random: &mut Random,
) -> Result<()> {
    loop {
        let delivered = ledger.delivered.load(Ordering::SeqCst) as usize;
        let way = random.below(8);
        let most = if (2..5).contains(&way) { 1 + random.below(BATCH as u64) as usize } else { 1 };
        let Some(room) = deliveries.get_mut(delivered..delivered + most) else {
            return Ok(()); // the ledger is full: leave in an orderly way, for once
        };
        ledger.set_doing(if way < 2 { Doing::Popping } else { Doing::Copying });
        let got = match way {
            0..2 => match consumer.try_pop() {
                Ok(popped) => {
                    room[0] = *popped;
                    Some((1, popped.redelivered()))
                }
                Err(error) => refused(ledger, error)?,
            },
            2..5 => match consumer.pop_slice(room) {
                Ok(popped) => Some((*popped, popped.redelivered())),
                Err(PopSliceError::Busy { pid }) => refused(ledger, TryPopError::Busy { pid })?,
                Err(error) => return Err(error.into()),
            },
            _ => match consumer.peek() {
                Ok(message) if random.below(4) == 0 => {
                    drop(message);
                    None
                }
                Ok(message) => {
                    linger(random);
                    let redelivered = message.redelivered();
                    room[0] = *message;
                    message.release();
                    Some((1, redelivered))
                }
                Err(error) => refused(ledger, error)?,
            },
        };
        match got {
            Some((count, redelivered)) if count > 0 => {
                ledger.set_doing(Doing::Recording);
                ledger.record(count, redelivered);
            }
            _ => {
                ledger.set_doing(Doing::Waiting);
                pause(random);
            }
        }
    }
}

/// Works on a message for a while, now and then: up to 8 microseconds or so. There is a fair chance to be killed at it.
fn linger(random: &mut Random) {
    if random.below(4) == 0 {
        for _ in 0..random.below(256) {
            spin_loop();
        }
    }
}

/// There is nothing to do. Mostly without leaving the CPU, as who is killed while it has left has nothing in its hands.
fn pause(random: &mut Random) {
    match random.below(32) {
        0 => yield_now(),
        _ => spin_loop(),
    }
}

fn busy(ledger: &Ledger, pid: u32) -> u64 {
    ledger.busy_with(pid);
    0
}

fn refused(ledger: &Ledger, error: TryPopError) -> Result<Option<(usize, bool)>> {
    match error {
        TryPopError::Empty => Ok(None),
        TryPopError::Busy { pid } => {
            ledger.busy_with(pid);
            Ok(None)
        }
        error => Err(error.into()),
    }
}
