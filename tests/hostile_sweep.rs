//! Rubbish at any instruction: every operation, stopped at its instructions while somebody writes something wrong into the
//! header, the control block, a process record or a cell, comes to its end: with an error or with a result, and without a
//! signal or a panic.
//!
//! It works as `deaths_spsc.rs`, which see. In the test-suite some of all instructions are tried, with some of all that can
//! be wrong; `RINGWAY_TEST_EVERY_INSTRUCTION=1` has each with each, which takes minutes a case, and hours to attach: name a
//! case, or part of its name, as an argument.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[allow(dead_code)] // what other tests need
mod support {
    pub mod board;
    pub mod bytes;
    pub mod flips;
    pub mod names;
    pub mod path;
    pub mod runner;
    pub mod victim;
    pub mod visible;
}

#[allow(dead_code)] // as above
#[path = "support/fuzz/sample.rs"]
mod sample;

use core::hint::black_box;
use ringway::{Lifetime, Options, bytes, mpmc, spsc};
use sample::{Checked, Sample};
use std::process::ExitCode;
use support::flips::{Case, PROCESSES, Words, guarded, sweep};
use support::runner::{self, Report, Test};
use support::victim::window;

const CAPACITY: usize = 9;
/// In the middle of its second lap, where a batch of so many crosses the end of the lap.
const POPPED: usize = 14;
const BATCH: usize = 7;

fn options() -> Options {
    Options::new().capacity(CAPACITY).processes(PROCESSES)
}

fn spsc_with<T: Sample, const FILLED: usize>(name: &str) {
    let ring = spsc::Ring::<T>::create(name, &options()).expect("a new name");
    let (mut producer, mut consumer) = (ring.producer().expect("free"), ring.consumer().expect("free"));
    for _ in 0..POPPED {
        assert!(producer.try_push(T::SAMPLE).is_ok() && consumer.try_pop().is_ok());
    }
    for _ in 0..FILLED {
        assert!(producer.try_push(T::SAMPLE).is_ok());
    }
}

fn mpmc_with<T: Sample, const FILLED: usize>(name: &str) {
    let ring = mpmc::Ring::<T>::create(name, &options()).expect("a new name");
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    for _ in 0..POPPED {
        assert!(producer.try_push(T::SAMPLE).is_ok() && consumer.try_pop().is_ok());
    }
    for _ in 0..FILLED {
        assert!(producer.try_push(T::SAMPLE).is_ok());
    }
}

/// A victim that does `$operation` with `$end` of a ring.
macro_rules! victim {
    ($ring:ty, |$end:ident| $get:expr, $operation:expr) => {
        |name| {
            let $end = <$ring>::open(name).expect("a good ring");
            #[allow(unused_mut)]
            let mut $end = $get;
            window(|| {
                guarded(|| {
                    let _ = black_box($operation);
                })
            })
        }
    };
}

macro_rules! case {
    ($name:literal, $stride:literal, $set:expr, $victim:expr) => {
        Test {
            name: $name,
            run: || {
                let case = Case { name: $name, set: $set, victim: $victim, words: Words::Shared, stride: $stride };
                sweep(&case, all());
            },
        }
    };
}

type Spsc = spsc::Ring<u64>;
type Mpmc = mpmc::Ring<u64>;

fn all() -> bool {
    std::env::var_os("RINGWAY_TEST_EVERY_INSTRUCTION").is_some()
}

fn check<T: Sample, E>(popped: Result<T, E>) {
    popped.iter().for_each(Sample::check);
}

#[rustfmt::skip] // a table
fn main() -> ExitCode {
    let tests = [
        case!("spsc_try_push", 1, spsc_with::<u64, 4>, victim!(Spsc, |end| end.producer().unwrap(), end.try_push(6))),
        case!("spsc_try_push_full", 1, spsc_with::<u64, 9>, victim!(Spsc, |end| end.producer().unwrap(), end.try_push(6))),
        case!("spsc_try_push_large", 1, spsc_with::<[u64; 9], 4>,
            victim!(spsc::Ring<[u64; 9]>, |end| end.producer().unwrap(), end.try_push([6; 9]))),
        case!("spsc_push_slice", 5, spsc_with::<u64, 1>,
            victim!(Spsc, |end| end.producer().unwrap(), end.push_slice(&[6; BATCH]))),
        case!("spsc_reserve", 3, spsc_with::<u64, 4>, victim!(Spsc, |end| end.producer().unwrap(), end.reserve().map(|mut place| {
            place.write(6);
            place.commit();
        }))),
        case!("spsc_try_pop", 1, spsc_with::<u64, 4>, victim!(Spsc, |end| end.consumer().unwrap(), end.try_pop())),
        case!("spsc_try_pop_empty", 1, spsc_with::<u64, 0>, victim!(Spsc, |end| end.consumer().unwrap(), end.try_pop())),
        case!("spsc_try_pop_checked", 1, spsc_with::<Checked, 4>,
            victim!(spsc::Ring<Checked>, |end| end.consumer().unwrap(), check(end.try_pop()))),
        case!("spsc_pop_slice", 11, spsc_with::<Checked, 9>, victim!(spsc::Ring<Checked>, |end| end.consumer().unwrap(), {
            let mut room = [Checked::SAMPLE; BATCH];
            black_box(end.pop_slice(&mut room).ok());
            room.iter().for_each(Sample::check);
        })),
        case!("spsc_peek", 1, spsc_with::<u64, 4>, victim!(Spsc, |end| end.consumer().unwrap(), end.peek().map(|peek| {
            black_box(*peek);
            peek.release();
        }))),
        case!("spsc_len", 3, spsc_with::<u64, 4>, victim!(Spsc, |end| end.consumer().unwrap(), (end.len(), end.is_closed()))),
        case!("spsc_producer", 13, spsc_with::<u64, 4>, victim!(Spsc, |end| end, end.producer())),
        case!("spsc_consumer", 13, spsc_with::<u64, 4>, victim!(Spsc, |end| end, end.consumer())),
        case!("bytes_of_spsc_push", 5, spsc_with::<u64, 4>,
            victim!(bytes::Ring, |end| end.producer().unwrap(), end.try_push(&[6; 8]))),
        case!("bytes_of_spsc_pop", 5, spsc_with::<u64, 4>,
            victim!(bytes::Ring, |end| end.consumer().unwrap(), end.try_pop(&mut [0; 8]))),
        case!("mpmc_try_push", 3, mpmc_with::<u64, 4>, victim!(Mpmc, |end| end.producer(), end.try_push(6))),
        case!("mpmc_try_push_full", 31, mpmc_with::<u64, 9>, victim!(Mpmc, |end| end.producer(), end.try_push(6))),
        case!("mpmc_push_slice", 17, mpmc_with::<u64, 1>, victim!(Mpmc, |end| end.producer(), end.push_slice(&[6; BATCH]))),
        case!("mpmc_reserve", 7, mpmc_with::<u64, 4>, victim!(Mpmc, |end| end.producer(), end.reserve().map(|mut place| {
            place.write(6);
            place.commit();
        }))),
        case!("mpmc_abandon", 7, mpmc_with::<u64, 4>, victim!(Mpmc, |end| end.producer(), end.reserve().map(drop))),
        case!("mpmc_try_pop", 5, mpmc_with::<u64, 4>, victim!(Mpmc, |end| end.consumer(), end.try_pop())),
        case!("mpmc_try_pop_empty", 31, mpmc_with::<u64, 0>, victim!(Mpmc, |end| end.consumer(), end.try_pop())),
        case!("mpmc_try_pop_checked", 7, mpmc_with::<Checked, 4>,
            victim!(mpmc::Ring<Checked>, |end| end.consumer(), check(end.try_pop().map(mpmc::Popped::into_inner)))),
        case!("mpmc_pop_slice", 23, mpmc_with::<Checked, 9>, victim!(mpmc::Ring<Checked>, |end| end.consumer(), {
            let mut room = [Checked::SAMPLE; BATCH];
            black_box(end.pop_slice(&mut room).ok());
            room.iter().for_each(Sample::check);
        })),
        case!("mpmc_peek", 13, mpmc_with::<u64, 4>, victim!(Mpmc, |end| end.consumer(), end.peek().map(|peek| {
            black_box(*peek);
            peek.release();
        }))),
        case!("mpmc_give_back", 13, mpmc_with::<u64, 4>, victim!(Mpmc, |end| end.consumer(), end.peek().map(drop))),
        case!("mpmc_handles", 29, mpmc_with::<u64, 4>, victim!(Mpmc, |end| end, (end.producer(), end.consumer()))),
        case!("mpmc_recover", 29, mpmc_with::<u64, 4>, victim!(Mpmc, |end| end, (end.recover(), end.len()))),
        case!("bytes_of_mpmc_push", 7, mpmc_with::<u64, 4>,
            victim!(bytes::Ring, |end| end.producer().unwrap(), end.try_push(&[6; 8]))),
        case!("bytes_of_mpmc_pop", 13, mpmc_with::<u64, 4>,
            victim!(bytes::Ring, |end| end.consumer().unwrap(), end.try_pop(&mut [0; 8]))),
        Test { name: "spsc_attach", run: || attach("spsc_attach", spsc_with::<u64, 4>, |name| {
            window(|| guarded(|| drop(black_box(Spsc::open(name)))))
        }) },
        Test { name: "mpmc_attach", run: || attach("mpmc_attach", mpmc_with::<u64, 4>, |name| {
            window(|| guarded(|| drop(black_box(Mpmc::open(name)))))
        }) },
        Test { name: "detach", run: || attach("detach", |name| {
            drop(Spsc::create(name, &options().lifetime(Lifetime::Persistent)));
        }, |name| {
            let ring = Spsc::open(name).expect("a good ring");
            window(|| guarded(|| drop(ring)))
        }) },
    ];
    runner::main(&tests, &Report { instructions: 2_500, roles: true })
}

fn attach(name: &'static str, set: fn(&str), victim: fn(&str)) {
    sweep(&Case { name, set, victim, words: Words::Header, stride: if name == "detach" { 41 } else { 397 } }, all());
}
