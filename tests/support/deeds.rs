//! Victims that push or pop among others, or do something with their handles.

use super::board::board;
use super::cells::Cells;
use super::crowd::{CAPACITY, Deed, First, Stage};
use super::ledger::{BY_TEST, BY_VICTIM, Numbered};
use super::names;
use super::sweep::{End, Scene};
use super::victim::{have_a_child, window};
use core::marker::PhantomData;
use ringway::mpmc::{Consumer, Producer, Ring};
use ringway::{Options, ReserveError, TryPopError, TryPushError};

/// What the victim does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    Push,
    PushSlice(usize),
    Commit,
    /// Drops a place that it has reserved.
    Abandon,
    Pop,
    PopSlice(usize),
    Release,
    /// Drops a message that it has peeked at.
    GiveBack,
    /// Clones its handles, and drops all but the clones.
    Clone,
    /// Drops a producer of which a guard was forgotten.
    DropProducer,
    /// Drops a consumer of which a guard was forgotten.
    DropConsumer,
    Recover,
}

impl Operation {
    pub fn pushes(self) -> usize {
        match self {
            Operation::PushSlice(messages) => messages,
            Operation::Push | Operation::Commit => 1,
            _ => 0,
        }
    }

    pub fn pops(self) -> usize {
        match self {
            Operation::PopSlice(messages) => messages,
            Operation::Pop | Operation::Release => 1,
            _ => 0,
        }
    }

    fn is_a_push(self) -> bool {
        self.pushes() > 0 || matches!(self, Operation::Abandon | Operation::DropProducer)
    }

    /// How many messages it may take without getting them.
    fn touches(self) -> usize {
        match self {
            Operation::GiveBack | Operation::DropConsumer => 1,
            _ => self.pops(),
        }
    }
}

/// Where the ring stands before the victim's operation.
#[derive(Clone, Debug)]
pub struct State {
    pub name: &'static str,
    /// Messages that have been pushed and popped.
    pub popped: usize,
    /// Messages that the test has pushed and nobody has popped.
    pub filled: usize,
    /// So many of them were taken and given back: orphans.
    pub given_back: usize,
    /// Messages that the victim has pushed before, if it pushes, or has popped before.
    pub warm: usize,
    /// Whether the victim has a child that outlives it.
    pub parent: bool,
    pub first: First,
}

/// The victim uses its handles.
#[derive(Debug)]
pub struct Using<T> {
    pub name: String,
    pub operation: Operation,
    pub state: State,
    /// The number of the first message that it pushes.
    pub number: u64,
    /// How many processes use the ring, the test included: no more can attach.
    pub processes: usize,
    _of: PhantomData<T>,
}

impl<T: Numbered> Using<T> {
    pub fn new(operation: Operation, state: State) -> Self {
        Using { name: names::fresh(), operation, state, number: BY_VICTIM, processes: 2, _of: PhantomData }
    }

    /// What the operation does if nobody gets in between.
    pub fn deed(&self) -> Deed {
        let (state, operation) = (&self.state, self.operation);
        let had_pushed = if operation.is_a_push() { state.warm } else { 0 };
        let had_got = state.warm - had_pushed;
        let left: Vec<u64> = (BY_TEST..).take(state.filled).skip(had_got).collect();
        let takes = match operation {
            // Redelivered messages come one at a time, and the one that is left is alone, too.
            Operation::PopSlice(_) if state.given_back > 0 => 1,
            _ => operation.pops().min(left.len()),
        };
        let room = CAPACITY - left.len() - had_pushed;
        // An orphan is met before the other messages, or after them: it depends on where the hint leads.
        let any = |first: usize| left[..if state.given_back > 0 { left.len() } else { first.min(left.len()) }].to_vec();
        let mut numbers = self.number..;
        Deed {
            had_pushed: numbers.by_ref().take(had_pushed).collect(),
            had_got,
            takes,
            takes_of: any(takes),
            pushes: numbers.take(operation.pushes().min(room)).collect(),
            touches: any(operation.touches()),
        }
    }

    /// Whether it has an effect that can be told from none.
    pub fn is_effective(&self) -> bool {
        let deed = self.deed();
        deed.takes > 0 || !deed.pushes.is_empty()
    }
}

impl<T: Numbered> Scene for Using<T> {
    type Stage = Stage<T>;

    fn victim(&self) {
        let ring = Ring::<T>::open(&self.name).expect("a ring");
        let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
        if self.state.parent {
            have_a_child();
        }
        let pushed_before = self.deed().had_pushed;
        for &number in &pushed_before {
            producer.try_push(T::new(number)).expect("room");
        }
        for _ in pushed_before.len()..self.state.warm {
            board().saw(number::<T>(&consumer.try_pop().expect("a message")));
        }
        let numbers = self.number + pushed_before.len() as u64..;
        let mut messages: Vec<T> = numbers.take(CAPACITY).map(T::new).collect();
        match self.operation {
            Operation::Clone => window(|| {
                let clones = (producer.clone(), consumer.clone());
                drop((producer, consumer));
                core::mem::forget(clones);
            }),
            Operation::DropProducer => {
                let mut place = producer.reserve().expect("room");
                place.write(messages[0]);
                core::mem::forget(place);
                window(|| drop(producer))
            }
            Operation::DropConsumer => {
                let message = consumer.peek().expect("a message");
                board().looked_at.set(number::<T>(&message));
                core::mem::forget(message);
                window(|| drop(consumer))
            }
            Operation::Recover => window(|| {
                ring.recover();
            }),
            operation => window(|| perform(operation, &mut producer, &mut consumer, &mut messages)),
        }
    }

    fn set(&self) -> Stage<T> {
        let options = Options::new().capacity(CAPACITY).processes(self.processes);
        let ring = Ring::<T>::create(&self.name, &options).expect("a ring");
        let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
        for number in 0..self.state.popped as u64 {
            producer.try_push(T::new(number)).expect("room");
            consumer.try_pop().expect("a message");
        }
        let mut stage = Stage { ring, committed: Vec::new(), got: Vec::new(), pushes: 0 };
        for _ in 0..self.state.filled {
            stage.push(&mut producer).expect("room");
        }
        for _ in 0..self.state.given_back {
            drop(consumer.peek().expect("a message"));
        }
        stage
    }

    fn meanwhile(&self, stage: &mut Stage<T>, pid: u32) -> Result<(), String> {
        let recovered = stage.ring.recover();
        if !recovered.is_empty() {
            return Err(format!("{pid} is stopped, not dead: {recovered:?}"));
        }
        use_past(stage, pid)
    }

    fn judge(&self, stage: Stage<T>, end: End) -> Result<bool, String> {
        let left = Cells::read(&self.name);
        if end.returned && left.in_hands > 0 {
            return Err(format!("its operation has returned and left {left:?}"));
        }
        stage.settle(end, &self.deed(), self.state.first)
    }
}

/// All that can be done while `pid` is stopped: it may be in the way, and is not robbed.
pub fn use_past<T: Numbered>(stage: &mut Stage<T>, pid: u32) -> Result<(), String> {
    stage.pop_all(Some(pid))?;
    stage.push_all(Some(pid))
}

fn number<T: Numbered>(message: &T) -> u64 {
    message.number().unwrap_or(0)
}

fn perform<T: Numbered>(
    operation: Operation,
    producer: &mut Producer<T>,
    consumer: &mut Consumer<T>,
    messages: &mut [T],
) {
    let board = board();
    match operation {
        Operation::Push => match producer.try_push(messages[0]) {
            Err(TryPushError::Full(_)) => {}
            result => {
                result.expect("nobody alive is in the way");
                board.pushed.set(1);
            }
        },
        Operation::PushSlice(count) => {
            let pushed = producer.push_slice(&messages[..count]).expect("nobody alive is in the way");
            board.pushed.set(pushed as u64);
        }
        Operation::Commit | Operation::Abandon => match producer.reserve() {
            Err(ReserveError::Full) => {}
            result => {
                let mut place = result.expect("nobody alive is in the way");
                place.write(messages[0]);
                if operation == Operation::Commit {
                    place.commit();
                    board.pushed.set(1);
                }
            }
        },
        Operation::Pop => match consumer.try_pop() {
            Err(TryPopError::Empty) => {}
            result => board.saw(number::<T>(&result.expect("nobody alive is in the way"))),
        },
        Operation::PopSlice(count) => {
            let got = consumer.pop_slice(&mut messages[..count]).expect("nobody alive is in the way");
            messages[..*got].iter().for_each(|message| board.saw(number(message)));
        }
        Operation::Release | Operation::GiveBack => match consumer.peek() {
            Err(TryPopError::Empty) => {}
            result => {
                let message = result.expect("nobody alive is in the way");
                let number = number::<T>(&message);
                board.looked_at.set(number);
                if operation == Operation::Release {
                    message.release();
                    board.saw(number);
                }
            }
        },
        Operation::Clone | Operation::DropProducer | Operation::DropConsumer | Operation::Recover => {
            unreachable!("it has handles to itself")
        }
    }
}
