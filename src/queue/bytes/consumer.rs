//! The reading end of a ring of any type.

use crate::error::{Corrupted, PopError, TryPopError};
use crate::queue::attachment::Attachment;
#[cfg(feature = "async")]
use crate::queue::reactor::Place;
use crate::queue::waiting::{End, Look, Shared, Wait, Waiter, answer, wait};
use crate::wait::{Event, Notifier};
use std::fmt;
use std::time::{Duration, Instant};

/// What a consumer of a certain kind of ring does.
pub(in crate::queue) trait Pops: Send {
    fn attachment(&self) -> &Attachment;

    /// Pops, if there is a message, and says how often it was redelivered.
    fn pop(&mut self, to: &mut [u8]) -> Look<Result<u8, Box<Corrupted>>>;

    /// Whether there is a message, or an error to be reported.
    fn look(&mut self) -> Look<()>;

    /// Whether there were producers and none is left. Deaths are noticed only by `asking` the kernel.
    fn is_forsaken(&mut self, asking: bool) -> bool;

    /// Whether there are messages beyond so many.
    fn has_more(&mut self, beyond: usize) -> bool;
}

/// A reading end of a ring of any type.
///
/// It can be sent to another thread, and not be shared by two.
pub struct Consumer {
    end: Box<dyn Pops>,
    notifier: Notifier,
    waiter: Waiter,
}

impl Consumer {
    pub(super) fn new(end: Box<dyn Pops>) -> Consumer {
        let (notifier, waiter) = (end.attachment().notifier(), end.attachment().waiter());
        Consumer { end, notifier, waiter }
    }

    /// Pops the next message into `to`, and returns how often it was redelivered (MPMC). When this returns, the message has
    /// been handed over.
    ///
    /// # Errors
    /// [`TryPopError::Empty`], [`TryPopError::Busy`] (MPMC), [`TryPopError::Corrupted`]; none of the others.
    ///
    /// # Panics
    /// When `to` is not as long as a message of this ring.
    pub fn try_pop(&mut self, to: &mut [u8]) -> Result<u8, TryPopError> {
        match self.attempt(to) {
            Look::Done(done) => Ok(done?),
            Look::Nothing => Err(TryPopError::Empty),
            Look::Held { pid } => Err(TryPopError::Busy { pid }),
        }
    }

    /// Pops the next message into `to`, and waits while there is none.
    ///
    /// # Errors
    /// [`PopError::Closed`] when there were producers and none that is alive is left; [`PopError::Corrupted`].
    ///
    /// # Panics
    /// When `to` is not as long as a message of this ring.
    pub fn pop(&mut self, to: &mut [u8]) -> Result<u8, PopError> {
        self.pop_until(to, None)
    }

    /// As [`pop`](Self::pop), and gives up after `patience`.
    ///
    /// # Errors
    /// Those of `pop`, and [`PopError::Timeout`].
    ///
    /// # Panics
    /// As `pop`.
    pub fn pop_timeout(&mut self, to: &mut [u8], patience: Duration) -> Result<u8, PopError> {
        self.pop_until(to, Instant::now().checked_add(patience))
    }

    fn pop_until(&mut self, to: &mut [u8], deadline: Option<Instant>) -> Result<u8, PopError> {
        answer(wait(self, deadline, |consumer| match consumer.attempt(to) {
            Look::Done(done) => Look::Done(done.map_err(PopError::Corrupted)),
            Look::Nothing => Look::Nothing,
            Look::Held { pid } => Look::Held { pid },
        }))
    }

    fn attempt(&mut self, to: &mut [u8]) -> Look<Result<u8, Box<Corrupted>>> {
        let expected = self.end.attachment().parts().geometry().shape.item_size;
        assert_eq!(to.len(), expected, "a message has the size that the ring's header says");
        let look = self.end.pop(to);
        if matches!(look, Look::Done(Ok(_))) {
            Event(Shared(&self.end.attachment().parts().control().room)).notify(&mut self.notifier);
        }
        look
    }

    /// How this handle waits from now on.
    pub fn set_wait(&mut self, how: Wait) {
        self.waiter = Waiter::new(how);
    }
}

impl End for Consumer {
    // Of an SPSC ring it is; to take it for one of many costs a wake-up.
    const ALONE: bool = false;

    fn waiter(&mut self) -> &mut Waiter {
        &mut self.waiter
    }

    #[cfg(feature = "async")]
    fn place(&self) -> Place {
        Place { parts: self.end.attachment().parts().clone(), is_room: false }
    }

    fn event(&self) -> Event<Shared<'_>> {
        Event(Shared(&self.end.attachment().parts().control().messages))
    }

    fn is_forsaken(&mut self, asking: bool) -> bool {
        self.end.is_forsaken(asking)
    }

    fn look_ahead(&mut self) -> Look<()> {
        self.end.look()
    }

    fn has_more(&mut self, beyond: usize) -> bool {
        self.end.has_more(beyond)
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("bytes::Consumer").field("parts", self.end.attachment().parts()).finish_non_exhaustive()
    }
}
