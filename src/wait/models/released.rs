//! The released code of an event under loom, with a futex made of a lock. Run by `cargo loom`.
//!
//! Nobody times out: a lost wake-up is a deadlock, which loom reports. What there is to do is stored and looked at with
//! Relaxed operations, so that whoever relies on an order relies on that of the event. loom knows of no barriers in
//! other threads. So wakers fence: either those of an event that is never `Awake`, or before each load, and then what
//! calls for a barrier everywhere is a fence here too. What a barrier everywhere is good for, `exhaustive` shows.
//!
//! | operation | ordering | the model that fails when it is weaker, or why none can |
//! |---|---|---|
//! | `notify`: between the store and the load | compiler only | none: neither loom nor `exhaustive` knows of compilers that exchange the two |
//! | `notify`: fence | SeqCst | `a_waker_that_fences_and_the_only_sleeper` |
//! | `notify`: load | Relaxed | ordered by that fence, by the barrier of a sleeper, or done again in `count_up` |
//! | `notify_alert`: load and exchange | Relaxed | who wants to sleep after it calls for a barrier |
//! | `count_up`: fence | SeqCst | `a_waker_that_is_always_alert_and_the_only_sleeper`, `who_leaves_and_two_sleepers` |
//! | `count_up`: load and exchange | Relaxed | ordered by the fence; who is woken looks for itself |
//! | `prepare`: load and exchange | Relaxed | ordered by the barrier and the fence |
//! | `prepare`: fence | SeqCst | `a_waker_that_is_always_alert_and_the_only_sleeper`, `who_leaves_and_two_sleepers` |
//! | `finish`: exchange | Relaxed | it only takes back what we said ourselves |
//! | `always_alert`: load and exchange | Relaxed | a hint to the next `notify` |

use super::super::*;
use loom::sync::{Condvar, Mutex};
use loom::thread;
use std::rc::Rc;

/// An event, and messages of which there is one each.
struct World<const N: usize> {
    word: AtomicU32,
    messages: [AtomicU32; N],
    /// Whether there will be no more messages.
    closed: AtomicU32,
    kernel: Mutex<()>,
    asleep: Condvar,
}

/// Whether wakers are never in a world without sleepers, or fence before each load.
#[derive(Clone, Copy)]
enum Mode {
    Always,
    Fences,
}

impl Mode {
    /// A waker that gives up as soon as it meets nobody.
    fn notifier(self) -> Notifier {
        Notifier { quiet: QUIET - 1, ..Notifier::new(matches!(self, Mode::Always)) }
    }
}

impl<const N: usize> Futex for &World<N> {
    fn word(&self) -> &AtomicU32 {
        &self.word
    }

    fn sleep(&self, expected: u32, _: Duration) {
        let kernel = self.kernel.lock().unwrap();
        if self.word.load(Ordering::Relaxed) == expected {
            drop(self.asleep.wait(kernel).unwrap());
        }
    }

    fn wake(&self, most: u32) {
        let _kernel = self.kernel.lock().unwrap();
        match most {
            1 => self.asleep.notify_one(),
            EVERYBODY => self.asleep.notify_all(),
            _ => unreachable!("one is woken, or all"),
        }
    }

    fn barrier_everywhere(&self) -> bool {
        fence(Ordering::SeqCst);
        true
    }
}

impl<const N: usize> World<N> {
    fn new(mode: Mode) -> Rc<World<N>> {
        Rc::new(World {
            word: AtomicU32::new(match mode {
                Mode::Always => ALWAYS | AWAKE,
                Mode::Fences => AWAKE,
            }),
            messages: [(); N].map(|()| AtomicU32::new(0)),
            closed: AtomicU32::new(0),
            kernel: Mutex::new(()),
            asleep: Condvar::new(),
        })
    }

    fn send(&self, message: usize, notifier: &mut Notifier) {
        self.messages[message].store(1, Ordering::Relaxed);
        Event(self).notify(notifier);
    }

    fn leave(&self) {
        self.closed.store(1, Ordering::Relaxed);
        Event(self).wake_all();
    }

    fn tell(&self, message: usize, notifier: &mut Notifier) {
        self.messages[message].store(1, Ordering::Relaxed);
        Event(self).notify_all(notifier);
    }

    /// Until it is there; it stays there.
    fn see(&self, message: usize) {
        loop {
            let ticket = Event(self).prepare();
            if self.is_there(message) {
                return;
            }
            Event(self).sleep(ticket, Duration::MAX);
        }
    }

    fn is_there(&self, message: usize) -> bool {
        self.messages[message].load(Ordering::Relaxed) == 1
    }

    fn take(&self) -> bool {
        let is_ours =
            |message: &AtomicU32| message.compare_exchange(1, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        (0..N).any(|message| self.is_there(message) && is_ours(&self.messages[message]))
    }

    /// As the only one who ever sleeps.
    fn take_alone(&self) {
        loop {
            let ticket = Event(self).prepare();
            if self.take() {
                return Event(self).finish(ticket);
            }
            Event(self).sleep(ticket, Duration::MAX);
        }
    }

    /// Or until there are no more.
    fn take_among_many(&self) {
        loop {
            let ticket = Event(self).prepare();
            if self.take() {
                if (0..N).any(|message| self.is_there(message)) {
                    Event(self).wake_one();
                }
                return;
            }
            if self.closed.load(Ordering::Relaxed) == 1 {
                return;
            }
            Event(self).sleep(ticket, Duration::MAX);
        }
    }
}

/// In every interleaving, with at most `preemptions` switches away from a thread that could go on.
fn explore(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
}

/// One waker of all messages, one who takes them.
fn one_and_one<const N: usize>(mode: Mode, preemptions: Option<usize>) {
    explore(preemptions, move || {
        let world = World::<N>::new(mode);
        let waker = Rc::clone(&world);
        let waker = thread::spawn(move || {
            let mut notifier = mode.notifier();
            (0..N).for_each(|message| waker.send(message, &mut notifier));
        });
        (0..N).for_each(|_| world.take_alone());
        waker.join().unwrap();
    });
}

#[test]
fn a_waker_that_is_always_alert_and_the_only_sleeper() {
    one_and_one::<1>(Mode::Always, None);
    one_and_one::<2>(Mode::Always, Some(3));
}

#[test]
fn a_waker_that_fences_and_the_only_sleeper() {
    one_and_one::<1>(Mode::Fences, None);
    one_and_one::<2>(Mode::Fences, Some(3));
}

#[test]
fn two_wakers_and_the_only_sleeper() {
    for mode in [Mode::Always, Mode::Fences] {
        explore(Some(2), move || {
            let world = World::<2>::new(mode);
            let wakers = [0, 1].map(|message| {
                let world = Rc::clone(&world);
                thread::spawn(move || world.send(message, &mut mode.notifier()))
            });
            (0..2).for_each(|_| world.take_alone());
            wakers.into_iter().for_each(|waker| waker.join().unwrap());
        });
    }
}

#[test]
fn a_waker_and_two_sleepers() {
    for mode in [Mode::Always, Mode::Fences] {
        explore(Some(2), move || {
            let world = World::<2>::new(mode);
            let sleepers = [(); 2].map(|()| {
                let world = Rc::clone(&world);
                thread::spawn(move || world.take_among_many())
            });
            let mut notifier = mode.notifier();
            (0..2).for_each(|message| world.send(message, &mut notifier));
            sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
        });
    }
}

/// One tells something that both wait for, each in its time.
#[test]
fn who_tells_all_and_two_sleepers() {
    for mode in [Mode::Always, Mode::Fences] {
        explore(Some(2), move || {
            let world = World::<2>::new(mode);
            let sleepers = [0, 1].map(|message| {
                let world = Rc::clone(&world);
                thread::spawn(move || world.see(message))
            });
            let mut notifier = mode.notifier();
            (0..2).for_each(|message| world.tell(message, &mut notifier));
            sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
        });
    }
}

/// One stores `N` messages, takes one itself if `steals`, and leaves; two take one each, or notice that it has left.
fn one_leaves_two<const N: usize>(mode: Mode, steals: bool) {
    explore(Some(2), move || {
        let world = World::<N>::new(mode);
        let sleepers = [(); 2].map(|()| {
            let world = Rc::clone(&world);
            thread::spawn(move || world.take_among_many())
        });
        (0..N).for_each(|message| world.send(message, &mut mode.notifier()));
        if steals {
            world.take();
        }
        world.leave();
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
    });
}

#[test]
fn who_leaves_and_two_sleepers() {
    for mode in [Mode::Always, Mode::Fences] {
        one_leaves_two::<0>(mode, false);
        one_leaves_two::<1>(mode, false);
    }
}

/// The word says that nobody sleeps, as whoever was woken last does not say again yet that it does.
#[test]
fn who_leaves_when_nobody_says_any_more_that_it_sleeps() {
    one_leaves_two::<2>(Mode::Fences, true);
}
