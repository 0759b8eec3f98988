//! The writing end of a ring of any type.

use crate::error::{Corrupted, PushError, TryPushError};
use crate::queue::attachment::Attachment;
#[cfg(feature = "async")]
use crate::queue::reactor::Place;
use crate::queue::waiting::{End, Look, Shared, Wait, Waiter, pauses_for_room, pushed, wait};
use crate::wait::{Event, Notifier};
use std::fmt;
use std::time::{Duration, Instant};

/// What a producer of a certain kind of ring does.
pub(in crate::queue) trait Pushes: Send {
    fn attachment(&self) -> &Attachment;

    /// Pushes, if there is room.
    fn push(&mut self, message: &[u8]) -> Look<Result<(), Box<Corrupted>>>;

    /// Whether there is room, or an error to be reported.
    fn look(&mut self) -> Look<()>;

    /// Whether there were consumers and none is left. Deaths are noticed only by `asking` the kernel.
    fn is_forsaken(&mut self, asking: bool) -> bool;

    /// Whether there is room beyond so many messages.
    fn has_more(&mut self, beyond: usize) -> bool;
}

/// A writing end of a ring of any type.
///
/// It can be sent to another thread, and not be shared by two.
pub struct Producer {
    end: Box<dyn Pushes>,
    notifier: Notifier,
    waiter: Waiter,
    closes: bool,
}

impl Producer {
    pub(super) fn new(end: Box<dyn Pushes>) -> Producer {
        let (notifier, waiter) = (end.attachment().notifier(), end.attachment().waiter());
        Producer { end, notifier, waiter, closes: false }
    }

    /// Pushes one message. When this returns `Ok`, it is committed.
    ///
    /// # Errors
    /// [`TryPushError::Full`], [`TryPushError::Busy`] (MPMC), [`TryPushError::Corrupted`].
    ///
    /// # Panics
    /// When `message` is not as long as a message of this ring.
    pub fn try_push(&mut self, message: &[u8]) -> Result<(), TryPushError<()>> {
        match self.attempt(message) {
            Look::Done(done) => done.map_err(|corrupted| TryPushError::Corrupted((), corrupted)),
            Look::Nothing => Err(TryPushError::Full(())),
            Look::Held { pid } => Err(TryPushError::Busy { message: (), pid }),
        }
    }

    /// Pushes one message, and waits while the ring is full.
    ///
    /// # Errors
    /// [`PushError::Closed`], only after [`close_when_alone`](Self::close_when_alone); [`PushError::Corrupted`].
    ///
    /// # Panics
    /// When `message` is not as long as a message of this ring.
    pub fn push(&mut self, message: &[u8]) -> Result<(), PushError<()>> {
        self.push_until(message, None)
    }

    /// As [`push`](Self::push), and gives up after `patience`.
    ///
    /// # Errors
    /// Those of `push`, and [`PushError::Timeout`].
    ///
    /// # Panics
    /// As `push`.
    pub fn push_timeout(&mut self, message: &[u8], patience: Duration) -> Result<(), PushError<()>> {
        self.push_until(message, Instant::now().checked_add(patience))
    }

    fn push_until(&mut self, message: &[u8], deadline: Option<Instant>) -> Result<(), PushError<()>> {
        let waited = wait(self, deadline, |producer| match producer.attempt(message) {
            Look::Done(done) => Look::Done(done.map_err(|corrupted| PushError::Corrupted((), corrupted))),
            Look::Nothing => Look::Nothing,
            Look::Held { pid } => Look::Held { pid },
        });
        pushed(waited, Some(()))
    }

    fn attempt(&mut self, message: &[u8]) -> Look<Result<(), Box<Corrupted>>> {
        let expected = self.end.attachment().parts().geometry().shape.item_size;
        assert_eq!(message.len(), expected, "a message has the size that the ring's header says");
        let look = self.end.push(message);
        if matches!(look, Look::Done(Ok(()))) {
            Event(Shared(&self.end.attachment().parts().control().messages)).notify(&mut self.notifier);
        }
        look
    }

    /// How this handle waits from now on.
    pub fn set_wait(&mut self, how: Wait) {
        self.waiter = Waiter::new(how);
    }

    /// Whether a push into a full ring ends with [`PushError::Closed`] when there were consumers and none that is alive is
    /// left. Not by default.
    pub fn close_when_alone(&mut self, close: bool) {
        self.closes = close;
    }
}

impl End for Producer {
    // Of an SPSC ring it is; to take it for one of many costs a wake-up.
    const ALONE: bool = false;

    fn waiter(&mut self) -> &mut Waiter {
        &mut self.waiter
    }

    fn attachment(&self) -> &Attachment {
        self.end.attachment()
    }

    #[cfg(feature = "async")]
    fn place(&self) -> Place {
        Place { parts: self.end.attachment().parts().clone(), is_room: true }
    }

    fn event(&self) -> Event<Shared<'_>> {
        Event(Shared(&self.end.attachment().parts().control().room))
    }

    fn is_forsaken(&mut self, asking: bool) -> bool {
        self.closes && self.end.is_forsaken(asking)
    }

    fn look_ahead(&mut self) -> Look<()> {
        self.end.look()
    }

    fn pauses(&self) -> u32 {
        pauses_for_room(self.attachment())
    }

    fn has_more(&mut self, beyond: usize) -> bool {
        self.end.has_more(beyond)
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("bytes::Producer").field("parts", self.end.attachment().parts()).finish_non_exhaustive()
    }
}
