//! A named ring, as a process is attached to it: what both kinds of ring have in common.

use super::attachment::Attachment;
use super::options::Options;
use super::remove;
use crate::error::{CreateError, OpenError, UnlinkError};
use crate::layout::header;
use crate::message::Message;
use crate::ring::memory::{Mapped, Single};
use crate::ring::mpmc;
use crate::segment::name::Name;
use crate::sync::{self, Ordering};
use std::ffi::OsStr;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Which algorithm a ring follows: [`Spsc`] or [`Mpmc`].
pub trait Kind: sealed::Sealed {}

/// One producer, one consumer: see [`spsc`](crate::spsc).
#[derive(Debug)]
pub struct Spsc(());

/// Many producers, many consumers: see [`mpmc`](crate::mpmc).
#[derive(Debug)]
pub struct Mpmc(());

impl Kind for Spsc {}
impl Kind for Mpmc {}

mod sealed {
    pub trait Sealed: 'static {
        const IS_MPMC: bool;
    }

    impl Sealed for super::Spsc {
        const IS_MPMC: bool = false;
    }

    impl Sealed for super::Mpmc {
        const IS_MPMC: bool = true;
    }
}

/// A named ring of messages of type `T`, attached to this process.
///
/// It is a handle to make handles from; clones are cheap and mean the same attachment. This process counts as attached
/// until the last clone, producer and consumer of it are dropped.
///
/// After a fork the child must not push, pop or look with what it inherited: the ring's memory is not mapped there. Such
/// a call ends in a `SIGSEGV`, or hits whatever the child has mapped at that address since. Dropping it is fine. A child
/// opens the ring by name, like any other process.
pub struct Ring<T, K> {
    pub(super) attachment: Arc<Attachment>,
    _of: PhantomData<fn(T, K) -> T>,
}

impl<T: Message, K: Kind> Ring<T, K> {
    const KIND: header::Kind = if K::IS_MPMC { header::Kind::Mpmc } else { header::Kind::Spsc };

    /// Creates the ring `name` and attaches to it. The name appears in one step, when the ring is whole; a creator that
    /// is killed leaves the name free. All memory is reserved here: a push never meets a full file system.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was left on disk.
    pub fn create(name: impl AsRef<OsStr>, options: &Options) -> Result<Self, CreateError> {
        let name = Name::new(name.as_ref())?;
        Attachment::create::<T>(Self::KIND, &name, options).map(Ring::of)
    }

    /// Attaches to the ring `name`, whatever its capacity.
    ///
    /// # Errors
    /// [`OpenError`]; nothing on disk was changed.
    pub fn open(name: impl AsRef<OsStr>) -> Result<Self, OpenError> {
        Ring::open_with(name, &Options::new())
    }

    /// Attaches to the ring `name`, which must be as `options` say: its capacity, schema and owner, within its timeout.
    ///
    /// # Errors
    /// [`OpenError`]; nothing on disk was changed.
    pub fn open_with(name: impl AsRef<OsStr>, options: &Options) -> Result<Self, OpenError> {
        let name = Name::new(name.as_ref())?;
        Attachment::open::<T>(Self::KIND, &name, options).map(Ring::of)
    }

    /// Attaches to the ring `name`, or creates it: either side may come first, or both at once.
    ///
    /// # Errors
    /// [`OpenError`], with [`OpenError::Create`] for what went wrong on creation.
    pub fn open_or_create(name: impl AsRef<OsStr>, options: &Options) -> Result<Self, OpenError> {
        let name = Name::new(name.as_ref())?;
        Attachment::open_or_create::<T>(Self::KIND, &name, options).map(Ring::of)
    }

    /// Removes the name of a ring, of any type. Processes that are attached go on; the memory is freed when the last of
    /// them detaches or dies. Something of that name that is no ring is left alone.
    ///
    /// # Errors
    /// [`UnlinkError`].
    pub fn unlink(name: impl AsRef<OsStr>) -> Result<(), UnlinkError> {
        remove::ring(name)
    }

    fn of(attachment: Attachment) -> Self {
        Ring { attachment: Arc::new(attachment), _of: PhantomData }
    }

    /// The name of the ring.
    pub fn name(&self) -> &str {
        self.attachment.parts().name()
    }

    /// How many messages the ring holds when it is full.
    pub fn capacity(&self) -> usize {
        self.attachment.parts().geometry().capacity
    }

    /// About how many messages are in the ring: all ends may be moving it, and after a death something may not be counted
    /// until somebody has cleared up.
    pub fn len(&self) -> usize {
        let parts = self.attachment.parts();
        if K::IS_MPMC {
            return mpmc::count::<T, _>(&Mapped::<T, Single>::new(parts.clone()));
        }
        // Relaxed: for counting. `tail` first, so that a message that is pushed and popped in between counts as gone.
        let tail = sync::mapped(&parts.control().tail).load(Ordering::Relaxed);
        let head = sync::mapped(&parts.control().head).load(Ordering::Relaxed);
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
}

impl<T, K> Clone for Ring<T, K> {
    fn clone(&self) -> Self {
        Ring { attachment: self.attachment.clone(), _of: PhantomData }
    }
}

impl<T, K> fmt::Debug for Ring<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("parts", self.attachment.parts()).finish_non_exhaustive()
    }
}
