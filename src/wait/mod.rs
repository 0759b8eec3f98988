//! Sleeping until there is something to do, and waking who sleeps, without a price for those who never meet a sleeper.
//!
//! An *event* is a 32-bit word in shared memory, and a futex. Its question is always the same: somebody stores that there
//! is something to do, and then loads whether anybody sleeps; somebody else stores that it sleeps, and then loads whether
//! there is something to do. If both loads come before both stores, it sleeps for ever. What keeps them apart is a full
//! fence on each side, which costs a waker more than all the rest of a push.
//!
//! So wakers have no fence as long as nobody sleeps. The word says which of two worlds they live in:
//!
//! ```text
//! Awake     nobody sleeps. A waker loads the word, and that is all
//! Alert     nobody sleeps now. Wakers fence, and load the word once more
//! Asleep    as Alert, and somebody sleeps, or is about to
//!
//! Awake -> Asleep     a sleeper, which then calls for a barrier in every process, before it looks
//! Alert -> Asleep     a sleeper, which then fences
//! Asleep -> Alert     a waker, which then wakes one; or the only sleeper, as it goes
//! Alert -> Awake      a waker that has not met a sleeper for a while
//! ```
//!
//! The barrier (`membarrier`) makes every thread of every registered process execute a fence, wherever it is. Whatever a
//! waker stored before it, the sleeper sees when it looks for something to do after it; whatever a waker loads after it
//! says `Asleep`, or that somebody was woken since. A process that could not register fences before each load. One that
//! cannot call for the barrier sets `ALWAYS` in the word when it attaches: wakers of that ring always fence.
//!
//! Beside the state the word has a number, which each waker counts up. So whoever is just about to sleep, or sleeps for
//! others and compares, cannot miss that somebody was woken because yet another one has gone to sleep since.
//!
//! # Who wakes whom
//!
//! A waker wakes one. Who wakes up says that it sleeps once more *before* it looks for something to do, so others who
//! still sleep are never forgotten; and who has found something wakes another if there is more: the *baton*. A flag and no
//! counter of sleepers, as a killed sleeper would leak a counter for ever; a killed sleeper leaves one wake-up too many.
//! A process that is killed between its store and its wake-up, or that was woken and killed, takes a wake-up with it:
//! therefore nobody sleeps without a time-out.
//!
//! Where all wait for the same, and nobody takes it away from the others (`Latest`), a waker wakes all who sleep. There the
//! baton is left of which the barrier is the reason: who comes second trusts in the barrier of the first, and may look, and
//! sleep, before it is over. So the first, when it does not sleep after all, wakes all for what its barrier may have brought
//! to light.
//!
//! `models` has every order of these steps, with store buffers, barriers and deaths; and the released code under loom.

#[cfg(test)]
mod models;

use crate::sync::{AtomicU32, Ordering, compiler_fence, fence};
use std::time::Duration;

const AWAKE: u32 = 0;
const ALERT: u32 = 1;
const ASLEEP: u32 = 2;
const STATE: u32 = 3;
/// Wakers always fence, as somebody attached has no barrier to call for.
const ALWAYS: u32 = 4;
/// What a waker counts up by: the rest of the word is a number, which wraps around.
const ONE_MORE: u32 = 8;

/// How often an exchange is tried again. Each time somebody else has got on, so it never comes near that; it keeps a
/// process that scribbles on the word from holding us up.
const TRIES: usize = 1_000;

const EVERYBODY: u32 = i32::MAX as u32;

/// So many times a waker finds nobody asleep before it gives up fencing.
const QUIET: u32 = 1_000;

/// The word of an event, and how to sleep on it.
pub(crate) trait Futex {
    fn word(&self) -> &AtomicU32;
    /// Sleeps while the word is `expected`, for `patience` at most. May return for no reason.
    fn sleep(&self, expected: u32, patience: Duration);
    /// Wakes as many as `most` sleepers.
    fn wake(&self, most: u32);
    /// A full barrier in every thread of every process that has accepted it. Says whether there was one.
    fn barrier_everywhere(&self) -> bool;
}

/// Something that is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<F>(pub(crate) F);

/// What a waker knows of the sleepers it has met.
#[derive(Clone, Debug)]
pub(crate) struct Notifier {
    /// Whether barriers of others do not reach this process.
    fences: bool,
    /// How often nobody slept, since somebody did.
    quiet: u32,
}

impl Notifier {
    /// `accepts_barriers` says whether this process is reached by [`Futex::barrier_everywhere`].
    pub(crate) fn new(accepts_barriers: bool) -> Notifier {
        Notifier { fences: !accepts_barriers, quiet: 0 }
    }
}

/// What the word of an event says, to somebody who only looks: whether somebody sleeps, or is about to, and whether wakers
/// fence, because somebody slept not long ago or cannot call for a barrier.
pub(crate) fn read(word: u32) -> (bool, bool) {
    (word & STATE == ASLEEP, word & (STATE | ALWAYS) != AWAKE)
}

/// The word on which somebody is about to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    word: u32,
    /// Whether nobody else had said that it sleeps, so that the barrier was ours.
    is_first: bool,
}

impl Ticket {
    /// What the word is while nobody has notified.
    pub(crate) fn word(self) -> u32 {
        self.word
    }
}

impl<F: Futex> Event<F> {
    /// There is something to do, for one: wakes somebody who sleeps. To be called after the store that says so.
    #[inline(always)]
    pub(crate) fn notify(self, notifier: &mut Notifier) {
        self.notify_some(notifier, 1);
    }

    /// There is something new that nobody takes away: wakes all who sleep. To be called after the store that says so.
    #[inline(always)]
    pub(crate) fn notify_all(self, notifier: &mut Notifier) {
        self.notify_some(notifier, EVERYBODY);
    }

    #[inline(always)]
    fn notify_some(self, notifier: &mut Notifier, most: u32) {
        // NB: no code, but the store stays before the load; the sleeper's barrier makes that true for the processor too.
        compiler_fence(Ordering::SeqCst);
        if notifier.fences {
            fence(Ordering::SeqCst);
        }
        // Relaxed: ordered by the sleeper's barrier, or by the fence above.
        if self.0.word().load(Ordering::Relaxed) & (STATE | ALWAYS) != AWAKE {
            self.notify_alert(notifier, most);
        }
    }

    #[cold]
    #[inline(never)]
    fn notify_alert(self, notifier: &mut Notifier, most: u32) {
        if self.wake(most) {
            notifier.quiet = 0;
            return;
        }
        notifier.quiet += 1;
        if notifier.quiet >= QUIET {
            notifier.quiet = 0;
            let word = self.0.word();
            let seen = word.load(Ordering::Relaxed);
            if seen & (STATE | ALWAYS) == ALERT {
                // Relaxed: whoever wants to sleep next calls for a barrier.
                let _ = word.compare_exchange(seen, seen & !STATE | AWAKE, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
    }

    /// There may be something to do, for one. Says whether anybody said that it sleeps.
    pub(crate) fn wake_one(&self) -> bool {
        self.wake(1)
    }

    fn wake(&self, most: u32) -> bool {
        self.count_up(|state| state == ASLEEP).inspect(|_| self.0.wake(most)).is_some()
    }

    /// Something has changed that all who sleep have to see.
    pub(crate) fn wake_all(&self) {
        // Whatever the word says: who sleeps may have lost its `Asleep` to a waker that woke another, and the `Alert`
        // after it to one that has met nobody since.
        let _ = self.count_up(|state| state != AWAKE);
        self.0.wake(EVERYBODY);
    }

    /// Says that somebody is being woken, if the state is one of those.
    #[inline(always)]
    fn count_up(&self, is_one: impl Fn(u32) -> bool) -> Option<()> {
        let word = self.0.word();
        // SeqCst: after the store of what there is to do, before the load of who sleeps. Pairs with that in `prepare`.
        fence(Ordering::SeqCst);
        // Relaxed: ordered by the fence; who is woken looks for itself.
        let mut seen = word.load(Ordering::Relaxed);
        for _ in 0..TRIES {
            if !is_one(seen & STATE) {
                break;
            }
            let alert = (seen & !STATE | ALERT).wrapping_add(ONE_MORE);
            match word.compare_exchange(seen, alert, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(()),
                Err(now) => seen = now,
            }
        }
        None
    }

    /// From now on, whoever notifies wakes us. To be followed by a look for something to do, and then by
    /// [`sleep`](Self::sleep) or, if we are the only one who ever sleeps here, [`finish`](Self::finish).
    pub(crate) fn prepare(&self) -> Ticket {
        let word = self.0.word();
        let mut seen = word.load(Ordering::Relaxed);
        for _ in 0..TRIES {
            let asleep = seen & !STATE | ASLEEP;
            // Relaxed: ordered by the barrier, or the fence, below.
            match word.compare_exchange(seen, asleep, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    // NB: with `ALWAYS` too. Whoever said that may have done so a moment ago, in the middle of a wake-up.
                    let is_first = seen & STATE == AWAKE;
                    if is_first && !self.0.barrier_everywhere() {
                        self.always_alert();
                    }
                    // SeqCst: after saying that we sleep, before the look. Pairs with that in `count_up`.
                    fence(Ordering::SeqCst);
                    return Ticket { word: asleep, is_first };
                }
                Err(now) => seen = now,
            }
        }
        Ticket { word: seen, is_first: false }
    }

    /// Sleeps until somebody notifies, for `patience` at most. Not at all, if somebody has since we prepared.
    pub(crate) fn sleep(&self, ticket: Ticket, patience: Duration) {
        self.0.sleep(ticket.word, patience);
    }

    /// We do not sleep, and are the only one who ever does: spares the next waker a system call.
    pub(crate) fn finish(&self, ticket: Ticket) {
        let alert = ticket.word & !STATE | ALERT;
        let _ = self.0.word().compare_exchange(ticket.word, alert, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// We do not sleep, and what there is to do is for all who do: they may have missed what our barrier brought to light.
    pub(crate) fn pass_on(&self, ticket: Ticket) {
        if ticket.is_first {
            self.wake(EVERYBODY);
        }
    }

    /// Wakers fence from now on, for ever: somebody who may sleep has no barrier to call for. Best said long before it
    /// sleeps, as whoever is in the middle of waking at this moment does not fence yet.
    pub(crate) fn always_alert(&self) {
        let word = self.0.word();
        let mut seen = word.load(Ordering::Relaxed);
        for _ in 0..TRIES {
            match word.compare_exchange(seen, seen | ALWAYS, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
    }
}
