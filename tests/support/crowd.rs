//! An MPMC ring with everything that went into it and came out, and whether it goes on as if nobody had died.

use super::board::board;
use super::cells::Cells;
use super::ledger::{BY_SUCCESSOR, BY_TEST, Numbered, PATIENCE, compare};
use super::sweep::{End, Fate};
use ringway::mpmc::{Consumer, PeerState, Producer, Ring};
use ringway::{TryPopError, TryPushError};
use std::time::Instant;

/// How many messages the rings hold. A batch is not all of it, and the end of a lap is never far.
pub const CAPACITY: usize = 5;

/// The numbers of one producer do not reach those of another.
const PER_PRODUCER: u64 = 500;

#[derive(Debug)]
pub struct Stage<T> {
    pub ring: Ring<T>,
    /// What was committed, by the test and by those who died before the victim came, and is to be delivered.
    pub committed: Vec<u64>,
    /// What the test has popped, and how often it was redelivered.
    pub got: Vec<(u64, u8)>,
    /// How many messages the test has pushed.
    pub pushes: u64,
}

/// What the operation of a victim does unless others get in between.
#[derive(Clone, Debug, Default)]
pub struct Deed {
    /// So many messages are handed over to it ...
    pub takes: usize,
    /// ... of these.
    pub takes_of: Vec<u64>,
    /// What it pushes.
    pub pushes: Vec<u64>,
    /// What it had pushed, and had got, before the operation.
    pub had_pushed: Vec<u64>,
    pub had_got: usize,
    /// What has been in the hands of the dead, and may be redelivered.
    pub touches: Vec<u64>,
}

/// What the survivors do first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum First {
    Pop,
    Push,
}

impl<T: Numbered> Stage<T> {
    /// Pushes the next message of the test's.
    pub fn push(&mut self, producer: &mut Producer<T>) -> Result<(), TryPushError<T>> {
        let number = BY_TEST + self.pushes;
        producer.try_push(T::new(number))?;
        self.pushes += 1;
        self.committed.push(number);
        Ok(())
    }

    /// Pops until nothing is left, or only what `alive`, who is stopped, has in its hands. Without somebody like that,
    /// until all the dead are cleared up after.
    pub fn pop_all(&mut self, alive: Option<u32>) -> Result<(), String> {
        let started = Instant::now();
        let mut consumer = self.ring.consumer();
        loop {
            match consumer.try_pop() {
                Ok(message) => {
                    let number = message.number().ok_or(format!("{message:?} is torn, after {:?}", self.got))?;
                    self.got.push((number, message.redeliveries()));
                }
                Err(TryPopError::Empty) if alive.is_some() || self.is_alone() => return Ok(()),
                Err(TryPopError::Busy { pid }) if alive == Some(pid) => return Ok(()),
                Err(error @ (TryPopError::Empty | TryPopError::Busy { .. })) => {
                    wait(started, &error)?;
                    // It looks for the dead at once.
                    consumer = self.ring.consumer();
                }
                Err(error) => return Err(format!("a pop failed: {error}")),
            }
            if self.got.len() > 10 * CAPACITY {
                return Err(format!("the ring does not get empty: {:?}", self.got));
            }
        }
    }

    /// Pushes until there is no room, or none past `alive`, who is stopped.
    pub fn push_all(&mut self, alive: Option<u32>) -> Result<(), String> {
        let started = Instant::now();
        let mut producer = self.ring.producer();
        let before = self.pushes;
        loop {
            match self.push(&mut producer) {
                Ok(()) => {}
                Err(TryPushError::Full(_)) => return Ok(()),
                Err(TryPushError::Busy { pid, .. }) if alive == Some(pid) => return Ok(()),
                Err(error @ TryPushError::Busy { .. }) => wait(started, &error)?,
                Err(error) => return Err(format!("a push failed: {error}")),
            }
            if self.pushes - before > 10 * CAPACITY as u64 {
                return Err("the ring does not get full".into());
            }
        }
    }

    /// Waits until the kernel says of `pid`, which was killed, that it is dead.
    pub fn wait_for_death_of(&self, pid: u32) {
        let started = Instant::now();
        while self.ring.peers().iter().any(|peer| peer.pid == pid && peer.state != PeerState::Dead) {
            assert!(started.elapsed() < PATIENCE, "{pid} is dead");
            std::thread::yield_now();
        }
    }

    /// Whether nobody else is attached, or was and died and was not cleared up after.
    fn is_alone(&self) -> bool {
        self.ring.peers().iter().all(|peer| peer.pid == std::process::id())
    }

    /// After the death of the victim: the survivors recover by themselves, what was committed is delivered once, and
    /// all goes on. Says whether the operation of the victim had taken effect.
    pub fn settle(mut self, end: End, deed: &Deed, first: First) -> Result<bool, String> {
        let attach = |name: &str| Ring::<T>::open(name).map_err(|error| format!("attaching: {error}"));
        let name = self.ring.name().to_owned();
        let left = Cells::read(&name);
        let (got, pushes) = (self.got.len(), self.pushes as usize);
        let came_first = (end.fate == Fate::SuccessorFirst).then(|| attach(&name)).transpose()?;
        if first == First::Push {
            self.push_all(None)?;
        }
        self.pop_all(None)?;
        let (delivered, expected) = (self.got.len() - got, left.waiting + self.pushes as usize - pushes);
        if delivered != expected {
            board().lost.add(expected.saturating_sub(delivered) as u64);
            return Err(format!("{delivered} messages came, not {expected}: {left:?}, got {:?}", self.got));
        }
        let took_effect = self.account(end, deed)?;
        let successor = came_first.map_or_else(|| attach(&name), Ok)?;
        go_on(&mut self.ring.producer(), &mut successor.consumer())?;
        go_on(&mut successor.producer(), &mut self.ring.consumer())?;
        Ok(took_effect)
    }

    fn account(&self, end: End, deed: &Deed) -> Result<bool, String> {
        let (board, killed) = (board(), end.fate != Fate::Stopped);
        let (seen, got): (_, Vec<u64>) = (board.seen(), self.got.iter().map(|&(number, _)| number).collect());
        let delivered = [seen.as_slice(), &got].concat();
        // What the victim pushed.
        let arrived = deed.pushes.iter().any(|message| delivered.contains(message));
        let said = board.pushed.get() as usize;
        let pushed: Vec<u64> = match (end.returned || said > 0, deed.pushes.first()) {
            (true, Some(&first)) => (first..).take(said).collect(),
            _ if arrived => deed.pushes.clone(),
            _ => Vec::new(),
        };
        if end.returned && killed && pushed != deed.pushes {
            return Err(format!("{said} messages were pushed, not {:?}", deed.pushes));
        }
        let committed = [&self.committed, &deed.had_pushed, &pushed].map(|numbers| numbers.as_slice()).concat();
        // Nothing comes twice, or from nowhere.
        let extra =
            |&(index, message): &(usize, &u64)| !committed.contains(message) || delivered[..index].contains(message);
        let duplicated = delivered.iter().enumerate().filter(extra).count();
        if duplicated > 0 {
            board.duplicated.add(duplicated as u64);
            return Err(format!("committed {committed:?}, seen {seen:?}, got {:?}: {duplicated} too many", self.got));
        }
        // What is missing was handed over to the victim: the whole of its operation.
        let missing: Vec<u64> = committed.iter().copied().filter(|message| !got.contains(message)).collect();
        let taken: Vec<u64> = missing.iter().copied().filter(|number| !seen[..deed.had_got].contains(number)).collect();
        let whole = taken.len() == deed.takes && taken.iter().all(|number| deed.takes_of.contains(number));
        let good = match (end.returned, killed) {
            (true, true) => whole && missing.len() == seen.len(),
            (true, false) => missing.len() == seen.len(),
            _ => taken.is_empty() || whole,
        };
        if !good {
            board.lost.add((missing.len() - seen.len()).max(1) as u64);
            return Err(format!(
                "committed {committed:?}, seen {seen:?}, got {:?}, returned: {}",
                self.got, end.returned
            ));
        }
        self.check_order_and_flags(killed, deed)?;
        Ok(if deed.pushes.is_empty() { !taken.is_empty() } else { !pushed.is_empty() })
    }

    fn check_order_and_flags(&self, killed: bool, deed: &Deed) -> Result<(), String> {
        let (flagged, unflagged): (Vec<_>, Vec<_>) = self.got.iter().partition(|&&(_, redeliveries)| redeliveries > 0);
        let producer = |number: u64| number / PER_PRODUCER;
        for (index, &(earlier, _)) in unflagged.iter().enumerate() {
            if unflagged[index..].iter().any(|&(later, _)| producer(earlier) == producer(later) && later < earlier) {
                return Err(format!("out of order: {:?}", self.got));
            }
        }
        if killed && !flagged.iter().all(|(number, _)| deed.touches.contains(number)) {
            return Err(format!("redelivered, {:?} aside: {:?}", deed.touches, self.got));
        }
        let looked_at = board().looked_at.get();
        if unflagged.iter().any(|&(number, _)| number == looked_at) {
            return Err(format!("{looked_at} was seen by another, and comes as if it were new: {:?}", self.got));
        }
        Ok(())
    }
}

/// For something that must come soon.
fn wait(started: Instant, error: &dyn std::fmt::Display) -> Result<(), String> {
    if started.elapsed() > PATIENCE {
        board().hung.add(1);
        return Err(format!("for {PATIENCE:?}: {error}"));
    }
    std::thread::yield_now();
    Ok(())
}

fn pop_rest<T: Numbered>(consumer: &mut Consumer<T>) -> Result<Vec<u64>, String> {
    let mut got = Vec::new();
    loop {
        match consumer.try_pop() {
            Ok(message) if message.redelivered() => return Err(format!("{message:?} was nobody's before")),
            Ok(message) => got.push(message.number().ok_or(format!("{message:?} is torn, after {got:?}"))?),
            Err(TryPopError::Empty) => return Ok(got),
            Err(error) => return Err(format!("a pop failed: {error}")),
        }
    }
}

/// Two ends go on with an empty ring: nothing comes up that was never committed, and all the room is there, in two laps.
pub fn go_on<T: Numbered>(producer: &mut Producer<T>, consumer: &mut Consumer<T>) -> Result<(), String> {
    let mut numbers = BY_SUCCESSOR..;
    compare("when nothing is left", &[], &pop_rest(consumer)?)?;
    for number in numbers.by_ref().take(2) {
        producer.try_push(T::new(number)).map_err(|error| format!("a push into an empty ring failed: {error}"))?;
        compare("one at a time", &[number], &pop_rest(consumer)?)?;
    }
    let all: Vec<u64> = numbers.by_ref().take(CAPACITY).collect();
    let messages: Vec<T> = all.iter().copied().map(T::new).collect();
    let room = messages.iter().take_while(|&&message| producer.try_push(message).is_ok()).count();
    has_room(room, "one at a time")?;
    if !matches!(producer.try_push(T::new(0)), Err(TryPushError::Full(_))) {
        return Err("more room than the ring has".into());
    }
    compare("filled one at a time", &all, &pop_rest(consumer)?)?;
    has_room(producer.push_slice(&messages).map_err(|error| error.to_string())?, "for a batch")?;
    let mut batch = [T::new(0); CAPACITY];
    let got = consumer.pop_slice(&mut batch).map_err(|error| error.to_string())?;
    let got: Vec<u64> = batch[..*got].iter().map(|message| message.number().unwrap_or(0)).collect();
    compare("filled by a batch", &all, &got)
}

fn has_room(room: usize, how: &str) -> Result<(), String> {
    if room < CAPACITY {
        board().capacity_lost.add((CAPACITY - room) as u64);
        return Err(format!("room for {room} messages of {CAPACITY}, {how}"));
    }
    Ok(())
}
