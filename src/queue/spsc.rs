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
//! stopped (`SIGSTOP`, a debugger) is alive, and keeps its role for as long as it is stopped.
//!
//! # Progress
//!
//! Every operation on a handle is wait-free: a bounded number of steps, whatever the other end does.

use super::attachment::Attachment;
use super::options::Options;
use crate::error::{
    ClaimError, Corrupted, CreateError, OpenError, PopSliceError, ReserveError, Role, TryPopError, TryPushError,
    UnlinkError,
};
use crate::layout::header::Kind;
use crate::message::Message;
use crate::registry::role;
use crate::ring::memory::Mapped;
use crate::ring::spsc::consumer::{self, Read};
use crate::ring::spsc::producer;
use crate::segment::name::Name;
use crate::segment::posix;
use crate::sync::{self, AtomicU64};
use std::ffi::OsStr;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

mod guards;
pub use guards::{Peek, Reserved};

/// A named ring of messages of type `T`, attached to this process.
///
/// It is a handle to make handles from; clones are cheap and mean the same attachment. This process counts as attached
/// until the last clone, [`Producer`] and [`Consumer`] of it are dropped.
///
/// After a fork the child must not use what it inherited: the ring's memory is not mapped there, and touching it is a
/// `SIGSEGV`. Dropping it is fine. A child opens the ring by name, like any other process.
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
        posix::unlink(&Name::new(name.as_ref())?)
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
        let ring = producer::Producer::take_over(Mapped::new(self.attachment.parts().clone()), claim.repair)?;
        Ok(Producer { ring, role: claim.keep() })
    }

    /// Claims the consumer's role, from nobody or from a dead process, and goes on with the first message that was not
    /// handed over.
    ///
    /// # Errors
    /// [`ClaimError::RoleTaken`] while another handle has the role, in this process or in another one that is alive.
    pub fn consumer(&self) -> Result<Consumer<T>, ClaimError> {
        let claim = Claim::new(&self.attachment, Role::Consumer)?;
        let ring = consumer::Consumer::take_over(Mapped::new(self.attachment.parts().clone()))?;
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

    /// About how many messages are in the ring: both ends may be moving it. The handles know better.
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

/// Who has a role of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Nobody has claimed it yet.
    NeverCame,
    /// This process has it and is alive, though it may be stopped.
    Alive {
        /// The process, as it calls itself.
        pid: u32,
    },
    /// Its last holder gave it up in an orderly way.
    Left,
    /// Its last holder died. The role can be claimed.
    Dead {
        /// The process, as it called itself.
        pid: u32,
    },
}

impl Attachment {
    fn role_word(&self, role: Role) -> &AtomicU64 {
        let roles = &self.parts().control().roles;
        sync::mapped(match role {
            Role::Producer => &roles.producer,
            Role::Consumer => &roles.consumer,
        })
    }

    fn peer(&self, role: Role) -> Peer {
        let holder = role::holder(self.role_word(role));
        match holder.held_by() {
            Some((record, generation)) => {
                let pid = self.pid_of(record);
                if self.is_alive(record, generation) { Peer::Alive { pid } } else { Peer::Dead { pid } }
            }
            None if holder.is_used() => Peer::Left,
            None => Peer::NeverCame,
        }
    }

    /// Whether somebody had the role and nobody alive has it now.
    fn has_gone(&self, role: Role) -> bool {
        matches!(self.peer(role), Peer::Left | Peer::Dead { .. })
    }

    /// Whether the last holder of the role has given it up. Costs a load, and does not notice a death.
    fn has_left(&self, role: Role) -> bool {
        let holder = role::holder(self.role_word(role));
        holder.held_by().is_none() && holder.is_used()
    }
}

/// A role that has been claimed, and is not yet known to be in order.
struct Claim {
    held: HeldRole,
    repair: bool,
}

/// A role that is ours until this is dropped.
#[derive(Debug)]
struct HeldRole {
    attachment: Arc<Attachment>,
    role: Role,
    /// Whether the next holder can go on without a repair.
    clean: bool,
}

impl Claim {
    fn new(attachment: &Arc<Attachment>, role: Role) -> Result<Claim, ClaimError> {
        let is_alive = |record, generation| attachment.is_alive(record, generation);
        match role::claim(attachment.role_word(role), attachment.holder(), is_alive) {
            Ok(role::Granted { repair }) => {
                let held = HeldRole { attachment: attachment.clone(), role, clean: !repair };
                Ok(Claim { held, repair })
            }
            Err(role::Taken { by }) => {
                let pid = by.held_by().map_or(0, |(record, _)| attachment.pid_of(record));
                Err(ClaimError::RoleTaken { ring: (&**attachment.parts().name()).into(), role, pid })
            }
        }
    }

    /// The ring is in order, as far as this role is concerned.
    fn keep(mut self) -> HeldRole {
        self.held.clean = true;
        self.held
    }
}

impl Drop for HeldRole {
    fn drop(&mut self) {
        if !self.attachment.is_inherited() {
            role::give_up(self.attachment.role_word(self.role), self.attachment.holder(), self.clean);
        }
    }
}

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
    ring: producer::Producer<T, Mapped<T>>,
    role: HeldRole,
}

impl<T: Message> Producer<T> {
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
        match self.ring.push(&message) {
            Ok(true) => {
                // Its bytes are on their way: they are dropped at the other end.
                std::mem::forget(message);
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
        self.ring.push_slice(messages)
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
            Some(item) => Ok(Reserved::new(&mut self.ring, item)),
            None => Err(ReserveError::Full),
        }
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

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("spsc::Producer").field("parts", self.role.attachment.parts()).finish_non_exhaustive()
    }
}

/// The reading end of a ring. There is one at a time, in all processes together.
///
/// It can be sent to another thread, and not be shared by two. Dropping it gives up the role; messages that it has not
/// popped stay for the next consumer.
pub struct Consumer<T> {
    ring: consumer::Consumer<T, Mapped<T>>,
    role: HeldRole,
}

impl<T: Message> Consumer<T> {
    /// Pops the next message. Wait-free.
    ///
    /// When this returns a message, it has been handed over: if we are killed in the next instant it is not delivered
    /// again. Killed before that, it is delivered to the next consumer. To work on a message before it is handed over,
    /// use [`peek`](Consumer::peek).
    ///
    /// # Errors
    /// [`TryPopError::Empty`] when there is nothing; [`TryPopError::Closed`] when moreover the last producer has left in
    /// an orderly way (a later one opens the ring again; a producer that was killed looks like `Empty`, as finding out
    /// takes a system call: [`is_closed`](Consumer::is_closed)); [`TryPopError::Invalid`] when the bytes are no `T`, in
    /// which case they have been consumed and the ring goes on; [`TryPopError::Corrupted`] when somebody has scribbled
    /// on the ring.
    ///
    /// ```
    /// # use ringway::{Options, TryPopError, spsc};
    /// # let name = format!("doc-try_pop-{}", std::process::id());
    /// # let ring = spsc::Ring::create(&name, &Options::new().lifetime(ringway::Lifetime::LastDetach))?;
    /// let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// producer.try_push(1)?;
    /// assert_eq!(consumer.try_pop(), Ok(1));
    /// assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    /// drop(producer);
    /// assert_eq!(consumer.try_pop(), Err(TryPopError::Closed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_pop(&mut self) -> Result<T, TryPopError> {
        match self.ring.pop()? {
            Read::Got(message) => Ok(message),
            Read::Empty => Err(self.nothing_there()),
            Read::Invalid(invalid) => Err(TryPopError::Invalid(invalid)),
        }
    }

    /// Fills `messages` from the front with as many messages as there are, and returns how many: 0 when there are none.
    /// They are handed over all at once, when this returns. Wait-free.
    ///
    /// # Errors
    /// [`PopSliceError::Invalid`] when the *first* message is no `T`: it has been consumed. Before one that comes later
    /// it stops, and the next call reports it. [`PopSliceError::Corrupted`] when somebody has scribbled on the ring.
    #[inline]
    pub fn pop_slice(&mut self, messages: &mut [T]) -> Result<usize, PopSliceError> {
        match self.ring.pop_slice(messages)? {
            Read::Got(count) => Ok(count),
            Read::Empty => Ok(0),
            Read::Invalid(invalid) => Err(PopSliceError::Invalid(invalid)),
        }
    }

    /// Lends the next message where it lies, without copying it. It stays in the ring, also when we are killed, until
    /// [`Peek::release`] hands it over; dropping the guard leaves it for the next call. Wait-free.
    ///
    /// Only for types that are valid in every bit pattern, as the other process could change the bytes while we look at
    /// them. Other types come out of [`try_pop`](Consumer::try_pop), which copies them before it checks them.
    ///
    /// # Errors
    /// As [`try_pop`](Consumer::try_pop), without `Invalid`.
    pub fn peek(&mut self) -> Result<Peek<'_, T>, TryPopError>
    where
        T: zerocopy::FromBytes,
    {
        match self.ring.peek()? {
            Some(item) => Ok(Peek::new(&mut self.ring, item)),
            None => Err(self.nothing_there()),
        }
    }

    /// `Closed` or `Empty`, once nothing was found.
    fn nothing_there(&self) -> TryPopError {
        // Who pushes last and then leaves is seen to have left only after the push is seen: so look again.
        if self.role.attachment.has_left(Role::Producer) && self.is_empty() {
            return TryPopError::Closed;
        }
        TryPopError::Empty
    }

    /// How many messages the ring holds when it is full.
    pub fn capacity(&self) -> usize {
        self.role.attachment.parts().geometry().capacity
    }

    /// How many messages are in the ring: at least this many, as the producer may be pushing. 0 when the ring is
    /// corrupted.
    pub fn len(&self) -> usize {
        self.ring.len().unwrap_or(0)
    }

    /// Whether there is nothing to pop. If it says that there is something, the next pop finds it: nobody else pops.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty().unwrap_or(false)
    }

    /// Whether there is no room. If it says so, that stays true until we pop.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Who has the other end. Asks the kernel: about a microsecond.
    pub fn peer(&self) -> Peer {
        self.role.attachment.peer(Role::Producer)
    }

    /// Whether there was a producer, it has left or died, and everything it committed has been popped. Asks the kernel:
    /// about a microsecond.
    pub fn is_closed(&self) -> bool {
        self.role.attachment.has_gone(Role::Producer) && self.is_empty()
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("spsc::Consumer").field("parts", self.role.attachment.parts()).finish_non_exhaustive()
    }
}
