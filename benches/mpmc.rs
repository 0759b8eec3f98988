//! How fast the MPMC ring is, beside its rivals, and how soon it goes on after a kill.
//!
//! ```text
//! cargo bench --bench mpmc                 everything, a few minutes
//! cargo bench --bench mpmc -- summary      the table only, less than a minute
//! cargo bench --bench mpmc -- 2P2C         those of criterion's benches
//! cargo bench --bench mpmc -- --test       each once, to see that they work
//! ```
//!
//! As in the bench of the SPSC ring, the table is made of rounds in which all candidates take turns, and its ratios are
//! medians of ratios within a round. In a crowd there are as many ends on one core as on the other; an end that finds
//! nothing to do spins for a moment and then yields.

#[allow(dead_code)] // each bench uses a part of it
mod harness;

use criterion::{BenchmarkId, Criterion, SamplingMode};
use harness::cores::Cores;
use harness::rounds::Task;
use harness::{mpmc_summary, program};

/// Messages, or round trips, in one iteration of criterion's.
const MESSAGES: u64 = 1000;

fn main() {
    program::run(links, mpmc_summary::run);
}

fn links(criterion: &mut Criterion, cores: Cores) {
    for (title, measures) in mpmc_summary::measures() {
        let mut group = criterion.benchmark_group(title);
        group.sampling_mode(SamplingMode::Flat);
        for (index, measure) in measures.into_iter().enumerate() {
            let mut measured = None;
            group.bench_function(BenchmarkId::new(measure.to_string(), index), |bencher| {
                let measured = measured.get_or_insert_with(|| measure.open(cores));
                bencher.iter_custom(|count| measured.run(count * MESSAGES));
            });
        }
        group.finish();
    }
}
