//! `kill -9` at any instruction: every operation on an MPMC ring, the repair of what other dead have left among them; and
//! after each death all the others go on.
//!
//! It works as `deaths_spsc.rs`, which see. What was committed is delivered exactly once, what was in the hands of the
//! dead included: an operation takes effect as a whole or not at all. All the room is there, and the next process can
//! attach. Nobody is told to clear up: survivors find out by themselves, at once. Some points are used to stop the
//! process for a while: it is not robbed, and ends its operation as if nothing had happened.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[allow(dead_code)] // what other tests of deaths need
mod support {
    pub mod board;
    #[allow(dead_code)] // some of it is for other tests
    pub mod bytes;
    pub mod cells;
    pub mod crowd;
    pub mod deeds;
    pub mod ledger;
    pub mod members;
    pub mod mending;
    pub mod names;
    pub mod path;
    pub mod predecessors;
    pub mod runner;
    pub mod sweep;
    pub mod victim;
    pub mod visible;
}

use ringway::Lifetime;
use std::process::ExitCode;
use support::crowd::{CAPACITY, First};
use support::deeds::{Operation, State, Using};
use support::ledger::Numbered;
use support::members::{Attaching, Detaching};
use support::mending::{Death, Mending, Repair};
use support::names;
use support::runner::{self, Report, Test};
use support::sweep::{Demands, Fate, Scene, sweep};

fn main() -> ExitCode {
    let tests = [
        Test { name: "try_push_commits_a_message_or_it_never_existed", run: try_push },
        Test { name: "push_slice_commits_a_batch_as_a_whole_or_not_at_all", run: push_slice },
        Test { name: "reserve_and_commit_push_what_lies_there_or_nothing", run: reserve_and_commit },
        Test { name: "who_dies_abandoning_a_place_has_never_reserved_it", run: abandon },
        Test { name: "try_pop_hands_a_message_over_or_leaves_it", run: try_pop },
        Test { name: "pop_slice_hands_a_batch_over_or_leaves_it", run: pop_slice },
        Test { name: "peek_and_release_hand_a_message_over_or_leave_it", run: peek_and_release },
        Test { name: "who_dies_giving_a_message_back_has_not_got_it", run: give_back },
        Test { name: "handles_come_and_go_with_their_process", run: handles },
        Test { name: "who_dies_repairing_the_push_of_another_leaves_it_to_the_next", run: repair_pushes },
        Test { name: "who_dies_repairing_the_pop_of_another_leaves_it_to_the_next", run: repair_pops },
        Test { name: "who_dies_attaching_in_place_of_the_dead_leaves_it_to_the_next", run: repair_by_attaching },
        Test { name: "who_dies_attaching_leaves_room_for_the_next", run: attach },
        Test { name: "who_dies_leaving_leaves_a_ring_or_a_free_name", run: detach },
    ];
    runner::main(&tests, &Report { instructions: 20_000, roles: false })
}

/// In a debug build only the first, so that it takes a minute.
fn fates() -> &'static [Fate] {
    let all = &[Fate::SurvivorFirst, Fate::SuccessorFirst, Fate::Stopped];
    if cfg!(debug_assertions) { &all[..1] } else { all }
}

const fn state(name: &'static str, popped: usize, filled: usize) -> State {
    State { name, popped, filled, given_back: 0, warm: 0, parent: false, first: First::Pop }
}

/// What a push may find. The first cell of the ring is that of position 0, 5, 10 ...
fn push_states() -> Vec<State> {
    vec![
        state("empty", 0, 0),
        State { first: First::Push, ..state("middle", 6, 2) },
        State { first: First::Push, ..state("full", 4, CAPACITY) },
        State { first: First::Push, ..state("at the end of a lap, and of a hint", 31, 1) },
        State { warm: 1, ..state("pushed before", 3, 0) },
        State { warm: 1, first: First::Push, parent: true, ..state("has a child", 3, 0) },
    ]
}

/// What a pop may find.
fn pop_states() -> Vec<State> {
    vec![
        state("empty", 6, 0),
        State { first: First::Push, ..state("middle", 6, 2) },
        State { first: First::Push, ..state("full, over the end of a lap", 4, CAPACITY) },
        state("at the end of a hint", 31, 2),
        State { warm: 2, first: First::Push, ..state("popped before", 2, CAPACITY) },
        State { warm: 1, parent: true, ..state("has a child", 3, 4) },
        State { given_back: 2, ..state("given back", 3, 3) },
    ]
}

/// Room for some of a batch, or fewer messages than wanted.
fn scarce(filled: usize) -> State {
    State { first: First::Push, ..state("not as much as wanted", 3, filled) }
}

fn sweep_uses<T: Numbered>(name: &str, operation: Operation, states: &[State]) {
    for state in states {
        let scene = Using::<T>::new(operation, state.clone());
        for &fate in fates() {
            // Who is only stopped meets what the others have done meanwhile.
            let killed = fate != Fate::Stopped;
            let both_outcomes = scene.is_effective() && killed;
            let name = format!("{name}, {}, {}", T::NAME, state.name);
            sweep(&name, &scene, fate, Demands { instructions: 15, both_outcomes, lasting: killed });
        }
    }
}

/// Messages that fill several lines in the states in which most happens.
fn sweep_both(name: &str, operation: Operation, states: &[State]) {
    let moved = |state: &&State| state.filled > 0 && state.filled < CAPACITY && !state.parent;
    let large: Vec<State> = states.iter().filter(moved).cloned().collect();
    sweep_uses::<u64>(name, operation, states);
    sweep_uses::<[u64; 16]>(name, operation, &large);
}

/// All but those in which there is nothing to do but to look for the dead, which takes a thousand instructions.
fn possible(states: Vec<State>, nothing_to_do: usize) -> Vec<State> {
    states.into_iter().filter(|state| state.filled != nothing_to_do || state.warm > 0).collect()
}

fn try_push() {
    sweep_both("try_push", Operation::Push, &push_states());
}

fn push_slice() {
    let states = [possible(push_states(), CAPACITY), vec![scarce(3)]].concat();
    sweep_both("push_slice", Operation::PushSlice(3), &states);
}

fn reserve_and_commit() {
    sweep_both("reserve, commit", Operation::Commit, &possible(push_states(), CAPACITY));
}

fn abandon() {
    sweep_uses::<u64>("reserve, drop", Operation::Abandon, &possible(push_states(), CAPACITY));
}

fn try_pop() {
    sweep_both("try_pop", Operation::Pop, &pop_states());
}

fn pop_slice() {
    let states = [possible(pop_states(), 0), vec![scarce(2)]].concat();
    sweep_both("pop_slice", Operation::PopSlice(3), &states);
}

fn peek_and_release() {
    sweep_both("peek, release", Operation::Release, &possible(pop_states(), 0));
}

fn give_back() {
    sweep_uses::<u64>("peek, drop", Operation::GiveBack, &possible(pop_states(), 0));
}

fn handles() {
    let states = [First::Pop, First::Push].map(|first| State { first, ..state("middle", 6, 2) });
    sweep_uses::<u64>("clone and drop", Operation::Clone, &states);
    sweep_uses::<u64>("drop of a producer and its place", Operation::DropProducer, &states);
    sweep_uses::<u64>("drop of a consumer and its message", Operation::DropConsumer, &states);
}

/// All ways to repair what one of `deaths` leaves: by being told to, in the way of a pop, in the way of a push, and by
/// attaching. Each says how the ring is filled, so that the dead are in the way of that.
fn sweep_repairs(name: &str, repair: Repair, deaths: &[Death]) {
    for death in deaths {
        let scene = Mending::<u64>::new(death.clone(), repair);
        // The same repair goes on in all of them: who died right before the effect is also repaired by the stopped.
        let others = |fate: Fate| (fate == Fate::Stopped) == (death.later == 0);
        for &fate in fates().iter().filter(|&&fate| fate == Fate::SurvivorFirst || others(fate)) {
            let name = format!("{name} {:?}, {} points later", death.operation, death.later);
            sweep(&name, &scene, fate, Demands { instructions: 100, both_outcomes: false, lasting: false });
        }
    }
}

/// In the middle of `operation`, in a ring with `filled` messages, and as many pushed `behind`.
const fn death(operation: Operation, later: isize, filled: usize, behind: usize) -> Death {
    Death { operation, state: state("repaired", 3, filled), later, behind }
}

fn repair_pushes() {
    use Operation::{Pop, Push, PushSlice, Recover};
    // Right before the commit all but the first message are published, some points before only the last one.
    let batch = |filled, behind| [death(PushSlice(3), 0, filled, behind), death(PushSlice(3), -10, filled, behind)];
    sweep_repairs("recover after", Repair::By(Recover), &batch(1, 1));
    sweep_repairs("pop past", Repair::By(Pop), &batch(0, 1));
    sweep_repairs("push past", Repair::By(Push), &batch(0, 2));
    sweep_repairs("pop past", Repair::By(Pop), &[death(Push, 0, 0, 1)]);
    sweep_repairs("push past", Repair::By(Push), &[death(Push, 0, 0, 4)]);
}

fn repair_pops() {
    use Operation::{Pop, PopSlice, Push, Recover};
    // Right before the hand-over all is taken, some points later some cells are free.
    let batches = |filled| [0, 2, 10].map(|later| death(PopSlice(3), later, filled, 0));
    sweep_repairs("recover after", Repair::By(Recover), &batches(4));
    sweep_repairs("pop past", Repair::By(Pop), &batches(3));
    sweep_repairs("push past", Repair::By(Push), &batches(CAPACITY));
    sweep_repairs("pop past", Repair::By(Pop), &[death(Pop, 0, 1, 0)]);
    sweep_repairs("push past", Repair::By(Push), &[death(Pop, 0, CAPACITY, 0)]);
}

fn repair_by_attaching() {
    use Operation::{PopSlice, PushSlice};
    for death in [death(PushSlice(3), 0, 1, 1), death(PopSlice(3), 2, 4, 0)] {
        let scene = Mending::<u64>::new(death.clone(), Repair::ByAttaching);
        once(&format!("attach after {:?}", death.operation), &scene, false);
    }
}

fn once<S: Scene>(name: &str, scene: &S, both_outcomes: bool) {
    sweep(name, scene, Fate::SurvivorFirst, Demands { instructions: 300, both_outcomes, lasting: true });
}

fn attach() {
    once("attach", &Attaching { name: names::fresh() }, false);
}

fn detach() {
    for (lifetime, last, what) in [
        (Lifetime::Persistent, false, "persistent, used by another"),
        (Lifetime::LastDetach, false, "removed by the last, used by another"),
        (Lifetime::LastDetach, true, "removed by the last, the last"),
    ] {
        let name = names::fresh();
        once(&format!("detach, {what}"), &Detaching { name, lifetime, last }, last);
    }
}
