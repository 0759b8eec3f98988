//! Candidates that wait by themselves, with operations that return when it is done: our rings in each way of waiting
//! ([`Wait`]), and two semaphores.
#![allow(unsafe_code)]

use super::channel::{Candidate, Channel, across, in_process_crowd};
use super::contract::{Reader, Writer, keeps_its_contract};
use super::rings::Named;
use ringway::{Wait, mpmc, spsc};
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// All that is measured of these.
type Word = [u64; 1];

pub static SPSC_SPIN: Candidate = spsc::<Spin>("ringway spsc, Spin");
pub static SPSC_PARK: Candidate = spsc::<Park>("ringway spsc, Park");
pub static SPSC_SLEEP: Candidate = spsc::<Sleep>("ringway spsc, Sleep");
pub static MPMC_SPIN: Candidate = mpmc::<Spin>("ringway mpmc, Spin");
pub static MPMC_PARK: Candidate = mpmc::<Park>("ringway mpmc, Park");
pub static MPMC_SLEEP: Candidate = mpmc::<Sleep>("ringway mpmc, Sleep");
/// A word in memory for each direction, with a process-shared POSIX semaphore: what articles on shared memory show.
pub static SEMAPHORES: Candidate = Candidate {
    name: "two sem_t",
    across: false,
    crowds: false,
    sides: |job, session, _| {
        in_process_crowd::<Word, _, _>(job, session, semaphore, |to, from, _| takes_turns(to, from))
    },
};

/// How an end waits.
pub trait How: 'static {
    const WAIT: Wait;
    /// For so long it is busy before it sends.
    const BUSY: Duration = Duration::ZERO;
}

pub struct Spin;
pub struct Park;
pub struct Sleep;

impl How for Spin {
    const WAIT: Wait = Wait::Spin;
}

impl How for Park {
    const WAIT: Wait = Wait::Park;
}

impl How for Sleep {
    const WAIT: Wait = Wait::Sleep;
    /// Until the other side is asleep for sure.
    const BUSY: Duration = Duration::from_micros(50);
}

const fn spsc<H: How>(name: &'static str) -> Candidate {
    Candidate {
        name,
        across: true,
        crowds: false,
        sides: |job, session, part| across::<Word, Waiting<spsc::Ring<Word>, H>>(job, session, part, checked),
    }
}

const fn mpmc<H: How>(name: &'static str) -> Candidate {
    Candidate {
        name,
        across: true,
        crowds: false,
        sides: |job, session, part| across::<Word, Waiting<mpmc::Ring<Word>, H>>(job, session, part, checked),
    }
}

/// They keep the contract by the operations that do not wait.
fn checked<W: Writer<Word>, R: Reader<Word>, H>(writer: &mut End<W, H>, reader: &mut End<R, H>, capacity: usize) {
    keeps_its_contract(&mut writer.0, &mut reader.0, capacity);
}

fn be_busy(time: Duration) {
    if !time.is_zero() {
        let start = Instant::now();
        while start.elapsed() < time {}
    }
}

/// A ring whose ends wait.
struct Waiting<R, H>(Named<R>, PhantomData<fn() -> H>);

/// An end that waits.
struct End<E, H>(E, PhantomData<fn() -> H>);

macro_rules! waits {
    ($kind:ident, $message:ident => $value:expr) => {
        impl<H: How> Channel<Word> for Waiting<$kind::Ring<Word>, H> {
            type Writer = End<$kind::Producer<Word>, H>;
            type Reader = End<$kind::Consumer<Word>, H>;

            fn create(name: &str, capacity: usize) -> Result<Self, String> {
                Ok(Waiting(Channel::<Word>::create(name, capacity)?, PhantomData))
            }

            fn open(name: &str) -> Result<Self, String> {
                Ok(Waiting(Channel::<Word>::open(name)?, PhantomData))
            }

            fn writer(&self) -> Self::Writer {
                let mut producer = Channel::<Word>::writer(&self.0);
                producer.set_wait(H::WAIT);
                End(producer, PhantomData)
            }

            fn reader(&self) -> Self::Reader {
                let mut consumer = Channel::<Word>::reader(&self.0);
                consumer.set_wait(H::WAIT);
                End(consumer, PhantomData)
            }
        }

        impl<H: How> Writer<Word> for End<$kind::Producer<Word>, H> {
            #[inline(always)]
            fn push(&mut self, message: Word) -> Result<(), Word> {
                be_busy(H::BUSY);
                self.0.push(message).expect("the other side is there");
                Ok(())
            }

            fn push_some(&mut self, messages: &[Word]) -> usize {
                self.0.push_all(messages).expect("the other side is there");
                messages.len()
            }
        }

        impl<H: How> Reader<Word> for End<$kind::Consumer<Word>, H> {
            #[inline(always)]
            fn pop(&mut self) -> Option<Word> {
                let $message = self.0.pop().expect("the other side is there");
                Some($value)
            }

            fn pop_some(&mut self, messages: &mut [Word]) -> usize {
                Reader::pop_some(&mut self.0, messages)
            }
        }
    };
}
waits!(spsc, message => message);
waits!(mpmc, message => *message);

struct Semaphore {
    word: UnsafeCell<Word>,
    posted: UnsafeCell<libc::sem_t>,
}

// SAFETY: the word is written before a post and read after the wait that it ends, by sides that take turns; a semaphore is
// there to be shared.
unsafe impl Sync for Semaphore {}
// SAFETY: it is not moved while it is in use: it lives in an `Arc`.
unsafe impl Send for Semaphore {}

impl Drop for Semaphore {
    fn drop(&mut self) {
        // SAFETY: it was initialised by `semaphore`, and nobody waits: both ends are gone.
        unsafe { libc::sem_destroy(self.posted.get()) };
    }
}

fn semaphore(_capacity: usize) -> Result<(Arc<Semaphore>, Arc<Semaphore>), String> {
    // SAFETY: all zeros is a semaphore in the making: `sem_init` makes it one.
    let posted = UnsafeCell::new(unsafe { std::mem::zeroed() });
    let semaphore = Arc::new(Semaphore { word: UnsafeCell::new([0]), posted });
    // SAFETY: it is a place for a semaphore, which stays there until it is destroyed.
    if unsafe { libc::sem_init(semaphore.posted.get(), 1, 0) } != 0 {
        return Err(format!("sem_init: {}", std::io::Error::last_os_error()));
    }
    Ok((semaphore.clone(), semaphore))
}

/// All that two semaphores promise: each message comes once, as it was sent, if the sides take turns.
fn takes_turns(to: &mut impl Writer<Word>, from: &mut impl Reader<Word>) {
    for number in 0..100 {
        assert!(to.push([number]).is_ok());
        assert_eq!(from.pop(), Some([number]), "message {number} is not what was sent");
    }
}

impl Writer<Word> for Arc<Semaphore> {
    fn push(&mut self, message: Word) -> Result<(), Word> {
        be_busy(Sleep::BUSY);
        // SAFETY: the other side waits for the post, and reads only then.
        unsafe { *self.word.get() = message };
        // SAFETY: it was initialised by `semaphore`.
        let posted = unsafe { libc::sem_post(self.posted.get()) };
        assert_eq!(posted, 0, "a semaphore that is not exhausted");
        Ok(())
    }

    fn push_some(&mut self, messages: &[Word]) -> usize {
        messages.first().map_or(0, |&message| usize::from(self.push(message).is_ok()))
    }
}

impl Reader<Word> for Arc<Semaphore> {
    fn pop(&mut self) -> Option<Word> {
        // SAFETY: it was initialised by `semaphore`.
        while unsafe { libc::sem_wait(self.posted.get()) } != 0 {}
        // SAFETY: the other side wrote it before it posted, and does not write again before it has our answer.
        Some(unsafe { *self.word.get() })
    }

    fn pop_some(&mut self, messages: &mut [Word]) -> usize {
        let Some(place) = messages.first_mut() else {
            return 0;
        };
        self.pop().map_or(0, |message| {
            *place = message;
            1
        })
    }
}
