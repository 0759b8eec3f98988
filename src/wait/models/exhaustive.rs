//! The protocol of an event, checked in every state that it can reach, with deaths at any step.
//!
//! Each thread does one operation on what all share at a time, in every possible order. Checked in every state:
//!
//! - No wake-up is lost. When nothing more happens by itself, nobody sleeps while there is a message for it. Time-outs
//!   are not counted on, though they may come at any time. After a death it counts on them: a message may lie there
//!   until what was on its way at that moment has arrived, and all who sleep have come to `prepare` once more. From then
//!   on, again, no wake-up is lost.
//! - When all wakers have left, all who sleep notice, on the same terms.
//! - However many died, some way leads on, without a further death, to where all that was stored is taken.
//!
//! Stores of wakers go into a store buffer, first in, first out, and get out of it whenever they like, even when their
//! thread is dead by then; a thread's fences and exchanges wait until its buffer is empty. A barrier is a fence in each
//! thread that is reached, one after the other, each at any time during the call; in some settings all of them at once.
//! Wakers that are not reached fence before each load.
//!
//! It abstracts from:
//! - *orderings*, but for store buffers. Sleepers have none, as they only exchange. The models under loom check the
//!   orderings of the released code, but know of no barriers in other threads.
//! - *the ring*: to look for a message and to take it is one step; the stores are counted.
//! - *the number in the word*: of a word that somebody keeps it says only whether it is still that of the word.
//! - *how often*: a waker stops fencing when it has met nobody once or twice, not [`QUIET`](crate::wait::QUIET) times;
//!   and an exchange is tried for ever.
//!
//! `alone` lets the released functions and the steps do the same by themselves, and compares.

mod alone;
mod bugs;
mod explore;
mod sleeper;
mod state;
mod steps;

use crate::wait::{ALWAYS, AWAKE, ONE_MORE};
use bugs::Bug;
use state::{At, State, THREADS, Thread};

/// A promise that is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Broken {
    /// A message is there, its receiver sleeps, and nobody will wake it.
    Lost,
    /// All wakers have left, somebody sleeps, and nobody will wake it.
    Unnoticed,
    /// No way leads on to where everything is taken.
    Stuck,
}

/// What a thread is there for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Job {
    /// Stores so many times, `batch` messages at a time; and may leave then.
    Waker { messages: u8, batch: u8, reached: bool, leaves: bool },
    /// Takes so many messages, or until all wakers have left, and sleeps when there is none. `barrier`: whether it can
    /// call for one.
    Sleeper { wants: u8, barrier: bool },
    /// Comes when a sleeper has died.
    Successor { wants: u8 },
    /// Sleeps on the same word, for something that never comes.
    Stranger,
    /// Says, when it likes, that it has no barrier to call for, and does not sleep.
    Attaches,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Barrier {
    AtOnce,
    OneByOne,
}

const fn wakes(messages: u8) -> Job {
    Job::Waker { messages, batch: 1, reached: true, leaves: false }
}

const fn wakes_unreached(messages: u8) -> Job {
    Job::Waker { messages, batch: 1, reached: false, leaves: false }
}

const fn leaves(messages: u8) -> Job {
    Job::Waker { messages, batch: 1, reached: true, leaves: true }
}

const fn sleeps(wants: u8) -> Job {
    Job::Sleeper { wants, barrier: true }
}

#[derive(Clone, Debug)]
struct Setting {
    jobs: Vec<Job>,
    /// After so many times that a waker met nobody, it stops fencing. 0: never.
    quiet: u8,
    /// Whether there is one sleeper at a time, which takes back what it said.
    alone: bool,
    barrier: Barrier,
    /// How many messages somebody takes who never sleeps.
    steals: u8,
    times_out: bool,
    /// Whether a sleeper that has looked may leave.
    gives_up: bool,
    /// Whether wakers always fence, from the start.
    always: bool,
    /// Whether what is stored stays there, for all sleepers: each `wants` all of it.
    for_all: bool,
    deaths: u8,
    bug: Bug,
}

impl Setting {
    /// What a sleeper wants that never leaves.
    const EVER: u8 = u8::MAX;

    fn of(quiet: u8, jobs: &[Job], deaths: u8) -> Setting {
        assert!(jobs.len() <= THREADS);
        Setting {
            jobs: jobs.to_vec(),
            quiet,
            alone: false,
            barrier: Barrier::OneByOne,
            steals: 0,
            times_out: deaths > 0,
            gives_up: false,
            always: false,
            for_all: false,
            deaths,
            bug: Bug::None,
        }
    }

    fn alone(self) -> Setting {
        Setting { alone: true, ..self }
    }

    fn at_once(self) -> Setting {
        Setting { barrier: Barrier::AtOnce, ..self }
    }

    fn always(self) -> Setting {
        Setting { always: true, ..self }
    }

    fn for_all(self) -> Setting {
        Setting { for_all: true, ..self }
    }

    fn with_time_outs(self) -> Setting {
        Setting { times_out: true, ..self }
    }

    fn giving_up(self) -> Setting {
        Setting { gives_up: true, ..self.with_time_outs() }
    }

    fn with_thieves(self, steals: u8) -> Setting {
        Setting { steals, ..self }
    }

    fn but(self, bug: Bug) -> Setting {
        Setting { bug, ..self }
    }

    fn batch(&self, me: usize) -> u8 {
        match self.jobs[me] {
            Job::Waker { batch, .. } => batch,
            _ => unreachable!("only wakers store"),
        }
    }

    fn is_reached(&self, me: usize) -> bool {
        matches!(self.jobs[me], Job::Waker { reached: true, .. })
    }

    /// Whether a waker fences before it loads the word.
    fn fences(&self, me: usize) -> bool {
        !self.is_reached(me) && self.bug != Bug::NeitherReachedNorFencing
    }

    /// Whether all wakers have left, and are seen to have.
    fn is_closed(&self, state: &State) -> bool {
        let wakers = self.jobs.iter().filter(|job| matches!(job, Job::Waker { .. })).count();
        usize::from(state.left) == wakers
    }

    fn wants(&self, me: usize) -> u8 {
        match self.jobs[me] {
            Job::Sleeper { wants, .. } | Job::Successor { wants } => wants,
            _ => Setting::EVER,
        }
    }

    fn has_barrier(&self, me: usize) -> bool {
        self.jobs[me] != Job::Sleeper { wants: self.wants(me), barrier: false }
    }

    /// Whether there is something for a sleeper.
    fn has_news(&self, state: &State, me: usize) -> bool {
        let had = if self.for_all { state.threads[me].count } else { 0 };
        state.messages > had
    }

    fn is_blind(&self, me: usize) -> bool {
        self.jobs[me] == Job::Stranger
    }

    fn start(&self) -> State {
        let at = |job: &Job| match job {
            Job::Waker { messages: 0, .. } => At::Leave,
            Job::Waker { .. } => At::Store,
            Job::Sleeper { .. } => At::Idle,
            Job::Successor { .. } => At::Later,
            Job::Stranger => At::PrepareLoad,
            Job::Attaches => At::AlwaysLoad,
        };
        let mut threads = [Thread::new(At::Done); THREADS];
        for (thread, job) in threads.iter_mut().zip(&self.jobs) {
            thread.at = at(job);
        }
        let word = ONE_MORE | if self.always { ALWAYS | AWAKE } else { AWAKE };
        State { threads, word: word as u8, messages: 0, left: 0, steals: self.steals, deaths: 0, since: 0 }
    }
}

/// Goes through all states of each setting.
fn check(settings: &[Setting]) {
    for setting in settings {
        let start = std::time::Instant::now();
        match setting.explore() {
            Ok(states) => println!("{setting:?}: {states} states in {:.1?}", start.elapsed()),
            Err(found) => panic!("{setting:?}: {:?}\n{}", found.broken, found.trace),
        }
    }
}

const EVER: u8 = Setting::EVER;

#[test]
fn the_only_sleeper_misses_nothing() {
    check(&[
        Setting::of(1, &[wakes(4), sleeps(EVER)], 0).alone(),
        Setting::of(2, &[wakes(5), sleeps(EVER)], 0).alone().giving_up(),
        Setting::of(1, &[wakes(4), sleeps(EVER)], 0).alone().with_time_outs().at_once(),
        Setting::of(1, &[wakes_unreached(4), sleeps(EVER)], 0).alone().giving_up(),
        Setting::of(1, &[wakes(3), wakes_unreached(2), sleeps(EVER)], 0).alone(),
    ]);
}

/// Only the first one who says that it sleeps calls for a barrier. The others trust in it: it looks after its barrier,
/// and passes the baton. When it dies before that, their time-outs remain.
#[test]
fn of_many_sleepers_none_is_forgotten() {
    let of_two = Job::Waker { messages: 2, batch: 2, reached: true, leaves: false };
    check(&[
        Setting::of(1, &[wakes(3), sleeps(EVER), sleeps(EVER)], 0),
        Setting::of(2, &[wakes(3), sleeps(EVER), sleeps(1)], 0).giving_up(),
        Setting::of(1, &[wakes(2), wakes(1), sleeps(EVER), sleeps(1)], 0),
        Setting::of(1, &[of_two, sleeps(2), sleeps(EVER)], 0),
        Setting::of(1, &[wakes(3), sleeps(2), sleeps(EVER)], 0).with_thieves(1),
    ]);
}

/// Where nobody takes anything away, all are woken, and there is no baton; but the first one tells the others what its
/// barrier has brought to light.
#[test]
fn what_is_for_all_reaches_all() {
    check(&[
        Setting::of(1, &[wakes(1), sleeps(EVER), sleeps(EVER)], 0).for_all(),
        Setting::of(1, &[wakes(3), sleeps(EVER), sleeps(EVER)], 0).for_all(),
        Setting::of(2, &[wakes(3), sleeps(EVER), sleeps(EVER)], 0).for_all().giving_up(),
        Setting::of(1, &[wakes_unreached(3), sleeps(EVER), sleeps(EVER)], 0).for_all(),
        Setting::of(1, &[leaves(2), sleeps(EVER), sleeps(EVER)], 0).for_all(),
        Setting::of(1, &[wakes(2), sleeps(EVER), sleeps(EVER), sleeps(EVER)], 0).for_all(),
        Setting::of(1, &[wakes(2), sleeps(EVER), sleeps(EVER)], 1).for_all(),
    ]);
}

#[test]
fn wakers_that_no_barrier_reaches_fence() {
    check(&[
        Setting::of(1, &[wakes_unreached(2), wakes(1), sleeps(EVER), sleeps(1)], 0),
        Setting::of(1, &[wakes(3), Job::Sleeper { wants: EVER, barrier: false }, sleeps(EVER)], 0).always(),
        Setting::of(1, &[wakes(3), Job::Attaches, sleeps(EVER), sleeps(1)], 0),
        Setting::of(2, &[wakes(3), Job::Attaches, sleeps(EVER)], 0).alone().giving_up(),
    ]);
}

#[test]
fn whoever_dies_no_wake_up_is_lost_once_all_have_looked_again() {
    check(&[
        Setting::of(1, &[wakes(3), sleeps(EVER)], 2).alone(),
        Setting::of(1, &[wakes(3), sleeps(EVER), Job::Successor { wants: EVER }], 1).alone(),
        Setting::of(1, &[wakes(2), sleeps(EVER), sleeps(EVER)], 1),
        Setting::of(1, &[wakes(1), wakes(1), sleeps(EVER), sleeps(1)], 1),
    ]);
}

#[test]
fn whoever_leaves_is_noticed_by_all_who_sleep() {
    let unreached = Job::Waker { messages: 1, batch: 1, reached: false, leaves: true };
    check(&[
        Setting::of(1, &[leaves(4), sleeps(EVER)], 0).alone(),
        Setting::of(1, &[leaves(3), sleeps(EVER), sleeps(EVER)], 0).with_thieves(1),
        Setting::of(1, &[leaves(2), sleeps(EVER), sleeps(1)], 0).giving_up(),
        Setting::of(1, &[leaves(1), unreached, sleeps(EVER), sleeps(1)], 0),
        Setting::of(1, &[leaves(1), wakes(2), sleeps(EVER), sleeps(EVER)], 0),
        Setting::of(1, &[leaves(1), Job::Attaches, sleeps(EVER), sleeps(EVER)], 0),
        Setting::of(1, &[leaves(2), sleeps(EVER), sleeps(EVER)], 1),
    ]);
}

#[cfg(not(debug_assertions))]
#[test]
fn many_sleepers_and_wakers() {
    check(&[
        Setting::of(1, &[leaves(2), leaves(1), sleeps(EVER), sleeps(EVER)], 0).with_thieves(1),
        Setting::of(1, &[leaves(2), sleeps(EVER), sleeps(EVER), sleeps(1)], 0).with_thieves(1),
        Setting::of(1, &[wakes(2), wakes(2), sleeps(EVER), sleeps(1)], 0).with_thieves(1),
        Setting::of(2, &[wakes(3), wakes(1), sleeps(EVER), sleeps(2)], 0),
        Setting::of(1, &[wakes(3), sleeps(EVER), sleeps(EVER), sleeps(1)], 0),
        Setting::of(1, &[wakes(1), wakes_unreached(1), sleeps(1), sleeps(1), sleeps(EVER)], 0),
        Setting::of(1, &[wakes(3), Job::Attaches, sleeps(EVER), sleeps(EVER)], 0).giving_up(),
    ]);
}

#[cfg(not(debug_assertions))]
#[test]
fn two_of_many_die() {
    check(&[
        Setting::of(1, &[leaves(1), leaves(1), sleeps(EVER), sleeps(EVER)], 2),
        Setting::of(1, &[wakes(3), sleeps(EVER), sleeps(EVER)], 2).giving_up(),
        Setting::of(1, &[wakes(2), wakes(1), sleeps(EVER), sleeps(EVER)], 2),
        Setting::of(1, &[wakes(2), sleeps(EVER), sleeps(EVER), sleeps(1)], 2),
        Setting::of(1, &[wakes(2), Job::Attaches, sleeps(EVER), sleeps(EVER)], 2),
        Setting::of(1, &[wakes(4), sleeps(EVER), Job::Successor { wants: EVER }, Job::Successor { wants: EVER }], 2)
            .alone(),
    ]);
}
