//! How fast the SPSC ring is, beside what the hardware can do and beside its rivals.
//!
//! ```text
//! cargo bench --bench spsc                 everything, a few minutes
//! cargo bench --bench spsc -- summary      the table only, less than a minute
//! cargo bench --bench spsc -- round_trip   those of criterion's benches
//! cargo bench --bench spsc -- --test       each once, to see that they work
//! ```
//!
//! Times drift, most of all in a virtual machine, so that a time of its own says little. The table is made of rounds in
//! which all candidates take turns; its ratios are medians of ratios within a round.
//!
//! Criterion's benches are for comparing one candidate with itself, before and after a change. An iteration of theirs is
//! a thousand messages or round trips, or a few chunks, so that starting two sides together does not count.

mod support;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use ringway::spsc;
use std::time::Duration;
use support::cores::{Cores, pin};
use support::job::{CHUNKS, Job, Place, Work};
use support::link::{Link, PEER, be_the_peer};
use support::{queues, summary};

/// Messages, or round trips, in one iteration of criterion's.
const MESSAGES: u64 = 1000;
/// Chunks in one.
const CHUNKS_AT_ONCE: u64 = 16;
/// Criterion has no use for all sizes of chunks: the table chooses among them.
const CHUNK: usize = CHUNKS[3];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == PEER) {
        return be_the_peer(&arguments[1..]);
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
            .without_plots()
            .configure_from_args();
        links(&mut criterion, cores);
        attach(&mut criterion);
        criterion.final_summary();
    }
    if only_summary || !(filtered || has("--list")) {
        summary::run(cores, quick);
    }
}

fn links(criterion: &mut Criterion, cores: Cores) {
    for group_of in ["round_trip", "one_by_one", "batches_of_64"] {
        for place in [Place::Threads, Place::Processes] {
            let mut group = criterion.benchmark_group(format!("{group_of}/{place}"));
            group.sampling_mode(SamplingMode::Flat);
            let wanted = |job: &Job| {
                let is_chosen = job.work != Work::Bulk || job.bytes == CHUNK;
                job.place == place && group_name(job.work) == group_of && is_chosen
            };
            for job in Job::all().into_iter().filter(wanted) {
                let mut link = None;
                let unit = if job.work == Work::Bulk { CHUNKS_AT_ONCE } else { MESSAGES };
                if !job.work.is_round_trip() {
                    group.throughput(Throughput::Bytes(job.bytes as u64 * unit));
                }
                group.bench_function(BenchmarkId::new(job.work.name(), job.bytes), |bencher| {
                    let link = link.get_or_insert_with(|| Link::open(job, cores));
                    bencher.iter_custom(|count| link.run(count * unit));
                });
            }
            group.finish();
        }
    }
}

fn group_name(work: Work) -> &'static str {
    match work {
        Work::Lines | Work::RoundTrip(_) => "round_trip",
        Work::OneByOne(_) => "one_by_one",
        Work::Bulk | Work::Batches(_) => "batches_of_64",
    }
}

fn attach(criterion: &mut Criterion) {
    let (ring, _name) = queues::create::<u64>(summary::attach_name(), summary::MEBIBYTE_OF_WORDS);
    criterion.bench_function("attach/1 MiB", |bencher| {
        bencher.iter(|| spsc::Ring::<u64>::open(ring.name()).expect("the ring"));
    });
}
