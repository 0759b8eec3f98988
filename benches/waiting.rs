//! What waiting costs: those who never sleep, those who always do, and how exact a time-out is.
//!
//! ```text
//! cargo bench --bench waiting                 everything, a minute
//! cargo bench --bench waiting -- summary      the table only
//! cargo bench --bench waiting -- --test       each once, to see that they work
//! ```
//!
//! All candidates wait by their own blocking operations, in two threads on two cores; the ring and its futexes are shared
//! between processes all the same, and the semaphores are process-shared. As in the other benches all take turns in
//! rounds, and ratios are medians of ratios within a round.

#[allow(dead_code)] // each bench uses a part of it
mod harness;

use criterion::{Criterion, SamplingMode};
use harness::cores::Cores;
use harness::link::Link;
use harness::program;
use harness::rounds::{self, Block, Measured, Row, Task, median};
use harness::sleepers::{self, Kind, Traffic};
use ringway::{Lifetime, Options, Wait, spsc};
use std::fmt;
use std::time::{Duration, Instant};

const BUDGET: Duration = Duration::from_secs(20);
/// So long each side is busy before it sends, where all sleep: until the other one is asleep for sure.
const BUSY: Duration = Duration::from_micros(50);
/// Messages, or round trips, in one iteration of criterion's.
const MESSAGES: u64 = 1000;

/// One thing to measure.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Measure {
    Flow(Kind, Wait),
    RoundTrip(Kind, Wait),
    Semaphores,
}

impl Task for Measure {
    fn open(self, cores: Cores) -> Box<dyn Measured> {
        let sleeps = matches!(self, Measure::RoundTrip(_, Wait::Sleep) | Measure::Semaphores);
        let busy = if sleeps { BUSY } else { Duration::ZERO };
        let [near, far] = match self {
            Measure::Flow(kind, how) => sleepers::sides(kind, how, Traffic::Flow),
            Measure::RoundTrip(kind, how) => sleepers::sides(kind, how, Traffic::RoundTrips { busy }),
            Measure::Semaphores => sleepers::semaphores(Traffic::RoundTrips { busy }),
        };
        Box::new(BesideBusy { link: Link::between(near, far, cores), busy: busy * 2 })
    }

    fn unit(self) -> f64 {
        1.0
    }

    fn run_time(self) -> Duration {
        Duration::from_millis(4)
    }
}

/// What round trips take beside the time for which both sides are busy.
struct BesideBusy {
    link: Link,
    busy: Duration,
}

impl Measured for BesideBusy {
    fn run(&mut self, count: u64) -> Duration {
        let busy = self.busy.mul_f64(count as f64);
        self.link.run(count).saturating_sub(busy)
    }

    fn disturbances(&self) -> (u64, u64) {
        self.link.disturbances()
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Measure::Flow(kind, how) | Measure::RoundTrip(kind, how) => write!(f, "{kind:?}, {how:?}"),
            Measure::Semaphores => f.write_str("two sem_t"),
        }
    }
}

const BLOCKS: [(&str, &[Measure]); 3] = [
    (
        "flow, nobody sleeps",
        &[
            Measure::Flow(Kind::Spsc, Wait::Spin),
            Measure::Flow(Kind::Spsc, Wait::Park),
            Measure::Flow(Kind::Mpmc, Wait::Spin),
            Measure::Flow(Kind::Mpmc, Wait::Park),
        ],
    ),
    (
        "round trip, nobody sleeps",
        &[
            Measure::RoundTrip(Kind::Spsc, Wait::Spin),
            Measure::RoundTrip(Kind::Spsc, Wait::Park),
            Measure::RoundTrip(Kind::Mpmc, Wait::Spin),
            Measure::RoundTrip(Kind::Mpmc, Wait::Park),
        ],
    ),
    (
        "round trip, everybody sleeps",
        &[
            Measure::Semaphores,
            Measure::RoundTrip(Kind::Spsc, Wait::Sleep),
            Measure::RoundTrip(Kind::Mpmc, Wait::Sleep),
        ],
    ),
];

fn main() {
    program::run(benches, summary);
}

fn benches(criterion: &mut Criterion, cores: Cores) {
    for (title, measures) in BLOCKS {
        let mut group = criterion.benchmark_group(title);
        group.sampling_mode(SamplingMode::Flat);
        for measure in measures {
            let mut measured = None;
            group.bench_function(measure.to_string(), |bencher| {
                let measured = measured.get_or_insert_with(|| measure.open(cores));
                bencher.iter_custom(|count| measured.run(count * MESSAGES));
            });
        }
        group.finish();
    }
}

fn summary(cores: Cores, quick: bool) {
    println!("\nsummary: {}", cores.describe());
    let row = |measure: &Measure| Row::new(*measure, cores, quick);
    let mut blocks =
        BLOCKS.map(|(title, measures)| Block { title: title.into(), rows: measures.iter().map(row).collect() });
    rounds::measure(&mut blocks, cores, quick, BUDGET);
    for block in &blocks {
        println!("\n{:<40}{:>10}{:>16}", block.title, "ns", "time / first");
        for row in &block.rows {
            // Beside its own ring, spinning; or beside the semaphores.
            let first = match row.task {
                Measure::Flow(kind, _) => block.row(|task| task == Measure::Flow(kind, Wait::Spin)),
                Measure::RoundTrip(kind, _) => block.row(|task| task == Measure::RoundTrip(kind, Wait::Spin)),
                Measure::Semaphores => None,
            };
            let first = first.unwrap_or(&block.rows[0]);
            println!("  {:<38}{:10.1}{:16.2}", row.task.to_string(), row.nanoseconds(), row.cost_beside(first));
        }
    }
    timeouts(if quick { 3 } else { 200 });
    goals(&blocks);
}

/// How late a time-out comes.
fn timeouts(times: usize) {
    let name = format!("bench-{}-timeouts", std::process::id());
    let ring = spsc::Ring::<u64>::create(name, &Options::new().lifetime(Lifetime::LastDetach)).expect("a ring");
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

/// What we want to reach, and where we are. It only tells: a time is no reason to fail.
fn goals(blocks: &[Block<Measure>]) {
    let row = |measure| blocks.iter().find_map(|block| block.row(|task| task == measure)).expect("it was measured");
    let line = |what: &str, figure: f64, goal: &str| println!("  {what:<66}{figure:6.2}   goal {goal}");
    println!("\nin short");
    for (kind, goal) in [(Kind::Spsc, "at least 0.95"), (Kind::Mpmc, "at least 0.85")] {
        let [spin, park] = [Wait::Spin, Wait::Park].map(|how| row(Measure::Flow(kind, how)));
        line(&format!("{kind:?}: flow, Park / Spin"), spin.cost_beside(park), goal);
    }
    for kind in [Kind::Spsc, Kind::Mpmc] {
        let [spin, park, sleep] = [Wait::Spin, Wait::Park, Wait::Sleep].map(|how| row(Measure::RoundTrip(kind, how)));
        line(&format!("{kind:?}: round trip, Park / Spin"), park.cost_beside(spin), "at most 1.1");
        let semaphores = row(Measure::Semaphores);
        line(&format!("{kind:?}: asleep every time / sem_t"), sleep.cost_beside(semaphores), "at most 1.1");
    }
}
