//! Waiting for any of several rings.

use super::waiting::{End, HELD, IDLE, Look, SPIN_MOST, leave_off};
use crate::sys::futex;
use crate::wait::Ticket;
use std::fmt;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The most handles that one [`select`] waits for.
pub const MOST_CASES: usize = futex::MOST;

/// A handle, lent to [`select`]: a consumer to be told of a message, or a producer to be told of room.
pub struct Case<'h>(&'h mut dyn Selectable);

/// An [`End`] of any type.
pub(super) trait Selectable {
    /// Whether there is something to do, or never will be.
    fn look(&mut self) -> Look<()>;
    /// Whether the other end has left. It asks the kernel for deaths now and then.
    fn is_forsaken(&mut self, now: Instant) -> bool;
    fn ask_at(&mut self, now: Instant) -> Instant;
    fn prepare(&mut self) -> Ticket;
    fn word(&self) -> &core::sync::atomic::AtomicU32;
    /// Does not sleep after all. `chosen` says that there is something to do for us.
    fn finish(&mut self, ticket: Ticket, chosen: bool);
}

impl<E: End> Selectable for E {
    fn look(&mut self) -> Look<()> {
        self.look_ahead()
    }

    fn is_forsaken(&mut self, now: Instant) -> bool {
        let asking = self.waiter().asks(now);
        End::is_forsaken(self, asking)
    }

    fn ask_at(&mut self, now: Instant) -> Instant {
        self.waiter().ask_at(now)
    }

    fn prepare(&mut self) -> Ticket {
        self.attachment().note_time();
        self.event().prepare()
    }

    fn word(&self) -> &core::sync::atomic::AtomicU32 {
        self.event().0.0
    }

    fn finish(&mut self, ticket: Ticket, chosen: bool) {
        leave_off(self, ticket, usize::from(chosen));
    }
}

impl<'h> Case<'h> {
    pub(super) fn new(handle: &'h mut impl Selectable) -> Case<'h> {
        Case(handle)
    }
}

impl fmt::Debug for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").finish_non_exhaustive()
    }
}

/// Waits until one of `cases` can go on, for `patience` at most, and says which: a consumer that has a message, or whose
/// producers have left; a producer that has room, or was told to [close when
/// alone](crate::spsc::Producer::close_when_alone) and is. `None` when the time is over. Of several it takes one, each
/// in its turn.
///
/// A handle that is closed can go on every time: take it out of the cases when it says `is_closed`.
///
/// The operation itself is still to be done, by `try_pop` or `try_push`. Where others use the same end of the ring, they
/// may have been faster: then there is nothing, and it is time to select again.
///
/// It spins for some microseconds and then sleeps, whatever the handles do when they wait for themselves. Somebody who is
/// killed is noticed within 100 ms.
///
/// # Panics
/// With more than [`MOST_CASES`], 128, cases.
///
/// ```
/// use ringway::{Lifetime, Options, select, spsc};
/// use std::time::Duration;
///
/// # let options = Options::new().lifetime(Lifetime::LastDetach);
/// # let ring = |name: &str| spsc::Ring::<u64>::create(format!("doc-select-{name}-{}", std::process::id()), &options);
/// # let (orders, ticks) = (ring("orders")?, ring("ticks")?);
/// let (mut orders_in, mut orders) = (orders.producer()?, orders.consumer()?);
/// let (mut ticks_in, mut ticks) = (ticks.producer()?, ticks.consumer()?);
/// ticks_in.push(101)?;
/// # orders_in.push(7)?; orders.pop()?;
/// match select(&mut [orders.case(), ticks.case()], Duration::from_secs(1)) {
///     Some(0) => println!("order {}", orders.try_pop()?),
///     Some(_) => println!("tick {}", ticks.try_pop()?),
///     None => println!("nothing in a second"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn select(cases: &mut [Case<'_>], patience: Duration) -> Option<usize> {
    assert!(cases.len() <= MOST_CASES, "select waits for {MOST_CASES} handles at most, not {}", cases.len());
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let first = TURN.fetch_add(1, Ordering::Relaxed) % cases.len().max(1);
    let start = Instant::now();
    let deadline = start.checked_add(patience);
    let mut is_held = false;
    let spin_until = start + SPIN_MOST;
    loop {
        if let Some(chosen) = ready(cases, first, &mut is_held) {
            return Some(chosen);
        }
        let now = Instant::now();
        if patience.is_zero() {
            return forsaken(cases, first, now);
        }
        if now >= spin_until || deadline.is_some_and(|deadline| now >= deadline) {
            break;
        }
        spin_loop();
    }
    loop {
        let mut tickets = [None; MOST_CASES];
        for (case, ticket) in cases.iter_mut().zip(&mut tickets) {
            *ticket = Some(case.0.prepare());
        }
        let now = Instant::now();
        let chosen = ready(cases, first, &mut is_held).or_else(|| forsaken(cases, first, now));
        let until = cases.iter_mut().map(|case| case.0.ask_at(now)).chain(deadline).min();
        let slice = if is_held { HELD } else { IDLE };
        let left = until.map_or(slice, |until| until.saturating_duration_since(now).min(slice));
        let is_over = deadline.is_some_and(|deadline| now >= deadline);
        if chosen.is_some() || is_over {
            for (index, (case, ticket)) in cases.iter_mut().zip(tickets).enumerate() {
                case.0.finish(ticket.expect("each is prepared"), Some(index) == chosen);
            }
            return chosen;
        }
        let words = cases.iter().zip(tickets).map(|(case, ticket)| (case.0.word(), ticket.expect("prepared").word()));
        futex::wait_any(words, left);
    }
}

/// The first case from `first` on, and round, that can go on.
fn ready(cases: &mut [Case<'_>], first: usize, is_held: &mut bool) -> Option<usize> {
    *is_held = false;
    round(cases.len(), first).find(|&index| match cases[index].0.look() {
        Look::Done(()) => true,
        Look::Nothing => false,
        Look::Held { .. } => {
            *is_held = true;
            false
        }
    })
}

fn round(count: usize, first: usize) -> impl Iterator<Item = usize> {
    (first..first + count).map(move |index| index % count)
}

/// A case whose other end has left.
fn forsaken(cases: &mut [Case<'_>], first: usize, now: Instant) -> Option<usize> {
    round(cases.len(), first).find(|&index| cases[index].0.is_forsaken(now))
}
