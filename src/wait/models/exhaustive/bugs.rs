//! What the model must find: the protocol with something left out or done differently. And what looks like a bug, and is
//! none as long as nobody dies.

use super::{Broken, EVER, Job, Setting, sleeps, wakes, wakes_unreached};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bug {
    None,
    LateTicket,
    NoBaton,
    BatonOnlyAfterSleep,
    SecondLookUnfenced,
    LookUnfenced,
    NoBarrier,
    BarrierComesFirst,
    NeitherReachedNorFencing,
    TakesAlwaysForAlert,
    ClearsWithoutWaking,
    WakesBeforeItClears,
    IgnoresAlert,
    DoesNotSayItAgain,
    LeavesAsItWakes,
    TakesBackByStore,
    ResetsTheSleeping,
    ResetsByStore,
    ResetForgetsAlways,
    WakesAllOnlyIfAsleep,
}

/// Whether the model finds that a wake-up is lost.
fn finds(setting: Setting) {
    match setting.explore() {
        Ok(states) => panic!("{setting:?}: nothing found in {states} states"),
        Err(found) => assert_eq!(found.broken, Broken::Lost, "{setting:?}\n{}", found.trace),
    }
}

fn one_sleeper() -> Setting {
    Setting::of(1, &[wakes(3), sleeps(EVER)], 0).alone()
}

/// One of them leaves after its first message.
fn two_sleepers() -> Setting {
    Setting::of(1, &[wakes(3), sleeps(EVER), sleeps(1)], 0)
}

#[test]
fn a_ticket_that_is_drawn_after_the_look() {
    finds(one_sleeper().but(Bug::LateTicket));
    finds(two_sleepers().but(Bug::LateTicket));
}

#[test]
fn a_baton_that_is_dropped() {
    finds(two_sleepers().but(Bug::NoBaton));
}

/// Who says that it sleeps may put another to sleep who was just to be kept from it: the word is the same again.
#[test]
fn a_baton_that_only_those_pass_who_have_slept() {
    finds(two_sleepers().but(Bug::BatonOnlyAfterSleep));
}

#[test]
fn a_second_look_without_a_fence() {
    finds(one_sleeper().but(Bug::SecondLookUnfenced));
}

#[test]
fn a_look_that_is_done_before_the_exchange() {
    finds(one_sleeper().but(Bug::LookUnfenced));
}

#[test]
fn a_barrier_that_is_left_out() {
    finds(one_sleeper().but(Bug::NoBarrier));
    finds(one_sleeper().at_once().but(Bug::NoBarrier));
}

#[test]
fn a_barrier_before_the_word_says_so() {
    finds(one_sleeper().but(Bug::BarrierComesFirst));
}

#[test]
fn a_waker_that_no_barrier_reaches_and_that_does_not_fence() {
    finds(Setting::of(1, &[wakes_unreached(2), sleeps(EVER)], 0).alone().but(Bug::NeitherReachedNorFencing));
}

/// Somebody attaches who has no barrier to call for. That does not do for others what their barrier does.
#[test]
fn a_word_that_says_always_and_is_taken_for_an_alert() {
    finds(Setting::of(1, &[wakes(1), Job::Attaches, sleeps(EVER)], 0).but(Bug::TakesAlwaysForAlert));
}

/// Why who has no barrier says so long before it sleeps.
#[test]
fn a_sleeper_without_a_barrier_that_says_so_only_as_it_goes_to_sleep() {
    finds(Setting::of(1, &[wakes(1), Job::Sleeper { wants: EVER, barrier: false }], 0));
}

#[test]
fn a_waker_that_takes_back_that_somebody_sleeps_and_does_not_wake() {
    finds(one_sleeper().but(Bug::ClearsWithoutWaking));
}

#[test]
fn a_waker_that_wakes_before_it_takes_back_that_somebody_sleeps() {
    finds(one_sleeper().but(Bug::WakesBeforeItClears));
}

#[test]
fn a_waker_that_does_not_fence_on_alert() {
    finds(one_sleeper().but(Bug::IgnoresAlert));
}

#[test]
fn a_sleeper_that_was_woken_and_does_not_say_again_that_it_sleeps() {
    finds(two_sleepers().but(Bug::DoesNotSayItAgain));
}

/// To wake another is not enough: the word does not say that anybody sleeps.
#[test]
fn a_sleeper_that_was_woken_and_leaves() {
    finds(two_sleepers().giving_up().but(Bug::LeavesAsItWakes));
}

#[test]
fn what_is_taken_back_whatever_the_word_says() {
    finds(one_sleeper().but(Bug::TakesBackByStore));
}

#[test]
fn what_is_taken_back_by_one_of_many() {
    finds(two_sleepers().alone());
}

#[test]
fn a_waker_that_stops_fencing_while_somebody_sleeps() {
    finds(Setting { quiet: 1, ..one_sleeper() }.but(Bug::ResetsTheSleeping));
    finds(one_sleeper().but(Bug::ResetsByStore));
}

#[test]
fn a_waker_that_stops_fencing_although_it_always_has_to() {
    let jobs = [wakes(3), Job::Sleeper { wants: EVER, barrier: false }];
    finds(Setting::of(1, &jobs, 0).always().but(Bug::ResetForgetsAlways));
}

/// A wake-up goes to whoever sleeps on the word. One that waits for something else keeps it.
#[test]
fn a_sleeper_that_waits_for_something_else_on_the_same_word() {
    finds(Setting::of(1, &[wakes(1), sleeps(EVER), Job::Stranger], 0));
}

/// Somebody was woken for a message, and took back for all that they sleep.
#[test]
fn one_who_leaves_and_wakes_only_those_of_whom_the_word_speaks() {
    finds(three_at_the_end().numbered().but(Bug::WakesAllOnlyIfAsleep));
}

/// One is about to sleep, the other one, woken, says again that it sleeps: the word is the same again.
#[test]
fn wake_ups_that_are_not_counted() {
    finds(three_at_the_end());
}

fn three_at_the_end() -> Setting {
    Setting::of(1, &[Job::Leaves, wakes(1), sleeps(EVER), sleeps(EVER), Job::Stranger], 0)
}
