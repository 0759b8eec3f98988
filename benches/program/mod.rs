//! What the four benches do with their arguments, and how their tables look.

use crate::harness::channel::Candidate;
use crate::harness::cores::{Cores, pin};
use crate::harness::job::{Calls, Job, Place, Work};
use crate::harness::limits::{BULK, COPY, EXCHANGE, ONE_LINE, TWO_LINES};
use crate::harness::link::{PEER, be_the_peer};
use crate::harness::recovery::{VICTIM, be_the_victim};
use crate::harness::rings::{MPMC, SPSC};
use crate::harness::rounds::{self, Block, Row, Task};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use std::time::Duration;

/// All that is measured by jobs.
const CANDIDATES: [&Candidate; 7] = [&TWO_LINES, &ONE_LINE, &BULK, &EXCHANGE, &COPY, &SPSC, &MPMC];

/// Jobs that are compared with each other, under a title.
pub type Comparison = (String, Vec<Job>);

/// Runs criterion's benches, the summary, or both; or is the other process of one of them.
pub fn run(criterion_benches: fn(&mut Criterion, Cores), summary: fn(Cores, bool)) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first() {
        Some(first) if first == PEER => {
            return be_the_peer(&arguments[1..], &CANDIDATES).expect("to be the other process");
        }
        Some(first) if first == VICTIM => return be_the_victim(&arguments[1..]),
        _ => {}
    }
    let cores = Cores::choose();
    pin(cores.near);
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    let only_summary = has("summary");
    let filtered = arguments.iter().any(|argument| !argument.starts_with('-'));
    // Cargo says `--bench` unless it only wants to know whether everything works.
    let quick = has("--test") || !has("--bench");
    if !only_summary {
        let mut criterion = Criterion::default()
            .warm_up_time(Duration::from_millis(150))
            .measurement_time(Duration::from_millis(200))
            .sample_size(10)
            // By default the statistics take longer than the measurements.
            .nresamples(5_000)
            .configure_from_args();
        criterion_benches(&mut criterion, cores);
        criterion.final_summary();
    }
    if only_summary || !(filtered || has("--list")) {
        println!("\nsummary: {}", cores.describe());
        summary(cores, quick);
    }
}

/// Has criterion measure each job by itself: for comparing it with itself, before and after a change.
pub fn benches(criterion: &mut Criterion, comparisons: Vec<Comparison>, cores: Cores) {
    for (title, jobs) in comparisons {
        let mut group = criterion.benchmark_group(title);
        group.sampling_mode(SamplingMode::Flat);
        for job in jobs {
            // Many in one iteration, so that starting two sides together does not count.
            let unit = if job.bytes < 4096 { 1000 } else { 50 };
            if matches!(job.work, Work::Flow { .. }) {
                group.throughput(Throughput::Bytes(job.bytes as u64 * unit));
            }
            let mut measured = None;
            group.bench_function(BenchmarkId::new(job.candidate.name, job.place), |bencher| {
                let measured = measured.get_or_insert_with(|| job.open(cores).expect("to be measured"));
                bencher.iter_custom(|count| {
                    let took = measured.run(count * unit);
                    let latencies = measured.latencies().map(|latencies| latencies.lock().expect("nobody panicked"));
                    latencies.map_or(took, |latencies| {
                        Duration::from_secs_f64(latencies.mean() * 1e-9).mul_f64((count * unit) as f64)
                    })
                });
            });
        }
        group.finish();
    }
}

/// Measures all in turns, and prints it.
pub fn tables(comparisons: Vec<Comparison>, cores: Cores, quick: bool, budget: Duration) -> Vec<Block<Job>> {
    let block = |(title, jobs)| Block::new(title, jobs, cores, quick);
    let mut blocks: Vec<_> = comparisons.into_iter().map(block).collect();
    println!("{}", rounds::measure(&mut blocks, cores, quick, budget, |_| ()));
    blocks.iter().for_each(print);
    blocks
}

fn print(block: &Block<Job>) {
    let row = |row: &Row<Job>| format!("{:<10} {}", row.task.place, row.task.candidate.name);
    if block.rows[0].task.work.is_timed() {
        println!("\n{:<40}{:>8}{:>8}{:>8}{:>9}{:>10}", block.title, "p50 ns", "p90", "p99", "p99.9", "max");
        for each in &block.rows {
            let at = |part| each.latencies.value_at_quantile(part);
            let [p50, p90, p99, p999] = [0.5, 0.9, 0.99, 0.999].map(at);
            println!("  {:<38}{p50:8}{p90:8}{p99:8}{p999:9}{:10}", row(each), at(1.0));
        }
        return;
    }
    let is_flow = matches!(block.rows[0].task.work, Work::Flow { .. });
    println!("\n{:<40}{:>19}{:>9}", block.title, if is_flow { "M/s      GB/s" } else { "ns" }, "/ limit");
    for each in &block.rows {
        let cost = nanoseconds(each);
        let figures = match is_flow {
            false => format!("{cost:19.1}"),
            true if *each.task.candidate == BULK => format!("{:>9}{:10.2}", "", each.task.bytes as f64 / cost),
            true => format!("{:9.2}{:10.2}", 1e3 / cost, each.task.bytes as f64 / cost),
        };
        // A ratio is of times for a round trip, less is better; of speeds for a flow, more is better.
        let ratio = limit(block, each)
            .and_then(|limit| if is_flow { limit.cost_beside(each) } else { each.cost_beside(limit) });
        println!("  {:<38}{figures}{:>9}", row(each), ratio.map_or("-".into(), |ratio| format!("{ratio:.2}")));
    }
}

/// The row that says what the machine can do.
pub fn limit<'b>(block: &'b Block<Job>, row: &Row<Job>) -> Option<&'b Row<Job>> {
    let is_limit = |job: Job| [&TWO_LINES, &BULK, &COPY, &EXCHANGE].contains(&job.candidate);
    block.row(|job| is_limit(job) && job.place == row.task.place).or_else(|| block.row(is_limit))
}

/// One line of what we want to reach, and where we are. It only tells: a time is no reason to fail.
pub fn goal(what: &str, figure: Option<f64>, goal: &str) {
    let figure = figure.map_or("-".into(), |figure| format!("{figure:.2}"));
    println!("  {what:<66}{figure:>6}   goal {goal}");
}

/// The row of that candidate, there.
pub fn find<'b>(blocks: &'b [Block<Job>], title: &str, place: Place, candidate: &Candidate) -> &'b Row<Job> {
    let block = blocks.iter().find(|block| block.title == title).expect("a block of ours");
    block.row(|job| job.place == place && job.candidate == candidate).expect("a row of ours")
}

/// What one takes. Whatever we list here has to work.
pub fn nanoseconds<T: Task>(row: &Row<T>) -> f64 {
    row.nanoseconds().unwrap_or_else(|| panic!("{}", row.failure().unwrap_or("no figures")))
}

pub const PLACES: [Place; 2] = [Place::Threads, Place::Processes];

/// A flow of messages of that size, in words.
pub fn flow_title(writers: usize, readers: usize, bytes: usize, calls: Calls) -> String {
    let calls = match calls {
        Calls::OneByOne => "one by one",
        Calls::Batches => "in batches",
        Calls::InPlace => "in place",
    };
    format!("{writers}P{readers}C, {bytes} bytes, {calls}")
}
