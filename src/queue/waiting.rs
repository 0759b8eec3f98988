//! How a handle waits: what all four kinds of handle have in common when they block.

use super::attachment::Attachment;
use crate::error::{PopError, PushError};
use crate::sync::{self, AtomicU32};
use crate::sys::{futex, process};
use crate::wait::{Event, Futex, Notifier, Ticket};
use std::hint::spin_loop;
use std::time::{Duration, Instant};

/// How a handle waits for a message, or for room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// Looks again and again: the shortest delay, for a core of its own. (A producer in front of a full ring of 128 messages or
    /// more pauses a little longer between two looks, some hundred nanoseconds at most, for the consumer to get ahead.)
    Spin,
    /// Looks again and again, and lets other threads of the machine run in between.
    Yield,
    /// Looks for some microseconds, for less where that was in vain lately, and then sleeps in the kernel until it is
    /// woken. The default. Nobody pays for it while nobody sleeps.
    #[default]
    Park,
    /// Sleeps at once: for those who wait for long, and need not be woken in the least time.
    Sleep,
}

/// An idle sleeper looks that often by itself: whoever should have woken it may have been killed right before. It asks as
/// often whether anybody is left at the other end.
pub(super) const IDLE: Duration = Duration::from_millis(100);

/// Likewise, when somebody has the cell in front in its hands: if it dies, nobody wakes us.
pub(super) const HELD: Duration = Duration::from_millis(5);

/// Somebody who spins looks that often whether the other end has left.
const GLANCE: Duration = Duration::from_millis(1);

/// The longest that a waiter spins before it sleeps: half of what a sleep and a wake-up take (`benches/waiting.rs`).
pub(super) const SPIN_MOST: Duration = Duration::from_micros(10);
/// The shortest: about what a message takes from core to core and back.
const SPIN_LEAST: Duration = Duration::from_nanos(500);
/// One wait in so many spins for the longest time, to find out whether that has become worth while.
const PROBE: u32 = 16;

/// So many pauses between two looks at the clock.
const LOOKS: u32 = 16;

/// How often a producer pauses between two looks for room.
///
/// One that goes on as soon as there is room for one message is from then on at the heels of the consumer, in the same cache
/// line, and both wait for that line in turn. So it lets the consumer get ahead: by some lines, and by so little of the ring
/// that the consumer, at some nanoseconds a message, does not run dry.
pub(super) fn pauses_for_room(attachment: &Attachment) -> u32 {
    (attachment.parts().geometry().capacity / 64).clamp(1, LOOKS as usize) as u32
}

/// The word of an event, in a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared<'s>(pub(super) &'s core::sync::atomic::AtomicU32);

impl Futex for Shared<'_> {
    #[inline(always)]
    fn word(&self) -> &AtomicU32 {
        sync::mapped_u32(self.0)
    }

    fn sleep(&self, expected: u32, patience: Duration) {
        futex::wait(self.0, expected, patience);
    }

    fn wake(&self, most: u32) {
        futex::wake(self.0, most);
    }

    fn barrier_everywhere(&self) -> bool {
        futex::barrier_everywhere()
    }
}

/// One end of a ring, as something that waits for the other.
pub(super) trait End {
    /// Whether nobody else ever sleeps for the same reason.
    const ALONE: bool;
    /// Whether nobody takes from the others what it waits for, so that all who sleep are woken for it.
    const FOR_ALL: bool = false;

    fn waiter(&mut self) -> &mut Waiter;

    fn attachment(&self) -> &Attachment;

    /// What we wait for, as something that can be kept.
    #[cfg(feature = "async")]
    fn place(&self) -> super::reactor::Place;

    /// What we wait for.
    fn event(&self) -> Event<Shared<'_>>;

    /// Whether the other end has left, so that nothing will come. It notices deaths only if `asking` the kernel.
    fn is_forsaken(&mut self, asking: bool) -> bool;

    /// Whether there is something to do, without doing it. What would be an answer of an operation, such as an error, is
    /// something.
    fn look_ahead(&mut self) -> Look<()>;

    /// How often it pauses between two looks while it spins. One that may look later leaves the lines that it looks at to
    /// those who write to them.
    fn pauses(&self) -> u32 {
        1
    }

    /// Time has passed: what need not be looked at twice in a moment is to be looked at again.
    fn rise(&mut self) {}

    /// Whether there is something to do for somebody else who sleeps, `beyond` what we will do.
    fn has_more(&mut self, beyond: usize) -> bool;
}

/// What became of a look.
pub(super) enum Look<V> {
    Done(V),
    /// There is nothing, or no room.
    Nothing,
    /// The cell in front is in the hands of this process, which is alive.
    Held {
        pid: u32,
    },
}

/// How a wait ended.
pub(super) enum Waited<V> {
    Done(V),
    Closed,
    Timeout { pid: Option<u32> },
}

/// As the answer of a pop.
pub(super) fn answer<V>(waited: Waited<Result<V, PopError>>) -> Result<V, PopError> {
    match waited {
        Waited::Done(result) => result,
        Waited::Closed => Err(PopError::Closed),
        Waited::Timeout { pid } => Err(PopError::Timeout { pid }),
    }
}

/// As the answer of a push, which has put its message back if it has not pushed it.
pub(super) fn pushed<T>(waited: Waited<Result<(), PushError<T>>>, message: Option<T>) -> Result<(), PushError<T>> {
    match (waited, message) {
        (Waited::Closed, Some(message)) => Err(PushError::Closed(message)),
        (Waited::Timeout { pid }, Some(message)) => Err(PushError::Timeout { message, pid }),
        (Waited::Done(result), _) => result,
        (_, None) => Ok(()),
    }
}

/// How a handle waits, and what it has learnt of that.
#[derive(Clone, Debug)]
pub(super) struct Waiter {
    pub(super) how: Wait,
    /// How long it spins before it sleeps.
    spin: Duration,
    waits: u32,
    /// When to ask the kernel next whether anybody is left at the other end. From wait to wait: many short ones notice a
    /// death as well as a long one.
    ask_at: Option<Instant>,
}

impl Waiter {
    pub(super) fn new(how: Wait) -> Waiter {
        Waiter { how, spin: SPIN_MOST, waits: 0, ask_at: None }
    }

    pub(super) fn ask_at(&mut self, now: Instant) -> Instant {
        *self.ask_at.get_or_insert(now + IDLE)
    }

    /// Whether it is time to ask.
    pub(super) fn asks(&mut self, now: Instant) -> bool {
        let asks = now >= self.ask_at(now);
        if asks {
            self.ask_at = Some(now + IDLE);
        }
        asks
    }

    /// How long to spin this time.
    fn spin(&mut self) -> Duration {
        self.waits = self.waits.wrapping_add(1);
        match self.how {
            Wait::Spin | Wait::Yield => Duration::MAX,
            Wait::Sleep => Duration::ZERO,
            Wait::Park if self.waits % PROBE == 0 => SPIN_MOST,
            Wait::Park => self.spin,
        }
    }

    /// Spinning was worth while, or was not.
    fn learn(&mut self, worth_while: bool) {
        self.spin = if worth_while { (self.spin * 2).min(SPIN_MOST) } else { (self.spin / 2).max(SPIN_LEAST) };
    }
}

/// Looks until something is done, the other end has left, or the deadline has passed.
pub(super) fn wait<E: End, V>(
    end: &mut E,
    deadline: Option<Instant>,
    mut look: impl FnMut(&mut E) -> Look<V>,
) -> Waited<V> {
    match look(end) {
        Look::Done(value) => Waited::Done(value),
        _ => wait_longer(end, deadline, look),
    }
}

/// The same for whoever has just looked.
#[cold]
pub(super) fn wait_longer<E: End, V>(
    end: &mut E,
    deadline: Option<Instant>,
    mut look: impl FnMut(&mut E) -> Look<V>,
) -> Waited<V> {
    let start = Instant::now();
    let mut watch = Watch { deadline, glance_at: start + GLANCE, held_by: None };
    let spin = end.waiter().spin();
    let waited = if spin.is_zero() { None } else { watch.spin(end, start.checked_add(spin), &mut look) };
    if end.waiter().how == Wait::Park {
        end.waiter().learn(matches!(waited, Some(Waited::Done(_))));
    }
    waited.unwrap_or_else(|| watch.park(end, &mut look))
}

struct Watch {
    deadline: Option<Instant>,
    /// When to see next whether the other end has left.
    glance_at: Instant,
    /// Who was in the way when we last looked.
    held_by: Option<u32>,
}

impl Watch {
    /// Without sleep, until then.
    fn spin<E: End, V>(
        &mut self,
        end: &mut E,
        until: Option<Instant>,
        look: &mut impl FnMut(&mut E) -> Look<V>,
    ) -> Option<Waited<V>> {
        let yields = end.waiter().how == Wait::Yield;
        let pauses = end.pauses();
        loop {
            for _ in 0..if yields { 1 } else { LOOKS / pauses } {
                if yields {
                    std::thread::yield_now();
                    end.rise();
                } else {
                    (0..pauses).for_each(|_| spin_loop());
                }
                if let Some(done) = self.look(end, look) {
                    return Some(Waited::Done(done));
                }
                // A look at what somebody has in its hands takes its time.
                if self.held_by.is_some() {
                    break;
                }
            }
            let now = Instant::now();
            if let Some(ended) = self.ended(end, now, look) {
                return Some(ended);
            }
            if until.is_some_and(|until| now >= until) {
                return None;
            }
        }
    }

    fn park<E: End, V>(&mut self, end: &mut E, look: &mut impl FnMut(&mut E) -> Look<V>) -> Waited<V> {
        // Who has no time does not begin to sleep: to say so is at others' expense.
        let start = Instant::now();
        self.glance_at = start;
        if self.deadline.is_some_and(|deadline| deadline <= start) {
            if let Some(ended) = self.ended(end, start, look) {
                return ended;
            }
        }
        loop {
            let ticket = end.event().prepare();
            self.glance_at = Instant::now();
            let waited = match self.look(end, look) {
                Some(done) => Some(Waited::Done(done)),
                None => self.ended(end, self.glance_at, look),
            };
            if let Some(waited) = waited {
                leave_off(end, ticket, 0);
                return waited;
            }
            let now = Instant::now();
            let ask_at = end.waiter().ask_at(now);
            let until = self.deadline.map_or(ask_at, |deadline| deadline.min(ask_at));
            let slice = if self.held_by.is_some() { HELD } else { IDLE };
            end.event().sleep(ticket, until.saturating_duration_since(now).min(slice));
            end.attachment().note_time();
            end.rise();
            // Who wakes us has taken back that we sleep, and there is nobody else for whose sake to say it again.
            if E::ALONE {
                if let Some(done) = self.look(end, look) {
                    end.event().finish(ticket);
                    return Waited::Done(done);
                }
            }
        }
    }

    fn look<E: End, V>(&mut self, end: &mut E, look: &mut impl FnMut(&mut E) -> Look<V>) -> Option<V> {
        self.held_by = match look(end) {
            Look::Done(value) => return Some(value),
            Look::Nothing => None,
            Look::Held { pid } => Some(pid),
        };
        None
    }

    /// There was nothing to do: is that the end?
    fn ended<E: End, V>(
        &mut self,
        end: &mut E,
        now: Instant,
        look: &mut impl FnMut(&mut E) -> Look<V>,
    ) -> Option<Waited<V>> {
        if now >= self.glance_at {
            self.glance_at = now + GLANCE;
            end.rise();
            end.attachment().note_time();
            let asking = end.waiter().asks(now);
            if end.is_forsaken(asking) {
                // What they did before they left is seen only after they are seen to have left.
                match self.look(end, look) {
                    Some(done) => return Some(Waited::Done(done)),
                    None if self.held_by.is_none() => return Some(Waited::Closed),
                    None => {}
                }
            }
        }
        let is_over = self.deadline.is_some_and(|deadline| now >= deadline);
        is_over.then_some(Waited::Timeout { pid: self.held_by })
    }
}

/// It does not sleep after all, and does `beyond` things itself.
pub(super) fn leave_off<E: End>(end: &mut E, ticket: Ticket, beyond: usize) {
    if E::ALONE {
        end.event().finish(ticket);
    } else if E::FOR_ALL {
        end.event().pass_on(ticket);
    } else if end.has_more(beyond) {
        // The baton: the wake-up that we have used up may have been for two.
        end.event().wake_one();
    }
}

/// Waits until `is_there` says so, or until the deadline. It is asked whenever an end comes or goes, and now and then.
pub(super) fn wait_until(attachment: &Attachment, patience: Duration, is_there: impl Fn() -> bool) -> bool {
    let deadline = Instant::now().checked_add(patience);
    // NB: an event of its own. A wake-up for a message is for somebody who pops it.
    let event = Event(Shared(&attachment.parts().control().ends));
    if is_there() {
        return true;
    }
    loop {
        let left = deadline.map_or(IDLE, |deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return false;
        }
        let ticket = event.prepare();
        if is_there() {
            return true;
        }
        event.sleep(ticket, left.min(IDLE));
    }
}

impl Attachment {
    /// What a new handle knows of those it has to wake.
    pub(super) fn notifier(&self) -> Notifier {
        Notifier::new(self.accepts_barriers())
    }

    /// How a new handle waits.
    pub(super) fn waiter(&self) -> Waiter {
        Waiter::new(self.wait())
    }

    /// For people: we are at work on the ring. Called where something else takes longer than a look at the clock.
    pub(super) fn note_time(&self) {
        let words = &self.parts().records()[self.record()];
        words.seen_at.store(process::now(), core::sync::atomic::Ordering::Relaxed);
    }

    /// An end has come or gone: wakes all who wait, for them to see that.
    pub(super) fn announce(&self) {
        self.note_time();
        let control = self.parts().control();
        for word in [&*control.messages, &*control.room, &*control.ends] {
            Event(Shared(word)).wake_all();
        }
    }
}
