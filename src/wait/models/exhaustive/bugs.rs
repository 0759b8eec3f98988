//! What the model must find: the protocol with something left out or done differently. And what looks like a bug, and
//! is none.

use super::{Broken, EVER, Job, Setting, check, leaves, sleeps, wakes, wakes_unreached};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bug {
    None,
    LateTicket,
    NoBaton,
    BatonOnlyAfterSleep,
    SecondLookUnfenced,
    LookUnfenced,
    NoBarrier,
    SaysAsleepAfterTheBarrier,
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
    NoNumber,
    WakesAllOnlyIfAsleep,
    WakesAllUnlessAwake,
    WakesOneForAll,
    FirstWakesNobody,
    FirstWakesOne,
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

/// Others who say that they sleep trust in the barrier of the first one, and may sleep before it comes. So the first
/// one has to wake them for what its barrier brings to light.
#[test]
fn a_baton_that_only_those_pass_who_have_slept() {
    finds(two_sleepers().but(Bug::BatonOnlyAfterSleep));
}

/// The same where what is stored is for all.
#[test]
fn a_first_sleeper_that_keeps_what_its_barrier_brought_to_light() {
    let readers = |count: usize| Setting::of(1, &[&[wakes(2)][..], &vec![sleeps(EVER); count]].concat(), 0).for_all();
    finds(readers(2).but(Bug::FirstWakesNobody));
    finds(readers(3).but(Bug::FirstWakesOne));
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
    finds(one_sleeper().but(Bug::SaysAsleepAfterTheBarrier));
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

/// The only sleepers, and who leaves when it has stored some messages.
fn one_leaves(messages: u8) -> Setting {
    Setting::of(1, &[leaves(messages), sleeps(EVER), sleeps(EVER)], 0)
}

fn finds_unnoticed(setting: Setting) {
    match setting.explore() {
        Ok(states) => panic!("{setting:?}: nothing found in {states} states"),
        Err(found) => assert_eq!(found.broken, Broken::Unnoticed, "{setting:?}\n{}", found.trace),
    }
}

/// Somebody was just about to sleep when all were woken, and somebody else says then that it sleeps.
#[test]
fn a_word_that_is_the_same_again() {
    finds_unnoticed(one_leaves(0).but(Bug::NoNumber));
}

/// Who is put to sleep like that is woken by whoever put it to sleep, if there is more to do. So the number is there
/// for those who leave.
#[test]
fn that_the_word_is_the_same_again_loses_no_message() {
    check(&[
        two_sleepers().giving_up().but(Bug::NoNumber),
        two_sleepers().with_thieves(1).but(Bug::NoNumber),
        Setting::of(1, &[wakes(2), wakes(1), sleeps(EVER), sleeps(1)], 0).but(Bug::NoNumber),
        Setting::of(1, &[wakes(2), sleeps(EVER), sleeps(EVER)], 1).but(Bug::NoNumber),
    ]);
}

/// Who sleeps has lost its `Asleep` to a waker that woke another.
#[test]
fn all_who_are_woken_only_if_the_word_says_that_somebody_sleeps() {
    finds_unnoticed(one_leaves(1).but(Bug::WakesAllOnlyIfAsleep));
}

/// And then the `Alert` to a waker that has met nobody since. Whoever was woken will say again that it sleeps, which is
/// too late.
#[test]
fn all_who_are_woken_unless_the_word_says_that_nobody_sleeps() {
    finds_unnoticed(one_leaves(3).with_thieves(1).but(Bug::WakesAllUnlessAwake));
}

#[test]
fn one_who_is_woken_for_all() {
    finds_unnoticed(one_leaves(0).but(Bug::WakesOneForAll));
}

#[test]
fn who_leaves_and_looks_without_a_fence() {
    finds_unnoticed(one_leaves(0).but(Bug::SecondLookUnfenced));
}
