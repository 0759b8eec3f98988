//! `kill -9` at any instruction: every operation on an SPSC ring, and the one of a `Latest`'s writer; and after each death
//! the survivor and a successor go on as if nothing had happened.
//!
//! A process is executed one instruction at a time with ptrace(2), which shows its way through the operation; and at
//! each point of that way another one is killed, but for those where it would leave behind to the byte what the last one
//! did: most instructions change only what dies with the process. `RINGWAY_TEST_EVERY_INSTRUCTION=1` has one killed there,
//! too, which takes ten times as long. Then nothing that was committed is lost, nothing comes twice, all is in order, the
//! role can be claimed at once, and all the room is there. Some points are also used to stop the process for a
//! while: it keeps its role, and ends its operation as if nothing had happened.
//!
//! It has no harness, as it forks and must have a single thread; it understands the usual arguments. With `--nocapture`
//! it says what it did. A debug build is killed at some instructions only: this is to be run with `--release`.
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
    pub mod values;
    pub mod victim;
    pub mod visible;
}

use ringway::Lifetime;
use std::process::ExitCode;
use support::comings::{Attaching, Claiming, Creating, Detaching};
use support::names;
use support::pair::Packed;
use support::runner::{self, Report, Test};
use support::sweep::{Demands, Fate, Scene, sweep};
use support::transfers::{How, Popping, Pushing, State};
use support::values::Writing;

fn main() -> ExitCode {
    let tests = [
        Test { name: "try_push_commits_a_message_or_it_never_existed", run: try_push },
        Test { name: "push_slice_commits_a_batch_as_a_whole_or_not_at_all", run: push_slice },
        Test { name: "reserve_and_commit_push_what_lies_there_or_nothing", run: reserve_and_commit },
        Test { name: "try_pop_hands_a_message_over_or_leaves_it", run: try_pop },
        Test { name: "pop_slice_hands_a_batch_over_or_leaves_it", run: pop_slice },
        Test { name: "peek_and_release_hand_a_message_over_or_leave_it", run: peek_and_release },
        Test { name: "who_dies_claiming_the_producers_role_changes_nothing", run: claim_producer },
        Test { name: "who_dies_claiming_the_consumers_role_changes_nothing", run: claim_consumer },
        Test { name: "write_makes_a_value_the_newest_or_it_never_existed", run: write },
        Test { name: "who_dies_attaching_leaves_room_for_the_next", run: attach },
        Test { name: "who_dies_leaving_leaves_a_ring_or_a_free_name", run: detach },
        Test { name: "who_dies_creating_leaves_a_whole_ring_or_a_free_name", run: create },
    ];
    runner::main(&tests, &Report { instructions: 50_000, roles: true })
}

/// In a debug build only the first, so that it takes a minute.
fn fates() -> &'static [Fate] {
    let all = &[Fate::SurvivorFirst, Fate::SuccessorFirst, Fate::Stopped];
    if cfg!(debug_assertions) { &all[..1] } else { all }
}

fn deaths() -> impl Iterator<Item = Fate> {
    fates().iter().copied().filter(|&fate| fate != Fate::Stopped)
}

/// A ring operation, which has few instructions, on a ring that makes it effective or not.
fn operation(effective: bool, fate: Fate) -> Demands {
    // Who is only stopped meets what the survivor has done meanwhile.
    let killed = fate != Fate::Stopped;
    Demands { instructions: 15, both_outcomes: effective && killed, lasting: killed }
}

const fn state(name: &'static str, popped: usize, filled: usize) -> State {
    State { name, popped, filled, warm: 0, taken: 0, parent: false }
}

/// The position of the first message of the second lap.
fn lap<T: Packed>() -> usize {
    ((T::CAPACITY + T::PER_CELL - 2) / T::PER_CELL + 1) * T::PER_CELL
}

fn sweep_pushes<T: Packed>(operation_name: &str, how: How, states: &[State]) {
    for state in states {
        let effective = state.filled + state.warm - state.taken < T::CAPACITY;
        let scene = Pushing::<T>::new(how, state.clone());
        for &fate in fates() {
            let name = format!("{operation_name}, {}, {}", T::NAME, state.name);
            sweep(&name, &scene, fate, operation(effective, fate));
        }
    }
}

fn sweep_pops<T: Packed>(operation_name: &str, how: How, states: &[State]) {
    for state in states {
        let scene = Popping::<T>::new(how, state.clone());
        for &fate in fates() {
            let name = format!("{operation_name}, {}, {}", T::NAME, state.name);
            sweep(&name, &scene, fate, operation(state.filled > state.warm, fate));
        }
    }
}

/// What a push of one message may find.
fn push_states<T: Packed>() -> Vec<State> {
    let (capacity, per_cell, lap) = (T::CAPACITY, T::PER_CELL, lap::<T>());
    vec![
        state("empty", 0, 0),
        state("empty, inside a cell", per_cell + 3, 0),
        state("middle", 2, capacity / 2),
        state("the last of its cell", per_cell, per_cell - 1),
        state("the last of the lap", lap - 1 - capacity / 2, capacity / 2),
        state("the first of a lap", lap - capacity / 2, capacity / 2),
        state("full", 4, capacity),
        State { taken: 1, ..state("full a moment ago", 4, capacity) },
        State { warm: 2, ..state("pushed before", 4, 0) },
        State { parent: true, ..state("has a child", 4, 1) },
    ]
}

/// What a pop of one message may find.
fn pop_states<T: Packed>() -> Vec<State> {
    let (capacity, per_cell, lap) = (T::CAPACITY, T::PER_CELL, lap::<T>());
    vec![
        state("empty", 0, 0),
        state("empty, inside a cell", per_cell + 3, 0),
        state("middle", 2, capacity / 2),
        state("the only one", 3, 1),
        state("the last of its cell", 2 * per_cell - 1, 2),
        state("the last of the lap", lap - 1, 2),
        state("the first of a lap", lap, 2),
        state("full", 4, capacity),
        State { warm: 1, ..state("popped before", 0, 3) },
        State { parent: true, ..state("has a child", 4, 1) },
    ]
}

/// A batch that lies in several cells, and starts and ends inside one where it can.
fn batch<T: Packed>() -> How {
    How::Batch((2 * T::PER_CELL + 2).min(T::CAPACITY))
}

fn batch_push_states<T: Packed>() -> Vec<State> {
    let (capacity, lap) = (T::CAPACITY, lap::<T>());
    vec![
        state("empty", 0, 0),
        state("inside a cell", 4, 1),
        state("over the end of the lap", lap - 2, 0),
        state("room for some", 4, capacity / 2 + 1),
        state("full", 4, capacity),
        State { taken: capacity - 1, ..state("full a moment ago", 4, capacity) },
        State { warm: 1, ..state("pushed before", 4, 0) },
    ]
}

fn batch_pop_states<T: Packed>() -> Vec<State> {
    let (capacity, lap) = (T::CAPACITY, lap::<T>());
    vec![
        state("empty", 0, 0),
        state("full", 0, capacity),
        state("inside a cell", 5, capacity),
        state("over the end of the lap", lap - 2, capacity),
        state("fewer than wanted", 4, 2),
        State { warm: 1, ..state("popped before", 4, capacity) },
    ]
}

fn try_push() {
    sweep_pushes::<u64>("try_push", How::One, &push_states::<u64>());
    sweep_pushes::<[u64; 16]>("try_push", How::One, &push_states::<[u64; 16]>());
}

fn push_slice() {
    sweep_pushes::<u64>("push_slice", batch::<u64>(), &batch_push_states::<u64>());
    sweep_pushes::<[u64; 16]>("push_slice", batch::<[u64; 16]>(), &batch_push_states::<[u64; 16]>());
}

fn reserve_and_commit() {
    sweep_pushes::<u64>("reserve, commit", How::InPlace, &push_states::<u64>());
    sweep_pushes::<[u64; 16]>("reserve, commit", How::InPlace, &push_states::<[u64; 16]>());
}

fn try_pop() {
    sweep_pops::<u64>("try_pop", How::One, &pop_states::<u64>());
    sweep_pops::<[u64; 16]>("try_pop", How::One, &pop_states::<[u64; 16]>());
}

fn pop_slice() {
    sweep_pops::<u64>("pop_slice", batch::<u64>(), &batch_pop_states::<u64>());
    sweep_pops::<[u64; 16]>("pop_slice", batch::<[u64; 16]>(), &batch_pop_states::<[u64; 16]>());
}

fn peek_and_release() {
    sweep_pops::<u64>("peek, release", How::InPlace, &pop_states::<u64>());
    sweep_pops::<[u64; 16]>("peek, release", How::InPlace, &pop_states::<[u64; 16]>());
}

/// Claims have some hundred instructions, and ask the kernel.
const CLAIM: Demands = Demands { instructions: 100, both_outcomes: true, lasting: true };

fn claim_producer() {
    claims_of_the_producer::<u64>();
    claims_of_the_producer::<[u64; 16]>();
}

fn claims_of_the_producer<T: Packed>() {
    for state in batch_push_states::<T>().iter().filter(|state| state.filled < T::CAPACITY) {
        let scene = Pushing::<T>::new(batch::<T>(), state.clone());
        for fate in deaths() {
            let name = |before| format!("claim producer after one who {before}, {}, {}", T::NAME, state.name);
            if state.warm == 0 {
                sweep(&name("left"), &Claiming::after_one_who_left(&scene), fate, CLAIM);
            }
            // All of the batch is written but its first cell: the successor finds as much of it as there can be.
            sweep(&name("died in a batch"), &Claiming::after_one_who_died(&scene), fate, CLAIM);
        }
    }
}

fn claim_consumer() {
    claims_of_the_consumer::<u64>();
    claims_of_the_consumer::<[u64; 16]>();
}

fn claims_of_the_consumer<T: Packed>() {
    for state in batch_pop_states::<T>().iter().filter(|state| state.filled > 0 && state.warm == 0) {
        let scene = Popping::<T>::new(batch::<T>(), state.clone());
        for fate in deaths() {
            let name = |before| format!("claim consumer after one who {before}, {}, {}", T::NAME, state.name);
            sweep(&name("left"), &Claiming::after_one_who_left(&scene), fate, CLAIM);
            sweep(&name("died in a batch"), &Claiming::after_one_who_died(&scene), fate, CLAIM);
        }
    }
}

fn write() {
    for written in [0, 1, 5] {
        for &fate in fates() {
            sweep(&format!("write after {written}"), &Writing::new(written), fate, operation(true, fate));
        }
    }
}

fn once<S: Scene>(name: &str, scene: &S, both_outcomes: bool) {
    let demands = Demands { instructions: 500, both_outcomes, lasting: true };
    sweep(name, scene, Fate::SurvivorFirst, demands);
}

fn attach() {
    once("attach, used by another", &Attaching { name: names::fresh(), used: true }, false);
    once("attach, used by nobody", &Attaching { name: names::fresh(), used: false }, false);
}

fn detach() {
    for (lifetime, last, what) in [
        (Lifetime::Persistent, false, "persistent, used by another"),
        (Lifetime::Persistent, true, "persistent, the last"),
        (Lifetime::LastDetach, false, "removed by the last, used by another"),
        (Lifetime::LastDetach, true, "removed by the last, the last"),
    ] {
        let name = names::fresh();
        once(&format!("detach, {what}"), &Detaching { name, lifetime, last }, last && lifetime == Lifetime::LastDetach);
    }
}

fn create() {
    once("create", &Creating { name: names::fresh(), taken: false, half_made: false }, true);
    once("create, the name taken", &Creating { name: names::fresh(), taken: true, half_made: false }, false);
}
