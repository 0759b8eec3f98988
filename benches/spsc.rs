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

#[allow(dead_code)] // each bench uses a part of it
mod harness;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use harness::cores::Cores;
use harness::job::{Bench, CHUNKS, Job, Place, Work};
use harness::link::Link;
use harness::queues::RingOf;
use harness::rounds::Measured;
use harness::{program, summary};
use ringway::spsc;

/// Messages, or round trips, in one iteration of criterion's.
const MESSAGES: u64 = 1000;
/// Chunks in one.
const CHUNKS_AT_ONCE: u64 = 16;
/// Criterion has no use for all sizes of chunks: the table chooses among them.
const CHUNK: usize = CHUNKS[3];

fn main() {
    program::run(
        |criterion, cores| {
            links(criterion, cores);
            attach(criterion);
        },
        summary::run,
    );
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
            for job in Job::of(Bench::Spsc).into_iter().filter(wanted) {
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
    let (ring, _name) = <spsc::Ring<[u64; 1]> as RingOf<_>>::create(summary::attach_name(), summary::MEBIBYTE_OF_WORDS);
    criterion.bench_function("attach/1 MiB", |bencher| {
        bencher.iter(|| spsc::Ring::<[u64; 1]>::open(ring.name()).expect("the ring"));
    });
}
