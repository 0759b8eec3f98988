//! A writing end, as a user holds it.

use super::Membership;
use super::guards::Reserved;
use super::watch::{Obstacles, Watch};
use crate::error::{Corrupted, PushAllError, PushError, PushSliceError, ReserveError, TryPushError};
use crate::message::Message;
use crate::queue::attachment::Attachment;
use crate::queue::blocking::blocking_pushes;
#[cfg(feature = "async")]
use crate::queue::{
    asynchronous::{self, Pushes, Sleep, asynchronous_pushes},
    reactor::Place,
};
#[cfg(feature = "async")]
use std::{
    pin::Pin,
    task::{Context, Poll},
};

use crate::queue::select::Case;
use crate::queue::waiting::{
    End, Look, Shared, Wait, Waited, Waiter, pauses_for_room, pushed, wait, wait_longer, wait_until,
};
use crate::ring::memory::{Mapped, Single};
use crate::ring::mpmc::producer::Push;
use crate::ring::mpmc::{self, producer};
use crate::wait::{Event, Notifier};
use std::fmt;
use std::time::{Duration, Instant};

/// A writing end of a ring, one of many.
///
/// It can be sent to another thread, and not be shared by two: clone it, which is cheap.
///
/// ```compile_fail
/// fn shared<T: Sync>() {}
/// shared::<ringway::mpmc::Producer<u64>>();
/// ```
///
/// ```
/// fn sent<T: Send>() {}
/// sent::<ringway::mpmc::Producer<u64>>();
/// ```
pub struct Producer<T: Message> {
    pub(super) ring: producer::Producer<T, Mapped<T, Single>>,
    membership: Membership,
    watch: Watch,
    notifier: Notifier,
    waiter: Waiter,
    closes: bool,
}

/// Why nothing could be pushed.
enum Obstacle {
    Full,
    Busy { pid: u32 },
    Corrupted(Box<Corrupted>),
}

impl<T: Message> Producer<T> {
    pub(super) fn new(membership: Membership) -> Producer<T> {
        let ring = producer::Producer::new(membership.memory(), membership.attachment.record() as _);
        let (notifier, waiter) = (membership.attachment.notifier(), membership.attachment.waiter());
        Producer { ring, membership, watch: Watch::default(), notifier, waiter, closes: false }
    }

    /// Something was committed: wakes a consumer, if one sleeps.
    #[inline(always)]
    pub(super) fn notify(&mut self) {
        Event(Shared(self.ring.memory().messages())).notify(&mut self.notifier);
    }

    fn has_peer(&self) -> bool {
        self.membership.has_peers(true)
    }

    /// Pushes one message, or gives it back. Lock-free.
    ///
    /// When this returns `Ok`, the message is committed: it is delivered even if we are killed in the next instant. Killed
    /// before that, the message never existed.
    ///
    /// # Errors
    /// [`TryPushError::Full`], which counts places that were abandoned or wait to be redelivered until a consumer gets to
    /// them; [`TryPushError::Busy`] when the cell in front is in the hands of a living process that is
    /// in the middle of a copy, or stopped; [`TryPushError::Corrupted`] when somebody has scribbled on the ring.
    ///
    /// ```
    /// # use ringway::{Options, TryPushError, mpmc};
    /// # let name = format!("doc-mpmc-try_push-{}", std::process::id());
    /// # let ring = mpmc::Ring::create(&name, &Options::new().capacity(1).lifetime(ringway::Lifetime::LastDetach))?;
    /// let mut producer = ring.producer();
    /// assert_eq!(producer.try_push(1), Ok(()));
    /// assert_eq!(producer.try_push(2), Err(TryPushError::Full(2)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_push(&mut self, message: T) -> Result<(), TryPushError<T>> {
        if self.ring.push_at_once(&message) {
            self.notify();
            return Ok(());
        }
        self.try_push_with_care(message)
    }

    /// The same when there is no room, or somebody is in our way, or was, or a guard was forgotten.
    //
    // NB: apart, as a refusal at the place of the call would cost those who are not refused a dozen instructions.
    #[inline(never)]
    fn try_push_with_care(&mut self, message: T) -> Result<(), TryPushError<T>> {
        if self.ring.is_plainly_full() && self.watch.rests() {
            return Err(TryPushError::Full(message));
        }
        match self.attempt(|ring| ring.push(&message)) {
            Ok(_) => {
                self.notify();
                Ok(())
            }
            Err(Obstacle::Full) => Err(TryPushError::Full(message)),
            Err(Obstacle::Busy { pid }) => Err(TryPushError::Busy { message, pid }),
            Err(Obstacle::Corrupted(corrupted)) => Err(TryPushError::Corrupted(message, corrupted)),
        }
    }

    /// Copies as many of `messages` as there is room for in a row, up to 255, from the first on, and returns how many: 0
    /// when the ring is full. Lock-free.
    ///
    /// What it copies is committed all at once: it is delivered in one piece of the order of messages, and whoever goes
    /// on after a crash finds all of it or nothing.
    ///
    /// # Errors
    /// [`PushSliceError::Busy`], [`PushSliceError::Corrupted`], as for [`try_push`](Producer::try_push).
    ///
    /// ```
    /// # use ringway::{Options, mpmc};
    /// # let name = format!("doc-mpmc-push_slice-{}", std::process::id());
    /// # let ring = mpmc::Ring::create(&name, &Options::new().capacity(3).lifetime(ringway::Lifetime::LastDetach))?;
    /// let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    /// assert_eq!(producer.push_slice(&[1, 2, 3, 4]), Ok(3));
    ///
    /// let mut messages = [0; 8];
    /// assert_eq!(*consumer.pop_slice(&mut messages)?, 3);
    /// assert_eq!(messages, [1, 2, 3, 0, 0, 0, 0, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn push_slice(&mut self, messages: &[T]) -> Result<usize, PushSliceError> {
        match self.attempt(|ring| ring.push_slice(messages)) {
            Ok(count) => {
                self.notify();
                Ok(count)
            }
            Err(Obstacle::Full) => Ok(0),
            Err(Obstacle::Busy { pid }) => Err(PushSliceError::Busy { pid }),
            Err(Obstacle::Corrupted(corrupted)) => Err(PushSliceError::Corrupted(corrupted)),
        }
    }

    /// Reserves the place of the next message, to write it where a consumer will read it. Nothing is pushed until
    /// [`Reserved::commit`]; dropping it abandons the place, which is skipped. Lock-free.
    ///
    /// Messages that are pushed after this are popped after this: a place that is reserved for long holds up the ring.
    ///
    /// # Errors
    /// As [`try_push`](Producer::try_push).
    ///
    /// ```
    /// # use ringway::{Options, mpmc};
    /// # let name = format!("doc-mpmc-reserve-{}", std::process::id());
    /// # let options = Options::new().capacity(4).lifetime(ringway::Lifetime::LastDetach);
    /// # let ring = mpmc::Ring::<[u8; 4096]>::create(&name, &options)?;
    /// # let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    /// let mut frame = producer.reserve()?;
    /// frame.fill(0x55);
    /// frame.commit();
    ///
    /// let frame = consumer.peek()?;
    /// assert_eq!(frame[4095], 0x55);
    /// frame.release();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reserve(&mut self) -> Result<Reserved<'_, T>, ReserveError> {
        match self.attempt(|ring| ring.reserve()) {
            Ok(_) => Ok(Reserved { producer: self }),
            Err(Obstacle::Full) => Err(ReserveError::Full),
            Err(Obstacle::Busy { pid }) => Err(ReserveError::Busy { pid }),
            Err(Obstacle::Corrupted(corrupted)) => Err(ReserveError::Corrupted(corrupted)),
        }
    }

    /// Tries until there is an answer that will not change by itself in a moment.
    #[inline(always)]
    fn attempt(
        &mut self,
        push: impl Fn(&mut producer::Producer<T, Mapped<T, Single>>) -> Result<Push, Box<Corrupted>>,
    ) -> Result<usize, Obstacle> {
        if self.ring.is_lent() {
            self.abandon(); // what a forgotten guard holds
        }
        let mut obstacles = Obstacles::default();
        let mut looked = false;
        loop {
            match push(&mut self.ring) {
                Ok(Push::Done(count)) => return Ok(count),
                Ok(Push::Full) => {
                    if looked || !self.watch.is_worth_another_try(&self.membership.attachment, self.ring.memory()) {
                        return Err(Obstacle::Full);
                    }
                    looked = true;
                }
                Ok(Push::Held(held)) => obstacles
                    .overcome(held, &mut self.watch, &self.membership.attachment, self.ring.memory())
                    .map_err(|pid| Obstacle::Busy { pid })?,
                Err(corrupted) => return Err(Obstacle::Corrupted(corrupted)),
            }
        }
    }

    /// Gives up what is reserved, if anything is. In a forked child it is the parent's, and its memory is not there.
    pub(super) fn abandon(&mut self) {
        if self.ring.is_lent() && !self.membership.attachment.is_inherited() {
            self.ring.abandon();
            // Whoever waits for what is behind can go on.
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

    /// Whether there were consumers, and none that is alive is left. Asks the kernel for each process that has a consumer:
    /// about a microsecond.
    ///
    /// It does not keep us from pushing: what is in the ring waits for the next consumer.
    pub fn is_closed(&self) -> bool {
        self.membership.is_forsaken(true)
    }

    /// Whether there seems to be no room: exact when nobody else is at it.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }
}

blocking_pushes! {
    Producer,
    /// ```
    /// # use ringway::{Lifetime, Options, mpmc};
    /// # let name = format!("doc-mpmc-push-{}", std::process::id());
    /// # let ring = mpmc::Ring::create(&name, &Options::new().capacity(1).lifetime(Lifetime::LastDetach))?;
    /// let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    /// producer.push(1)?;
    /// let consumer = std::thread::spawn(move || (consumer.pop(), consumer.pop()));
    /// producer.push(2)?; // waits until there is room
    /// let (first, second) = consumer.join().unwrap();
    /// assert!(first? == 1 && second? == 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
}

#[cfg(feature = "async")]
asynchronous_pushes!(Producer);

impl<T: Message> End for Producer<T> {
    const ALONE: bool = false;

    fn waiter(&mut self) -> &mut Waiter {
        &mut self.waiter
    }

    fn attachment(&self) -> &Attachment {
        &self.membership.attachment
    }

    #[cfg(feature = "async")]
    fn place(&self) -> Place {
        Place { parts: self.membership.attachment.parts().clone(), is_room: true }
    }

    fn event(&self) -> Event<Shared<'_>> {
        Event(Shared(self.ring.memory().room()))
    }

    fn is_forsaken(&mut self, asking: bool) -> bool {
        self.closes && self.membership.is_forsaken(asking)
    }

    fn look_ahead(&mut self) -> Look<()> {
        match self.attempt(|ring| ring.look()) {
            Err(Obstacle::Full) => Look::Nothing,
            Err(Obstacle::Busy { pid }) => Look::Held { pid },
            Ok(_) | Err(Obstacle::Corrupted(_)) => Look::Done(()),
        }
    }

    fn rise(&mut self) {
        self.watch.rise();
    }

    fn pauses(&self) -> u32 {
        pauses_for_room(self.attachment())
    }

    fn has_more(&mut self, beyond: usize) -> bool {
        self.len() + beyond < self.capacity()
    }
}

impl<T: Message> Clone for Producer<T> {
    fn clone(&self) -> Producer<T> {
        let mut clone = Producer::new(self.membership.clone());
        (clone.waiter, clone.closes) = (Waiter::new(self.waiter.how), self.closes);
        clone
    }
}

impl<T: Message> Drop for Producer<T> {
    fn drop(&mut self) {
        self.abandon(); // what a forgotten guard holds
    }
}

impl<T: Message> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("mpmc::Producer").field("parts", self.membership.attachment.parts()).finish_non_exhaustive()
    }
}
