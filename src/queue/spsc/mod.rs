//! One producer, one consumer: the fastest ring, and each end can be in a process of its own.
//!
//! ```
//! use ringway::{Options, spsc};
//!
//! # let name = &format!("doc-spsc-{}", std::process::id());
//! // One process ...
//! let ring = spsc::Ring::<u64>::create(name, &Options::new().capacity(1024))?;
//! let mut producer = ring.producer()?;
//! producer.try_push(7)?;
//!
//! // ... and another.
//! let ring = spsc::Ring::<u64>::open(name)?;
//! let mut consumer = ring.consumer()?;
//! assert_eq!(consumer.try_pop(), Ok(7));
//!
//! spsc::Ring::<u64>::unlink(name)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a death leaves behind
//!
//! | killed | effect |
//! |---|---|
//! | producer before it commits | the message, or the whole batch of a `push_slice`, never existed |
//! | producer after it committed | the message is delivered exactly once |
//! | consumer before `try_pop`, `pop_slice` or `release` handed over | its successor gets the message; nobody saw it |
//! | consumer after the hand-over | the message is delivered: use [`peek`](Consumer::peek) to work before handing over |
//!
//! Either role can be claimed again as soon as its holder is dead: no time-out, no repair to call. A process that is
//! stopped (`SIGSTOP`, a debugger) is alive, and keeps its role for as long as it is stopped. So does a handle that is
//! leaked (`mem::forget`), until its process ends.
//!
//! # Progress
//!
//! Every operation on a handle is wait-free: a bounded number of steps, whatever the other end does.

mod consumer;
mod guards;
mod producer;

pub use super::role::Peer;
pub use consumer::Consumer;
pub use guards::{Peek, Reserved};
pub use producer::Producer;

use super::attachment::{self, Attachment};
use super::options::Options;
use super::role::Claim;
use crate::error::{ClaimError, CreateError, OpenError, Role, UnlinkError};
use crate::layout::header::Kind;
use crate::message::Message;
use crate::ring::memory::Mapped;
use crate::ring::spsc as ring;
use crate::segment::name::Name;
use crate::sync;
use std::ffi::OsStr;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A named ring of messages of type `T`, attached to this process.
///
/// It is a handle to make handles from; clones are cheap and mean the same attachment. This process counts as attached
/// until the last clone, [`Producer`] and [`Consumer`] of it are dropped.
///
/// After a fork the child must not push, pop or look with what it inherited: the ring's memory is not mapped there. Such
/// a call ends in a `SIGSEGV`, or hits whatever the child has mapped at that address since. Dropping it is fine. A child
/// opens the ring by name, like any other process.
pub struct Ring<T> {
    attachment: Arc<Attachment>,
    _messages: PhantomData<fn(T) -> T>,
}

impl<T: Message> Ring<T> {
    /// Creates the ring `name` and attaches to it. The name appears in one step, when the ring is whole; a creator that
    /// is killed leaves the name free. All memory is reserved here: a push never meets a full file system.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was left on disk.
    pub fn create(name: impl AsRef<OsStr>, options: &Options) -> Result<Ring<T>, CreateError> {
        let name = Name::new(name.as_ref())?;
        Attachment::create::<T>(Kind::Spsc, &name, options).map(Ring::of)
    }

    /// Attaches to the ring `name`, whatever its capacity.
    ///
    /// # Errors
    /// [`OpenError`]; nothing on disk was changed.
    pub fn open(name: impl AsRef<OsStr>) -> Result<Ring<T>, OpenError> {
        Ring::open_with(name, &Options::new())
    }

    /// Attaches to the ring `name`, which must be as `options` say: its capacity, schema and owner, within its timeout.
    ///
    /// # Errors
    /// [`OpenError`]; nothing on disk was changed.
    pub fn open_with(name: impl AsRef<OsStr>, options: &Options) -> Result<Ring<T>, OpenError> {
        let name = Name::new(name.as_ref())?;
        Attachment::open::<T>(Kind::Spsc, &name, options).map(Ring::of)
    }

    /// Attaches to the ring `name`, or creates it: either side may come first, or both at once.
    ///
    /// # Errors
    /// [`OpenError`], with [`OpenError::Create`] for what went wrong on creation.
    pub fn open_or_create(name: impl AsRef<OsStr>, options: &Options) -> Result<Ring<T>, OpenError> {
        let name = Name::new(name.as_ref())?;
        Attachment::open_or_create::<T>(Kind::Spsc, &name, options).map(Ring::of)
    }

    /// Removes the name of a ring, of any type. Processes that are attached go on; the memory is freed when the last of
    /// them detaches or dies. Something of that name that is no ring is left alone.
    ///
    /// # Errors
    /// [`UnlinkError`].
    pub fn unlink(name: impl AsRef<OsStr>) -> Result<(), UnlinkError> {
        attachment::unlink(&Name::new(name.as_ref())?)
    }

    fn of(attachment: Attachment) -> Ring<T> {
        Ring { attachment: Arc::new(attachment), _messages: PhantomData }
    }

    /// Claims the producer's role, from nobody or from a dead process, and goes on where the last producer stopped: with
    /// the message after the last one that was committed. What a dead producer had not committed never existed.
    ///
    /// Takes a microsecond, and after a death the time to look at each cell once.
    ///
    /// # Errors
    /// [`ClaimError::RoleTaken`] while another handle has the role, in this process or in another one that is alive.
    pub fn producer(&self) -> Result<Producer<T>, ClaimError> {
        let claim = Claim::new(&self.attachment, Role::Producer)?;
        let ring = ring::producer::Producer::take_over(Mapped::new(self.attachment.parts().clone()), claim.repair)?;
        Ok(Producer { ring, role: claim.keep() })
    }

    /// Claims the consumer's role, from nobody or from a dead process, and goes on with the first message that was not
    /// handed over.
    ///
    /// # Errors
    /// [`ClaimError::RoleTaken`] while another handle has the role, in this process or in another one that is alive.
    pub fn consumer(&self) -> Result<Consumer<T>, ClaimError> {
        let claim = Claim::new(&self.attachment, Role::Consumer)?;
        let ring = ring::consumer::Consumer::take_over(Mapped::new(self.attachment.parts().clone()))?;
        Ok(Consumer { ring, role: claim.keep() })
    }

    /// The name of the ring.
    pub fn name(&self) -> &str {
        self.attachment.parts().name()
    }

    /// How many messages the ring holds when it is full.
    pub fn capacity(&self) -> usize {
        self.attachment.parts().geometry().capacity
    }

    /// About how many messages are in the ring: both ends may be moving it, and after a producer was killed its last push
    /// may not be counted until the next one takes over. The handles know better.
    pub fn len(&self) -> usize {
        let control = self.attachment.parts().control();
        // Relaxed: for counting. `tail` first, so that a message that is pushed and popped in between counts as gone.
        let tail = sync::mapped(&control.tail).load(sync::Ordering::Relaxed);
        let head = sync::mapped(&control.head).load(sync::Ordering::Relaxed);
        tail.saturating_sub(head).min(self.capacity() as u64) as usize
    }

    /// Whether the ring seems to be empty: both ends may be moving it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the ring seems to be full: both ends may be moving it.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Who has a role now. Asks the kernel: about a microsecond.
    pub fn peer(&self, role: Role) -> Peer {
        self.attachment.peer(role)
    }
}

impl<T> Clone for Ring<T> {
    fn clone(&self) -> Ring<T> {
        Ring { attachment: self.attachment.clone(), _messages: PhantomData }
    }
}

impl<T> fmt::Debug for Ring<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("spsc::Ring").field("parts", self.attachment.parts()).finish_non_exhaustive()
    }
}
