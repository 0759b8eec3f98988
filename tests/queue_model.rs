//! Random sequences of everything that can be done to a ring, beside a queue that is obviously right.

mod support;

use proptest::prelude::*;
use proptest::test_runner::Config;
use ringway::zerocopy::FromBytes;
use ringway::{Message, Options, ReserveError, TryPopError, TryPushError, spsc};
use std::collections::VecDeque;
use std::fmt::Debug;
use support::Name;

#[derive(Clone, Debug)]
enum Operation {
    Push,
    PushSlice(usize),
    ReserveAndDrop,
    ReserveAndCommit,
    Pop,
    PopSlice(usize),
    PeekAndDrop,
    PeekAndRelease,
    /// Both, so that the same attachment holds both words anew.
    ReclaimBoth,
    ReclaimProducer,
    ReclaimConsumer,
    /// The producer leaves, and is back only after a look at the closed ring.
    LeaveAndCome,
    /// Everything is dropped and the ring opened by name.
    Reattach,
}

fn operation(most: usize) -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => Just(Operation::Push),
        4 => (0..=most).prop_map(Operation::PushSlice),
        1 => Just(Operation::ReserveAndDrop),
        2 => Just(Operation::ReserveAndCommit),
        4 => Just(Operation::Pop),
        4 => (0..=most).prop_map(Operation::PopSlice),
        1 => Just(Operation::PeekAndDrop),
        2 => Just(Operation::PeekAndRelease),
        1 => Just(Operation::ReclaimBoth),
        1 => Just(Operation::ReclaimProducer),
        1 => Just(Operation::ReclaimConsumer),
        1 => Just(Operation::LeaveAndCome),
        1 => Just(Operation::Reattach),
    ]
}

/// The ring, and beside it what must be in it.
struct Pair<T> {
    name: Name,
    ring: spsc::Ring<T>,
    // `None` only while they change hands.
    producer: Option<spsc::Producer<T>>,
    consumer: Option<spsc::Consumer<T>>,
    model: VecDeque<T>,
    capacity: usize,
    pushed: u64,
}

impl<T: Message + FromBytes + Clone + PartialEq + Debug> Pair<T> {
    fn new(capacity: usize) -> Pair<T> {
        let name = Name::new();
        let ring = spsc::Ring::create(&name, &Options::new().capacity(capacity).processes(1)).expect("a new name");
        let (producer, consumer) = (ring.producer().ok(), ring.consumer().ok());
        Pair { name, ring, producer, consumer, model: VecDeque::new(), capacity, pushed: 0 }
    }

    /// Does it to both and compares.
    fn apply(&mut self, operation: &Operation, sample: fn(u64) -> T) {
        let room = self.capacity - self.model.len();
        let message = sample(self.pushed);
        let front = self.model.front().cloned();
        let producer = self.producer.as_mut().expect("held between operations");
        let consumer = self.consumer.as_mut().expect("held between operations");
        match *operation {
            Operation::Push if room > 0 => {
                assert_eq!(producer.try_push(message.clone()), Ok(()));
                self.pushed(message);
            }
            Operation::Push => assert_eq!(producer.try_push(message.clone()), Err(TryPushError::Full(message))),
            Operation::PushSlice(length) => {
                let messages: Vec<T> = (self.pushed..).take(length).map(sample).collect();
                assert_eq!(producer.push_slice(&messages), Ok(length.min(room)));
                messages.into_iter().take(room).for_each(|message| self.pushed(message));
            }
            Operation::ReserveAndDrop | Operation::ReserveAndCommit if room == 0 => {
                assert_eq!(producer.reserve().err(), Some(ReserveError::Full));
            }
            Operation::ReserveAndDrop => producer.reserve().expect("room").write(message),
            Operation::ReserveAndCommit => {
                let mut reserved = producer.reserve().expect("room");
                *reserved = message.clone();
                reserved.commit();
                self.pushed(message);
            }
            Operation::Pop => {
                assert_eq!(consumer.try_pop(), self.model.pop_front().ok_or(TryPopError::Empty));
            }
            Operation::PopSlice(length) => {
                let untouched = sample(u64::MAX);
                let mut out = vec![untouched.clone(); length];
                assert_eq!(consumer.pop_slice(&mut out), Ok(length.min(self.model.len())));
                for popped in out {
                    assert_eq!(popped, self.model.pop_front().unwrap_or(untouched.clone()));
                }
            }
            Operation::PeekAndDrop => {
                assert_eq!(consumer.peek().map(|peek| peek.clone()), front.ok_or(TryPopError::Empty));
            }
            Operation::PeekAndRelease => match consumer.peek() {
                Ok(peek) => {
                    assert_eq!(Some(peek.clone()), front);
                    peek.release();
                    self.model.pop_front();
                }
                Err(error) => assert_eq!((error, front), (TryPopError::Empty, None)),
            },
            Operation::ReclaimBoth => {
                (self.producer, self.consumer) = (None, None);
                (self.producer, self.consumer) = (self.ring.producer().ok(), self.ring.consumer().ok());
            }
            Operation::ReclaimProducer => {
                self.producer = None;
                self.producer = self.ring.producer().ok();
            }
            Operation::ReclaimConsumer => {
                self.consumer = None;
                self.consumer = self.ring.consumer().ok();
            }
            Operation::LeaveAndCome => {
                self.producer = None;
                let closed = if front.is_some() { None } else { Some(TryPopError::Closed) };
                assert_eq!(consumer.peek().err(), closed);
                assert_eq!(consumer.is_closed(), closed.is_some());
                self.producer = self.ring.producer().ok();
            }
            Operation::Reattach => {
                (self.producer, self.consumer) = (None, None);
                let options = Options::new().capacity(self.capacity);
                // One process record: the old attachment is gone before the new one comes.
                let replaced = Pair::<T>::new(1);
                self.ring = replaced.ring.clone();
                drop(replaced);
                self.ring = spsc::Ring::open_with(&self.name, &options).expect("a persistent ring");
                (self.producer, self.consumer) = (self.ring.producer().ok(), self.ring.consumer().ok());
            }
        }
        self.compare();
    }

    fn pushed(&mut self, message: T) {
        self.model.push_back(message);
        self.pushed += 1;
    }

    fn compare(&self) {
        let producer = self.producer.as_ref().expect("the role was free");
        let consumer = self.consumer.as_ref().expect("the role was free");
        let length = self.model.len();
        assert_eq!((self.ring.len(), producer.len(), consumer.len()), (length, length, length));
        let (empty, full) = (length == 0, length == self.capacity);
        assert_eq!((self.ring.is_empty(), producer.is_empty(), consumer.is_empty()), (empty, empty, empty));
        assert_eq!((self.ring.is_full(), producer.is_full(), consumer.is_full()), (full, full, full));
        assert_eq!((producer.position(), consumer.position()), (self.pushed, self.pushed - length as u64));
    }
}

fn behaves<T: Message + FromBytes + Clone + PartialEq + Debug>(sample: fn(u64) -> T, cases: u32) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let strategy = (1_usize..40)
        .prop_flat_map(|capacity| (Just(capacity), prop::collection::vec(operation(capacity + 3), 1..200)));
    proptest!(config, |((capacity, operations) in strategy)| {
        let mut pair = Pair::new(capacity);
        for operation in &operations {
            pair.apply(operation, sample);
        }
    });
}

#[test]
fn a_ring_of_bytes_behaves_like_a_queue() {
    behaves(|n| n as u8, 150);
}

#[test]
fn a_ring_of_words_behaves_like_a_queue() {
    behaves(|n| n, 300);
}

#[test]
fn a_ring_of_odd_sizes_behaves_like_a_queue() {
    behaves(|n| [n as u8, (n >> 8) as u8, 3], 150);
    behaves(|n| [n as u8; 29], 150);
}

#[test]
fn a_ring_of_whole_lines_behaves_like_a_queue() {
    behaves(|n| [n; 7], 150);
    behaves(|n| [n; 8], 150);
}

#[test]
fn a_ring_of_large_messages_behaves_like_a_queue() {
    behaves(|n| [n as u8; 5_000], 60);
}
