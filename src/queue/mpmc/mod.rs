//! Many producers, many consumers, in any number of processes: a queue in which no death matters.
//!
//! ```
//! use ringway::{Options, mpmc};
//!
//! # let name = &format!("doc-mpmc-{}", std::process::id());
//! // Some processes ...
//! let ring = mpmc::Ring::<u64>::create(name, &Options::new().capacity(1024))?;
//! let mut producer = ring.producer();
//! producer.try_push(7)?;
//!
//! // ... and others.
//! let ring = mpmc::Ring::<u64>::open(name)?;
//! let mut consumer = ring.consumer();
//! assert_eq!(*consumer.try_pop()?, 7);
//!
//! mpmc::Ring::<u64>::unlink(name)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Each message goes to one consumer. Messages are taken in the order in which their places were claimed.
//!
//! # What a death leaves behind
//!
//! | killed | effect |
//! |---|---|
//! | producer before it commits | the message, or the whole batch of a `push_slice`, never existed |
//! | producer after it committed | the message is delivered exactly once |
//! | consumer before `try_pop`, `pop_slice` or `release` handed over | somebody else gets the message, flagged as [redelivered](Popped::redelivered): the dead one's application never saw it, unless it held a [`Peek`] |
//! | consumer after the hand-over | the message is delivered: use [`peek`](Consumer::peek) to work before handing over |
//!
//! Nobody calls a repair function, and there is no time-out: whoever is in the way is asked for in the kernel, and what
//! the dead held is repaired by whoever needs it, or finds nothing else to do. [`Ring::recovered`] counts it.
//!
//! # Stopped is not dead
//!
//! A process that is stopped (`SIGSTOP`, a debugger) or leaks a guard is alive, and is never robbed. While it is in the
//! middle of a push, no message behind that one can be popped; while it is in the middle of a pop, others pop what is
//! behind, until the ring has come round to that cell, and is full. What cannot go on says [`Busy`] and names the process.
//! [`Ring::evict`] kills it, which is the only way to remove the living.
//!
//! What cannot be asked counts as alive: a process that has closed all its descriptors, and whose ring has been unlinked,
//! repairs nothing any more. Others do.
//!
//! [`Busy`]: crate::TryPopError::Busy
//!
//! # Progress
//!
//! Lock-free: a handle can be overtaken by others, but somebody always gets on. An operation that needs a cell which
//! somebody alive is copying to or from says `Busy` after a few microseconds.

mod consumer;
mod guards;
mod peers;
mod producer;
mod watch;

pub use consumer::{Consumer, Popped};
pub use guards::{Peek, Reserved};
pub use peers::{Held, Peer, PeerState};
pub use producer::Producer;

use super::ring::{self, Mpmc};
use crate::layout::control::RecordWords;
use crate::message::Message;
use crate::queue::attachment::Attachment;
use crate::recover::{self, Recovered};
use crate::ring::memory::{Mapped, Single};
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// A named ring for many producers and many consumers.
pub type Ring<T> = ring::Ring<T, Mpmc>;

impl<T: Message> Ring<T> {
    /// A new producer: any number of them may be there at the same time.
    pub fn producer(&self) -> Producer<T> {
        Producer::new(Membership::new(&self.attachment, |record| &record.producers))
    }

    /// A new consumer: any number of them may be there at the same time. Each message goes to one of them.
    pub fn consumer(&self) -> Consumer<T> {
        Consumer::new(Membership::new(&self.attachment, |record| &record.consumers))
    }

    /// Clears up after processes that died, and says what there was to do. Nobody needs to call it: an operation that
    /// finds a dead process in its way, or nothing to do for a while, and a process that attaches, do the same.
    ///
    /// Asks the kernel for each attached process, about a microsecond, and looks at all cells once for each dead one.
    pub fn recover(&self) -> Recovered {
        let parts = self.attachment.parts();
        let memory = Mapped::<T, Single>::new(parts.clone());
        let recovered = self.attachment.with_file(|file| recover::recover::<T, _>(&memory, parts.records(), file));
        recovered.unwrap_or_default()
    }

    /// What was cleared up after processes that died, since the ring was created, by whomever.
    pub fn recovered(&self) -> Recovered {
        recover::total(self.attachment.parts().records())
    }
}

/// A handle's share in an attachment, counted in our process record.
#[derive(Debug)]
struct Membership {
    attachment: Arc<Attachment>,
    count: fn(&RecordWords) -> &AtomicU64,
}

impl Membership {
    fn new(attachment: &Arc<Attachment>, count: fn(&RecordWords) -> &AtomicU64) -> Membership {
        let membership = Membership { attachment: attachment.clone(), count };
        // Relaxed: for people to read.
        membership.counter().fetch_add(1, Ordering::Relaxed);
        membership
    }

    fn counter(&self) -> &AtomicU64 {
        (self.count)(&self.attachment.parts().records()[self.attachment.record()])
    }

    fn memory<T>(&self) -> Mapped<T, Single> {
        Mapped::new(self.attachment.parts().clone())
    }
}

impl Clone for Membership {
    fn clone(&self) -> Membership {
        Membership::new(&self.attachment, self.count)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if !self.attachment.is_inherited() {
            // Relaxed: for people to read.
            self.counter().fetch_sub(1, Ordering::Relaxed);
        }
    }
}
