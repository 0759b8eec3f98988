//! The candidates behind one interface, and the contract that each has to keep before it is timed.

use crossbeam_queue::ArrayQueue;
use ringway::{Lifetime, Message, Options, PopSliceError, PushSliceError, TryPopError, TryPushError, mpmc, spsc};
use std::sync::Arc;

/// The longest batch of the MPMC ring.
const MOST_AT_ONCE: usize = 255;

/// A message whose content says which one it is.
pub trait Payload: Message + Copy {
    const BLANK: Self;

    /// Writes the number of the message to its first and its last word.
    fn stamp(&mut self, number: u64);

    /// Zero if this is the message of that number, as far as its first and last word tell.
    fn differs(&self, number: u64) -> u64;

    /// The message of that number, with something of its own in every word.
    fn filled(number: u64) -> Self;
}

impl<const N: usize> Payload for [u64; N]
where
    [u64; N]: Message,
{
    const BLANK: Self = [0; N];

    #[inline(always)]
    fn stamp(&mut self, number: u64) {
        self[0] = number;
        self[N - 1] = number;
    }

    #[inline(always)]
    fn differs(&self, number: u64) -> u64 {
        // A message of one word is used as a whole. Of a longer one we look at two words only; the compiler must not
        // conclude that the others need not be copied.
        let message = if N == 1 { self } else { std::hint::black_box(self) };
        (message[0] ^ number) | (message[N - 1] ^ number)
    }

    fn filled(number: u64) -> Self {
        std::array::from_fn(|word| number << 16 | word as u64)
    }
}

/// The end that is written to.
pub trait Writer<T>: Send {
    /// Pushes a message, or gives it back when that cannot be done now.
    fn push(&mut self, message: T) -> Result<(), T>;

    /// Pushes as many of `messages` as there is room for, and returns how many.
    fn push_some(&mut self, messages: &[T]) -> usize;
}

/// The end that is read from.
pub trait Reader<T>: Send {
    fn pop(&mut self) -> Option<T>;

    /// Pops as many messages as there are, at most as many as `messages` has room for, and returns how many.
    fn pop_some(&mut self, messages: &mut [T]) -> usize;
}

impl<T: Payload> Writer<T> for spsc::Producer<T> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        match self.try_push(message) {
            Ok(()) => Ok(()),
            Err(TryPushError::Full(message)) => Err(message),
            Err(error) => broken(&error),
        }
    }

    #[inline(always)]
    fn push_some(&mut self, messages: &[T]) -> usize {
        self.push_slice(messages).unwrap_or_else(|error| broken(&error))
    }
}

impl<T: Payload> Reader<T> for spsc::Consumer<T> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        match self.try_pop() {
            Ok(message) => Some(message),
            Err(TryPopError::Empty) => None,
            Err(error) => broken(&error),
        }
    }

    #[inline(always)]
    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        self.pop_slice(messages).unwrap_or_else(|error| broken(&error))
    }
}

impl<T: Payload> Writer<T> for mpmc::Producer<T> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        match self.try_push(message) {
            Ok(()) => Ok(()),
            Err(TryPushError::Full(message) | TryPushError::Busy { message, .. }) => Err(message),
            Err(error) => broken(&error),
        }
    }

    #[inline(always)]
    fn push_some(&mut self, messages: &[T]) -> usize {
        let mut pushed = 0;
        for chunk in messages.chunks(MOST_AT_ONCE) {
            let count = match self.push_slice(chunk) {
                Ok(count) => count,
                Err(PushSliceError::Busy { .. }) => 0,
                Err(error) => broken(&error),
            };
            pushed += count;
            if count < chunk.len() {
                break;
            }
        }
        pushed
    }
}

impl<T: Payload> Reader<T> for mpmc::Consumer<T> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        match self.try_pop() {
            Ok(message) => Some(message.into_inner()),
            Err(TryPopError::Empty | TryPopError::Busy { .. }) => None,
            Err(error) => broken(&error),
        }
    }

    #[inline(always)]
    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        let mut popped = 0;
        for chunk in messages.chunks_mut(MOST_AT_ONCE) {
            let count = match self.pop_slice(chunk) {
                Ok(count) => count.into_inner(),
                Err(PopSliceError::Busy { .. }) => 0,
                Err(error) => broken(&error),
            };
            popped += count;
            if count < chunk.len() {
                break;
            }
        }
        popped
    }
}

#[cold]
fn broken(error: &dyn std::fmt::Debug) -> ! {
    panic!("the ring is broken: {error:?}")
}

impl<T: Payload> Writer<T> for rtrb::Producer<T> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        rtrb::Producer::push(self, message).map_err(|rtrb::PushError::Full(message)| message)
    }

    #[inline(always)]
    fn push_some(&mut self, messages: &[T]) -> usize {
        self.push_partial_slice(messages).0.len()
    }
}

impl<T: Payload> Reader<T> for rtrb::Consumer<T> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        rtrb::Consumer::pop(self).ok()
    }

    #[inline(always)]
    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        self.pop_partial_slice(messages).0.len()
    }
}

/// A queue within one process that all ends share. It has no batches: they go one by one.
pub trait Heap<T>: Send + Sync {
    fn push(&self, message: T) -> Result<(), T>;
    fn pop(&self) -> Option<T>;
}

impl<T: Payload> Heap<T> for ArrayQueue<T> {
    #[inline(always)]
    fn push(&self, message: T) -> Result<(), T> {
        ArrayQueue::push(self, message)
    }

    #[inline(always)]
    fn pop(&self) -> Option<T> {
        ArrayQueue::pop(self)
    }
}

impl<T: Payload, Q: Heap<T>> Writer<T> for Arc<Q> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        Heap::push(&**self, message)
    }

    fn push_some(&mut self, messages: &[T]) -> usize {
        messages.iter().take_while(|&&message| Heap::push(&**self, message).is_ok()).count()
    }
}

impl<T: Payload, Q: Heap<T>> Reader<T> for Arc<Q> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        Heap::pop(&**self)
    }

    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        messages.iter_mut().map_while(|place| Heap::pop(&**self).map(|message| *place = message)).count()
    }
}

/// A name in the system, until this is dropped: then whoever is attached goes on without it.
pub struct Name(String);

impl Drop for Name {
    fn drop(&mut self) {
        // The last one to detach may have been first.
        let _ = spsc::Ring::<u64>::unlink(&self.0);
    }
}

/// Our rings, which are met by name. Even if we are killed, the name goes with the last process that detaches in an
/// orderly way.
pub trait RingOf<T>: Sized {
    type Writer: Writer<T> + 'static;
    type Reader: Reader<T> + 'static;

    fn create(name: String, capacity: usize) -> (Self, Name);
    fn open(name: &str) -> Self;
    fn writer(&self) -> Self::Writer;
    fn reader(&self) -> Self::Reader;
}

fn options(capacity: usize) -> Options {
    Options::new().capacity(capacity).lifetime(Lifetime::LastDetach)
}

impl<T: Payload> RingOf<T> for spsc::Ring<T> {
    type Writer = spsc::Producer<T>;
    type Reader = spsc::Consumer<T>;

    fn create(name: String, capacity: usize) -> (Self, Name) {
        (spsc::Ring::create(&name, &options(capacity)).expect("a new ring"), Name(name))
    }

    fn open(name: &str) -> Self {
        spsc::Ring::open(name).expect("the ring of the near side")
    }

    fn writer(&self) -> Self::Writer {
        self.producer().expect("a free role")
    }

    fn reader(&self) -> Self::Reader {
        self.consumer().expect("a free role")
    }
}

impl<T: Payload> RingOf<T> for mpmc::Ring<T> {
    type Writer = mpmc::Producer<T>;
    type Reader = mpmc::Consumer<T>;

    fn create(name: String, capacity: usize) -> (Self, Name) {
        (mpmc::Ring::create(&name, &options(capacity)).expect("a new ring"), Name(name))
    }

    fn open(name: &str) -> Self {
        mpmc::Ring::open(name).expect("the ring of the near side")
    }

    fn writer(&self) -> Self::Writer {
        self.producer()
    }

    fn reader(&self) -> Self::Reader {
        self.consumer()
    }
}

/// Asserts what every queue here promises: each message once, in order, as it was sent; full at its capacity and not
/// before, empty when all were popped.
pub fn keeps_its_contract<T: Payload>(writer: &mut impl Writer<T>, reader: &mut impl Reader<T>, capacity: usize) {
    let (mut sent, mut got) = (0, 0);
    let mut next = |count: usize| -> Vec<T> {
        sent += count as u64;
        (sent - count as u64..sent).map(T::filled).collect()
    };
    let mut check = |messages: &[T]| {
        for message in messages {
            assert!(message.as_bytes() == T::filled(got).as_bytes(), "message {got} is not what was sent");
            got += 1;
        }
    };
    let mut room = vec![T::BLANK; capacity + 1];
    for lap in 0..5 {
        assert!(reader.pop().is_none() && reader.pop_some(&mut room) == 0, "a new or drained queue is empty");
        for message in next(capacity) {
            assert!(writer.push(message).is_ok(), "there is room for {capacity}");
        }
        let refused = T::filled(u64::MAX >> 16);
        match writer.push(refused) {
            Err(back) => assert!(back.as_bytes() == refused.as_bytes(), "what is refused is given back"),
            Ok(()) => panic!("there is no room for more than {capacity}"),
        }
        assert_eq!(writer.push_some(&[refused]), 0);
        // Each lap starts somewhere else in a cell.
        for _ in 0..=lap {
            check(&[reader.pop().expect("a message")]);
            assert!(writer.push(next(1)[0]).is_ok(), "one pop makes room for one push");
        }
        for _ in 0..capacity {
            check(&[reader.pop().expect("a message")]);
        }

        let batch = next(capacity);
        let mut more = batch.clone();
        more.push(refused);
        assert_eq!(writer.push_some(&more), capacity);
        assert_eq!(reader.pop_some(&mut room[..1]), 1);
        check(&room[..1]);
        assert_eq!(writer.push_some(&next(1)), 1);
        let mut left = capacity;
        while left > 0 {
            let count = reader.pop_some(&mut room[..left.min(64)]);
            assert_eq!(count, left.min(64), "a batch is popped whole");
            check(&room[..count]);
            left -= count;
        }
    }
    assert!(reader.pop().is_none());
}
