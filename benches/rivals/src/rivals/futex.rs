//! One message in shared memory and a futex beside it: what sleeping and waking costs when nothing else is to be done.
//!
//! When one side is killed, the other waits for ever: a plain futex does not know who is there.
//!
//! Made by hand. The word says whether there is a message, and whether somebody sleeps until that changes; so nobody is
//! woken who does not sleep, and nobody sleeps who need not. There is room for one message, whatever is asked for: this is
//! for round trips. Polling it never enters the kernel, and is one line that goes to and fro.

use super::memory::Memory;
use super::names::{Name, path};
use super::{Channel, Contract, Description, SleepingReader, SleepingWriter, Sleeps, broken};
use crate::contract::{Payload, Reader, Writer};
use rustix::io::Errno;
use rustix::thread::futex;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What the mailbox is.
pub static DESCRIPTION: Description = Description {
    name: "futex",
    version: None,
    in_process_only: false,
    multi_producer: false,
    multi_consumer: false,
    has_batches: false,
    tries: true,
    sleeps: Sleeps::Both,
    contract: Contract::Whole { room: |_asked, _bytes| 1 },
    on_death: Some("the other side waits for ever"),
    link: "https://man7.org/linux/man-pages/man2/futex.2.html",
};

const KIND: &str = "futex";

/// In the word: there is a message.
const FULL: u32 = 1;
/// In the word: somebody sleeps until it changes. Whoever changes it wakes them.
const SLEEPER: u32 = 2;

/// Room for a message, small ones in the line of the word.
#[repr(C, align(64))]
struct Slot<T> {
    word: AtomicU32,
    message: T,
}

/// The mailbox.
#[derive(Debug)]
pub struct Mailbox<T> {
    memory: Arc<Memory>,
    _name: Option<Name>,
    _messages: PhantomData<fn(T) -> T>,
}

impl<T: Payload> Channel<T> for Mailbox<T> {
    type Writer = WriteEnd<T>;
    type Reader = ReadEnd<T>;

    fn create(name: &str, _capacity: usize) -> Result<Self, String> {
        let name = Name::claim(KIND, name);
        let memory = Memory::create(name.path(), size_of::<Slot<T>>())?;
        Ok(Mailbox { memory: Arc::new(memory), _name: Some(name), _messages: PhantomData })
    }

    fn open(name: &str) -> Result<Self, String> {
        let memory = Memory::open(&path(KIND, name))?;
        Ok(Mailbox { memory: Arc::new(memory), _name: None, _messages: PhantomData })
    }

    fn writer(&self) -> WriteEnd<T> {
        WriteEnd(self.end())
    }

    fn reader(&self) -> ReadEnd<T> {
        ReadEnd(self.end())
    }
}

impl<T: Payload> Mailbox<T> {
    fn end(&self) -> End<T> {
        End { slot: self.memory.place(0), _memory: self.memory.clone() }
    }
}

#[derive(Debug)]
struct End<T> {
    slot: NonNull<Slot<T>>,
    _memory: Arc<Memory>,
}

// SAFETY: it uses the message only while the word says that it may, which may be done from any thread.
unsafe impl<T: Send> Send for End<T> {}

impl<T> End<T> {
    #[inline(always)]
    fn word(&self) -> &AtomicU32 {
        // SAFETY: it is mapped for as long as `self` lives.
        let word = unsafe { &raw const (*self.slot.as_ptr()).word };
        // SAFETY: zeros are a valid word, and it is only ever accessed as an atomic.
        unsafe { &*word }
    }

    #[inline(always)]
    fn message(&self) -> *mut T {
        // SAFETY: it is mapped for as long as `self` lives.
        unsafe { &raw mut (*self.slot.as_ptr()).message }
    }

    /// Whether there is a message (`FULL`) or room (0), as `wanted`. Acquire: what the other side did to the message.
    #[inline(always)]
    fn is(&self, wanted: u32) -> bool {
        self.word().load(Ordering::Acquire) & FULL == wanted
    }

    /// Sleeps until it is.
    #[inline(always)]
    fn sleep_until(&self, wanted: u32) {
        while !self.is(wanted) {
            self.sleep(wanted);
        }
    }

    #[cold]
    fn sleep(&self, wanted: u32) {
        let (awake, asleep) = (wanted ^ FULL, wanted ^ FULL | SLEEPER);
        // Relaxed: `is` is asked again.
        match self.word().compare_exchange(awake, asleep, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => {}
            Err(found) if found == asleep => {}
            Err(_) => return,
        }
        match futex::wait(self.word(), futex::Flags::empty(), asleep, None) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => broken("futex", &error),
        }
    }

    /// Says that it is full, or empty. Release: what was done to the message.
    #[inline(always)]
    fn set(&self, now: u32) {
        if self.word().swap(now, Ordering::Release) & SLEEPER != 0 {
            futex::wake(self.word(), futex::Flags::empty(), 1).unwrap_or_else(|error| broken("futex", &error));
        }
    }
}

/// The end that is written to.
#[derive(Debug)]
pub struct WriteEnd<T>(End<T>);

impl<T: Payload> WriteEnd<T> {
    #[inline(always)]
    fn put(&mut self, message: T) {
        // SAFETY: there is room, and nobody else writes.
        unsafe { self.0.message().write(message) };
        self.0.set(FULL);
    }
}

impl<T: Payload> Writer<T> for WriteEnd<T> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        if !self.0.is(0) {
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
        self.0.sleep_until(0);
        self.put(message);
    }
}

/// The end that is read from.
#[derive(Debug)]
pub struct ReadEnd<T>(End<T>);

impl<T: Payload> ReadEnd<T> {
    #[inline(always)]
    fn take(&mut self) -> T {
        // SAFETY: there is a message, and nobody else reads.
        let message = unsafe { self.0.message().read() };
        self.0.set(0);
        message
    }
}

impl<T: Payload> Reader<T> for ReadEnd<T> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        self.0.is(FULL).then(|| self.take())
    }

    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        messages.iter_mut().map_while(|place| self.pop().map(|message| *place = message)).count()
    }
}

impl<T: Payload> SleepingReader<T> for ReadEnd<T> {
    #[inline(always)]
    fn pop_sleeping(&mut self) -> T {
        self.0.sleep_until(FULL);
        self.take()
    }
}
