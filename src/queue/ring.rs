//! A named ring, as a process is attached to it: what both kinds of ring have in common.

use super::attachment::Attachment;
use super::options::Options;
use super::remove;
use crate::error::{CreateError, OpenError, UnlinkError};
use crate::layout::header;
use crate::message::Message;
use crate::ring::memory::{Mapped, Packed, Single};
use crate::ring::{mpmc, spsc};
use crate::segment::{Memory, Source};
use crate::sync::{self, Ordering};
use crate::sys::socket;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// Which algorithm a ring follows: [`Spsc`], [`Mpmc`] or [`Newest`].
pub trait Kind: sealed::Sealed {}

/// One producer, one consumer: see [`spsc`](crate::spsc).
#[derive(Debug)]
pub struct Spsc(());

/// Many producers, many consumers: see [`mpmc`](crate::mpmc).
#[derive(Debug)]
pub struct Mpmc(());

/// One writer, many readers, and the newest value only: see [`latest`](crate::latest).
#[derive(Debug)]
pub struct Newest(());

impl Kind for Spsc {}
impl Kind for Mpmc {}
impl Kind for Newest {}

mod sealed {
    use crate::layout::header::Kind;

    pub trait Sealed: 'static {
        const KIND: Kind;
    }

    impl Sealed for super::Spsc {
        const KIND: Kind = Kind::Spsc;
    }

    impl Sealed for super::Mpmc {
        const KIND: Kind = Kind::Mpmc;
    }

    impl Sealed for super::Newest {
        const KIND: Kind = Kind::Latest;
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
    /// Creates a ring and attaches to it: under a name, or in any other memory that a [`Source`] stands for. The name
    /// appears in one step, when the ring is whole; a creator that is killed leaves the name free. All memory is reserved
    /// here: a push never meets a full file system.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was left on disk.
    pub fn create(source: impl Into<Source>, options: &Options) -> Result<Self, CreateError> {
        Attachment::create::<T>(K::KIND, &source.into(), options).map(Ring::of)
    }

    /// Attaches to a ring, whatever its capacity.
    ///
    /// # Errors
    /// [`OpenError`]; nothing on disk was changed.
    pub fn open(source: impl Into<Source>) -> Result<Self, OpenError> {
        Ring::open_with(source, &Options::new())
    }

    /// Attaches to a ring, which must be as `options` say: its capacity, schema and owner, within its timeout.
    ///
    /// # Errors
    /// [`OpenError`]; nothing on disk was changed.
    pub fn open_with(source: impl Into<Source>, options: &Options) -> Result<Self, OpenError> {
        Attachment::open::<T>(K::KIND, &source.into(), options).map(Ring::of)
    }

    /// Attaches to a ring, or creates it: either side may come first, or both at once. Memory without a name is always
    /// created.
    ///
    /// # Errors
    /// [`OpenError`], with [`OpenError::Create`] for what went wrong on creation.
    pub fn open_or_create(source: impl Into<Source>, options: &Options) -> Result<Self, OpenError> {
        Attachment::open_or_create::<T>(K::KIND, &source.into(), options).map(Ring::of)
    }

    /// Removes the name of a ring, of any type. Processes that are attached go on; the memory is freed when the last of
    /// them detaches or dies. Something of that name that is no ring is left alone.
    ///
    /// # Errors
    /// [`UnlinkError`].
    pub fn unlink(source: impl Into<Source>) -> Result<(), UnlinkError> {
        remove::ring(source)
    }

    fn of(attachment: Attachment) -> Self {
        Ring { attachment: Arc::new(attachment), _of: PhantomData }
    }

    /// The descriptor by which another process attaches to a ring in a [`Source::memfd`]. `None` for memory that is found
    /// in other ways, and when somebody in this process has closed the descriptor.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.attachment.to_be_sent()
    }

    /// Sends a ring in a [`Source::memfd`] to the process at the other end of `socket`, a Unix stream socket, which
    /// attaches to what [`Source::receive`] gives it. One byte goes along; what else is said over the socket, before and
    /// after, is yours.
    ///
    /// # Errors
    /// What the system says of the socket; `Unsupported` for memory that is found in other ways.
    pub fn send_to(&self, socket: impl AsFd) -> io::Result<()> {
        let Some(descriptor) = self.as_fd() else {
            let why = format!("ring `{}` has no descriptor to be sent; let the other process open it", self.name());
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        };
        socket::send(socket, descriptor)
    }

    /// What the ring's memory really is: its kind, its pages, whether it is locked, and where. Reads `/proc`, and takes as
    /// long as that: it is for people, and for tests.
    ///
    /// ```
    /// use ringway::{MemoryKind, Options, Source, spsc};
    ///
    /// let ring = spsc::Ring::<u64>::create(Source::memfd("ticks"), &Options::new().prefault(true))?;
    /// let memory = ring.memory();
    /// assert_eq!((memory.kind, memory.resident), (MemoryKind::Memfd, memory.bytes.next_multiple_of(memory.page_size)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn memory(&self) -> Memory {
        self.attachment.memory()
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
    /// until somebody has cleared up. Of a [`Latest`](crate::Latest): values that are kept, which is all until its capacity
    /// is reached.
    pub fn len(&self) -> usize {
        let parts = self.attachment.parts();
        let pushed = match K::KIND {
            header::Kind::Mpmc => return mpmc::count::<T, _>(&Mapped::<T, Single>::new(parts.clone())),
            // First, so that a message that is pushed and popped in between counts as gone.
            header::Kind::Spsc => spsc::pushed::<T, _>(&Mapped::<T, Packed>::new(parts.clone())),
            // Relaxed: for counting. So is the other load.
            header::Kind::Latest => sync::mapped(&parts.control().tail).load(Ordering::Relaxed),
        };
        let popped = sync::mapped(&parts.control().head).load(Ordering::Relaxed);
        pushed.saturating_sub(popped).min(self.capacity() as u64) as usize
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
