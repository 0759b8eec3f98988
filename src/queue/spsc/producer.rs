//! The writing end, as a user holds it.

use super::guards::Reserved;
use crate::error::{Corrupted, PushAllError, PushError, ReserveError, Role, TryPushError};
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

use crate::queue::role::{HeldRole, Peer};
use crate::queue::select::Case;
use crate::queue::waiting::{
    End, Look, Shared, Wait, Waited, Waiter, pauses_for_room, pushed, wait, wait_longer, wait_until,
};
use crate::ring::memory::{Mapped, Packed};
use crate::ring::spsc::producer;
use crate::wait::{Event, Notifier};
use std::fmt;
use std::time::{Duration, Instant};

/// The writing end of a ring. There is one at a time, in all processes together.
///
/// It can be sent to another thread, and not be shared by two. Dropping it gives up the role.
///
/// ```compile_fail
/// fn shared<T: Sync>() {}
/// shared::<ringway::spsc::Producer<u64>>();
/// ```
///
/// ```
/// fn sent<T: Send>() {}
/// sent::<ringway::spsc::Producer<u64>>();
/// ```
pub struct Producer<T> {
    pub(super) ring: producer::Producer<T, Mapped<T, Packed>>,
    role: HeldRole,
    notifier: Notifier,
    waiter: Waiter,
    closes: bool,
}

impl<T: Message> Producer<T> {
    pub(super) fn new(ring: producer::Producer<T, Mapped<T, Packed>>, role: HeldRole) -> Producer<T> {
        let (notifier, waiter) = (role.attachment.notifier(), role.attachment.waiter());
        Producer { ring, role, notifier, waiter, closes: false }
    }

    /// Something was committed: wakes the consumer, if it sleeps.
    #[inline(always)]
    pub(super) fn notify(&mut self) {
        Event(Shared(self.ring.memory().messages())).notify(&mut self.notifier);
    }

    fn has_peer(&self) -> bool {
        matches!(self.peer(), Peer::Alive { .. })
    }

    /// Pushes one message, or gives it back when the ring is full. Wait-free.
    ///
    /// When this returns, the message is committed: it is delivered even if we are killed in the next instant. Killed
    /// before that, the message never existed.
    ///
    /// # Errors
    /// [`TryPushError::Full`], or [`TryPushError::Corrupted`] when somebody has scribbled on the ring.
    ///
    /// ```
    /// # use ringway::{Options, TryPushError, spsc};
    /// # let name = format!("doc-try_push-{}", std::process::id());
    /// # let ring = spsc::Ring::create(&name, &Options::new().capacity(1).lifetime(ringway::Lifetime::LastDetach))?;
    /// let mut producer = ring.producer()?;
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

    /// The same when the ring seems to be full.
    #[inline(never)]
    fn try_push_with_care(&mut self, message: T) -> Result<(), TryPushError<T>> {
        match self.ring.push(&message) {
            Ok(true) => {
                self.notify();
                Ok(())
            }
            Ok(false) => Err(TryPushError::Full(message)),
            Err(corrupted) => Err(TryPushError::Corrupted(message, corrupted)),
        }
    }

    /// Copies as many of `messages` as fit into the ring, from the first on, and returns how many: 0 when it is full.
    /// Wait-free.
    ///
    /// What it copies is committed all at once: a consumer, and whoever goes on after a crash, sees all of it or nothing.
    ///
    /// # Errors
    /// [`Corrupted`] when somebody has scribbled on the ring.
    ///
    /// ```
    /// # use ringway::{Options, spsc};
    /// # let name = format!("doc-push_slice-{}", std::process::id());
    /// # let ring = spsc::Ring::create(&name, &Options::new().capacity(3).lifetime(ringway::Lifetime::LastDetach))?;
    /// let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// assert_eq!(producer.push_slice(&[1, 2, 3, 4]), Ok(3));
    ///
    /// let mut messages = [0; 8];
    /// assert_eq!(consumer.pop_slice(&mut messages), Ok(3));
    /// assert_eq!(messages, [1, 2, 3, 0, 0, 0, 0, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn push_slice(&mut self, messages: &[T]) -> Result<usize, Box<Corrupted>> {
        let count = self.ring.push_slice(messages)?;
        if count > 0 {
            self.notify();
        }
        Ok(count)
    }

    /// Reserves the place of the next message, to write it where the consumer will read it. Nothing is pushed until
    /// [`Reserved::commit`]; dropping it abandons the place. Wait-free.
    ///
    /// # Errors
    /// [`ReserveError::Full`], or [`ReserveError::Corrupted`] when somebody has scribbled on the ring.
    ///
    /// ```
    /// # use ringway::{Options, spsc};
    /// # let name = format!("doc-reserve-{}", std::process::id());
    /// # let options = Options::new().capacity(4).lifetime(ringway::Lifetime::LastDetach);
    /// # let ring = spsc::Ring::<[u8; 4096]>::create(&name, &options)?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
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
        match self.ring.reserve()? {
            true => Ok(Reserved { producer: self }),
            false => Err(ReserveError::Full),
        }
    }

    /// How many messages have been committed since the ring was created: the number of the next one, counted from 0.
    ///
    /// A producer that goes on after a crash learns here what its predecessor had committed, and need send nothing twice.
    pub fn position(&self) -> u64 {
        self.ring.position()
    }

    /// How many messages the ring holds when it is full.
    pub fn capacity(&self) -> usize {
        self.role.attachment.parts().geometry().capacity
    }

    /// How many messages are in the ring: at most this many, as the consumer may be popping. The capacity when the ring
    /// is corrupted.
    pub fn len(&self) -> usize {
        self.ring.len().unwrap_or_else(|_| self.capacity())
    }

    /// Whether all messages have been popped. If it says so, that stays true until we push.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room. If it says that there is, the next push finds it: nobody else pushes.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Who has the other end. Asks the kernel: about a microsecond.
    pub fn peer(&self) -> Peer {
        self.role.attachment.peer(Role::Consumer)
    }

    /// Whether there was a consumer and it has left or died. Asks the kernel: about a microsecond.
    ///
    /// It does not keep us from pushing: what is in the ring waits for the next consumer.
    pub fn is_closed(&self) -> bool {
        self.role.attachment.has_gone(Role::Consumer)
    }
}

blocking_pushes! {
    Producer,
    /// ```
    /// # use ringway::{Lifetime, Options, spsc};
    /// # let name = format!("doc-spsc-push-{}", std::process::id());
    /// # let ring = spsc::Ring::create(&name, &Options::new().capacity(1).lifetime(Lifetime::LastDetach))?;
    /// let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// producer.push(1)?;
    /// let consumer = std::thread::spawn(move || (consumer.pop(), consumer.pop()));
    /// producer.push(2)?; // waits until there is room
    /// assert_eq!(consumer.join().unwrap(), (Ok(1), Ok(2)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
}

#[cfg(feature = "async")]
asynchronous_pushes!(Producer);

impl<T: Message> End for Producer<T> {
    const ALONE: bool = true;

    fn waiter(&mut self) -> &mut Waiter {
        &mut self.waiter
    }

    fn attachment(&self) -> &Attachment {
        &self.role.attachment
    }

    #[cfg(feature = "async")]
    fn place(&self) -> Place {
        Place { parts: self.role.attachment.parts().clone(), is_room: true }
    }

    fn event(&self) -> Event<Shared<'_>> {
        Event(Shared(self.ring.memory().room()))
    }

    fn is_forsaken(&mut self, asking: bool) -> bool {
        let attachment = &self.role.attachment;
        self.closes && if asking { attachment.has_gone(Role::Consumer) } else { attachment.has_left(Role::Consumer) }
    }

    fn look_ahead(&mut self) -> Look<()> {
        // What is corrupted is for the operation to report.
        if self.ring.len().is_ok_and(|len| len == self.capacity()) { Look::Nothing } else { Look::Done(()) }
    }

    fn pauses(&self) -> u32 {
        pauses_for_room(self.attachment())
    }

    fn has_more(&mut self, _: usize) -> bool {
        false
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("spsc::Producer").field("parts", self.role.attachment.parts()).finish_non_exhaustive()
    }
}
