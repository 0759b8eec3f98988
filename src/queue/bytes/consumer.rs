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

    /// Copies as many messages as there are in one piece, up to as many as `to` has room for, and says how many, and how
    /// often the first was redelivered. They are handed over, or given back, before anything else is done.
    fn lend(&mut self, to: &mut [u8]) -> Look<Result<(usize, u8), Box<Corrupted>>>;

    /// Hands over what is lent.
    fn hand_over(&mut self);

    /// Gives back what is lent: it is in the ring as before, or (MPMC) any consumer may have it.
    fn give_back(&mut self);

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
    /// Whether something is lent to a guard.
    lent: bool,
    notifier: Notifier,
    waiter: Waiter,
}

impl Consumer {
    pub(super) fn new(end: Box<dyn Pops>) -> Consumer {
        let (notifier, waiter) = (end.attachment().notifier(), end.attachment().waiter());
        Consumer { end, lent: false, notifier, waiter }
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
        let redeliveries = self.try_lend(to, self.message_size())?.1;
        self.hand_over();
        Ok(redeliveries)
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

    /// Copies the next messages into `to`, as many as there are in one piece, up to as many as it has room for (of an MPMC
    /// ring up to 255, too), without handing them over: [`Peek::release`] does that, for all of them at once. Until then
    /// they are nobody else's; if we are killed, or drop the guard, they are delivered again.
    ///
    /// So whoever writes messages to somewhere else, and hands them over when that is done, loses none, whatever happens.
    ///
    /// ```
    /// # use ringway::{Lifetime, Options, bytes, spsc};
    /// # let name = &format!("doc-bytes-peek-{}", std::process::id());
    /// # let typed = spsc::Ring::<u64>::create(name, &Options::new().lifetime(Lifetime::LastDetach))?;
    /// # typed.producer()?.push_slice(&[7, 8])?;
    /// let ring = bytes::Ring::open(name)?;
    /// let mut consumer = ring.consumer()?;
    /// let mut messages = vec![0; 100 * ring.message_size()];
    /// let lent = consumer.peek_slice(&mut messages)?;
    /// assert_eq!((lent.count(), messages[8]), (2, 8));
    /// lent.release();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`TryPopError::Empty`], [`TryPopError::Busy`] (MPMC), [`TryPopError::Corrupted`]; none of the others.
    ///
    /// # Panics
    /// When `to` has no room for a message, or for a part of one.
    pub fn peek_slice(&mut self, to: &mut [u8]) -> Result<Peek<'_>, TryPopError> {
        let (count, redeliveries) = self.try_lend(to, to.len())?;
        Ok(Peek { consumer: self, count, redeliveries })
    }

    /// As [`peek_slice`](Self::peek_slice), and waits while there is no message, up to `patience`; [`Duration::MAX`] is for
    /// ever.
    ///
    /// # Errors
    /// [`PopError::Closed`] when there were producers and none that is alive is left; [`PopError::Timeout`],
    /// [`PopError::Corrupted`].
    ///
    /// # Panics
    /// As `peek_slice`.
    pub fn peek_slice_timeout(&mut self, to: &mut [u8], patience: Duration) -> Result<Peek<'_>, PopError> {
        let (count, redeliveries) = self.lend_until(to, to.len(), Instant::now().checked_add(patience))?;
        Ok(Peek { consumer: self, count, redeliveries })
    }

    fn pop_until(&mut self, to: &mut [u8], deadline: Option<Instant>) -> Result<u8, PopError> {
        let redeliveries = self.lend_until(to, self.message_size(), deadline)?.1;
        self.hand_over();
        Ok(redeliveries)
    }

    fn try_lend(&mut self, to: &mut [u8], expected: usize) -> Result<(usize, u8), TryPopError> {
        match self.lend(to, expected) {
            Look::Done(done) => Ok(done?),
            Look::Nothing => Err(TryPopError::Empty),
            Look::Held { pid } => Err(TryPopError::Busy { pid }),
        }
    }

    fn lend_until(
        &mut self,
        to: &mut [u8],
        expected: usize,
        deadline: Option<Instant>,
    ) -> Result<(usize, u8), PopError> {
        answer(wait(self, deadline, |consumer| match consumer.lend(to, expected) {
            Look::Done(done) => Look::Done(done.map_err(PopError::Corrupted)),
            Look::Nothing => Look::Nothing,
            Look::Held { pid } => Look::Held { pid },
        }))
    }

    fn lend(&mut self, to: &mut [u8], expected: usize) -> Look<Result<(usize, u8), Box<Corrupted>>> {
        let size = self.message_size();
        assert!(
            to.len() == expected && expected >= size && expected % size == 0,
            "as many bytes as whole messages have"
        );
        self.give_back(); // what a forgotten guard holds
        let look = self.end.lend(to);
        self.lent = matches!(look, Look::Done(Ok(_)));
        look
    }

    fn hand_over(&mut self) {
        self.end.hand_over();
        self.lent = false;
        Event(Shared(&self.end.attachment().parts().control().room)).notify(&mut self.notifier);
    }

    fn give_back(&mut self) {
        if std::mem::take(&mut self.lent) {
            self.end.give_back();
        }
    }

    fn message_size(&self) -> usize {
        self.end.attachment().parts().geometry().shape.item_size
    }

    /// How this handle waits from now on.
    pub fn set_wait(&mut self, how: Wait) {
        self.waiter = Waiter::new(how);
    }
}

/// Copies of messages, lent by [`Consumer::peek_slice`]. Dropped, the messages are delivered again: to this consumer, or
/// (MPMC) to any.
#[must_use = "dropping it gives the messages back: hand them over with `release`"]
#[derive(Debug)]
pub struct Peek<'c> {
    consumer: &'c mut Consumer,
    count: usize,
    redeliveries: u8,
}

impl Peek<'_> {
    /// How many messages were copied; at least one.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How often the message was redelivered (MPMC). One that was comes alone.
    pub fn redeliveries(&self) -> u8 {
        self.redeliveries
    }

    /// Hands the messages over: they are delivered.
    pub fn release(self) {
        self.consumer.hand_over();
    }
}

impl Drop for Peek<'_> {
    fn drop(&mut self) {
        self.consumer.give_back(); // nothing, once they are released
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.give_back(); // what a forgotten guard holds
    }
}

impl End for Consumer {
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
