//! Victims that push or pop.

use super::board::board;
use super::ledger::{BY_SUCCESSOR, BY_TEST, BY_VICTIM, compare};
use super::names;
use super::pair::{Packed, drain, fill, go_on, take_over};
use super::sweep::{End, Fate, Scene};
use super::victim::{have_a_child, window};
use core::marker::PhantomData;
use ringway::spsc::{Consumer, Peer, Producer, Ring};
use ringway::{ClaimError, Options, TryPushError};

/// Where the ring stands before the victim's operation.
#[derive(Clone, Debug)]
pub struct State {
    pub name: &'static str,
    /// Messages that have been pushed and popped: where head is.
    pub popped: usize,
    /// Messages that the test has pushed and nobody has popped.
    pub filled: usize,
    /// Operations like the one to be looked at that the victim has done before, one message each.
    pub warm: usize,
    /// Messages that the survivor pops right before the operation, when the victim has seen the ring without that room.
    pub taken: usize,
    /// Whether the victim has a child that outlives it. A child has no part in what its parent holds.
    pub parent: bool,
}

/// How the victim pushes, or pops.
#[derive(Clone, Copy, Debug)]
pub enum How {
    One,
    Batch(usize),
    InPlace,
}

impl How {
    fn wanted(self) -> usize {
        match self {
            How::Batch(messages) => messages,
            How::One | How::InPlace => 1,
        }
    }
}

/// A ring of which the test has one end.
#[derive(Debug)]
pub struct Stage<T, End> {
    pub ring: Ring<T>,
    pub survivor: End,
    /// What has been pushed, and what the survivor has popped.
    pub pushed: Vec<u64>,
    pub got: Vec<u64>,
}

fn set_up<T: Packed>(name: &str, state: &State) -> (Ring<T>, Producer<T>, Consumer<T>, Vec<u64>) {
    let ring = Ring::<T>::create(name, &Options::new().capacity(T::CAPACITY).processes(4)).expect("a ring");
    let mut producer = ring.producer().expect("the producer's role");
    let mut consumer = ring.consumer().expect("the consumer's role");
    for number in 0..state.popped as u64 {
        producer.try_push(T::new(number)).expect("room");
        consumer.try_pop().expect("a message");
    }
    let numbers: Vec<u64> = (BY_TEST..).take(state.filled).collect();
    for &number in &numbers {
        producer.try_push(T::new(number)).expect("room");
    }
    (ring, producer, consumer, numbers)
}

fn is_refused<H>(claim: Result<H, ClaimError>, holder: u32) -> Result<(), String> {
    match claim {
        Err(ClaimError::RoleTaken { pid, .. }) if pid == holder => Ok(()),
        Err(error) => Err(format!("while {holder} was stopped: {error}")),
        Ok(_) => Err(format!("{holder} was robbed of its role while it was stopped")),
    }
}

fn died(peer: Peer, end: End) -> Result<(), String> {
    if peer == (Peer::Dead { pid: end.pid }) {
        Ok(())
    } else {
        Err(format!("after the death of {}: {peer:?}", end.pid))
    }
}

/// The victim pushes.
#[derive(Debug)]
pub struct Pushing<T> {
    name: String,
    pub how: How,
    pub state: State,
    _of: PhantomData<T>,
}

impl<T: Packed> Pushing<T> {
    pub fn new(how: How, state: State) -> Self {
        Pushing { name: names::fresh(), how, state, _of: PhantomData }
    }

    pub fn ring_name(&self) -> &str {
        &self.name
    }

    /// Everything goes on, and what came out is what was committed before, with all or nothing of `in_flight`. Says
    /// whether it was all.
    pub fn go_on_after(mut stage: Stage<T, Consumer<T>>, end: End, in_flight: &[u64]) -> Result<bool, String> {
        let consumer = &mut stage.survivor;
        if end.fate != Fate::SuccessorFirst {
            stage.got.extend(drain(consumer)?);
        }
        let successor = Ring::<T>::open(stage.ring.name()).map_err(|error| error.to_string())?;
        let mut producer = take_over(|| successor.producer())?;
        if end.fate == Fate::SuccessorFirst {
            stage.got.extend(drain(consumer)?);
        }
        let committed = stage.got.len() > stage.pushed.len();
        if committed || board().pushed.get() > 0 {
            stage.pushed.extend(in_flight);
        }
        compare("committed", &stage.pushed, &stage.got)?;
        go_on(&mut producer, consumer)?;
        Ok(committed)
    }
}

impl<T: Packed> Scene for Pushing<T> {
    type Stage = Stage<T, Consumer<T>>;

    fn victim(&self) {
        let ring = Ring::<T>::open(&self.name).expect("a ring");
        let mut producer = ring.producer().expect("the producer's role");
        if self.state.parent {
            have_a_child();
        }
        let mut numbers = BY_VICTIM..;
        for number in numbers.by_ref().take(self.state.warm) {
            producer.try_push(T::new(number)).expect("room");
        }
        let messages: Vec<T> = numbers.take(self.how.wanted()).map(T::new).collect();
        match self.how {
            How::One => window(|| match producer.try_push(messages[0]) {
                Ok(()) => board().pushed.set(1),
                Err(TryPushError::Full(_)) => {}
                Err(error) => panic!("{error}"),
            }),
            How::Batch(_) => window(|| {
                let pushed = producer.push_slice(&messages).expect("an intact ring");
                board().pushed.set(pushed as u64);
            }),
            How::InPlace => window(|| {
                if let Ok(mut place) = producer.reserve() {
                    place.write(messages[0]);
                    place.commit();
                    board().pushed.set(1);
                }
            }),
        }
    }

    fn set(&self) -> Self::Stage {
        let (ring, _, consumer, pushed) = set_up(&self.name, &self.state);
        Stage { ring, survivor: consumer, pushed, got: Vec::new() }
    }

    fn before(&self, stage: &mut Self::Stage) {
        stage.pushed.extend((BY_VICTIM..).take(self.state.warm));
        for _ in 0..self.state.taken {
            stage.got.extend(stage.survivor.try_pop().expect("a message").number());
        }
    }

    fn meanwhile(&self, stage: &mut Self::Stage, pid: u32) -> Result<(), String> {
        is_refused(stage.ring.producer(), pid)?;
        stage.got.extend(drain(&mut stage.survivor)?);
        Ok(())
    }

    fn judge(&self, stage: Self::Stage, end: End) -> Result<bool, String> {
        died(stage.survivor.peer(), end)?;
        let room = T::CAPACITY - (stage.pushed.len() - self.state.taken);
        let fits = room.min(self.how.wanted());
        let pushed = board().pushed.get() as usize;
        let in_flight = match end.fate {
            Fate::Stopped if (fits..=self.how.wanted()).contains(&pushed) => pushed, // the survivor has made room
            _ if !end.returned || pushed == fits => fits,
            _ => return Err(format!("{pushed} messages were pushed, room was for {fits}")),
        };
        let in_flight: Vec<u64> = (BY_VICTIM + self.state.warm as u64..).take(in_flight).collect();
        Pushing::go_on_after(stage, end, &in_flight)
    }
}

/// The victim pops.
#[derive(Debug)]
pub struct Popping<T> {
    name: String,
    pub how: How,
    pub state: State,
    _of: PhantomData<T>,
}

impl<T: Packed> Popping<T> {
    pub fn new(how: How, state: State) -> Self {
        Popping { name: names::fresh(), how, state, _of: PhantomData }
    }

    pub fn ring_name(&self) -> &str {
        &self.name
    }

    /// Everything goes on. What the victim's application has got it does not get again; what head has passed was handed
    /// over; and all the rest comes to the successor. Says how many were handed over.
    pub fn go_on_after(mut stage: Stage<T, Producer<T>>, end: End) -> Result<usize, String> {
        let producer = &mut stage.survivor;
        let handed_over = stage.pushed.len() - producer.len();
        let seen = board().seen();
        if seen.len() > handed_over || seen != stage.pushed[..seen.len()] {
            compare("seen by the application", &stage.pushed[..handed_over], &seen)?;
        }
        if end.fate == Fate::SurvivorFirst {
            let pushed = fill(producer, BY_SUCCESSOR)?;
            stage.pushed.extend((BY_SUCCESSOR..).take(pushed));
        }
        let successor = Ring::<T>::open(stage.ring.name()).map_err(|error| error.to_string())?;
        let mut consumer = take_over(|| successor.consumer())?;
        compare("left to the successor", &stage.pushed[handed_over..], &drain(&mut consumer)?)?;
        go_on(producer, &mut consumer)?;
        Ok(handed_over)
    }
}

impl<T: Packed> Scene for Popping<T> {
    type Stage = Stage<T, Producer<T>>;

    fn victim(&self) {
        let ring = Ring::<T>::open(&self.name).expect("a ring");
        let mut consumer = ring.consumer().expect("the consumer's role");
        if self.state.parent {
            have_a_child();
        }
        let number = |message: &T| message.number().unwrap_or(0);
        for _ in 0..self.state.warm {
            board().saw(number(&consumer.try_pop().expect("a message")));
        }
        let mut messages = vec![T::new(0); self.how.wanted()];
        match self.how {
            How::One => window(|| {
                if let Ok(message) = consumer.try_pop() {
                    board().saw(number(&message));
                }
            }),
            How::Batch(_) => window(|| {
                let got = consumer.pop_slice(&mut messages).expect("an intact ring");
                messages[..got].iter().for_each(|message| board().saw(number(message)));
            }),
            How::InPlace => window(|| {
                if let Ok(place) = consumer.peek() {
                    let number = number(&place);
                    place.release();
                    board().saw(number);
                }
            }),
        }
    }

    fn set(&self) -> Self::Stage {
        let (ring, producer, _, pushed) = set_up(&self.name, &self.state);
        Stage { ring, survivor: producer, pushed, got: Vec::new() }
    }

    fn meanwhile(&self, stage: &mut Self::Stage, pid: u32) -> Result<(), String> {
        is_refused(stage.ring.consumer(), pid)?;
        let pushed = fill(&mut stage.survivor, BY_TEST + stage.pushed.len() as u64)?;
        stage.pushed.extend((BY_TEST + stage.pushed.len() as u64..).take(pushed));
        Ok(())
    }

    fn judge(&self, stage: Self::Stage, end: End) -> Result<bool, String> {
        died(stage.survivor.peer(), end)?;
        let (before, available) = (self.state.warm, stage.pushed.len() - self.state.warm);
        let wanted = self.how.wanted().min(available);
        let seen = board().seen().len() - before;
        let handed_over = Popping::go_on_after(stage, end)? - before;
        let all_or_nothing = match end.fate {
            Fate::Stopped => handed_over == seen && (seen >= self.how.wanted().min(self.state.filled - before)),
            _ if end.returned => handed_over == wanted && seen == wanted,
            _ => handed_over == 0 || handed_over == wanted,
        };
        if !all_or_nothing {
            return Err(format!("{handed_over} messages were handed over, {seen} seen, {wanted} wanted"));
        }
        Ok(handed_over > 0)
    }
}
