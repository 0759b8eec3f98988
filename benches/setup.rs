//! What it takes to make a ring, to come, to go, and to go on after a kill.
//!
//! ```text
//! cargo bench --bench setup                   everything, with plots in target/criterion
//! cargo bench --bench setup -- summary        the tables only, less than a minute
//! cargo bench --bench setup -- attach         those of criterion's benches
//! cargo bench --bench setup -- --test         each once, to see that they work
//! ```
//!
//! Beside each is what the system needs for a file of the same size in memory, or for the end of a process. The method is
//! in `benches/README.md`.

#[allow(dead_code)] // each bench uses a part of it
mod harness;
#[allow(dead_code)]
mod program;

use criterion::{Criterion, SamplingMode};
use harness::cores::Cores;
use harness::recovery::{self, Holding};
use harness::rings::options;
use harness::rounds::{self, Block, Measured, Task};
use program::{goal, nanoseconds};
use ringway::{mpmc, spsc};
use rustix::fs::{FallocateFlags, Mode, OFlags};
use rustix::mm::{MapFlags, ProtFlags};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

const BUDGET: Duration = Duration::from_secs(15);
const KILLS: usize = 500;
/// Words that make a ring of 1 MiB: seven to a line.
const CAPACITY: usize = (1 << 20) / 64 * 7;
/// The bytes that it needs beside its cells.
const HEAD: usize = 12 << 10;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    /// A file of 1 MiB in memory, which is what a segment is to the system.
    File,
    Spsc,
    Mpmc,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// Until it can be used, and has its name.
    Create,
    /// Of a process that is not attached yet.
    Attach,
    Detach,
    /// Both handles.
    Claim,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Measure {
    what: What,
    step: Step,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            What::File => "a file, mapped",
            What::Spsc => "ringway spsc",
            What::Mpmc => "ringway mpmc",
        }
    }
}

impl Step {
    fn title(self) -> &'static str {
        match self {
            Step::Create => "create, 1 MiB",
            Step::Attach => "attach, 1 MiB",
            Step::Detach => "detach, 1 MiB",
            Step::Claim => "producer and consumer, made and dropped",
        }
    }
}

impl Task for Measure {
    fn open(self, _: Cores) -> Result<Box<dyn Measured>, String> {
        static NAMES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = NAMES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("bench-{}-setup-{number}", std::process::id());
        macro_rules! of {
            ($kind:ident, $ring:ident => $claim:expr) => {
                match self.step {
                    Step::Create => steps(move || {
                        let (took, ring) = timed(|| $kind::Ring::<u64>::create(&name, &options(CAPACITY)));
                        // The last one to detach removes the name.
                        drop(ring.expect("a ring"));
                        took
                    }),
                    Step::Attach | Step::Detach => {
                        let ring = $kind::Ring::<u64>::create(&name, &options(CAPACITY)).map_err(said)?;
                        let attaches = self.step == Step::Attach;
                        steps(move || {
                            let (attach, again) = timed(|| $kind::Ring::<u64>::open(ring.name()).expect("the ring"));
                            let (detach, ()) = timed(|| drop(again));
                            if attaches { attach } else { detach }
                        })
                    }
                    Step::Claim => {
                        let $ring = $kind::Ring::<u64>::create(&name, &options(CAPACITY)).map_err(said)?;
                        steps(move || timed(|| drop($claim)).0)
                    }
                }
            };
        }
        Ok(match self.what {
            What::Spsc => of!(spsc, ring => (ring.producer().expect("the role"), ring.consumer().expect("the role"))),
            What::Mpmc => of!(mpmc, ring => (ring.producer(), ring.consumer())),
            What::File => {
                let create = self.step == Step::Create;
                let kept = if create { None } else { Some(Mapping::create(&name).map_err(said)?) };
                let attaches = self.step == Step::Attach;
                steps(move || match &kept {
                    None => {
                        let (took, mapping) = timed(|| Mapping::create(&name));
                        drop(mapping.expect("a file"));
                        took
                    }
                    Some(kept) => {
                        let (attach, again) = timed(|| Mapping::open(&kept.path).expect("the file"));
                        let (detach, ()) = timed(|| drop(again));
                        if attaches { attach } else { detach }
                    }
                })
            }
        })
    }

    fn run_time(self) -> Duration {
        Duration::from_millis(4)
    }
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn timed<V>(work: impl FnOnce() -> V) -> (Duration, V) {
    let start = Instant::now();
    let value = work();
    (start.elapsed(), value)
}

/// One step after the other, each of which says how long it took.
struct Steps<F>(F);

fn steps(step: impl FnMut() -> Duration + 'static) -> Box<dyn Measured> {
    Box::new(Steps(step))
}

impl<F: FnMut() -> Duration> Measured for Steps<F> {
    fn run(&mut self, count: u64) -> Duration {
        (0..count).map(|_| (self.0)()).sum()
    }
}

/// A file in memory, of the size of a ring's segment.
struct Mapping {
    path: String,
    base: *mut std::ffi::c_void,
    _file: OwnedFd,
    /// Whether its name goes with it.
    is_owner: bool,
}

impl Mapping {
    const LENGTH: usize = HEAD + CAPACITY.div_ceil(7) * 64;

    fn create(name: &str) -> rustix::io::Result<Mapping> {
        let path = format!("/dev/shm/{name}");
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)?;
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, Self::LENGTH as u64)?;
        Mapping::map(path, file, true)
    }

    fn open(path: &str) -> rustix::io::Result<Mapping> {
        let file = rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        Mapping::map(path.into(), file, false)
    }

    #[allow(unsafe_code)]
    fn map(path: String, file: OwnedFd, is_owner: bool) -> rustix::io::Result<Mapping> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice disturbs nobody.
        let base = unsafe { rustix::mm::mmap(std::ptr::null_mut(), Self::LENGTH, access, MapFlags::SHARED, &file, 0) }?;
        Ok(Mapping { path, base, _file: file, is_owner })
    }
}

impl Drop for Mapping {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: it is our own mapping, of that length, and nobody refers to it.
        let _ = unsafe { rustix::mm::munmap(self.base, Self::LENGTH) };
        if self.is_owner {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn comparisons() -> Vec<(&'static str, Vec<Measure>)> {
    let of = |step: Step, all: &[What]| (step.title(), all.iter().map(|&what| Measure { what, step }).collect());
    let all = [What::File, What::Spsc, What::Mpmc];
    vec![of(Step::Create, &all), of(Step::Attach, &all), of(Step::Detach, &all), of(Step::Claim, &all[1..])]
}

const DEATHS: [(Holding, &str); 4] = [
    (Holding::Nothing, "until its parent knows (the limit)"),
    (Holding::Role, "spsc: producer; the next one's message"),
    (Holding::Reservation, "mpmc: producer with a reservation"),
    (Holding::Peek, "mpmc: consumer with a peek, ring full"),
];

fn main() {
    program::run(benches, summary);
}

fn benches(criterion: &mut Criterion, cores: Cores) {
    for (title, measures) in comparisons() {
        let mut group = criterion.benchmark_group(title);
        group.sampling_mode(SamplingMode::Flat);
        for measure in measures {
            let mut measured = None;
            group.bench_function(measure.what.name(), |bencher| {
                let measured = measured.get_or_insert_with(|| measure.open(cores).expect("to be measured"));
                bencher.iter_custom(|count| measured.run(count));
            });
        }
        group.finish();
    }
    let mut group = criterion.benchmark_group("recover after a kill");
    group.sampling_mode(SamplingMode::Flat);
    for (holding, title) in DEATHS {
        group.bench_function(title, |bencher| {
            bencher.iter_custom(|count| recovery::measure(holding, count as usize, cores).iter().sum());
        });
    }
    group.finish();
}

fn summary(cores: Cores, quick: bool) {
    let mut blocks: Vec<_> =
        comparisons().into_iter().map(|(title, measures)| Block::new(title, measures, cores, quick)).collect();
    println!("{}", rounds::measure(&mut blocks, cores, quick, BUDGET, |_| ()));
    for block in &blocks {
        println!("\n{:<46}{:>12}{:>14}", block.title, "us", "/ limit");
        let limit = block.row(|measure| measure.what == What::File);
        for row in &block.rows {
            let ratio = limit.and_then(|limit| row.cost_beside(limit));
            let ratio = ratio.map_or("-".into(), |ratio| format!("{ratio:.2}"));
            println!("  {:<44}{:12.1}{ratio:>14}", row.task.what.name(), nanoseconds(row) / 1e3);
        }
    }
    let kills = if quick { 5 } else { KILLS };
    println!("\nfrom a kill to the next success, {kills} kills{:>19}{:>8}{:>8}", "p50 ms", "p99", "max");
    let mut worst = 0.0;
    for (holding, title) in DEATHS {
        let times = recovery::measure(holding, kills, cores);
        let at = |part: f64| times[((times.len() - 1) as f64 * part).ceil() as usize].as_secs_f64() * 1e3;
        println!("  {title:<44}{:12.2}{:8.2}{:8.2}", at(0.5), at(0.99), at(1.0));
        if holding != Holding::Nothing {
            worst = at(0.99).max(worst);
        }
    }
    println!("\nin short");
    goal("recovery, 99 of 100 kills, in milliseconds", Some(worst), "at most 10");
}
