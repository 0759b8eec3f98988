//! `kill -9` at any instruction, while others sleep: of who should wake them, and of who sleeps itself. Nobody sleeps
//! for ever.
//!
//! A process that is killed between its commit and its wake-up takes the wake-up with it, and so does one that was
//! woken and killed before it got anything. The others wake up by themselves, within 100 ms: with what was committed,
//! or, if nobody is left at the other end, with `Closed`. Then two new ends go on.
//!
//! It has no harness, as it forks: while it does, it has a single thread. It understands the usual arguments. With
//! `--nocapture` it says what it did. A debug build is killed at some instructions only: this is to be run with
//! `--release`.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[allow(dead_code)] // what other tests of deaths need
mod support {
    pub mod asleep;
    pub mod board;
    pub mod doze;
    pub mod ledger;
    pub mod names;
    pub mod runner;
    pub mod slumbers;
    pub mod victim;
    pub mod vigil;
    pub mod wakings;
}

use core::marker::PhantomData;
use std::process::ExitCode;
use support::doze::{Kind, Mpmc, Spsc, warm_up};
use support::runner::{self, Report, Test};
use support::slumbers::{Sleep, SleepingPop, SleepingPush};
use support::vigil::sweep;
use support::wakings::{Popping, Pushing};

fn main() -> ExitCode {
    let tests = [
        Test { name: "who_dies_pushing_to_a_sleeper_does_not_let_it_sleep_for_ever", run: push_to_sleepers },
        Test { name: "who_dies_making_room_for_a_sleeper_does_not_let_it_sleep_for_ever", run: pop_from_sleepers },
        Test { name: "who_dies_in_a_pop_that_sleeps_takes_no_message_from_the_others", run: sleep_in_pop },
        Test { name: "who_dies_in_a_push_that_sleeps_takes_no_room_from_the_others", run: sleep_in_push },
    ];
    runner::main(&tests, &Report { instructions: 1_000, roles: false })
}

fn push_to_sleepers() {
    fn of<K: Kind>() {
        sweep(&format!("push to a sleeper, {}", K::NAME), &Pushing::<K>(PhantomData), 40);
    }
    warm_up();
    of::<Spsc>();
    of::<Mpmc>();
}

fn pop_from_sleepers() {
    fn of<K: Kind>() {
        sweep(&format!("pop beside a sleeper, {}", K::NAME), &Popping::<K>(PhantomData), 40);
    }
    warm_up();
    of::<Spsc>();
    of::<Mpmc>();
}

fn sleep_in_pop() {
    fn of<K: Kind>(sleep: Sleep) {
        sweep(&format!("sleep in a pop, {}, {sleep:?}", K::NAME), &SleepingPop::<K>(sleep, PhantomData), 100);
    }
    warm_up();
    for sleep in [Sleep::First, Sleep::Again] {
        of::<Spsc>(sleep);
        of::<Mpmc>(sleep);
    }
}

fn sleep_in_push() {
    fn of<K: Kind>(sleep: Sleep) {
        sweep(&format!("sleep in a push, {}, {sleep:?}", K::NAME), &SleepingPush::<K>(sleep, PhantomData), 100);
    }
    warm_up();
    for sleep in [Sleep::First, Sleep::Again] {
        of::<Spsc>(sleep);
        of::<Mpmc>(sleep);
    }
}
