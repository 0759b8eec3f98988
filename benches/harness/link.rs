//! Two sides on two cores, in two threads or two processes, that start together.

use super::contract::{Payload, Reader, Writer, keeps_its_contract};
use super::cores::{Cores, pin, preemptions, wait};
use super::job::{Job, Place, Queue, Work};
use super::limits::{BUFFERS, BulkReader, BulkWriter, PingLines, PongLines};
use super::queues::{Name, RingOf};
use super::rounds::Measured;
use super::shared::{Shared, path_of};
use super::sides::{BatchSink, BatchSource, Ping, Pong, Side, Sink, Source};
use super::vyukov::{Line, QuarterOfALine, Vyukov};
use crossbeam_queue::ArrayQueue;
use ringway::{mpmc, spsc};
use std::io::{BufRead, Write, stdin};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// As the first argument, it makes this program the far side of a measurement.
pub const PEER: &str = "--peer";
/// Messages, round trips or chunks that go through a new link before it is timed.
const FIRST_RUN: u64 = 300;
/// Of the messages that are timed, one in so many goes before them.
const WARM_UP: u64 = 4;
/// How often a run is repeated in which one side lost its core for a while.
const ATTEMPTS: u32 = 20;
/// For how long it is repeated at most.
const PATIENCE: Duration = Duration::from_millis(100);

/// A job that is ready to run.
pub struct Link {
    cores: Cores,
    gate: Gate,
    near: Box<dyn Side>,
    far: Far,
    /// Runs that were repeated as one side lost its core meanwhile.
    repeated: u64,
    /// Runs that count although one side lost its core.
    disturbed: u64,
}

enum Far {
    Thread(Box<dyn Side>),
    Process(Child),
}

impl Link {
    /// Sets everything up, asserts the queue's contract, and runs it once. The calling thread must be on the near core.
    pub fn open(job: Job, cores: Cores) -> Link {
        let shared = Arc::new(Shared::new(buffers_of(job)));
        let gate = Gate::new(shared.clone());
        let (near, far, _names) = match job.bytes {
            _ if job.work == Work::Lines || job.work == Work::Bulk => with_limit(job, cores, &shared),
            8 => with_queue::<[u64; 1]>(job, cores, &shared),
            56 => with_queue::<[u64; 7]>(job, cores, &shared),
            256 => with_queue::<[u64; 32]>(job, cores, &shared),
            4096 => with_queue::<[u64; 512]>(job, cores, &shared),
            other => unreachable!("no job has messages of {other} bytes"),
        };
        let mut link = Link { cores, gate, near, far, repeated: 0, disturbed: 0 };
        link.run(FIRST_RUN);
        // Both sides are attached, so the names go here. What is killed from now on leaves nothing behind.
        link
    }

    /// Two sides in two threads, which are set up and set apart already.
    pub fn between(near: Box<dyn Side>, far: Box<dyn Side>, cores: Cores) -> Link {
        let gate = Gate::new(Arc::new(Shared::new(0)));
        let mut link = Link { cores, gate, near, far: Far::Thread(far), repeated: 0, disturbed: 0 };
        link.run(FIRST_RUN);
        link
    }

    fn run_once(&mut self, count: u64) -> Run {
        let Link { cores, gate, near, far, .. } = self;
        match far {
            Far::Thread(far) => thread::scope(|scope| {
                let mut gate_of_far = gate.clone();
                scope.spawn(move || {
                    pin(cores.far);
                    gate_of_far.far_run(far, count);
                });
                gate.near_run(near, count, || ())
            }),
            Far::Process(child) => {
                let commands = child.stdin.as_mut().expect("a pipe to the other process");
                writeln!(commands, "{count}").expect("the other process to listen");
                gate.near_run(near, count, || {
                    let ended = child.try_wait().expect("the state of the other process");
                    assert!(ended.is_none(), "the other process ended: {ended:?}");
                })
            }
        }
    }
}

impl Measured for Link {
    /// The time that the near side needs for `count` round trips, messages or chunks, after a warm-up. A run in which
    /// the system took one of the cores away says how busy the machine is, and is repeated.
    fn run(&mut self, count: u64) -> Duration {
        // With one core for both sides nothing else is to be had.
        let attempts = if self.cores.near == self.cores.far { 0 } else { ATTEMPTS };
        let start = Instant::now();
        let mut run = self.run_once(count);
        for _ in 0..attempts {
            // A long run on a busy machine never goes undisturbed.
            if !run.disturbed || start.elapsed() > PATIENCE {
                break;
            }
            self.repeated += 1;
            run = self.run_once(count);
        }
        self.disturbed += u64::from(run.disturbed);
        run.took
    }

    fn disturbances(&self) -> (u64, u64) {
        (self.repeated, self.disturbed)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Far::Process(child) = &mut self.far {
            // The end of its input is the end of its work; if we failed, it may be in the middle of it.
            drop(child.stdin.take());
            if thread::panicking() {
                let _ = child.kill();
            }
            let _ = child.wait();
        }
    }
}

struct Run {
    took: Duration,
    disturbed: bool,
}

/// Lets both sides start at the same time: once to warm up, once for the clock. Each side counts along.
#[derive(Clone)]
struct Gate {
    shared: Arc<Shared>,
    turn: u64,
}

impl Gate {
    const ARRIVED: usize = 0;
    const OPEN: usize = 1;
    const DONE: usize = 2;

    fn new(shared: Arc<Shared>) -> Gate {
        Gate { shared, turn: 0 }
    }

    fn far_run(&mut self, far: &mut Box<dyn Side>, count: u64) {
        for count in [count / WARM_UP, count] {
            self.turn += 1;
            self.shared.word(Self::ARRIVED).store(self.turn, Ordering::Release);
            wait(|| (self.shared.word(Self::OPEN).load(Ordering::Acquire) == self.turn).then_some(()));
            let before = preemptions();
            far.go(count);
            let disturbed = preemptions() != before;
            self.shared.word(Self::DONE).store(self.turn << 1 | u64::from(disturbed), Ordering::Release);
        }
    }

    fn near_run(&mut self, near: &mut Box<dyn Side>, count: u64, mut still_there: impl FnMut()) -> Run {
        let mut run = None;
        for count in [count / WARM_UP, count] {
            self.turn += 1;
            while self.shared.word(Self::ARRIVED).load(Ordering::Acquire) != self.turn {
                still_there();
                thread::yield_now();
            }
            let before = preemptions();
            let start = Instant::now();
            self.shared.word(Self::OPEN).store(self.turn, Ordering::Release);
            near.go(count);
            let took = start.elapsed();
            let done = wait(|| {
                let done = self.shared.word(Self::DONE).load(Ordering::Acquire);
                (done >> 1 == self.turn).then_some(done)
            });
            run = Some(Run { took, disturbed: done & 1 == 1 || preemptions() != before });
        }
        run.expect("two turns")
    }
}

fn buffers_of(job: Job) -> usize {
    if job.work == Work::Bulk { job.bytes * BUFFERS } else { 0 }
}

fn ring_name(parent: u32, job: Job, way: &str) -> String {
    let place = Job::all().iter().position(|&other| other == job).expect("a job of ours");
    format!("bench-{parent}-{place}-{way}")
}

fn with_limit(job: Job, cores: Cores, shared: &Arc<Shared>) -> (Box<dyn Side>, Far, Vec<Name>) {
    let near: Box<dyn Side> = match job.work {
        Work::Lines => Box::new(PingLines::new(shared.clone())),
        _ => Box::new(BulkReader::new(shared.clone(), job.bytes)),
    };
    let far = match job.place {
        Place::Threads => Far::Thread(far_limit(job, shared)),
        Place::Processes => Far::Process(spawn(job, cores, shared)),
    };
    (near, far, Vec::new())
}

fn far_limit(job: Job, shared: &Arc<Shared>) -> Box<dyn Side> {
    match job.work {
        Work::Lines => Box::new(PongLines::new(shared.clone())),
        _ => Box::new(BulkWriter::new(shared.clone(), job.bytes)),
    }
}

fn with_queue<T: Payload>(job: Job, cores: Cores, shared: &Arc<Shared>) -> (Box<dyn Side>, Far, Vec<Name>) {
    match job.work.queue().expect("a job with a queue") {
        Queue::Spsc => with_ring::<T, spsc::Ring<T>>(job, cores, shared),
        Queue::Mpmc => with_ring::<T, mpmc::Ring<T>>(job, cores, shared),
        Queue::Rtrb => in_threads::<T, _, _>(job, || rtrb::RingBuffer::new(job.capacity())),
        Queue::Crossbeam => in_threads::<T, _, _>(job, || twice(ArrayQueue::new(job.capacity()))),
        Queue::Vyukov if job.bytes == 8 => {
            in_threads::<T, _, _>(job, || twice(Vyukov::<T, QuarterOfALine>::new(job.capacity())))
        }
        Queue::Vyukov => in_threads::<T, _, _>(job, || twice(Vyukov::<T, Line>::new(job.capacity()))),
    }
}

fn twice<Q>(queue: Q) -> (Arc<Q>, Arc<Q>) {
    let queue = Arc::new(queue);
    (queue.clone(), queue)
}

/// Both sides of a queue that lives in one process.
fn in_threads<T: Payload, W, R>(job: Job, new: impl Fn() -> (W, R)) -> (Box<dyn Side>, Far, Vec<Name>)
where
    W: Writer<T> + 'static,
    R: Reader<T> + 'static,
{
    let new = || {
        let (mut writer, mut reader) = new();
        keeps_its_contract(&mut writer, &mut reader, job.capacity());
        (writer, reader)
    };
    let (to_near, at_near) = new();
    let (near, far): (Box<dyn Side>, Box<dyn Side>) = match job.work {
        Work::RoundTrip(_) => {
            let (to_far, at_far) = new();
            (Box::new(Ping::new(to_far, at_near)), Box::new(Pong::new(to_near, at_far)))
        }
        Work::OneByOne(_) => (Box::new(Sink::new(at_near)), Box::new(Source::new(to_near))),
        _ => {
            let batch = job.batch();
            (Box::new(BatchSink::new(at_near, batch)), Box::new(BatchSource::new(to_near, batch)))
        }
    };
    (near, Far::Thread(far), Vec::new())
}

/// The same for our rings, whose ends may be in two processes.
fn with_ring<T, R>(job: Job, cores: Cores, shared: &Arc<Shared>) -> (Box<dyn Side>, Far, Vec<Name>)
where
    T: Payload,
    R: RingOf<T>,
{
    let me = std::process::id();
    let (back, back_name) = checked_ring::<T, R>(ring_name(me, job, "back"), job.capacity());
    let at_near = back.reader();
    let mut names = vec![back_name];
    let near: Box<dyn Side> = match job.work {
        Work::RoundTrip(_) => {
            let (forth, forth_name) = checked_ring::<T, R>(ring_name(me, job, "forth"), job.capacity());
            names.push(forth_name);
            Box::new(Ping::new(forth.writer(), at_near))
        }
        Work::OneByOne(_) => Box::new(Sink::new(at_near)),
        _ => Box::new(BatchSink::new(at_near, job.batch())),
    };
    let far = match job.place {
        Place::Threads => Far::Thread(far_ring::<T, R>(job, me)),
        Place::Processes => Far::Process(spawn(job, cores, shared)),
    };
    (near, far, names)
}

fn checked_ring<T: Payload, R: RingOf<T>>(name: String, capacity: usize) -> (R, Name) {
    let (ring, name) = R::create(name, capacity);
    keeps_its_contract(&mut ring.writer(), &mut ring.reader(), capacity);
    (ring, name)
}

/// The far side of one of our rings, which comes to it by its name.
fn far_side<T: Payload>(job: Job, parent: u32) -> Box<dyn Side> {
    match job.work.queue() {
        Some(Queue::Mpmc) => far_ring::<T, mpmc::Ring<T>>(job, parent),
        _ => far_ring::<T, spsc::Ring<T>>(job, parent),
    }
}

fn far_ring<T: Payload, R: RingOf<T>>(job: Job, parent: u32) -> Box<dyn Side> {
    let open = |way| R::open(&ring_name(parent, job, way));
    let to_near = open("back").writer();
    match job.work {
        Work::RoundTrip(_) => Box::new(Pong::new(to_near, open("forth").reader())),
        Work::OneByOne(_) => Box::new(Source::new(to_near)),
        _ => Box::new(BatchSource::new(to_near, job.batch())),
    }
}

fn spawn(job: Job, cores: Cores, shared: &Arc<Shared>) -> Child {
    let index = Job::all().iter().position(|&other| other == job).expect("a job of ours");
    let parent = std::process::id();
    Command::new(std::env::current_exe().expect("our own program"))
        .args([PEER, &index.to_string(), &cores.far.to_string(), &parent.to_string(), &path_of(shared)])
        .stdin(Stdio::piped())
        .spawn()
        .expect("a second process")
}

/// What the second process does instead of benches: the far side of the job that `arguments` name.
pub fn be_the_peer(arguments: &[String]) {
    let [index, cpu, parent, path] = arguments else {
        panic!("started by hand? this is for the bench itself");
    };
    let number = |text: &String| text.parse::<usize>().expect("a number");
    let job = Job::all()[number(index)];
    let parent = number(parent) as u32;
    // If the parent is killed in the middle of a run, nobody else would tell us.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).expect("to die in time");
    pin(number(cpu));
    let shared = Arc::new(Shared::open(path, buffers_of(job)));
    let mut side = match (job.work, job.bytes) {
        (Work::Lines | Work::Bulk, _) => far_limit(job, &shared),
        (_, 8) => far_side::<[u64; 1]>(job, parent),
        (_, 56) => far_side::<[u64; 7]>(job, parent),
        (_, 256) => far_side::<[u64; 32]>(job, parent),
        _ => far_side::<[u64; 512]>(job, parent),
    };
    let mut gate = Gate::new(shared);
    for command in stdin().lock().lines() {
        let count = command.expect("a command").parse().expect("a number");
        gate.far_run(&mut side, count);
    }
}
