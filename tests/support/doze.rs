//! Both kinds of ring under one trait, and threads of the test that sleep at them.

use super::asleep::is_asleep;
use super::board::board;
use super::vigil::BOUND;
use ringway::{Lifetime, Options, PopError, PushError, mpmc, spsc};
use std::sync::mpsc::channel;
use std::thread::{JoinHandle, spawn, yield_now};
use std::time::{Duration, Instant};

/// A kind of ring, of numbers.
pub trait Kind: 'static {
    const NAME: &'static str;
    /// How many may sleep at one end at the same time, in these tests.
    const SLEEPERS: usize;
    type Ring: Send + 'static;
    type Producer: Send + 'static;
    type Consumer: Send + 'static;

    fn create(name: &str, capacity: usize) -> Self::Ring;
    fn open(name: &str) -> Self::Ring;
    /// Takes the role of the dead, if there is one.
    fn producer(ring: &Self::Ring) -> Self::Producer;
    fn consumer(ring: &Self::Ring) -> Self::Consumer;
    /// Pushes, or waits until there is no consumer any more.
    fn push(producer: &mut Self::Producer, message: u64, patience: Duration) -> Result<(), PushError<u64>>;
    fn pop(consumer: &mut Self::Consumer, patience: Duration) -> Result<u64, PopError>;
}

pub struct Spsc;
pub struct Mpmc;

macro_rules! kind {
    ($kind:ident, $module:ident, $name:literal, $sleepers:literal, $claimed:expr, $plain:expr) => {
        impl Kind for $kind {
            const NAME: &'static str = $name;
            const SLEEPERS: usize = $sleepers;
            type Ring = $module::Ring<u64>;
            type Producer = $module::Producer<u64>;
            type Consumer = $module::Consumer<u64>;

            fn create(name: &str, capacity: usize) -> Self::Ring {
                let options = Options::new().capacity(capacity).processes(4).lifetime(Lifetime::LastDetach);
                Self::Ring::create(name, &options).expect("a ring")
            }

            fn open(name: &str) -> Self::Ring {
                Self::Ring::open(name).expect("a ring")
            }

            fn producer(ring: &Self::Ring) -> Self::Producer {
                $claimed(&|| ring.producer())
            }

            fn consumer(ring: &Self::Ring) -> Self::Consumer {
                $claimed(&|| ring.consumer())
            }

            fn push(producer: &mut Self::Producer, message: u64, patience: Duration) -> Result<(), PushError<u64>> {
                producer.close_when_alone(true);
                producer.push_timeout(message, patience)
            }

            fn pop(consumer: &mut Self::Consumer, patience: Duration) -> Result<u64, PopError> {
                consumer.pop_timeout(patience).map($plain)
            }
        }
    };
}

kind!(Spsc, spsc, "SPSC", 1, at_once, |message| message);
kind!(Mpmc, mpmc, "MPMC", 2, made, |message| *message);

/// A role, which is free as soon as the kernel says that its holder is dead.
fn at_once<H>(claim: &dyn Fn() -> Result<H, ringway::ClaimError>) -> H {
    let started = Instant::now();
    loop {
        match claim() {
            Ok(handle) => return handle,
            Err(error) => assert!(started.elapsed() < BOUND, "{error}"),
        }
        yield_now();
    }
}

fn made<H>(make: &dyn Fn() -> H) -> H {
    make()
}

/// A thread that may sleep. Its result comes with the time.
#[derive(Debug)]
pub struct Dozer<V> {
    path: String,
    thread: JoinHandle<(V, Instant)>,
}

impl<V: Send + 'static> Dozer<V> {
    pub fn start(job: impl FnOnce() -> V + Send + 'static) -> Dozer<V> {
        let (sender, id) = channel();
        let thread = spawn(move || {
            let _ = sender.send(rustix::thread::gettid().as_raw_nonzero());
            (job(), Instant::now())
        });
        let id = id.recv().expect("it has just started");
        Dozer { path: format!("self/task/{id}"), thread }
    }

    /// Waits until it sleeps, or has done what it had to do.
    pub fn wait_until_asleep(&self) {
        let started = Instant::now();
        while !is_asleep(&self.path) && !self.thread.is_finished() {
            assert!(started.elapsed() < 2 * BOUND, "a thread neither sleeps nor ends");
            yield_now();
        }
    }

    /// What it returned, and when. It is not waited for for ever.
    pub fn result(self) -> Result<(V, Instant), String> {
        let started = Instant::now();
        while !self.thread.is_finished() {
            if started.elapsed() > 2 * BOUND {
                board().hung.add(1);
                return Err(format!("somebody sleeps for ever: asleep: {}", is_asleep(&self.path)));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        self.thread.join().map_err(|_| "a thread has panicked".into())
    }
}

/// Pops until something else than a message comes.
pub fn popper<K: Kind>(mut consumer: K::Consumer) -> Dozer<(Vec<u64>, PopError)> {
    Dozer::start(move || {
        let mut got = Vec::new();
        loop {
            match K::pop(&mut consumer, Duration::MAX) {
                Ok(message) => got.push(message),
                Err(end) => return (got, end),
            }
        }
    })
}

/// Pushes one message.
pub fn pusher<K: Kind>(mut producer: K::Producer, message: u64) -> Dozer<Result<(), PushError<u64>>> {
    Dozer::start(move || K::push(&mut producer, message, Duration::MAX))
}

/// Two new ends go on with an empty ring, in which there is all the room.
pub fn go_on<K: Kind>(ring: &K::Ring, capacity: usize) -> Result<(), String> {
    let mut producer = K::producer(ring);
    let popper = popper::<K>(K::consumer(ring));
    popper.wait_until_asleep();
    let numbers: Vec<u64> = (100..100 + 2 * capacity as u64).collect();
    for &number in &numbers {
        K::push(&mut producer, number, BOUND).map_err(|error| format!("going on: {error}"))?;
    }
    drop(producer);
    match popper.result()?.0 {
        (got, PopError::Closed) if got == numbers => Ok(()),
        other => Err(format!("going on: {other:?}")),
    }
}

/// What the library sets up once, when it waits for the first time, is no part of any operation.
pub fn warm_up() {
    let name = super::names::fresh();
    let ring = Spsc::create(&name, 1);
    let (_producer, mut consumer) = (Spsc::producer(&ring), Spsc::consumer(&ring));
    assert_eq!(Spsc::pop(&mut consumer, Duration::from_millis(1)), Err(PopError::Timeout { pid: None }));
}
