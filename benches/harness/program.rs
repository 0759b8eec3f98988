//! What a bench does with its arguments.

use super::cores::{Cores, pin};
use super::link::{PEER, be_the_peer};
use super::recovery::{VICTIM, be_the_victim};
use criterion::Criterion;
use std::time::Duration;

/// Runs criterion's benches, the summary, or both; or is the other process of one of them.
pub fn run(criterion_benches: fn(&mut Criterion, Cores), summary: fn(Cores, bool)) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first() {
        Some(first) if first == PEER => return be_the_peer(&arguments[1..]),
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
            .without_plots()
            .configure_from_args();
        criterion_benches(&mut criterion, cores);
        criterion.final_summary();
    }
    if only_summary || !(filtered || has("--list")) {
        summary(cores, quick);
    }
}
