//! Records what a producer or a consumer does, and when.

use super::history::{Event, NEVER, What};
use super::support::{Name, say};
use ringway::mpmc::{Consumer, Producer, Ring};
use ringway::{PopSliceError, PushSliceError, ReserveError, TryPopError, TryPushError};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

const BATCH: usize = 3;

/// A counter that all look at before and after each operation. What ended before something else began, by this clock,
/// did so for all processors.
#[derive(Clone, Copy, Debug)]
pub struct Clock<'c>(&'c AtomicU64);

impl<'c> Clock<'c> {
    pub fn new(time: &'c AtomicU64) -> Clock<'c> {
        Clock(time)
    }

    fn now(self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

impl Clock<'static> {
    /// A clock for several processes.
    pub fn create(name: &Name) -> Clock<'static> {
        Clock::in_memory(shared_memory::ShmemConf::new().os_id(format!("/{}", name.as_str())).size(4096).create())
    }

    fn open(name: &str) -> Clock<'static> {
        Clock::in_memory(shared_memory::ShmemConf::new().os_id(format!("/{name}")).open())
    }

    fn in_memory(memory: Result<shared_memory::Shmem, shared_memory::ShmemError>) -> Clock<'static> {
        let memory = Box::leak(Box::new(memory.expect("memory")));
        // SAFETY: it is aligned to a page, mapped for ever, and accessed as an atomic only.
        Clock(unsafe { AtomicU64::from_ptr(memory.as_ptr().cast()) })
    }
}

/// A small generator of random numbers: splitmix64.
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % limit
    }
}

#[derive(Debug)]
pub struct Recorder<'c> {
    clock: Clock<'c>,
    dice: Dice,
    next: u64,
    pub events: Vec<Event>,
    /// Where each operation is written down as soon as it begins, by who may be killed.
    log: Option<File>,
}

impl<'c> Recorder<'c> {
    /// The values that number `number` pushes are its own.
    pub fn new(clock: Clock<'c>, number: u64) -> Recorder<'c> {
        Recorder { clock, dice: Dice(number), next: number << 32, events: Vec::new(), log: None }
    }

    fn add(&mut self, began: u64, whats: impl IntoIterator<Item = What>) {
        let ended = self.clock.now();
        self.events.extend(whats.into_iter().map(|what| Event { what, began, ended }));
    }

    /// Pushes one value or a few, `most` of them, in one of the ways there are. Says how many.
    pub fn push(&mut self, producer: &mut Producer<u64>, most: usize) -> usize {
        if self.dice.below(3) > 0 {
            return self.push_one(producer);
        }
        let values: [u64; BATCH] = std::array::from_fn(|index| self.next + index as u64);
        let began = self.clock.now();
        let pushed = match producer.push_slice(&values[..most.min(BATCH)]) {
            Ok(pushed) => pushed,
            Err(PushSliceError::Busy { .. }) => return 0,
            Err(error) => panic!("{error}"),
        };
        match pushed {
            0 => self.add(began, [What::Full]),
            _ => self.add(began, values[..pushed].iter().map(|&value| What::Push(value))),
        }
        self.next += pushed as u64;
        pushed
    }

    pub fn push_one(&mut self, producer: &mut Producer<u64>) -> usize {
        let value = self.next;
        let began = self.begin(What::Push(value));
        let answer = match self.dice.below(2) {
            0 => match producer.try_push(value) {
                Ok(()) => Some(What::Push(value)),
                Err(TryPushError::Full(_)) => Some(What::Full),
                Err(TryPushError::Busy { .. }) => None,
                Err(error) => panic!("{error}"),
            },
            _ => match producer.reserve() {
                Ok(mut place) => {
                    linger(&mut self.dice);
                    *place = value;
                    place.commit();
                    Some(What::Push(value))
                }
                Err(ReserveError::Full) => Some(What::Full),
                Err(ReserveError::Busy { .. }) => None,
                Err(error) => panic!("{error}"),
            },
        };
        let pushed = usize::from(answer == Some(What::Push(value)));
        self.next += pushed as u64;
        self.end(began, answer);
        pushed
    }

    /// Pops one value or a few, in one of the ways there are. Says how many.
    pub fn pop(&mut self, consumer: &mut Consumer<u64>) -> usize {
        if self.dice.below(3) > 0 {
            return self.pop_one(consumer);
        }
        let mut values = [0; BATCH];
        let began = self.clock.now();
        let (popped, redelivered) = match consumer.pop_slice(&mut values) {
            Ok(popped) => (*popped, popped.redelivered()),
            Err(PopSliceError::Busy { .. }) => return 0,
            Err(error) => panic!("{error}"),
        };
        match popped {
            0 => self.add(began, [What::Empty]),
            _ => self.add(began, values[..popped].iter().map(|&value| What::Pop { value, redelivered })),
        }
        popped
    }

    pub fn pop_one(&mut self, consumer: &mut Consumer<u64>) -> usize {
        let began = self.begin(What::PopOfTheDead);
        let answer = match self.dice.below(2) {
            0 => consumer.try_pop().map(|popped| (*popped, popped.redelivered())),
            _ => consumer.peek().map(|message| {
                linger(&mut self.dice);
                let popped = (*message, message.redelivered());
                message.release();
                popped
            }),
        };
        let answer = match answer {
            Ok((value, redelivered)) => Some(What::Pop { value, redelivered }),
            Err(TryPopError::Empty) => Some(What::Empty),
            Err(TryPopError::Busy { .. }) => None,
            Err(error) => panic!("{error}"),
        };
        self.end(began, answer);
        usize::from(matches!(answer, Some(What::Pop { .. })))
    }

    /// It is now, and who may be killed says what history is to make of it then.
    fn begin(&mut self, what: What) -> u64 {
        let began = self.clock.now();
        self.write(0, Some(what), began, NEVER);
        began
    }

    fn end(&mut self, began: u64, answer: Option<What>) {
        if self.log.is_some() {
            let ended = self.clock.now();
            self.write(1, answer, began, ended);
        } else {
            self.add(began, answer);
        }
    }

    /// One line of the log: five numbers, in one system call, which a death does not interrupt.
    fn write(&mut self, is_over: u64, what: Option<What>, began: u64, ended: u64) {
        let Some(log) = &mut self.log else { return };
        let (kind, value) = match what {
            Some(What::Push(value)) => (0, value),
            Some(What::Pop { value, redelivered }) => (1 + u64::from(redelivered), value),
            Some(What::Empty) => (3, 0),
            Some(What::Full) => (4, 0),
            Some(What::PopOfTheDead) => (5, 0),
            None => (6, 0),
        };
        let line = [is_over, kind, value, began, ended].map(u64::to_ne_bytes).concat();
        assert_eq!(log.write(&line).expect("a log"), line.len());
    }
}

/// Lets others look at a place that is in our hands, now and then.
fn linger(dice: &mut Dice) {
    if dice.below(32) == 0 {
        std::thread::yield_now();
    }
}

/// The whole of a process that does one operation after the other until it is killed, or left alone.
pub fn in_a_process<F: FnMut()>(
    arguments: &[String],
    mut work: impl FnMut(&'static mut Recorder<'static>, &Ring<u64>) -> F,
) {
    let [ring, time, log, number] = arguments else { panic!("four arguments: {arguments:?}") };
    let log = OpenOptions::new().create(true).append(true).open(log).expect("a log");
    let mut recorder = Recorder::new(Clock::open(time), number.parse().expect("a number"));
    recorder.log = Some(log);
    let ring = Ring::open(ring).expect("a ring");
    let mut operation = work(Box::leak(Box::new(recorder)), &ring);
    say("attached");
    loop {
        operation();
    }
}

/// What a log says that ends anywhere.
pub fn read(log: &[u8]) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for line in log.chunks_exact(5 * 8) {
        let mut numbers = line.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().expect("eight bytes")));
        let [is_over, kind, value, began, ended] = std::array::from_fn(|_| numbers.next().expect("five numbers"));
        if is_over == 1 {
            events.pop(); // what would have been if it had not ended
        }
        let what = match kind {
            0 => What::Push(value),
            1 | 2 => What::Pop { value, redelivered: kind == 2 },
            3 => What::Empty,
            4 => What::Full,
            5 => What::PopOfTheDead,
            _ => continue,
        };
        events.push(Event { what, began, ended });
    }
    events
}

/// Pops what is left, when nobody else is there any more.
pub fn drain(clock: Clock<'_>, ring: &Ring<u64>) -> Vec<Event> {
    let mut recorder = Recorder::new(clock, u64::MAX >> 32);
    let mut consumer = ring.consumer();
    while recorder.events.last().is_none_or(|event| event.what != What::Empty) {
        recorder.pop_one(&mut consumer);
    }
    recorder.events
}
