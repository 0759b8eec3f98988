//! What waiting costs: those who never sleep, those who always do, and how exact a time-out is.
//!
//! ```text
//! cargo bench --bench waiting                 everything, with plots in target/criterion
//! cargo bench --bench waiting -- summary      the table only, less than a minute
//! cargo bench --bench waiting -- --test       each once, to see that they work
//! ```
//!
//! All candidates wait by their own blocking operations, in two threads on two cores; the ring and its futexes are shared
//! between processes all the same, and the semaphores are process-shared. The method is in `benches/README.md`.

#[allow(dead_code)] // each bench uses a part of it
mod harness;
#[allow(dead_code)]
mod program;

use criterion::{Criterion, SamplingMode};
use harness::channel::Candidate;
use harness::cores::Cores;
use harness::job::{Calls, Job, Place, Work};
use harness::limits::TWO_LINES;
use harness::rings::options;
use harness::rounds::{self, Block, Measured, Row, Task, median};
use harness::sleepers::{How, MPMC_PARK, MPMC_SLEEP, MPMC_SPIN, SEMAPHORES, SPSC_PARK, SPSC_SLEEP, SPSC_SPIN, Sleep};
use program::{goal, nanoseconds};
use ringway::spsc;
use std::time::{Duration, Instant};

const BUDGET: Duration = Duration::from_secs(20);
/// Messages, or round trips, in one iteration of criterion's.
const MESSAGES: u64 = 1000;

/// One candidate at one work.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Measure {
    candidate: &'static Candidate,
    work: Work,
}

impl Measure {
    /// Both sides are busy before they send, so that the other one sleeps.
    fn sleeps(self) -> bool {
        [&SPSC_SLEEP, &MPMC_SLEEP, &SEMAPHORES].contains(&self.candidate)
    }
}

impl Task for Measure {
    fn open(self, cores: Cores) -> Result<Box<dyn Measured>, String> {
        let job = Job { candidate: self.candidate, work: self.work, place: Place::Threads, bytes: 8 };
        let busy = if self.sleeps() { Sleep::BUSY * 2 } else { Duration::ZERO };
        Ok(Box::new(BesideBusy { measured: job.open(cores)?, busy }))
    }

    fn run_time(self) -> Duration {
        Duration::from_millis(4)
    }
}

/// What round trips take beside the time for which both sides are busy.
struct BesideBusy {
    measured: Box<dyn Measured>,
    busy: Duration,
}

impl Measured for BesideBusy {
    fn run(&mut self, count: u64) -> Duration {
        let busy = self.busy.mul_f64(count as f64);
        self.measured.run(count).saturating_sub(busy)
    }

    fn disturbances(&self) -> (u64, u64) {
        self.measured.disturbances()
    }
}

/// What is compared. In each the candidates are beside their own ring, spinning; or beside the first.
fn comparisons() -> [(&'static str, Vec<Measure>); 3] {
    let of = |work, candidates: &[&'static Candidate]| {
        candidates.iter().map(|candidate| Measure { candidate, work }).collect()
    };
    let awake = [&SPSC_SPIN, &SPSC_PARK, &MPMC_SPIN, &MPMC_PARK];
    let lines_and_awake = [&TWO_LINES, &SPSC_SPIN, &SPSC_PARK, &MPMC_SPIN, &MPMC_PARK];
    [
        ("flow, nobody sleeps", of(Work::flow(Calls::OneByOne), &awake)),
        ("round trip, nobody sleeps", of(Work::RoundTrip, &lines_and_awake)),
        ("round trip, everybody sleeps", of(Work::RoundTrip, &[&SEMAPHORES, &SPSC_SLEEP, &MPMC_SLEEP])),
    ]
}

fn main() {
    program::run(benches, summary);
}

fn benches(criterion: &mut Criterion, cores: Cores) {
    for (title, measures) in comparisons() {
        let mut group = criterion.benchmark_group(title);
        group.sampling_mode(SamplingMode::Flat);
        for measure in measures {
            let mut measured = None;
            group.bench_function(measure.candidate.name, |bencher| {
                let measured = measured.get_or_insert_with(|| measure.open(cores).expect("to be measured"));
                bencher.iter_custom(|count| measured.run(count * MESSAGES));
            });
        }
        group.finish();
    }
}

fn summary(cores: Cores, quick: bool) {
    let mut blocks = comparisons().map(|(title, measures)| Block::new(title, measures, cores, quick));
    println!("{}", rounds::measure(&mut blocks, cores, quick, BUDGET, |_| ()));
    for block in &blocks {
        println!("\n{:<40}{:>10}{:>16}", block.title, "ns", "time / first");
        for row in &block.rows {
            let ratio = row.cost_beside(&block.rows[0]).expect("both were measured");
            println!("  {:<38}{:10.1}{ratio:16.2}", row.task.candidate.name, nanoseconds(row));
        }
    }
    timeouts(if quick { 3 } else { 200 });
    goals(&blocks);
}

/// How late a time-out comes.
fn timeouts(times: usize) {
    let name = format!("bench-{}-timeouts", std::process::id());
    let ring = spsc::Ring::<u64>::create(name, &options(64)).expect("a ring");
    let mut consumer = ring.consumer().expect("the role");
    println!("\ntime-outs of a pop{:>37}", "median late by us");
    for patience in [Duration::from_micros(100), Duration::from_millis(1), Duration::from_millis(5)] {
        let late = (0..times).map(|_| {
            let start = Instant::now();
            consumer.pop_timeout(patience).expect_err("nothing comes");
            let late = start.elapsed().checked_sub(patience).expect("not before its time");
            late.as_secs_f64() * 1e6
        });
        println!("  {:<38}{:>15.1}", format!("{patience:?}"), median(late.collect()));
    }
}

fn goals(blocks: &[Block<Measure>; 3]) {
    let row = |block: usize, candidate: &Candidate| -> &Row<Measure> {
        blocks[block].row(|measure| measure.candidate == candidate).expect("it was measured")
    };
    println!("\nin short");
    let rings: [(&str, [&Candidate; 3], &str); 2] = [
        ("ringway spsc", [&SPSC_SPIN, &SPSC_PARK, &SPSC_SLEEP], "at least 0.95"),
        ("ringway mpmc", [&MPMC_SPIN, &MPMC_PARK, &MPMC_SLEEP], "at least 0.85"),
    ];
    for (name, [spin, park, sleep], least) in rings {
        goal(&format!("{name}: flow, Park / Spin"), row(0, spin).cost_beside(row(0, park)), least);
        goal(&format!("{name}: round trip, Park / Spin"), row(1, park).cost_beside(row(1, spin)), "at most 1.1");
        let asleep = row(2, sleep).cost_beside(row(2, &SEMAPHORES));
        goal(&format!("{name}: asleep every time / sem_t"), asleep, "at most 1.1");
    }
}
