//! A buffer in shared memory with two semaphores (`sem_t`), one that counts room and one that counts messages: how the
//! articles do it.
//!
//! A semaphore does not know who holds what: when one side is killed in the middle of a push or a pop, a place of the
//! buffer is lost for good, and the other is told nothing.
//!
//! Sleeping is `sem_wait`, as in the articles, and polling `sem_trywait`; both ends also `sem_post`. With one producer and
//! one consumer it needs no third semaphore as a lock. Each semaphore and each index has a cache line of its own, which is
//! kinder than the articles. Batches go one by one.

use super::memory::Memory;
use super::names::{Name, path};
use super::{Channel, Contract, Description, SleepingReader, SleepingWriter, Sleeps, broken};
use crate::contract::{Payload, Reader, Writer};
use std::io::{Error, ErrorKind};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the two semaphores are.
pub static DESCRIPTION: Description = Description {
    name: "shared memory + sem_t",
    version: None,
    in_process_only: false,
    multi_producer: false,
    multi_consumer: false,
    has_batches: false,
    tries: true,
    sleeps: Sleeps::Both,
    contract: Contract::EXACT,
    on_death: Some("a place may be lost for good, and nobody is told"),
    link: "https://man7.org/linux/man-pages/man7/sem_overview.7.html",
};

const KIND: &str = "semaphores";
/// So far apart that no two share a line, nor a pair of lines that a core fetches together.
const APART: usize = 128;
const CAPACITY: usize = 0;
const ROOM: usize = APART;
const MESSAGES: usize = 2 * APART;
const TAIL: usize = 3 * APART;
const HEAD: usize = 4 * APART;
const PLACES: usize = 5 * APART;

/// The buffer and its semaphores.
#[derive(Debug)]
pub struct Buffer<T> {
    memory: Arc<Memory>,
    _name: Option<Name>,
    _messages: PhantomData<fn(T) -> T>,
}

impl<T: Payload> Channel<T> for Buffer<T> {
    type Writer = WriteEnd<T>;
    type Reader = ReadEnd<T>;

    fn create(name: &str, capacity: usize) -> Result<Self, String> {
        let name = Name::claim(KIND, name);
        let memory = Memory::create(name.path(), PLACES + capacity * size_of::<T>())?;
        let count = u32::try_from(capacity).map_err(|_| format!("no semaphore counts to {capacity}"))?;
        for (place, count) in [(ROOM, count), (MESSAGES, 0)] {
            // SAFETY: there is a place for it, which nobody uses yet.
            if unsafe { libc::sem_init(memory.place(place).as_ptr(), 1, count) } < 0 {
                return Err(format!("a semaphore that counts from {count}: {}", Error::last_os_error()));
            }
        }
        let buffer = Buffer { memory: Arc::new(memory), _name: Some(name), _messages: PhantomData };
        buffer.word(CAPACITY).store(capacity as u64, Ordering::Release);
        Ok(buffer)
    }

    fn open(name: &str) -> Result<Self, String> {
        let memory = Memory::open(&path(KIND, name))?;
        Ok(Buffer { memory: Arc::new(memory), _name: None, _messages: PhantomData })
    }

    fn writer(&self) -> WriteEnd<T> {
        WriteEnd(self.end(ROOM, MESSAGES, TAIL))
    }

    fn reader(&self) -> ReadEnd<T> {
        ReadEnd(self.end(MESSAGES, ROOM, HEAD))
    }
}

impl<T: Payload> Buffer<T> {
    fn word(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: it is aligned, mapped for as long as `self` lives, and only ever accessed as an atomic.
        unsafe { self.memory.place(offset).as_ref() }
    }

    fn end(&self, wanted: usize, offered: usize, index: usize) -> End<T> {
        let capacity = self.word(CAPACITY).load(Ordering::Acquire);
        // All places are there: so is the last.
        self.memory.place::<T>(PLACES + (capacity as usize - 1) * size_of::<T>());
        End {
            wanted: Semaphore(self.memory.place(wanted)),
            offered: Semaphore(self.memory.place(offered)),
            index: self.memory.place(index),
            places: self.memory.place(PLACES),
            capacity,
            _memory: self.memory.clone(),
        }
    }
}

#[derive(Debug)]
struct Semaphore(NonNull<libc::sem_t>);

impl Semaphore {
    #[inline(always)]
    fn try_wait(&self) -> bool {
        // SAFETY: it was initialised before anybody could open it, and is mapped for as long as its end lives.
        unsafe { libc::sem_trywait(self.0.as_ptr()) == 0 }
    }

    #[inline(always)]
    fn wait(&self) {
        // SAFETY: as above.
        while unsafe { libc::sem_wait(self.0.as_ptr()) } != 0 {
            let error = Error::last_os_error();
            if error.kind() != ErrorKind::Interrupted {
                broken("shared memory + sem_t", &error);
            }
        }
    }

    #[inline(always)]
    fn post(&self) {
        // SAFETY: as above.
        let posted = unsafe { libc::sem_post(self.0.as_ptr()) };
        debug_assert_eq!(posted, 0);
    }
}

#[derive(Debug)]
struct End<T> {
    /// Counts what this end needs: room, or messages.
    wanted: Semaphore,
    /// Counts what it makes.
    offered: Semaphore,
    /// Where this end goes on, in shared memory as in the articles. The other end does not look at it.
    index: NonNull<AtomicU64>,
    places: NonNull<T>,
    capacity: u64,
    _memory: Arc<Memory>,
}

// SAFETY: it owns its index, and a place for as long as a semaphore says so; both may be done from any thread.
unsafe impl<T: Send> Send for End<T> {}

impl<T> End<T> {
    /// Does something to the next place, which `wanted` has given us, and gives it to the other side.
    #[inline(always)]
    fn next<V>(&mut self, visit: impl FnOnce(NonNull<T>) -> V) -> V {
        // SAFETY: it is aligned, mapped for as long as `self` lives, and only ever accessed as an atomic.
        let index = unsafe { self.index.as_ref() };
        let here = index.load(Ordering::Relaxed);
        let after = here + 1;
        index.store(if after == self.capacity { 0 } else { after }, Ordering::Relaxed);
        // SAFETY: it is less than the capacity, and so many places are mapped.
        let value = visit(unsafe { self.places.add(here as usize) });
        self.offered.post();
        value
    }
}

/// The end that is written to.
#[derive(Debug)]
pub struct WriteEnd<T>(End<T>);

impl<T: Payload> WriteEnd<T> {
    #[inline(always)]
    fn put(&mut self, message: T) {
        // SAFETY: the place is ours.
        self.0.next(|place| unsafe { place.write(message) });
    }
}

impl<T: Payload> Writer<T> for WriteEnd<T> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        if !self.0.wanted.try_wait() {
            return Err(message);
        }
        self.put(message);
        Ok(())
    }

    fn push_some(&mut self, messages: &[T]) -> usize {
        messages.iter().take_while(|&&message| self.push(message).is_ok()).count()
    }
}

impl<T: Payload> SleepingWriter<T> for WriteEnd<T> {
    #[inline(always)]
    fn push_sleeping(&mut self, message: T) {
        self.0.wanted.wait();
        self.put(message);
    }
}

/// The end that is read from.
#[derive(Debug)]
pub struct ReadEnd<T>(End<T>);

impl<T: Payload> ReadEnd<T> {
    #[inline(always)]
    fn take(&mut self) -> T {
        // SAFETY: the place is ours, and has a message.
        self.0.next(|place| unsafe { place.read() })
    }
}

impl<T: Payload> Reader<T> for ReadEnd<T> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        self.0.wanted.try_wait().then(|| self.take())
    }

    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        messages.iter_mut().map_while(|place| self.pop().map(|message| *place = message)).count()
    }
}

impl<T: Payload> SleepingReader<T> for ReadEnd<T> {
    #[inline(always)]
    fn pop_sleeping(&mut self) -> T {
        self.0.wanted.wait();
        self.take()
    }
}
