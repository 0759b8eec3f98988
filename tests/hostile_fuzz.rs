//! Rings of which random bytes say what is wrong with them, and what is done to them: see `support/fuzz`. The same
//! under a fuzzer, which chooses the bytes by the code that they reach: `tests/fuzz`.
//!
//! `RINGWAY_TEST_SEED` chooses other bytes, `RINGWAY_FUZZ_RUNS` how many rings are spoilt while somebody is attached; it is
//! a sixteenth of that before.

#[path = "support/fuzz/mod.rs"]
mod fuzz;
mod support;

use damage::Random;
use fuzz::Fuzz;
use support::{Child, Job, Name, be_the_other_process, say};
use support::{bytes, damage};

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |number| number.parse().expect("a number"))
}

/// The child says how far it has come, and stops talking only at the end.
#[track_caller]
fn survives(job: &str, runs: u64) {
    let (name, seed) = (Name::new(), number("RINGWAY_TEST_SEED", 1));
    let words = Child::start(job, &[name.as_str(), &seed.to_string(), &runs.to_string()]).finish();
    assert_eq!(words.last().map(String::as_str), Some("done"), "seed {seed}");
}

#[test]
fn whatever_is_written_into_a_ring_that_we_use_is_an_error_or_a_message() {
    survives("attached", number("RINGWAY_FUZZ_RUNS", 50_000));
}

#[test]
fn whatever_is_in_a_file_is_a_ring_or_an_error() {
    survives("file", number("RINGWAY_FUZZ_RUNS", 50_000) / 16);
}

fn run(arguments: &[String], spoil: fn(&mut Fuzz, &[u8])) {
    let number = |index: usize| -> u64 { arguments[index].parse().expect("a number") };
    let (seed, runs) = (number(1), number(2));
    let mut fuzz = Fuzz::new(&arguments[0]);
    let mut data = Vec::new();
    for run in 0..runs {
        // A panic says which one, as does silence within so many.
        if run % 1_000 == 0 {
            say(format_args!("run {run} of seed {seed}"));
        }
        let mut random = Random(seed << 40 ^ run);
        data.clear();
        data.resize_with(8 + random.below(160), || random.next() as u8);
        spoil(&mut fuzz, &data);
    }
    say("done");
}

#[test]
#[ignore = "not a test: the other process of the tests in this file"]
fn the_other_process() {
    const JOBS: [Job; 2] =
        [("attached", |arguments| run(arguments, Fuzz::attached)), ("file", |arguments| run(arguments, Fuzz::file))];
    be_the_other_process(&JOBS);
}
