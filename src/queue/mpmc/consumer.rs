//! A reading end, as a user holds it.

use super::Membership;
use super::guards::Peek;
use super::watch::{self, Obstacles, Watch};
use crate::error::{Corrupted, Invalid, PopError, PopSliceError, TryPopError};
use crate::message::Message;
use crate::queue::attachment::Attachment;
use crate::queue::blocking::{Iter, TryIter, blocking_pops};
use crate::queue::select::Case;
use crate::queue::waiting::{End, Look, Shared, Wait, Waiter, answer, wait, wait_until};
#[cfg(feature = "async")]
use crate::queue::{
    asynchronous::{self, Messages, Sleep, asynchronous_pops},
    reactor::Place,
};
use crate::ring::memory::{Mapped, Single};
use crate::ring::mpmc::consumer::Pop;
use crate::ring::mpmc::{self, consumer, repair};
use crate::wait::{Event, Notifier};
use std::fmt;
use std::ops::Deref;
use std::time::{Duration, Instant};
#[cfg(feature = "async")]
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// What was popped, and whether somebody had it before and died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Popped<T> {
    value: T,
    redeliveries: u8,
}

impl<T> Popped<T> {
    /// The message, or how many there are.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Whether a consumer had taken it before, and did not hand it over: it was killed, or it dropped its [`Peek`].
    pub fn redelivered(&self) -> bool {
        self.redeliveries > 0
    }

    /// How often that happened to this message. From 128 on it is not exact: any such number stands for 128 or more. A
    /// message that kills whoever takes it can be told by that.
    pub fn redeliveries(&self) -> u8 {
        self.redeliveries
    }
}

impl<T> Deref for Popped<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq<T> for Popped<T> {
    fn eq(&self, other: &T) -> bool {
        self.value == *other
    }
}

/// A reading end of a ring, one of many. Each message goes to one of them.
///
/// It can be sent to another thread, and not be shared by two: clone it, which is cheap.
///
/// ```compile_fail
/// fn shared<T: Sync>() {}
/// shared::<ringway::mpmc::Consumer<u64>>();
/// ```
///
/// ```
/// fn sent<T: Send>() {}
/// sent::<ringway::mpmc::Consumer<u64>>();
/// ```
pub struct Consumer<T: Message> {
    pub(super) ring: consumer::Consumer<T, Mapped<T, Single>>,
    membership: Membership,
    watch: Watch,
    notifier: Notifier,
    waiter: Waiter,
}

/// Why nothing could be popped.
enum Obstacle {
    Empty,
    Busy { pid: u32 },
    Invalid(Box<Invalid>),
    Corrupted(Box<Corrupted>),
}

impl Obstacle {
    fn of_one(self) -> TryPopError {
        match self {
            Obstacle::Empty => TryPopError::Empty,
            Obstacle::Busy { pid } => TryPopError::Busy { pid },
            Obstacle::Invalid(invalid) => TryPopError::Invalid(invalid),
            Obstacle::Corrupted(corrupted) => TryPopError::Corrupted(corrupted),
        }
    }
}

impl<T: Message> Consumer<T> {
    pub(super) fn new(membership: Membership) -> Consumer<T> {
        let ring = consumer::Consumer::new(membership.memory(), membership.attachment.record() as _);
        let (notifier, waiter) = (membership.attachment.notifier(), membership.attachment.waiter());
        Consumer { ring, membership, watch: Watch::default(), notifier, waiter }
    }

    /// Something was handed over: wakes a producer, if one sleeps.
    #[inline(always)]
    pub(super) fn notify(&mut self) {
        Event(Shared(self.ring.memory().room())).notify(&mut self.notifier);
    }

    fn has_peer(&self) -> bool {
        self.membership.has_peers(true)
    }

    /// Pops the next message. Lock-free.
    ///
    /// When this returns a message, it has been handed over: if we are killed in the next instant it is not delivered
    /// again. Killed before that, it is delivered to another consumer. To work on a message before it is handed over,
    /// use [`peek`](Consumer::peek).
    ///
    /// # Errors
    /// [`TryPopError::Empty`]; [`TryPopError::Busy`] when the message in front is being pushed by a living process, which
    /// may be stopped; [`TryPopError::Invalid`] when the bytes are no `T`, in which case they have been consumed and the
    /// ring goes on; [`TryPopError::Corrupted`] when somebody has scribbled on the ring.
    ///
    /// ```
    /// # use ringway::{Options, TryPopError, mpmc};
    /// # let name = format!("doc-mpmc-try_pop-{}", std::process::id());
    /// # let ring = mpmc::Ring::create(&name, &Options::new().lifetime(ringway::Lifetime::LastDetach))?;
    /// let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    /// producer.try_push("abc".len())?;
    /// let popped = consumer.try_pop()?;
    /// assert!(popped == 3 && !popped.redelivered());
    /// assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_pop(&mut self) -> Result<Popped<T>, TryPopError> {
        if let Some(value) = self.ring.pop_at_once() {
            self.notify();
            return Ok(Popped { value, redeliveries: 0 });
        }
        if self.ring.is_plainly_empty() && self.watch.rests() {
            return Err(TryPopError::Empty);
        }
        self.try_pop_with_care()
    }

    /// The same when there is nothing, or somebody is in our way, or something was left to be seen to.
    #[inline(never)]
    fn try_pop_with_care(&mut self) -> Result<Popped<T>, TryPopError> {
        match self.attempt(|ring| ring.pop()) {
            Ok(popped) => {
                self.notify();
                Ok(popped)
            }
            Err(obstacle) => Err(self.without(obstacle).of_one()),
        }
    }

    /// Fills `messages` from the front with as many messages as there are in a row, up to 255, and returns how many: 0
    /// when there are none. They are handed over all at once, when this returns. Lock-free.
    ///
    /// Messages that are redelivered come one at a time. Bytes that are no `T` are left out; the first such message is
    /// reported by the next call.
    ///
    /// # Errors
    /// [`PopSliceError`], as for [`try_pop`](Consumer::try_pop).
    #[inline]
    pub fn pop_slice(&mut self, messages: &mut [T]) -> Result<Popped<usize>, PopSliceError> {
        match self.attempt(|ring| ring.pop_slice(messages)).map_err(|obstacle| self.without(obstacle)) {
            Ok(popped) => {
                self.notify();
                Ok(popped)
            }
            Err(Obstacle::Empty) => Ok(Popped { value: 0, redeliveries: 0 }),
            Err(Obstacle::Busy { pid }) => Err(PopSliceError::Busy { pid }),
            Err(Obstacle::Invalid(invalid)) => Err(PopSliceError::Invalid(invalid)),
            Err(Obstacle::Corrupted(corrupted)) => Err(PopSliceError::Corrupted(corrupted)),
        }
    }

    /// Takes the next message and lends it where it lies, without copying it. [`Peek::release`] hands it over. Until then
    /// it is nobody else's; if we are killed, or drop the guard, it is redelivered, to any consumer. Lock-free.
    ///
    /// Only for types that are valid in every bit pattern. It trusts the other processes not to write to a message that
    /// is lent: a reference promises the compiler that nobody does. Other types, and messages of peers that are not
    /// trusted so far, come out of [`try_pop`](Consumer::try_pop), which copies them before it checks them.
    ///
    /// # Errors
    /// As [`try_pop`](Consumer::try_pop), without `Invalid`.
    pub fn peek(&mut self) -> Result<Peek<'_, T>, TryPopError>
    where
        T: zerocopy::FromBytes,
    {
        match self.attempt(|ring| ring.peek()) {
            Ok(Popped { redeliveries, .. }) => Ok(Peek { consumer: self, redeliveries }),
            Err(obstacle) => Err(obstacle.of_one()),
        }
    }

    /// What is not valid was handed over as well.
    #[cold]
    fn without(&mut self, obstacle: Obstacle) -> Obstacle {
        if matches!(obstacle, Obstacle::Invalid(_)) {
            self.notify();
        }
        obstacle
    }

    /// Tries until there is an answer that will not change by itself in a moment.
    #[inline(always)]
    fn attempt<V>(
        &mut self,
        mut pop: impl FnMut(&mut consumer::Consumer<T, Mapped<T, Single>>) -> Result<Pop<V>, Box<Corrupted>>,
    ) -> Result<Popped<V>, Obstacle> {
        if self.ring.is_lent() {
            self.give_back(); // what a forgotten guard holds
        }
        let mut obstacles = Obstacles::default();
        let mut looked = false;
        loop {
            let attachment = &self.membership.attachment;
            let obstacle = match pop(&mut self.ring) {
                Ok(Pop::Got(value, redeliveries)) => return Ok(Popped { value, redeliveries }),
                Ok(Pop::Empty) => Obstacle::Empty,
                Ok(Pop::Held(held)) => {
                    match obstacles.overcome(held, &mut self.watch, attachment, self.ring.memory()) {
                        Ok(()) => continue,
                        Err(pid) => Obstacle::Busy { pid },
                    }
                }
                Ok(Pop::Invalid(invalid)) => return Err(Obstacle::Invalid(invalid)),
                Err(corrupted) => return Err(Obstacle::Corrupted(corrupted)),
            };
            // What the dead had taken can be popped, whoever is in the way of the rest.
            if looked || !self.watch.is_worth_another_try(attachment, self.ring.memory()) {
                return Err(obstacle);
            }
            looked = true;
        }
    }

    /// Gives back what is lent, if anything is. In a forked child it is the parent's, and its memory is not there.
    pub(super) fn give_back(&mut self) {
        if self.ring.is_lent() && !self.membership.attachment.is_inherited() {
            self.ring.give_back();
            // Somebody may be asleep who can have it.
            self.membership.attachment.announce();
        }
    }

    /// How many messages the ring holds when it is full.
    pub fn capacity(&self) -> usize {
        self.membership.attachment.parts().geometry().capacity
    }

    /// About how many messages are in the ring: exact when nobody else is at it, but for messages that wait to be
    /// redelivered, which are not counted, and places that were abandoned, which are, until a consumer gets to them.
    pub fn len(&self) -> usize {
        mpmc::count(self.ring.memory())
    }

    /// Whether there seems to be nothing in the ring: exact when nobody else is at it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there seems to be no room: exact when nobody else is at it.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }
}

blocking_pops! {
    Consumer, Popped<T>, Popped<usize>,
    /// ```
    /// # use ringway::{Lifetime, Options, PopError, mpmc};
    /// # let name = format!("doc-mpmc-pop-{}", std::process::id());
    /// # let ring = mpmc::Ring::create(&name, &Options::new().lifetime(Lifetime::LastDetach))?;
    /// let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    /// let consumer = std::thread::spawn(move || (consumer.pop(), consumer.pop()));
    /// producer.push(7)?;
    /// drop(producer);
    /// let (message, end) = consumer.join().unwrap();
    /// assert!(message? == 7);
    /// assert_eq!(end, Err(PopError::Closed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
}

#[cfg(feature = "async")]
asynchronous_pops!(Consumer, Popped<T>);

impl<T: Message> End for Consumer<T> {
    const ALONE: bool = false;

    fn waiter(&mut self) -> &mut Waiter {
        &mut self.waiter
    }

    fn attachment(&self) -> &Attachment {
        &self.membership.attachment
    }

    #[cfg(feature = "async")]
    fn place(&self) -> Place {
        Place { parts: self.membership.attachment.parts().clone(), is_room: false }
    }

    fn event(&self) -> Event<Shared<'_>> {
        Event(Shared(self.ring.memory().messages()))
    }

    fn is_forsaken(&mut self, asking: bool) -> bool {
        if !self.membership.is_forsaken(asking) {
            return false;
        }
        // What the dead had taken is still to come, and what others have in their hands may be.
        watch::look(&self.membership.attachment, self.ring.memory());
        !repair::is_any_taken(self.ring.memory())
    }

    fn look_ahead(&mut self) -> Look<()> {
        match self.attempt(|ring| ring.look()) {
            Err(Obstacle::Empty) => Look::Nothing,
            Err(Obstacle::Busy { pid }) => Look::Held { pid },
            Ok(_) | Err(Obstacle::Invalid(_) | Obstacle::Corrupted(_)) => Look::Done(()),
        }
    }

    fn rise(&mut self) {
        self.watch.rise();
    }

    fn has_more(&mut self, beyond: usize) -> bool {
        self.len() > beyond || self.ring.may_find_orphans()
    }
}

impl<T: Message> Consumer<T> {
    /// Whether there were producers, none that is alive is left, and everything they committed has been popped: what
    /// [`pop`](Consumer::pop) calls [`Closed`](PopError::Closed). Asks the kernel for each process that has a producer:
    /// about a microsecond.
    pub fn is_closed(&mut self) -> bool {
        End::is_forsaken(self, true) && matches!(self.look_ahead(), Look::Nothing)
    }
}

impl<T: Message> Clone for Consumer<T> {
    fn clone(&self) -> Consumer<T> {
        let mut clone = Consumer::new(self.membership.clone());
        clone.waiter = Waiter::new(self.waiter.how);
        clone
    }
}

impl<T: Message> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.give_back(); // what a forgotten guard holds
    }
}

impl<T: Message> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("mpmc::Consumer").field("parts", self.membership.attachment.parts()).finish_non_exhaustive()
    }
}
