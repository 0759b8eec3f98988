//! Two sides that wait for each other by the ring's own blocking operations, or by semaphores in shared memory.
#![allow(unsafe_code)]

use super::contract::Payload;
use super::sides::Side;
use ringway::{Lifetime, Options, Wait, mpmc, spsc};
use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

type Word = [u64; 1];

/// Which ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Spsc,
    Mpmc,
}

/// One side: what it sends, the other receives.
trait Talk: Send {
    fn send(&mut self, message: Word);
    fn receive(&mut self) -> Word;
}

struct Ends<P, C> {
    producer: P,
    consumer: C,
}

macro_rules! talk {
    ($kind:ident, $message:ident => $value:expr) => {
        impl Talk for Ends<$kind::Producer<Word>, $kind::Consumer<Word>> {
            #[inline(always)]
            fn send(&mut self, message: Word) {
                self.producer.push(message).expect("the other side is there");
            }

            #[inline(always)]
            fn receive(&mut self) -> Word {
                let $message = self.consumer.pop().expect("the other side is there");
                $value
            }
        }
    };
}
talk!(spsc, message => message);
talk!(mpmc, message => *message);

/// Sends messages one by one, and receives nothing.
struct Source<E>(E, u64);

/// Receives them.
struct Sink<E>(E, u64);

/// Sends a message, waits for it to come back, and so on. Each time it is busy for a while before it sends.
struct Ping<E>(E, u64, Duration);

/// Sends back what comes, likewise.
struct Pong<E>(E, Duration);

fn be_busy(time: Duration) {
    if !time.is_zero() {
        let start = Instant::now();
        while start.elapsed() < time {}
    }
}

impl<E: Talk> Side for Source<E> {
    fn go(&mut self, count: u64) {
        for number in self.1..self.1 + count {
            self.0.send([number]);
        }
        self.1 += count;
    }
}

impl<E: Talk> Side for Sink<E> {
    fn go(&mut self, count: u64) {
        let mut difference = 0;
        for number in self.1..self.1 + count {
            difference |= self.0.receive().differs(number);
        }
        self.1 += count;
        assert_eq!(difference, 0, "a message was lost, doubled or damaged");
    }
}

impl<E: Talk> Side for Ping<E> {
    fn go(&mut self, count: u64) {
        let mut difference = 0;
        for number in self.1..self.1 + count {
            be_busy(self.2);
            self.0.send([number]);
            difference |= self.0.receive().differs(number);
        }
        self.1 += count;
        assert_eq!(difference, 0, "what came back is not what was sent");
    }
}

impl<E: Talk> Side for Pong<E> {
    fn go(&mut self, count: u64) {
        for _ in 0..count {
            let message = self.0.receive();
            be_busy(self.1);
            self.0.send(message);
        }
    }
}

/// What the two sides do: a flow, or round trips in which each is busy for a while before it sends.
#[derive(Clone, Copy)]
pub enum Traffic {
    Flow,
    RoundTrips { busy: Duration },
}

/// The near and the far side, with rings whose handles wait like that.
pub fn sides(kind: Kind, how: Wait, traffic: Traffic) -> [Box<dyn Side>; 2] {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = || format!("bench-{}-sleepers-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let options = Options::new().capacity(1024).lifetime(Lifetime::LastDetach).wait(how);
    match kind {
        Kind::Spsc => {
            let rings = [(); 2].map(|()| spsc::Ring::<Word>::create(name(), &options).expect("a ring"));
            let end = |to: usize| Ends {
                producer: rings[to].producer().expect("the role"),
                consumer: rings[1 - to].consumer().expect("the role"),
            };
            of_ends(end(0), end(1), traffic)
        }
        Kind::Mpmc => {
            let rings = [(); 2].map(|()| mpmc::Ring::<Word>::create(name(), &options).expect("a ring"));
            let end = |to: usize| Ends { producer: rings[to].producer(), consumer: rings[1 - to].consumer() };
            of_ends(end(0), end(1), traffic)
        }
    }
}

fn of_ends<E: Talk + 'static>(near: E, far: E, traffic: Traffic) -> [Box<dyn Side>; 2] {
    match traffic {
        Traffic::Flow => [Box::new(Sink(near, 0)), Box::new(Source(far, 0))],
        Traffic::RoundTrips { busy } => [Box::new(Ping(near, 0, busy)), Box::new(Pong(far, busy))],
    }
}

/// The same with a word that goes back and forth, and a POSIX semaphore for each direction: what articles on shared memory
/// show.
struct Semaphores {
    words: [AtomicU64; 2],
    posted: [UnsafeCell<libc::sem_t>; 2],
}

// SAFETY: semaphores are there to be shared; nothing but the functions of the C library accesses them.
unsafe impl Sync for Semaphores {}
// SAFETY: they are not moved while they are in use: they live in an `Arc`.
unsafe impl Send for Semaphores {}

impl Drop for Semaphores {
    fn drop(&mut self) {
        for semaphore in &self.posted {
            // SAFETY: it was initialised by `semaphores`, and nobody waits: both sides are gone.
            unsafe { libc::sem_destroy(semaphore.get()) };
        }
    }
}

struct SemaphoreEnd {
    shared: Arc<Semaphores>,
    to: usize,
}

impl Talk for SemaphoreEnd {
    fn send(&mut self, [message]: Word) {
        self.shared.words[self.to].store(message, Ordering::Release);
        // SAFETY: it was initialised by `semaphores`.
        let posted = unsafe { libc::sem_post(self.shared.posted[self.to].get()) };
        assert_eq!(posted, 0, "a semaphore that is not exhausted");
    }

    fn receive(&mut self) -> Word {
        let from = 1 - self.to;
        // SAFETY: it was initialised by `semaphores`.
        while unsafe { libc::sem_wait(self.shared.posted[from].get()) } != 0 {}
        [self.shared.words[from].load(Ordering::Acquire)]
    }
}

/// Round trips with process-shared semaphores.
pub fn semaphores(traffic: Traffic) -> [Box<dyn Side>; 2] {
    let shared = Arc::new(Semaphores {
        words: Default::default(),
        // SAFETY: all zeros is a semaphore in the making: `sem_init` makes it one.
        posted: [(); 2].map(|()| UnsafeCell::new(unsafe { std::mem::zeroed() })),
    });
    for semaphore in &shared.posted {
        // SAFETY: it is a place for a semaphore, which stays there until it is destroyed.
        let made = unsafe { libc::sem_init(semaphore.get(), 1, 0) };
        assert_eq!(made, 0, "a semaphore");
    }
    of_ends(SemaphoreEnd { shared: shared.clone(), to: 0 }, SemaphoreEnd { shared, to: 1 }, traffic)
}
