//! Many threads at one queue, or only one.

use super::contract::{Payload, Reader, Writer, keeps_its_contract};
use super::cores::{Cores, pin, wait_in_a_crowd};
use super::job::Queue;
use super::queues::RingOf;
use super::rounds::Measured;
use super::vyukov::{QuarterOfALine, Vyukov};
use crossbeam_queue::ArrayQueue;
use ringway::mpmc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

type Word = [u64; 1];
/// Messages that the queue holds.
const CAPACITY: usize = 1024;
/// Messages that a new crowd passes on, each of which is looked at.
const CHECKED: u64 = 20_000;
/// A message is the number of its writer and its own number among those of that writer.
const WRITER_SHIFT: u32 = 48;

/// An end of the queue, for a thread of its own.
trait End: Send {
    /// Pushes messages `first` and following, or pops as many; and lets `look` see each.
    fn go(&mut self, first: u64, count: u64, look: &mut dyn FnMut(u64));

    /// The same, and sums them up.
    fn sum(&mut self, first: u64, count: u64) -> u64;
}

struct Pushing<W>(W);
struct Popping<R>(R);

impl<W: Writer<Word>> Pushing<W> {
    #[inline(always)]
    fn each(&mut self, first: u64, count: u64, mut look: impl FnMut(u64)) {
        for number in first..first + count {
            wait_in_a_crowd(|| self.0.push([number]).ok());
            look(number);
        }
    }
}

impl<R: Reader<Word>> Popping<R> {
    #[inline(always)]
    fn each(&mut self, count: u64, mut look: impl FnMut(u64)) {
        for _ in 0..count {
            look(wait_in_a_crowd(|| self.0.pop())[0]);
        }
    }
}

impl<W: Writer<Word>> End for Pushing<W> {
    fn go(&mut self, first: u64, count: u64, look: &mut dyn FnMut(u64)) {
        self.each(first, count, look);
    }

    fn sum(&mut self, first: u64, count: u64) -> u64 {
        let mut sum = 0u64;
        self.each(first, count, |message| sum = sum.wrapping_add(message));
        sum
    }
}

impl<R: Reader<Word>> End for Popping<R> {
    fn go(&mut self, _: u64, count: u64, look: &mut dyn FnMut(u64)) {
        self.each(count, look);
    }

    fn sum(&mut self, _: u64, count: u64) -> u64 {
        let mut sum = 0u64;
        self.each(count, |message| sum = sum.wrapping_add(message));
        sum
    }
}

/// Some writers and some readers, spread evenly over both cores.
pub struct Crowd {
    cores: Cores,
    writers: Vec<Box<dyn End>>,
    readers: Vec<Box<dyn End>>,
}

impl Crowd {
    /// Sets everything up, and asserts the queue's contract: first with two ends, then with all.
    pub fn open(queue: Queue, writers: usize, readers: usize, cores: Cores) -> Crowd {
        let mut ends = Ends::new(queue);
        let writers = (0..writers).map(|_| ends.writer()).collect();
        let readers = (0..readers).map(|_| ends.reader()).collect();
        let mut crowd = Crowd { cores, writers, readers };
        crowd.check();
        crowd
    }

    /// Each message arrives once, and those of one writer arrive at each reader in the order in which they were pushed.
    fn check(&mut self) {
        let count = self.rounded(CHECKED);
        let got = self.start(count, |end, first, count| {
            let mut messages = Vec::new();
            end.go(first, count, &mut |message| messages.push(message));
            messages
        });
        let (pushed, popped) = got.results.split_at(self.writers.len());
        for messages in popped {
            let mut next = vec![0; self.writers.len()];
            for message in messages {
                let writer = (message >> WRITER_SHIFT) as usize;
                assert!(*message >= next[writer], "the messages of one writer are out of order");
                next[writer] = message + 1;
            }
        }
        let sorted = |parts: &[Vec<u64>]| {
            let mut all = parts.concat();
            all.sort_unstable();
            all
        };
        assert!(sorted(pushed) == sorted(popped), "a message was lost, doubled or damaged");
    }

    /// A number of messages of which each end has its equal share.
    fn rounded(&self, count: u64) -> u64 {
        count.next_multiple_of((self.writers.len() * self.readers.len()) as u64)
    }

    fn start<V: Send>(&mut self, count: u64, work: impl Fn(&mut dyn End, u64, u64) -> V + Sync) -> Started<V> {
        let (near, far) = (self.cores.near, self.cores.far);
        let (arrived, open) = (AtomicUsize::new(0), AtomicBool::new(false));
        let ends = self.writers.len() + self.readers.len();
        let share_of_writer = count / self.writers.len() as u64;
        let share_of_reader = count / self.readers.len() as u64;
        let shares = self.writers.iter_mut().enumerate().map(|(index, end)| {
            let cpu = [near, far][index % 2];
            (end, cpu, (index as u64) << WRITER_SHIFT, share_of_writer)
        });
        let readers = self.readers.iter_mut().enumerate();
        let shares = shares.chain(readers.map(|(index, end)| (end, [far, near][index % 2], 0, share_of_reader)));
        thread::scope(|scope| {
            let (arrived, open, work) = (&arrived, &open, &work);
            let threads: Vec<_> = shares
                .map(|(end, cpu, first, share)| {
                    scope.spawn(move || {
                        pin(cpu);
                        arrived.fetch_add(1, Ordering::Release);
                        wait_in_a_crowd(|| open.load(Ordering::Acquire).then_some(()));
                        let result = work(&mut **end, first, share);
                        (result, Instant::now())
                    })
                })
                .collect();
            wait_in_a_crowd(|| (arrived.load(Ordering::Acquire) == ends).then_some(()));
            let start = Instant::now();
            open.store(true, Ordering::Release);
            let done = threads.into_iter().map(|thread| thread.join().expect("an end of the queue"));
            let (results, ended): (Vec<V>, Vec<Instant>) = done.unzip();
            Started { results, took: ended.into_iter().max().expect("some ends") - start }
        })
    }
}

struct Started<V> {
    /// What the writers say, then the readers.
    results: Vec<V>,
    /// From the start to the last one's end.
    took: Duration,
}

impl Measured for Crowd {
    fn run(&mut self, count: u64) -> Duration {
        let rounded = self.rounded(count);
        let Started { results, took } = self.start(rounded, |end, first, count| end.sum(first, count));
        let (pushed, popped) = results.split_at(self.writers.len());
        let sum = |parts: &[u64]| parts.iter().fold(0u64, |sum, part| sum.wrapping_add(*part));
        assert_eq!(sum(pushed), sum(popped), "a message was lost, doubled or damaged");
        took.mul_f64(count as f64 / rounded as f64)
    }
}

/// One thread that pushes a message and pops it, and so on.
pub struct Alone {
    both: Box<dyn FnMut(u64)>,
}

impl Alone {
    pub fn open(queue: Queue) -> Alone {
        let both: Box<dyn FnMut(u64)> = match queue {
            Queue::Mpmc => {
                let (ring, _name) = ring();
                Box::new(both(ring.writer(), ring.reader()))
            }
            Queue::Crossbeam => Box::new(both_of(ArrayQueue::new(CAPACITY))),
            _ => Box::new(both_of(Vyukov::<Word, QuarterOfALine>::new(CAPACITY))),
        };
        Alone { both }
    }
}

fn both_of<Q>(queue: Q) -> impl FnMut(u64)
where
    Arc<Q>: Writer<Word> + Reader<Word>,
{
    let queue = Arc::new(queue);
    both(queue.clone(), queue)
}

fn both(mut to: impl Writer<Word>, mut from: impl Reader<Word>) -> impl FnMut(u64) {
    keeps_its_contract(&mut to, &mut from, CAPACITY);
    move |count| {
        let mut difference = 0;
        for number in 0..count {
            assert!(to.push([number]).is_ok(), "there is room");
            difference |= from.pop().expect("a message").differs(number);
        }
        assert_eq!(difference, 0, "what was popped is not what was pushed");
    }
}

impl Measured for Alone {
    fn run(&mut self, count: u64) -> Duration {
        let start = Instant::now();
        (self.both)(count);
        start.elapsed()
    }
}

static RINGS: AtomicU64 = AtomicU64::new(0);

fn ring() -> (mpmc::Ring<Word>, super::queues::Name) {
    let number = RINGS.fetch_add(1, Ordering::Relaxed);
    RingOf::<Word>::create(format!("bench-{}-crowd-{number}", std::process::id()), CAPACITY)
}

/// Any number of ends of one queue.
struct Ends {
    writer: Box<dyn Fn() -> Box<dyn End>>,
    reader: Box<dyn Fn() -> Box<dyn End>>,
}

impl Ends {
    fn new(queue: Queue) -> Ends {
        match queue {
            Queue::Mpmc => {
                let (ring, _name) = ring();
                let also = ring.clone();
                Ends::checked(move || ring.writer(), move || also.reader())
            }
            Queue::Crossbeam => Ends::of(Arc::new(ArrayQueue::new(CAPACITY))),
            _ => Ends::of(Arc::new(Vyukov::<Word, QuarterOfALine>::new(CAPACITY))),
        }
    }

    fn of<Q: 'static>(queue: Arc<Q>) -> Ends
    where
        Arc<Q>: Writer<Word> + Reader<Word>,
    {
        let also = queue.clone();
        Ends::checked(move || queue.clone(), move || also.clone())
    }

    fn checked<W, R>(writer: impl Fn() -> W + 'static, reader: impl Fn() -> R + 'static) -> Ends
    where
        W: Writer<Word> + 'static,
        R: Reader<Word> + 'static,
    {
        keeps_its_contract(&mut writer(), &mut reader(), CAPACITY);
        Ends {
            writer: Box::new(move || Box::new(Pushing(writer()))),
            reader: Box::new(move || Box::new(Popping(reader()))),
        }
    }

    fn writer(&mut self) -> Box<dyn End> {
        (self.writer)()
    }

    fn reader(&mut self) -> Box<dyn End> {
        (self.reader)()
    }
}
