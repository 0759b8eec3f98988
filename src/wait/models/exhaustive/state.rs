//! One state of the model.

use crate::wait::{ALWAYS, ONE_MORE, STATE};
use zerocopy::{Immutable, IntoBytes};

pub(super) const THREADS: usize = 5;

/// What a thread does next. Each is one operation on what all share.
#[derive(Clone, Copy, PartialEq, Eq, Debug, IntoBytes, Immutable)]
#[repr(u8)]
pub(super) enum At {
    Done,
    Dead,
    /// Nowhere, until a sleeper has died: its successor.
    Later,

    /// A waker: the store that says that there is something to do.
    Store,
    /// `notify`: the load. Its fence, if it has one, is a condition of the load; so are those below.
    NotifyLoad,
    /// The store that says that it has left.
    Leave,
    /// `wake_one` and `wake_all`: the load, the exchange, the futex.
    WakeLoad,
    WakeExchange,
    WakeFutex,
    /// `notify_alert`: the load and the exchange of who has met nobody for a while.
    ResetLoad,
    ResetExchange,

    /// A sleeper that has not said that it wants to sleep: it may take what is there, or begin to.
    Idle,
    /// `prepare`: the load, the exchange, the barrier.
    PrepareLoad,
    PrepareExchange,
    Barrier,
    /// `always_alert`.
    AlwaysLoad,
    AlwaysExchange,
    /// The look between `prepare` and `sleep`.
    Look,
    /// Only with the bug of that name.
    LateTicket,
    /// `sleep`: the kernel compares the word and puts the thread to sleep, in one step.
    Sleep,
    Asleep,
    /// The look of the only sleeper, as it wakes up.
    LookAgain,
    /// `finish`.
    Finish,
    /// Is there more, for another? If so, `wake_one`.
    More,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Thread {
    pub(super) at: At,
    /// The word that it has found and is about to act on.
    pub(super) seen: u8,
    /// The word on which it is about to sleep.
    pub(super) ticket: u8,
    /// What a waker has stored, or a sleeper taken.
    pub(super) count: u8,
    /// Of a waker: how often nobody slept.
    pub(super) quiet: u8,
    /// Stores of a waker that only itself can see as yet.
    pub(super) buffered: u8,
    /// How many of them were there when somebody died.
    pub(super) late: u8,
    /// Of a barrier: the threads, one bit each, that have not executed their fence yet.
    pub(super) pending: u8,
    /// What only some of the bugs need to know.
    pub(super) mark: bool,
    /// Whether it was the first to say that it sleeps.
    pub(super) is_first: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct State {
    pub(super) threads: [Thread; THREADS],
    pub(super) word: u8,
    /// How many there are that nobody has taken.
    pub(super) messages: u8,
    /// How many wakers are seen to have left.
    pub(super) left: u8,
    /// How many somebody who never sleeps may still take.
    pub(super) steals: u8,
    pub(super) deaths: u8,
    /// Which threads, one bit each, have begun to `prepare` since the last death, and since the last store was seen that
    /// was on its way then.
    pub(super) since: u8,
}

impl Thread {
    pub(super) const fn new(at: At) -> Thread {
        Thread {
            at,
            seen: 0,
            ticket: 0,
            count: 0,
            quiet: 0,
            buffered: 0,
            late: 0,
            pending: 0,
            mark: false,
            is_first: false,
        }
    }
}

impl State {
    /// Whoever keeps a word does so to compare it with the word as it is by then. That never gets an earlier number
    /// again: it would have to be counted up 2^29 times while somebody is between two steps. So all that matters of a
    /// number is whether it is that of the word. From now on the word's is 1, and words of earlier numbers are all 0.
    pub(super) fn without_numbers(mut self) -> State {
        let flags = (STATE | ALWAYS) as u8;
        let renumbered = |word: u8| word & flags | ONE_MORE as u8;
        for thread in &mut self.threads {
            for kept in [&mut thread.seen, &mut thread.ticket] {
                *kept = if *kept & !flags == self.word & !flags { renumbered(*kept) } else { 0 };
            }
        }
        State { word: renumbered(self.word), ..self }
    }

    /// Its stores are on their way all the same.
    pub(super) fn with_a_death(mut self, of: usize) -> State {
        for thread in &mut self.threads {
            thread.late = thread.buffered;
        }
        let Thread { buffered, count, .. } = self.threads[of];
        self.threads[of] = Thread { buffered, late: buffered, count, ..Thread::new(At::Dead) };
        State { deaths: self.deaths + 1, since: 0, ..self }
    }
}

impl std::hash::Hash for State {
    fn hash<H: std::hash::Hasher>(&self, hasher: &mut H) {
        for eight in self.as_bytes().chunks(8) {
            let mut bytes = [0; 8];
            bytes[..eight.len()].copy_from_slice(eight);
            hasher.write_u64(u64::from_ne_bytes(bytes));
        }
    }
}

/// The hasher of the standard library would take most of the time.
#[derive(Default)]
pub(super) struct Hasher(u64);

impl std::hash::Hasher for Hasher {
    fn write(&mut self, _: &[u8]) {
        unreachable!("a state hashes itself in words")
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn finish(&self) -> u64 {
        (self.0 ^ self.0 >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}
