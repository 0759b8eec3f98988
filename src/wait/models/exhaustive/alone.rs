//! What ties the steps of the model to the released code: whatever the word says, both do the same to it when nobody
//! else is there, and call for as many wake-ups and barriers.

use super::bugs::Bug;
use super::state::{At, State};
use super::steps::Turn;
use super::{EVER, Job, Setting, leaves, sleeps, wakes, wakes_unreached};
use crate::sync::{AtomicU32, Ordering};
use crate::wait::{EVERYBODY, Event, Futex, Notifier, QUIET, Ticket};
use std::cell::Cell;
use std::time::Duration;

/// What has come of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Done {
    word: u8,
    /// How often it woke one, and all.
    wakes: [u32; 2],
    barriers: u32,
    quiet: u32,
    ticket: u8,
}

/// Words of all states, with all numbers that fit into a word of the model; and with the last ones before it wraps
/// around, of which the model has the last bits.
fn words() -> impl Iterator<Item = u32> {
    (0..=255).chain(u32::MAX - 15..=u32::MAX)
}

/// All states, with few numbers.
fn few_words() -> impl Iterator<Item = u32> {
    (0..24).chain(u32::MAX - 7..=u32::MAX)
}

fn plus(mut wakes: [u32; 2], all: bool) -> [u32; 2] {
    wakes[usize::from(all)] += 1;
    wakes
}

struct Fake {
    word: AtomicU32,
    wakes: Cell<[u32; 2]>,
    barriers: Cell<u32>,
    has_barrier: bool,
}

impl Futex for &Fake {
    fn word(&self) -> &AtomicU32 {
        &self.word
    }

    fn sleep(&self, _: u32, _: Duration) {
        unreachable!("nobody sleeps here")
    }

    fn wake(&self, most: u32) {
        assert!(most == 1 || most == EVERYBODY);
        self.wakes.set(plus(self.wakes.get(), most == EVERYBODY));
    }

    fn barrier_everywhere(&self) -> bool {
        self.barriers.set(self.barriers.get() + u32::from(self.has_barrier));
        self.has_barrier
    }
}

/// The released code, from this word on. It returns what it knows of quiet, and its ticket.
fn released(word: u32, has_barrier: bool, act: impl FnOnce(Event<&Fake>) -> (u32, u32)) -> Done {
    let (wakes, barriers) = (Cell::default(), Cell::default());
    let fake = Fake { word: AtomicU32::new(word), wakes, barriers, has_barrier };
    let (quiet, ticket) = act(Event(&fake));
    let Fake { word, wakes, barriers, .. } = &fake;
    let word = word.load(Ordering::Relaxed) as u8;
    Done { word, wakes: wakes.get(), barriers: barriers.get(), quiet, ticket: ticket as u8 }
}

/// The steps of the only thread of a model, from this state on until it comes to `end`.
fn steps(job: Job, word: u32, begin: impl FnOnce(&mut State), end: fn(At) -> bool) -> Done {
    steps_of(Setting::of(2, &[job], 0), word, begin, end)
}

fn steps_of(setting: Setting, word: u32, begin: impl FnOnce(&mut State), end: fn(At) -> bool) -> Done {
    assert_eq!(setting.bug, Bug::None);
    let mut state = State { word: word as u8, ..setting.start() };
    begin(&mut state);
    let (mut wakes, mut barriers) = ([0; 2], 0);
    while !end(state.threads[0].at) {
        let before = state.threads[0];
        let mut turn = Turn { setting: &setting, state, me: 0 };
        if before.at == At::WakeFutex {
            wakes = plus(wakes, turn.wakes_all());
        }
        if before.buffered > 0 {
            turn.flush();
        }
        let mut next = Vec::new();
        turn.operate(&mut next);
        state = *next.last().expect("nobody is in its way");
        barriers += u32::from(before.at != At::Barrier && state.threads[0].at == At::Barrier);
    }
    let thread = state.threads[0];
    Done { word: state.word, wakes, barriers, quiet: thread.quiet.into(), ticket: thread.ticket }
}

#[test]
fn whoever_notifies_does_what_the_model_does() {
    for word in words() {
        for (quiet, reached) in [(0, true), (1, true), (0, false), (1, false)] {
            // In the model it stops fencing at the second time.
            let mut notifier = Notifier { quiet: if quiet == 1 { QUIET - 1 } else { 0 }, ..Notifier::new(reached) };
            let released = released(word, true, |event| {
                event.notify(&mut notifier);
                (notifier.quiet.min(1), 0)
            });
            let job = if reached { wakes(1) } else { wakes_unreached(1) };
            let steps = steps(job, word, |state| state.threads[0].quiet = quiet, |at| at == At::Done);
            assert_eq!(released, steps, "of {word}, quiet {quiet}, reached {reached}");
        }
    }
}

#[test]
fn whoever_prepares_does_what_the_model_does() {
    for word in words() {
        for barrier in [true, false] {
            let released = released(word, barrier, |event| (0, event.prepare().word()));
            let job = Job::Sleeper { wants: 1, barrier };
            let steps = steps(job, word, |state| state.threads[0].at = At::PrepareLoad, |at| at == At::Look);
            assert_eq!(released, steps, "of {word}, barrier {barrier}");
        }
    }
}

#[test]
fn whoever_does_not_sleep_after_all_does_what_the_model_does() {
    for word in few_words() {
        for ticket in few_words() {
            let released = released(word, true, |event| {
                event.finish(Ticket { word: ticket, is_first: false });
                (0, 0)
            });
            let begin = |state: &mut State| {
                (state.threads[0].at, state.threads[0].ticket) = (At::Finish, ticket as u8);
            };
            let steps = steps(sleeps(1), word, begin, |at| at == At::Idle);
            assert_eq!(released, steps, "of {word}, ticket {ticket}");
        }
    }
}

/// Where what there is to do is for all.
#[test]
fn whoever_tells_all_does_what_the_model_does() {
    for word in words() {
        let mut notifier = Notifier::new(true);
        let notified = released(word, true, |event| {
            event.notify_all(&mut notifier);
            (notifier.quiet, 0)
        });
        let wakes = Setting::of(2, &[wakes(1)], 0).for_all();
        assert_eq!(notified, steps_of(wakes, word, |_| (), |at| at == At::Done), "of {word}");
        // It finds something behind its barrier.
        let passed_on = released(word, true, |event| {
            let ticket = event.prepare();
            event.pass_on(ticket);
            (0, 0)
        });
        let begin = |state: &mut State| (state.threads[0].at, state.messages) = (At::PrepareLoad, 1);
        let sleeps = Setting::of(2, &[sleeps(EVER)], 0).for_all();
        assert_eq!(passed_on, steps_of(sleeps, word, begin, |at| at == At::Idle), "of {word}");
    }
}

#[test]
fn whoever_wakes_one_or_all_or_has_no_barrier_does_what_the_model_does() {
    for word in words() {
        let released_wake = released(word, true, |event| {
            event.wake_one();
            (0, 0)
        });
        let begin = |state: &mut State| state.threads[0].at = At::WakeLoad;
        assert_eq!(released_wake, steps(sleeps(1), word, begin, |at| at == At::Idle), "of {word}");
        let released_always = released(word, true, |event| {
            event.always_alert();
            (0, 0)
        });
        assert_eq!(released_always, steps(Job::Attaches, word, |_| (), |at| at == At::Done), "of {word}");
        let released_all = released(word, true, |event| {
            event.wake_all();
            (0, 0)
        });
        let begin = |state: &mut State| (state.threads[0].at, state.threads[0].count) = (At::WakeLoad, 1);
        assert_eq!(released_all, steps(leaves(0), word, begin, |at| at == At::Done), "of {word}");
    }
}
