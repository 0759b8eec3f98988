//! The reading end, as a user holds it.

use super::guards::Peek;
use crate::error::{PopError, PopSliceError, Role, TryPopError};
use crate::layout::tag::Tag;
use crate::message::Message;
use crate::queue::attachment::Attachment;
use crate::queue::blocking::{Iter, TryIter, blocking_pops};
use crate::queue::role::{HeldRole, Peer};
use crate::queue::select::Case;
use crate::queue::waiting::{End, Look, Shared, Wait, Waiter, answer, wait, wait_until};
#[cfg(feature = "async")]
use crate::queue::{
    asynchronous::{self, Messages, Sleep, asynchronous_pops},
    reactor::Place,
};
use crate::ring::memory::{Mapped, Packed};
use crate::ring::spsc::consumer::{self, Read};
use crate::wait::{Event, Notifier};
use std::fmt;
use std::time::{Duration, Instant};
#[cfg(feature = "async")]
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// The reading end of a ring. There is one at a time, in all processes together.
///
/// It can be sent to another thread, and not be shared by two. Dropping it gives up the role; messages that it has not
/// popped stay for the next consumer.
pub struct Consumer<T> {
    pub(super) ring: consumer::Consumer<T, Mapped<T, Packed>>,
    role: HeldRole,
    notifier: Notifier,
    waiter: Waiter,
}

impl<T: Message> Consumer<T> {
    pub(super) fn new(ring: consumer::Consumer<T, Mapped<T, Packed>>, role: HeldRole) -> Consumer<T> {
        let (notifier, waiter) = (role.attachment.notifier(), role.attachment.waiter());
        Consumer { ring, role, notifier, waiter }
    }

    /// Something was handed over: wakes the producer, if it sleeps.
    #[inline(always)]
    pub(super) fn notify(&mut self) {
        Event(Shared(self.ring.memory().room())).notify(&mut self.notifier);
    }

    fn has_peer(&self) -> bool {
        matches!(self.peer(), Peer::Alive { .. })
    }

    /// Pops the next message. Wait-free.
    ///
    /// When this returns a message, it has been handed over: if we are killed in the next instant it is not delivered
    /// again. Killed before that, it is delivered to the next consumer. To work on a message before it is handed over,
    /// use [`peek`](Consumer::peek).
    ///
    /// # Errors
    /// [`TryPopError::Empty`] when there is nothing; [`TryPopError::Closed`] when moreover the last producer has left in
    /// an orderly way (a later one opens the ring again; a producer that was killed looks like `Empty`, as finding out
    /// takes a system call: [`is_closed`](Consumer::is_closed)); [`TryPopError::Invalid`] when the bytes are no `T`, in
    /// which case they have been consumed and the ring goes on; [`TryPopError::Corrupted`] when somebody has scribbled
    /// on the ring.
    ///
    /// ```
    /// # use ringway::{Options, TryPopError, spsc};
    /// # let name = format!("doc-try_pop-{}", std::process::id());
    /// # let ring = spsc::Ring::create(&name, &Options::new().lifetime(ringway::Lifetime::LastDetach))?;
    /// let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// producer.try_push(1)?;
    /// assert_eq!(consumer.try_pop(), Ok(1));
    /// assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    /// drop(producer);
    /// assert_eq!(consumer.try_pop(), Err(TryPopError::Closed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_pop(&mut self) -> Result<T, TryPopError> {
        let mut seen = Tag::default();
        match self.ring.pop(&mut seen) {
            Some(message) => {
                self.notify();
                Ok(message)
            }
            None => self.not_popped(seen),
        }
    }

    #[inline(never)]
    fn not_popped(&mut self, seen: Tag) -> Result<T, TryPopError> {
        match self.ring.why_not(seen)? {
            None => Err(self.nothing_there()),
            Some(invalid) => {
                self.notify();
                Err(TryPopError::Invalid(invalid))
            }
        }
    }

    /// Fills `messages` from the front with as many messages as there are, and returns how many: 0 when there are none.
    /// They are handed over all at once, when this returns. Wait-free.
    ///
    /// For a type that is not valid in every bit pattern it takes as much stack as one message.
    ///
    /// # Errors
    /// [`PopSliceError::Invalid`] when the *first* message is no `T`: it has been consumed. Before one that comes later
    /// it stops, and the next call reports it. [`PopSliceError::Corrupted`] when somebody has scribbled on the ring.
    #[inline]
    pub fn pop_slice(&mut self, messages: &mut [T]) -> Result<usize, PopSliceError> {
        match self.ring.pop_slice(messages)? {
            Read::Got(count) => {
                self.notify();
                Ok(count)
            }
            Read::Empty => Ok(0),
            Read::Invalid(invalid) => {
                self.notify();
                Err(PopSliceError::Invalid(invalid))
            }
        }
    }

    /// Lends the next message where it lies, without copying it. It stays in the ring, also when we are killed, until
    /// [`Peek::release`] hands it over; dropping the guard leaves it for the next call. Wait-free.
    ///
    /// Only for types that are valid in every bit pattern. It trusts the other process not to write to a message that
    /// is lent: a reference promises the compiler that nobody does. Other types, and messages of a peer that is not
    /// trusted so far, come out of [`try_pop`](Consumer::try_pop), which copies them before it checks them.
    ///
    /// # Errors
    /// As [`try_pop`](Consumer::try_pop), without `Invalid`.
    pub fn peek(&mut self) -> Result<Peek<'_, T>, TryPopError>
    where
        T: zerocopy::FromBytes,
    {
        match self.ring.peek()? {
            true => Ok(Peek { consumer: self }),
            false => Err(self.nothing_there()),
        }
    }

    /// `Closed` or `Empty`, once nothing was found.
    fn nothing_there(&self) -> TryPopError {
        // Who pushes last and then leaves is seen to have left only after the push is seen: so look again.
        if self.role.attachment.has_left(Role::Producer) && self.is_empty() {
            return TryPopError::Closed;
        }
        TryPopError::Empty
    }

    /// How many messages have been handed over since the ring was created: the number of the next one, counted from 0.
    pub fn position(&self) -> u64 {
        self.ring.position()
    }

    /// How many messages the ring holds when it is full.
    pub fn capacity(&self) -> usize {
        self.role.attachment.parts().geometry().capacity
    }

    /// How many messages are in the ring: at least this many, as the producer may be pushing. 0 when the ring is
    /// corrupted.
    pub fn len(&self) -> usize {
        self.ring.len().unwrap_or(0)
    }

    /// Whether there is nothing to pop. If it says that there is something, the next pop finds it: nobody else pops.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty().unwrap_or(false)
    }

    /// Whether there is no room. If it says so, that stays true until we pop.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Who has the other end. Asks the kernel: about a microsecond.
    pub fn peer(&self) -> Peer {
        self.role.attachment.peer(Role::Producer)
    }

    /// Whether there was a producer, it has left or died, and everything it committed has been popped. Asks the kernel:
    /// about a microsecond.
    pub fn is_closed(&self) -> bool {
        self.role.attachment.has_gone(Role::Producer) && self.is_empty()
    }
}

blocking_pops! {
    Consumer, T, usize,
    /// ```
    /// # use ringway::{Lifetime, Options, PopError, spsc};
    /// # let name = format!("doc-spsc-pop-{}", std::process::id());
    /// # let ring = spsc::Ring::create(&name, &Options::new().lifetime(Lifetime::LastDetach))?;
    /// let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// let consumer = std::thread::spawn(move || (consumer.pop(), consumer.pop()));
    /// producer.push(7)?;
    /// drop(producer);
    /// assert_eq!(consumer.join().unwrap(), (Ok(7), Err(PopError::Closed)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
}

#[cfg(feature = "async")]
asynchronous_pops!(Consumer, T);

impl<T: Message> End for Consumer<T> {
    const ALONE: bool = true;

    fn waiter(&mut self) -> &mut Waiter {
        &mut self.waiter
    }

    fn attachment(&self) -> &Attachment {
        &self.role.attachment
    }

    #[cfg(feature = "async")]
    fn place(&self) -> Place {
        Place { parts: self.role.attachment.parts().clone(), is_room: false }
    }

    fn event(&self) -> Event<Shared<'_>> {
        Event(Shared(self.ring.memory().messages()))
    }

    fn is_forsaken(&mut self, asking: bool) -> bool {
        let attachment = &self.role.attachment;
        if asking { attachment.has_gone(Role::Producer) } else { attachment.has_left(Role::Producer) }
    }

    fn look_ahead(&mut self) -> Look<()> {
        // What is corrupted is for the operation to report.
        if self.ring.is_empty().unwrap_or(false) { Look::Nothing } else { Look::Done(()) }
    }

    fn has_more(&mut self, _: usize) -> bool {
        false
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("spsc::Consumer").field("parts", self.role.attachment.parts()).finish_non_exhaustive()
    }
}
