//! Rings of which random bytes say what is wrong with them, and what is done to them: see `support/fuzz`. The same
//! under a fuzzer, which chooses the bytes by the code that they reach: `tests/fuzz`.
//!
//! `RINGWAY_TEST_SEED` chooses other bytes, `RINGWAY_TEST_FUZZ_RUNS` how many rings are spoilt while somebody is attached;
//! it is a sixteenth of that before. `RINGWAY_TEST_SCRIBBLE_MS` says for how long each ring is written to while it is in use.

#[path = "support/fuzz/mod.rs"]
mod fuzz;
mod support;

use damage::Random;
use fuzz::{Fuzz, live};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::memory::{Memory, SystemV};
use support::{Child, Job, Name, be_the_other_process, listen, say};
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
    survives("attached", number("RINGWAY_TEST_FUZZ_RUNS", 100_000));
}

#[test]
fn whatever_is_in_a_file_is_a_ring_or_an_error() {
    survives("file", number("RINGWAY_TEST_FUZZ_RUNS", 100_000) / 16);
}

#[test]
fn whoever_uses_a_ring_returns_while_another_process_writes_rubbish_into_it() {
    let (seed, time) =
        (number("RINGWAY_TEST_SEED", 1).to_string(), number("RINGWAY_TEST_SCRIBBLE_MS", 300).to_string());
    for which in live::RINGS {
        let (name, key) = (Name::new(), SystemV::new());
        let address = if which.starts_with("system v") { key.0.to_string() } else { name.as_str().to_owned() };
        live::create(which, &address);
        let mut scribbler = Child::start("scribble", &[which, &address, &seed]);
        scribbler.expect("scribbling");
        let words = Child::start("use", &[which, &address, &seed, &time]).finish();
        assert_eq!(words.last().map(String::as_str), Some("done"), "{which}, seed {seed}");
        scribbler.tell("enough");
        scribbler.finish();
    }
}

fn scribble(arguments: &[String]) {
    let seed = arguments[2].parse().expect("a number");
    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            say("scribbling");
            listen();
            enough.store(true, Ordering::Relaxed);
        });
        live::scribble(&arguments[0], &arguments[1], seed, &enough);
    });
}

fn use_it(arguments: &[String]) {
    let number = |index: usize| -> u64 { arguments[index].parse().expect("a number") };
    // In pieces, so that silence is a thread that does not return.
    let mut left = Duration::from_millis(number(3));
    while !left.is_zero() {
        say(format_args!("{left:?} left"));
        let piece = left.min(Duration::from_secs(1));
        live::use_it(&arguments[0], &arguments[1], number(2) + left.as_millis() as u64, piece);
        left -= piece;
    }
    say("done");
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
        let most = 8 << random.below(5);
        data.resize_with(8 + random.below(most), || random.next() as u8);
        spoil(&mut fuzz, &data);
    }
    say("done");
}

#[test]
#[ignore = "not a test: the other process of the tests in this file"]
fn the_other_process() {
    const JOBS: [Job; 4] = [
        ("attached", |arguments| run(arguments, Fuzz::attached)),
        ("file", |arguments| run(arguments, Fuzz::file)),
        ("scribble", scribble),
        ("use", use_it),
    ];
    be_the_other_process(&JOBS);
}
