//! The sides of a job, on two cores, in threads or in two processes, that start together.

use super::channel::{Candidate, Part, Session, Sides};
use super::cores::{self, Cores, pin, preemptions, wait, wait_in_a_crowd};
use super::crowd::CHECKED;
use super::job::{Job, Place, Work};
use super::limits::buffers_of;
use super::rounds::Measured;
use super::shared::{ARRIVED, DISTURBED, DONE, OPEN, POPPED, PUSHED, Shared, path_of};
use super::sides::Side;
use super::timed::{Latencies, histogram};
use std::io::{BufRead, Write, stdin};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// As the first argument, it makes a program the far side of a measurement.
pub const PEER: &str = "bench-peer";
/// Messages, round trips or chunks that go through a new link before it is timed.
const FIRST_RUN: u64 = 300;
/// Of the messages that are timed, one in so many goes before them.
const WARM_UP: u64 = 4;
/// How often a run is repeated in which one side lost its core for a while.
const ATTEMPTS: u32 = 20;
/// For how long it is repeated at most.
const PATIENCE: Duration = Duration::from_millis(100);

/// No side needs so long to get ready.
const OPENING: Duration = Duration::from_secs(20);

/// A job that is ready to run.
pub struct Link {
    cores: Cores,
    gate: Gate,
    near: Vec<Box<dyn Side>>,
    far: Far,
    latencies: Option<Latencies>,
    /// How often a run may be repeated.
    attempts: u32,
    /// Runs that were repeated as one side lost its core meanwhile.
    repeated: u64,
    /// Runs that count although one side lost its core.
    disturbed: u64,
}

enum Far {
    Threads(Vec<Box<dyn Side>>),
    Process(Child),
}

impl Link {
    /// Sets everything up, asserts the candidate's contract, and runs it once. The calling thread must be on the near
    /// core.
    pub fn open(job: Job, cores: Cores) -> Result<Link, String> {
        static LINKS: AtomicU64 = AtomicU64::new(0);
        let number = LINKS.fetch_add(1, Ordering::Relaxed);
        let session = Session {
            prefix: format!("bench-{}-{number}", std::process::id()),
            shared: Arc::new(Shared::new(buffers_of(&job))),
            latencies: Arc::new(Mutex::new(histogram())),
        };
        let part = if job.place == Place::Threads { Part::Both } else { Part::Near };
        let Sides { near, far, until_met } = (job.candidate.sides)(&job, &session, part)?;
        let far = match job.place {
            Place::Threads => Far::Threads(far),
            Place::Processes => Far::Process(spawn(&job, &session, cores)?),
        };
        let mut link = Link::new(near, far, session.shared, cores, Parties::of(job.work));
        if job.work.is_timed() {
            link.latencies = Some(session.latencies);
            // To leave out the runs in which something went wrong would be to leave out the longest times.
            link.attempts = 0;
        }
        link.run(if job.work.is_crowd() { CHECKED } else { FIRST_RUN });
        // Both sides are attached, so the names go here. What is killed from now on leaves nothing behind.
        drop(until_met);
        Ok(link)
    }

    fn new(near: Vec<Box<dyn Side>>, far: Far, shared: Arc<Shared>, cores: Cores, parties: Parties) -> Link {
        // With one core for both sides, or many threads on each, nothing else is to be had.
        let attempts = if cores.are_one() || parties.others > 1 { 0 } else { ATTEMPTS };
        let gate = Gate { shared, turn: 0, parties };
        Link { cores, gate, near, far, latencies: None, attempts, repeated: 0, disturbed: 0 }
    }

    fn run_once(&mut self, count: u64) -> Run {
        let Link { cores, gate, near, far, .. } = self;
        let (first, others) = near.split_first_mut().expect("a side that is timed");
        let mut gate_of_others = gate.clone();
        match far {
            Far::Threads(far) => thread::scope(|scope| {
                gate_of_others.start_in(scope, others, cores.near, count);
                gate_of_others.start_in(scope, far, cores.far, count);
                gate.run_clock(first, count, || ())
            }),
            Far::Process(child) => {
                let commands = child.stdin.as_mut().expect("a pipe to the other process");
                writeln!(commands, "{count}").expect("the other process to listen");
                thread::scope(|scope| {
                    gate_of_others.start_in(scope, others, cores.near, count);
                    gate.run_clock(first, count, || {
                        let ended = child.try_wait().expect("the state of the other process");
                        assert!(ended.is_none(), "the other process ended: {ended:?}");
                    })
                })
            }
        }
    }
}

impl Measured for Link {
    /// The time that the first near side needs for `count` round trips, messages or chunks, after a warm-up. A run in
    /// which the system took one of the cores away says how busy the machine is, and is repeated.
    fn run(&mut self, count: u64) -> Duration {
        let rounded = self.gate.parties.round(count);
        let start = Instant::now();
        let mut run = self.run_once(rounded);
        for _ in 0..self.attempts {
            // A long run on a busy machine never goes undisturbed.
            if !run.disturbed || start.elapsed() > PATIENCE {
                break;
            }
            self.repeated += 1;
            run = self.run_once(rounded);
        }
        // In a crowd sides take turns on their cores: that is no disturbance.
        self.disturbed += u64::from(run.disturbed && self.gate.parties.others == 1);
        run.took.mul_f64(count as f64 / rounded as f64)
    }

    fn disturbances(&self) -> (u64, u64) {
        (self.repeated, self.disturbed)
    }

    fn latencies(&self) -> Option<&Latencies> {
        self.latencies.as_ref()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Far::Process(child) = &mut self.far {
            // The end of its input is the end of its work; if something failed, it may be in the middle of it.
            drop(child.stdin.take());
            let start = Instant::now();
            while matches!(child.try_wait(), Ok(None)) && start.elapsed() < PATIENCE {
                thread::yield_now();
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

struct Run {
    took: Duration,
    disturbed: bool,
}

/// How many sides there are.
#[derive(Clone, Copy)]
struct Parties {
    /// All but the one that is timed.
    others: u64,
    /// A number of messages of which each side has an equal share is a multiple of this.
    unit: u64,
}

impl Parties {
    fn of(work: Work) -> Parties {
        match work {
            Work::Alone => Parties { others: 0, unit: 1 },
            Work::Flow { writers, readers, .. } => {
                Parties { others: (writers + readers) as u64 - 1, unit: (writers * readers) as u64 }
            }
            _ => Parties { others: 1, unit: 1 },
        }
    }

    fn round(self, count: u64) -> u64 {
        count.next_multiple_of(self.unit)
    }
}

/// Lets all sides start at the same time: once to warm up, once for the clock. Each side counts along.
#[derive(Clone)]
struct Gate {
    shared: Arc<Shared>,
    turn: u64,
    parties: Parties,
}

impl Gate {
    /// The two turns of a run.
    fn counts(&self, count: u64) -> [u64; 2] {
        [self.parties.round(count / WARM_UP), count]
    }

    fn all_arrived(&self) -> u64 {
        self.turn * self.parties.others
    }

    /// Starts sides that are not timed.
    fn start_in<'scope>(
        &mut self,
        scope: &'scope thread::Scope<'scope, '_>,
        sides: &'scope mut [Box<dyn Side>],
        cpu: usize,
        count: u64,
    ) {
        for side in sides {
            let mut gate = self.clone();
            scope.spawn(move || {
                pin(cpu);
                gate.run_other(side, count);
            });
        }
    }

    /// Does what a side does that is not timed.
    fn run_other(&mut self, side: &mut Box<dyn Side>, count: u64) {
        for count in self.counts(count) {
            self.turn += 1;
            self.shared.word(ARRIVED).fetch_add(1, Ordering::Release);
            let is_open = || (self.shared.word(OPEN).load(Ordering::Acquire) == self.turn).then_some(());
            if self.parties.others > 1 {
                wait_in_a_crowd(is_open)
            } else {
                wait(is_open)
            }
            let before = preemptions();
            cores::run(|| side.go(count));
            self.shared.word(DISTURBED).fetch_add(u64::from(preemptions() != before), Ordering::Relaxed);
            self.shared.word(DONE).fetch_add(1, Ordering::Release);
        }
    }

    /// Does what the side does that is timed.
    fn run_clock(&mut self, side: &mut Box<dyn Side>, count: u64, mut still_there: impl FnMut()) -> Run {
        let mut run = None;
        for count in self.counts(count) {
            self.turn += 1;
            let start = Instant::now();
            while self.shared.word(ARRIVED).load(Ordering::Acquire) != self.all_arrived() {
                still_there();
                assert!(start.elapsed() < OPENING, "the other side does not get ready");
                thread::yield_now();
            }
            let disturbances = self.shared.word(DISTURBED).load(Ordering::Relaxed);
            let before = preemptions();
            let start = Instant::now();
            self.shared.word(OPEN).store(self.turn, Ordering::Release);
            cores::run(|| side.go(count));
            let mut took = start.elapsed();
            wait_in_a_crowd(|| (self.shared.word(DONE).load(Ordering::Acquire) == self.all_arrived()).then_some(()));
            if self.parties.others > 1 {
                took = start.elapsed();
            }
            let [pushed, popped] = [PUSHED, POPPED].map(|sum| self.shared.word(sum).load(Ordering::Relaxed));
            assert_eq!(pushed, popped, "a message was lost, doubled or damaged");
            let disturbed = self.shared.word(DISTURBED).load(Ordering::Relaxed) != disturbances;
            run = Some(Run { took, disturbed: disturbed || preemptions() != before });
        }
        run.expect("two turns")
    }
}

fn spawn(job: &Job, session: &Session, cores: Cores) -> Result<Child, String> {
    Command::new(std::env::current_exe().map_err(|error| format!("our own program: {error}"))?)
        .arg(PEER)
        .args(job.arguments())
        .args([&session.prefix, &cores.far.to_string(), &path_of(&session.shared)])
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|error| format!("a second process: {error}"))
}

/// What the second process does: the far sides of the job that `arguments` say, with one of the program's candidates.
pub fn be_the_peer(arguments: &[String], candidates: &[&'static Candidate]) -> Result<(), String> {
    let [name, work, bytes, prefix, cpu, path] = arguments else {
        return Err(format!("`{PEER}` is for the program itself: it starts it to have a second process"));
    };
    // If the parent is killed in the middle of a run, nobody else would tell us.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|error| format!("to end with the first process: {error}"))?;
    let cpu = cpu.parse().map_err(|error| format!("cpu `{cpu}`: {error}"))?;
    pin(cpu);
    let job = Job::of_arguments([name, work, bytes], candidates)?;
    let shared = Arc::new(Shared::open(path, buffers_of(&job)));
    let latencies = Arc::new(Mutex::new(histogram()));
    let session = Session { prefix: prefix.clone(), shared: shared.clone(), latencies };
    let Sides { far: mut sides, until_met, .. } = (job.candidate.sides)(&job, &session, Part::Far)?;
    let mut gate = Gate { shared, turn: 0, parties: Parties::of(job.work) };
    let mut until_met = Some(until_met);
    for command in stdin().lock().lines() {
        let count = command.expect("a command").parse().expect("a number");
        match &mut sides[..] {
            [side] => gate.run_other(side, count),
            several => {
                thread::scope(|scope| gate.start_in(scope, several, cpu, count));
                gate.turn += gate.counts(count).len() as u64;
            }
        }
        until_met = None;
    }
    drop(until_met);
    Ok(())
}
