//! `ringfire`: a ring in a file that processes map, where one producer broadcasts to all consumers.
//!
//! A consumer that was killed is noticed by its process id and forgotten, within 1024 polls of a producer that has no
//! room. A producer that was killed is replaced by a new one with a new file, of which the old consumers learn nothing.
//!
//! Used with `LosslessBackpressure` and one registered reader, the one mode in which nothing is lost; each message is
//! published at once, or with `push_batch` once a batch. Its ring for many producers (`MpmcProducer`) drops messages when
//! readers are slow and has no such mode, so it is no rival here. A capacity must be a power of two.
//!
//! The producer makes the file, and a reader that comes later misses nothing only if the producer waits for it. So both
//! ends attach when they are first used, and until both are there the ring is full, or empty. Messages of more than 4096
//! bytes are received as batches of one, and waited for by yielding.

use super::names::{Name, at, path};
use super::{Channel, Contract, Description, SleepingReader, SleepingWriter, Sleeps, broken};
use crate::contract::{Payload, Reader, Writer};
use ringfire::{FlowControl, FutexWait, RecvStatus, RingConsumer, RingProducer, RingProducerBuilder, RingfireError};
use std::fs;
use std::io::ErrorKind;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::thread::yield_now;

/// What `ringfire` is.
pub static DESCRIPTION: Description = Description {
    name: "ringfire",
    version: Some("0.5.2"),
    in_process_only: false,
    multi_producer: false,
    multi_consumer: false,
    has_batches: true,
    tries: true,
    sleeps: Sleeps::Both,
    contract: Contract::EXACT,
    on_death: Some("a dead consumer is forgotten, by its process id; of a dead producer nobody is told"),
    link: "https://crates.io/crates/ringfire",
};

const KIND: &str = "ringfire";
/// Of larger messages it makes code that the optimiser does not get done with, unless they are received as a batch; and
/// there is no way to sleep until there is a batch.
const LARGEST: usize = 4096;
/// A file that says for how many messages the ring shall be made, for the far side.
const CAPACITY: &str = "ringfire-capacity";

/// Where the two meet.
#[derive(Debug)]
pub struct Ring<T> {
    path: PathBuf,
    capacity: u64,
    _names: Option<[Name; 2]>,
    _messages: PhantomData<fn(T) -> T>,
}

impl<T: Payload> Channel<T> for Ring<T> {
    type Writer = WriteEnd<T>;
    type Reader = ReadEnd<T>;

    fn create(name: &str, capacity: usize) -> Result<Self, String> {
        if !capacity.is_power_of_two() {
            return Err(format!("ringfire: a capacity of {capacity} was asked for, which is not a power of two"));
        }
        let names = [Name::claim(KIND, name), Name::claim(CAPACITY, name)];
        fs::write(names[1].path(), capacity.to_string()).map_err(at(names[1].path()))?;
        let path = names[0].path().to_owned();
        Ok(Ring { path, capacity: capacity as u64, _names: Some(names), _messages: PhantomData })
    }

    fn open(name: &str) -> Result<Self, String> {
        let capacity = path(CAPACITY, name);
        let text = fs::read_to_string(&capacity).map_err(at(&capacity))?;
        let capacity = text.parse().map_err(at(&capacity))?;
        Ok(Ring { path: path(KIND, name), capacity, _names: None, _messages: PhantomData })
    }

    fn writer(&self) -> WriteEnd<T> {
        let builder =
            RingProducerBuilder::new(self.capacity).flow_control(FlowControl::LosslessBackpressure).max_readers(1);
        let producer = builder.build(&self.path).unwrap_or_else(|error| broken("ringfire", &error));
        WriteEnd { producer, capacity: self.capacity, has_reader: false }
    }

    fn reader(&self) -> ReadEnd<T> {
        let large = if size_of::<T>() > LARGEST { 1 } else { 0 };
        let large = vec![T::BLANK; large].into_boxed_slice();
        ReadEnd { path: self.path.clone(), consumer: None, wait: FutexWait::default(), large }
    }
}

/// The end that is written to.
#[derive(Debug)]
pub struct WriteEnd<T: Copy + 'static> {
    producer: RingProducer<T>,
    capacity: u64,
    has_reader: bool,
}

impl<T: Payload> WriteEnd<T> {
    /// The next message that the reader wants.
    #[inline(always)]
    fn wanted(&self) -> Option<u64> {
        self.producer.registry().and_then(|readers| readers.min_cursor())
    }

    /// Without a reader it would overwrite what nobody has read.
    #[inline(always)]
    fn is_ready(&mut self) -> bool {
        if !self.has_reader {
            self.has_reader = self.wanted().is_some();
        }
        self.has_reader
    }
}

impl<T: Payload> Writer<T> for WriteEnd<T> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        if self.is_ready() && self.producer.try_push(&message).is_ok() { Ok(()) } else { Err(message) }
    }

    /// `push_batch` waits for room, so it is given as much as there is room for.
    #[inline(always)]
    fn push_some(&mut self, messages: &[T]) -> usize {
        let Some(wanted) = self.wanted() else {
            return 0;
        };
        let room = (wanted + self.capacity - self.producer.next_sequence()) as usize;
        let count = room.min(messages.len());
        self.producer.push_batch(&messages[..count]);
        count
    }
}

impl<T: Payload> SleepingWriter<T> for WriteEnd<T> {
    /// It spins, yields, and then sleeps for 10 µs at a time.
    #[inline(always)]
    fn push_sleeping(&mut self, message: T) {
        while !self.is_ready() {
            yield_now();
        }
        self.producer.push(&message);
    }
}

/// The end that is read from.
#[allow(missing_debug_implementations)]
pub struct ReadEnd<T: Copy + 'static> {
    path: PathBuf,
    consumer: Option<RingConsumer<T>>,
    wait: FutexWait,
    /// Where a large message goes first.
    large: Box<[T]>,
}

impl<T: Payload> ReadEnd<T> {
    #[inline(always)]
    fn consumer(&mut self) -> Option<&mut RingConsumer<T>> {
        if self.consumer.is_none() {
            self.consumer = self.attach();
        }
        self.consumer.as_mut()
    }

    fn pop_yielding(&mut self) -> T {
        loop {
            if let Some(message) = self.pop() {
                return message;
            }
            yield_now();
        }
    }

    #[cold]
    fn attach(&self) -> Option<RingConsumer<T>> {
        match RingConsumer::attach(&self.path) {
            Ok(consumer) => Some(consumer),
            // Not there, or not ready.
            Err(RingfireError::Io(error)) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => {
                None
            }
            Err(RingfireError::InvalidMagic { .. } | RingfireError::CorruptLayout(_)) => None,
            Err(error) => broken("ringfire", &error),
        }
    }
}

/// A message, unless one was lost before it.
#[inline(always)]
fn received<T: Payload>(consumer: &mut RingConsumer<T>) -> Option<T> {
    match consumer.recv_status() {
        RecvStatus::Ok(message) => Some(message),
        RecvStatus::Empty => None,
        RecvStatus::Lapped { skipped, .. } => broken("ringfire", &format!("{skipped} messages were lost")),
    }
}

/// So many as there are, unless one was lost before them.
#[inline(always)]
fn received_some<T: Payload>(consumer: &mut RingConsumer<T>, messages: &mut [T]) -> usize {
    let count = consumer.recv_batch(messages);
    match consumer.lapped_count() {
        0 => count,
        lost => broken("ringfire", &format!("{lost} messages were lost")),
    }
}

impl<T: Payload> Reader<T> for ReadEnd<T> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        if const { size_of::<T>() <= LARGEST } {
            return received(self.consumer()?);
        }
        self.consumer()?;
        let ReadEnd { consumer: Some(consumer), large, .. } = self else {
            unreachable!("it has just been found");
        };
        (received_some(consumer, large) == 1).then(|| large[0])
    }

    #[inline(always)]
    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        self.consumer().map_or(0, |consumer| received_some(consumer, messages))
    }
}

impl<T: Payload> SleepingReader<T> for ReadEnd<T> {
    #[inline(always)]
    fn pop_sleeping(&mut self) -> T {
        if const { size_of::<T>() > LARGEST } {
            return self.pop_yielding();
        }
        while self.consumer().is_none() {
            yield_now();
        }
        let ReadEnd { consumer: Some(consumer), wait, .. } = self else {
            unreachable!("it has just been found");
        };
        consumer.recv_blocking(wait)
    }
}
