//! `kill -9` at any instruction of coming and going, in memory without a file: who is alive is then known by names of
//! processes in the segment, and a key is there before a ring is. As `deaths_spsc.rs`, which see, for memory with a file.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[allow(dead_code)] // what other tests of deaths need
mod support {
    pub mod board;
    pub mod comings;
    pub mod ledger;
    pub mod names;
    pub mod pair;
    pub mod path;
    pub mod predecessors;
    pub mod runner;
    pub mod sweep;
    pub mod transfers;
    pub mod victim;
    pub mod visible;
}

use ringway::Lifetime;
use std::process::ExitCode;
use support::comings::{Attaching, Creating, Detaching};
use support::names;
use support::runner::{self, Report, Test};
use support::sweep::{Demands, Fate, Scene, sweep};

fn main() -> ExitCode {
    let tests = [
        Test { name: "who_dies_attaching_to_a_segment_leaves_room_for_the_next", run: attach },
        Test { name: "who_dies_leaving_a_segment_leaves_a_ring_or_a_free_key", run: detach },
        Test { name: "who_dies_creating_a_segment_leaves_a_whole_ring_or_what_is_taken_over", run: create },
    ];
    runner::main(&tests, &Report { instructions: 5_000, roles: true })
}

fn once<S: Scene>(name: &str, scene: &S, both_outcomes: bool) {
    let demands = Demands { instructions: 500, both_outcomes, lasting: true };
    sweep(name, scene, Fate::SurvivorFirst, demands);
}

fn attach() {
    once("attach, used by another", &Attaching { name: names::fresh_key(), used: true }, false);
    once("attach, used by nobody", &Attaching { name: names::fresh_key(), used: false }, false);
}

fn detach() {
    for (lifetime, last, what) in [
        (Lifetime::Persistent, false, "persistent, used by another"),
        (Lifetime::Persistent, true, "persistent, the last"),
        (Lifetime::LastDetach, false, "removed by the last, used by another"),
        (Lifetime::LastDetach, true, "removed by the last, the last"),
    ] {
        let name = names::fresh_key();
        once(&format!("detach, {what}"), &Detaching { name, lifetime, last }, last && lifetime == Lifetime::LastDetach);
    }
}

fn create() {
    for (taken, half_made, what) in
        [(false, false, "the key free"), (true, false, "the key taken"), (false, true, "after one who died creating")]
    {
        let name = names::fresh_key();
        once(&format!("create, {what}"), &Creating { name, taken, half_made }, !taken);
    }
}
