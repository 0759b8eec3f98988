//! How many instructions the hot paths take, beside what they took when somebody last decided about it.
//!
//! A count, unlike a time, is the same whatever else the machine is doing, so a change that makes a push longer does not
//! go unnoticed. `instructions.txt` says what was decided; `cargo test --release --test instructions -- --decide` writes
//! it anew. A compiler of another version makes other code: then this only looks for what is far off.
//!
//! It has no harness, as it forks, and must have a single thread while it does; it understands the usual arguments.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[allow(dead_code)] // what the tests of deaths need
mod support {
    pub mod board;
    pub mod names;
    pub mod runner;
    pub mod victim;
}

use ringway::{Lifetime, Options, mpmc, spsc};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::process::{Command, ExitCode};
use support::board::board;
use support::names;
use support::runner::{self, Report, Test};
use support::victim::{Breeder, Stop, window};

/// So many messages go through the ring: whole cells, and whole batches.
const MESSAGES: usize = 448;
const BATCH: usize = 64;
/// The part by which the same compiler may differ from what was decided, in percent: more is a decision.
const TOLERANCE: u64 = 2;
/// The same for another compiler, or another kind of processor.
const TOLERANCE_OF_ANOTHER: u64 = 40;
const DECIDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/instructions.txt");

fn main() -> ExitCode {
    let name = "the_hot_paths_take_as_many_instructions_as_was_decided";
    runner::main(&[Test { name, run: compare }], &Report { instructions: 0, roles: false })
}

fn compare() {
    if cfg!(debug_assertions) {
        println!("a debug build: its instructions are not counted");
        return;
    }
    let (compiler, counted) = (compiler(), count_all());
    if std::env::args().any(|argument| argument == "--decide") {
        fs::write(DECIDED, written(&compiler, &counted)).expect("a file of the project");
        return;
    }
    let text = fs::read_to_string(DECIDED).expect("a file of the project");
    let (decided_compiler, decided) = read(&text);
    let tolerance = if compiler == decided_compiler { TOLERANCE } else { TOLERANCE_OF_ANOTHER };
    let operations: Vec<&String> = decided.keys().collect();
    assert_eq!(operations, counted.keys().collect::<Vec<_>>(), "tests/instructions.txt names other operations");
    let mut off = String::new();
    for (operation, &found) in &counted {
        let expected = decided[operation];
        println!("{operation:<32}{:8.2} a message", found as f64 / MESSAGES as f64);
        if found.abs_diff(expected) * 100 > expected * tolerance {
            let word = if found > expected { "MORE" } else { "fewer" };
            writeln!(off, "  {operation:<32}found {found}, expected {expected}: {word}").expect("memory");
        }
    }
    assert!(
        off.is_empty(),
        "instructions for {MESSAGES} messages are off by more than {tolerance} percent:\n{off}If that is what you want, \
         `cargo test --release --all-features --test instructions -- --decide` writes it down.\n\
         compiled by {compiler}, decided with {decided_compiler}"
    );
}

/// What made the code that is counted here, and what chose it.
fn compiler() -> String {
    let version = Command::new("rustc").arg("--version").output().expect("a compiler").stdout;
    let version = String::from_utf8(version).expect("text");
    let half_lines = if std::arch::is_x86_feature_detected!("avx2") { "avx2" } else { "no avx2" };
    format!("{}, {half_lines}", version.trim())
}

fn written(compiler: &str, counted: &BTreeMap<String, u64>) -> String {
    let mut text = format!("{compiler}\ninstructions for {MESSAGES} messages\n");
    for (operation, count) in counted {
        writeln!(text, "{operation:<32}{count:8}").expect("memory");
    }
    text
}

fn read(text: &str) -> (&str, BTreeMap<String, u64>) {
    let mut lines = text.lines();
    let compiler = lines.next().expect("the compiler");
    let operations = lines.skip(1).map(|line| {
        let (operation, count) = line.rsplit_once(' ').expect("an operation and a count");
        (operation.trim().to_owned(), count.parse().expect("a count"))
    });
    (compiler, operations.collect())
}

fn count_all() -> BTreeMap<String, u64> {
    let mut counted = BTreeMap::new();
    macro_rules! count {
        ($kind:literal, $module:ident, $message:literal, $producer:expr, $consumer:expr) => {{
            type Ring = $module::Ring<[u64; $message]>;
            let fill = |ring: &Ring, count: usize| {
                let mut producer = $producer(ring);
                (0..count).for_each(|_| producer.try_push([1; $message]).expect("room"));
            };
            let mut add = |operation: &str, filled: usize, operate: &dyn Fn(&Ring, bool)| {
                let count = count(
                    |name, goes| {
                        let ring = Ring::open(name).expect("the ring");
                        fill(&ring, filled);
                        operate(&ring, goes)
                    },
                    |name| {
                        let options = Options::new().capacity(MESSAGES).lifetime(Lifetime::LastDetach);
                        Box::new(Ring::create(name, &options).expect("a ring"))
                    },
                );
                counted.insert(format!("{} {operation}, {} bytes", $kind, $message * 8), count);
            };
            add("try_push", 0, &|ring, goes| {
                let mut producer = $producer(ring);
                window(|| (0..MESSAGES * goes as usize).for_each(|_| assert!(producer.try_push([7; $message]).is_ok())))
            });
            add("try_pop", MESSAGES, &|ring, goes| {
                let mut consumer = $consumer(ring);
                window(|| (0..MESSAGES * goes as usize).for_each(|_| assert!(consumer.try_pop().is_ok())))
            });
            add("push_slice of 64", 0, &|ring, goes| {
                let (mut producer, batch) = ($producer(ring), [[7; $message]; BATCH]);
                let push = |_| assert_eq!(producer.push_slice(&batch).ok(), Some(BATCH));
                window(|| (0..MESSAGES / BATCH * goes as usize).for_each(push))
            });
            add("pop_slice of 64", MESSAGES, &|ring, goes| {
                let (mut consumer, mut batch) = ($consumer(ring), [[0; $message]; BATCH]);
                let pop = |_| assert!(consumer.pop_slice(&mut batch).is_ok());
                window(|| (0..MESSAGES / BATCH * goes as usize).for_each(pop))
            });
        }};
    }
    macro_rules! count_both {
        ($message:literal) => {
            count!("spsc", spsc, $message, |ring: &Ring| ring.producer().expect("a role"), |ring: &Ring| ring
                .consumer()
                .expect("a role"));
            count!("mpmc", mpmc, $message, |ring: &Ring| ring.producer(), |ring: &Ring| ring.consumer());
        };
    }
    count_both!(1);
    count_both!(7);
    counted
}

/// The instructions in the window of `operate`, beside those of a window in which nothing is done.
fn count<R>(operate: impl Fn(&str, bool), create: impl Fn(&str) -> Box<R>) -> u64 {
    let steps = |goes| {
        let name = names::fresh();
        let _ring = create(&name);
        let mut victim = Breeder::new(|| operate(&name, goes)).victim();
        let mut steps = 0_u64;
        while victim.step() != Stop::Marker {
            steps += 1;
            board().heartbeat.add(1);
        }
        steps
    };
    steps(true) - steps(false)
}
