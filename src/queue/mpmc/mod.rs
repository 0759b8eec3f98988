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
//! Lock-free: a handle can be overtaken by others, but somebody always gets on. One that loses a cell to another pauses: for
//! about 100 nanoseconds, or a microsecond or two where that happens all the time, so that the others get on faster than
//! it holds itself up. An operation that needs a cell which somebody alive is copying to or from says `Busy` after a few
//! microseconds, and the next one that finds the same says it at once.

mod consumer;
pub(super) mod erased;
mod guards;
mod peers;
mod producer;
mod watch;

pub use consumer::{Consumer, Popped};
pub use guards::{Peek, Reserved};
pub use peers::{Held, Peer, PeerState};
pub use producer::Producer;

use super::ring::{self, Mpmc};
use crate::error::Role;
use crate::layout::control::{Record, RecordWords};
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
        Producer::new(Membership::new(&self.attachment, Role::Producer))
    }

    /// A new consumer: any number of them may be there at the same time. Each message goes to one of them.
    pub fn consumer(&self) -> Consumer<T> {
        Consumer::new(Membership::new(&self.attachment, Role::Consumer))
    }

    /// Clears up after processes that died, and says what there was to do. Nobody needs to call it: an operation that
    /// finds a dead process in its way, or nothing to do for a while, and a process that attaches, do the same.
    ///
    /// Asks the kernel for each attached process, about a microsecond, and looks at all cells once for each dead one.
    pub fn recover(&self) -> Recovered {
        let memory = Mapped::<T, Single>::new(self.attachment.parts().clone());
        let recovered = self.attachment.ask(|register| recover::recover::<T, _>(&memory, register));
        let recovered = recovered.unwrap_or_default();
        if !recovered.is_empty() {
            self.attachment.announce();
        }
        recovered
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
    role: Role,
}

impl Membership {
    fn new(attachment: &Arc<Attachment>, role: Role) -> Membership {
        let membership = Membership { attachment: attachment.clone(), role };
        // Relaxed: nobody goes by it before the store below.
        membership.counter().fetch_add(1, Ordering::Relaxed);
        // Release: who sees that it has come sees that it is there.
        membership.role_word(role).fetch_add(1, Ordering::Release);
        attachment.announce();
        membership
    }

    /// Counts those who have come.
    fn role_word(&self, role: Role) -> &AtomicU64 {
        let roles = &self.attachment.parts().control().roles;
        match role {
            Role::Producer => &roles.producer,
            Role::Consumer => &roles.consumer,
        }
    }

    fn counter(&self) -> &AtomicU64 {
        count(&self.attachment.parts().records()[self.attachment.record()], self.role)
    }

    /// Whether there is somebody at the other end. Deaths are noticed only by `asking` the kernel.
    fn has_peers(&self, asking: bool) -> bool {
        let records = self.attachment.parts().records();
        let is_there = |(record, words): (usize, &Record)| {
            // Acquire: what it has pushed or popped before it left is seen. Pairs with the Release in `drop`.
            words.attached.load(Ordering::Acquire) != 0
                && count(words, self.role.other()).load(Ordering::Acquire) > 0
                && !(asking && self.attachment.is_dead(record))
        };
        records.iter().enumerate().any(is_there)
    }

    /// Whether there was somebody at the other end, and nobody is left.
    fn is_forsaken(&self, asking: bool) -> bool {
        // Acquire: who has come by then is seen to be there. Pairs with the Release in `new`.
        let coming = || self.role_word(self.role.other()).load(Ordering::Acquire);
        let came = coming();
        // NB: one may have come to a record that was looked at before another left one that was looked at later.
        came != 0 && !self.has_peers(asking) && coming() == came
    }

    fn memory<T>(&self) -> Mapped<T, Single> {
        Mapped::new(self.attachment.parts().clone())
    }
}

fn count(words: &RecordWords, role: Role) -> &AtomicU64 {
    match role {
        Role::Producer => &words.producers,
        Role::Consumer => &words.consumers,
    }
}

impl Clone for Membership {
    fn clone(&self) -> Membership {
        Membership::new(&self.attachment, self.role)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if !self.attachment.is_inherited() {
            // Release: who sees that we have left sees all that we pushed or popped. Pairs with `has_peers`.
            self.counter().fetch_sub(1, Ordering::Release);
            self.attachment.announce();
        }
    }
}
