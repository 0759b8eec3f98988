//! Where the two sides run, and how they wait for each other.
#![allow(unsafe_code)]

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::cell::Cell;
use std::fs;
use std::time::{Duration, Instant};

/// The cpus of the two sides of a measurement. The near side is the one that holds the clock.
#[derive(Clone, Copy)]
pub struct Cores {
    pub near: usize,
    pub far: usize,
    /// The system says that they are two threads of one core.
    siblings: bool,
    /// They are a virtual machine's, whose host may put them anywhere, and elsewhere a moment later.
    pub wander: bool,
}

impl Cores {
    /// The first cpu that we may use, and the next one that is not a thread of the same core, if there is one; twice the
    /// same where there is only one cpu.
    pub fn choose() -> Cores {
        let allowed = sched_getaffinity(None).expect("the cpus that we may use");
        let mut cpus = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu));
        let near = cpus.next().expect("a cpu to run on");
        let others: Vec<usize> = cpus.collect();
        let siblings = siblings_of(near);
        let elsewhere = others.iter().find(|cpu| !siblings.contains(cpu));
        let far = *elsewhere.or(others.first()).unwrap_or(&near);
        let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let wander = about.split_whitespace().any(|word| word == "hypervisor");
        Cores { near, far, siblings: elsewhere.is_none(), wander }
    }

    /// Whether both sides have to share one cpu.
    pub fn are_one(self) -> bool {
        self.near == self.far
    }

    /// Whether both sides share one core, for all that the system says.
    pub fn are_siblings(self) -> bool {
        self.siblings
    }

    /// What a reader must know of these cores to make sense of the numbers.
    pub fn describe(self) -> String {
        let Cores { near, far, .. } = self;
        if self.are_one() {
            return format!(
                "ONLY ONE CPU ({near}) may be used: both sides share it and take turns, so the numbers below say how fast \
                 the system switches between them, and nothing about a ring"
            );
        }
        let siblings =
            if self.siblings { ", which are two threads of ONE CORE: nothing passes between cores" } else { "" };
        format!("the two sides are pinned to cpus {near} and {far}{siblings}")
    }
}

/// The cpus that are threads of the same core as `cpu`, itself among them; none if the system does not say.
fn siblings_of(cpu: usize) -> Vec<usize> {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    let list = fs::read_to_string(path).unwrap_or_default();
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<usize>().ok()?..=last.trim().parse().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

/// The machine, as far as the numbers depend on it: the kind of processor, and the kernel.
pub fn machine() -> (String, String) {
    let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = about.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("an unnamed processor".into(), |(_, name)| name.trim().to_owned());
    (model, rustix::system::uname().release().to_string_lossy().into_owned())
}

/// Keeps the calling thread on one cpu from here on.
pub fn pin(cpu: usize) {
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only).expect("to stay on one cpu");
}

/// How often the system took the cpu away from the calling thread so far.
pub fn preemptions() -> i64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: it is a place for one `rusage`, which is all that the call writes.
    let asked = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    assert_eq!(asked, 0, "the usage of our own thread");
    // SAFETY: it consists of integers, which were zeros before the call filled them in.
    unsafe { usage.assume_init() }.ru_nivcsw
}

/// A wait this long means that the other side cannot run: it lost its cpu to somebody else, or has the same one.
const POLLS_PER_YIELD: u64 = 1 << 16;
/// Where there are more threads than cores, a wait this long means that the other side may want this core.
const POLLS_PER_YIELD_IN_A_CROWD: u64 = 1 << 6;
/// A wait this long means that the other side is gone, or that a message is lost; and a run, which is meant to take
/// milliseconds, that those who wait for each other hardly get on.
const PATIENCE: Duration = Duration::from_secs(5);

thread_local! {
    /// Since when this thread gives way, if it does.
    static GIVING_WAY: Cell<Option<Instant>> = const { Cell::new(None) };
    /// Since when it is in the middle of a run, if it is.
    static RUNNING: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Does what one side does in a run.
pub fn run<V>(work: impl FnOnce() -> V) -> V {
    struct Running;
    impl Drop for Running {
        fn drop(&mut self) {
            RUNNING.set(None);
        }
    }
    RUNNING.set(Some(Instant::now()));
    let _running = Running;
    work()
}

/// Polls until there is something. All candidates wait in this same way. No pause instruction: it delays the moment at
/// which a line is seen to have come, in a virtual machine by more than the line takes.
#[inline(always)]
pub fn wait<V>(poll: impl FnMut() -> Option<V>) -> V {
    wait_yielding::<POLLS_PER_YIELD, V>(poll)
}

/// The same, in a crowd.
#[inline(always)]
pub fn wait_in_a_crowd<V>(poll: impl FnMut() -> Option<V>) -> V {
    wait_yielding::<POLLS_PER_YIELD_IN_A_CROWD, V>(poll)
}

#[inline(always)]
fn wait_yielding<const POLLS_PER_YIELD: u64, V>(mut poll: impl FnMut() -> Option<V>) -> V {
    let mut polls = 0;
    loop {
        if let Some(value) = poll() {
            return value;
        }
        polls += 1;
        if polls % POLLS_PER_YIELD == 0 {
            give_way(polls == POLLS_PER_YIELD);
        }
    }
}

#[cold]
#[inline(never)]
fn give_way(begins: bool) {
    let since = GIVING_WAY.get().filter(|_| !begins).unwrap_or_else(Instant::now);
    GIVING_WAY.set(Some(since));
    assert!(since.elapsed() < PATIENCE, "the other side does not answer: it is gone, or a message is lost");
    let is_stuck = RUNNING.get().is_some_and(|since| since.elapsed() > PATIENCE);
    assert!(!is_stuck, "it takes seconds where milliseconds were meant: the sides hold each other up");
    std::thread::yield_now();
}
