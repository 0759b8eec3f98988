//! The reading end, as a user holds it.

use super::Peer;
use crate::error::{NewerError, ReadError, Role};
use crate::message::{self, Message};
use crate::queue::attachment::Attachment;
#[cfg(feature = "async")]
use crate::queue::reactor::Place;
use crate::queue::select::Case;
use crate::queue::waiting::{End, Look, Shared, Wait, Waited, Waiter, wait, wait_until};
use crate::ring::latest::TRIES;
use crate::ring::latest::reader::{self, Copied};
use crate::ring::memory::{Mapped, Overwritten};
use crate::wait::Event;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zerocopy::FromBytes;

/// A reading end of a [`Latest`](super::Latest). There may be any number, in any number of processes.
pub struct Reader<T> {
    ring: reader::Reader<Mapped<T, Overwritten>>,
    attachment: Arc<Attachment>,
    waiter: Waiter,
    /// The version that was read last.
    version: u64,
}

impl<T: Message> Reader<T> {
    pub(super) fn new(ring: reader::Reader<Mapped<T, Overwritten>>, attachment: Arc<Attachment>) -> Reader<T> {
        let waiter = attachment.waiter();
        Reader { ring, attachment, waiter, version: 0 }
    }

    /// The newest value; `None` as long as none was ever written. It takes one copy, and waits for nobody: see the
    /// [module](super) for a reader that is overtaken.
    ///
    /// # Errors
    /// [`ReadError`].
    #[inline]
    pub fn read(&mut self) -> Result<Option<T>, ReadError> {
        let (value, copied) = message::filled(|bytes| self.ring.copy(bytes));
        let Some(version) = self.copied(copied?)? else { return Ok(None) };
        self.version = version;
        match value {
            Some(value) => Ok(Some(value)),
            None => Err(self.invalid(version)),
        }
    }

    /// As [`read`](Self::read), if there is a newer value than the one that was read last.
    ///
    /// # Errors
    /// [`ReadError`].
    #[inline]
    pub fn read_if_newer(&mut self) -> Result<Option<T>, ReadError> {
        if self.ring.newest()? == self.version { Ok(None) } else { self.read() }
    }

    /// Reads the newest value into `value`, and says whether there is one: for values that are too large for the stack.
    /// After an error there is something in it that is no value of the writer's.
    ///
    /// ```
    /// use ringway::zerocopy::FromZeros;
    /// use ringway::{Latest, Options, Source};
    ///
    /// let frames = Latest::<[u8; 1 << 20]>::create(Source::heap(), &Options::new())?;
    /// let mut frame = <[u8; 1 << 20]>::new_box_zeroed().expect("a megabyte");
    /// frame.fill(7);
    /// frames.writer()?.write(&frame);
    ///
    /// let mut copy = <[u8; 1 << 20]>::new_box_zeroed().expect("a megabyte");
    /// assert!(frames.reader().read_into(&mut copy)?);
    /// assert!(frame == copy);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ReadError`], without `Invalid`.
    pub fn read_into(&mut self, value: &mut T) -> Result<bool, ReadError>
    where
        T: FromBytes,
    {
        let copied = self.ring.copy(value.as_mut_bytes())?;
        let version = self.copied(copied)?;
        self.version = version.unwrap_or(self.version);
        Ok(version.is_some())
    }

    /// Waits until there is a newer value than the one that was read last, and reads it: as [`set_wait`](Self::set_wait)
    /// says, by default awake for some microseconds, then asleep. Values that were overwritten meanwhile are passed over.
    ///
    /// # Errors
    /// [`NewerError::Closed`] when there was a writer and it has left or died; else [`NewerError::Read`].
    ///
    /// ```
    /// # use ringway::{Latest, NewerError, Options, Source};
    /// let object = Latest::<u64>::create(Source::heap(), &Options::new())?;
    /// let (mut writer, mut reader) = (object.writer()?, object.reader());
    /// let reader = std::thread::spawn(move || (reader.read_newer(), reader.read_newer()));
    /// writer.write(&7);
    /// drop(writer);
    /// assert_eq!(reader.join().unwrap(), (Ok(7), Err(NewerError::Closed)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_newer(&mut self) -> Result<T, NewerError> {
        self.read_newer_until(None)
    }

    /// As [`read_newer`](Self::read_newer), and gives up after `patience`.
    ///
    /// # Errors
    /// Those of `read_newer`, and [`NewerError::Timeout`].
    pub fn read_newer_timeout(&mut self, patience: Duration) -> Result<T, NewerError> {
        self.read_newer_until(Instant::now().checked_add(patience))
    }

    /// As [`read_newer`](Self::read_newer), and gives up at `deadline`.
    ///
    /// # Errors
    /// Those of `read_newer`, and [`NewerError::Timeout`].
    pub fn read_newer_deadline(&mut self, deadline: Instant) -> Result<T, NewerError> {
        self.read_newer_until(Some(deadline))
    }

    fn read_newer_until(&mut self, deadline: Option<Instant>) -> Result<T, NewerError> {
        let waited = wait(self, deadline, |reader| match reader.read_if_newer() {
            Ok(Some(value)) => Look::Done(Ok(value)),
            Ok(None) => Look::Nothing,
            Err(error) => Look::Done(Err(NewerError::Read(error))),
        });
        match waited {
            Waited::Done(result) => result,
            Waited::Closed => Err(NewerError::Closed),
            Waited::Timeout { .. } => Err(NewerError::Timeout),
        }
    }

    /// This handle as a case of [`select`](crate::select()), which waits for something in any of several rings: here for a
    /// newer value than the one that was read last, or for the writer to leave. Once it has left, this is chosen every
    /// time, until the next one comes ([`is_closed`](Self::is_closed)): take it out, and [wait for
    /// that](Self::wait_for_writer).
    pub fn case(&mut self) -> Case<'_> {
        Case::new(self)
    }

    /// Waits until there is a writer that is alive, for `patience` at most, and says whether there is.
    pub fn wait_for_writer(&self, patience: Duration) -> bool {
        wait_until(&self.attachment, patience, || matches!(self.peer(), Peer::Alive { .. }))
    }

    /// Whether there was a writer, it has left or died, and the newest value was read. The next writer opens it again. Asks
    /// the kernel: about a microsecond.
    pub fn is_closed(&self) -> bool {
        self.attachment.has_gone(Role::Producer) && self.ring.newest().is_ok_and(|newest| newest == self.version)
    }

    /// How this handle waits from now on.
    pub fn set_wait(&mut self, how: Wait) {
        self.waiter = Waiter::new(how);
    }

    /// The version of the value that was read last: how many were written until then, it included. 0 before the first.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Who writes now. Asks the kernel: about a microsecond.
    pub fn peer(&self) -> Peer {
        self.attachment.peer(Role::Producer)
    }

    #[inline(always)]
    fn copied(&self, copied: Copied) -> Result<Option<u64>, ReadError> {
        match copied {
            Copied::Version(version) => Ok(Some(version)),
            Copied::Nothing => Ok(None),
            Copied::Overtaken => Err(self.overtaken()),
        }
    }

    #[cold]
    fn overtaken(&self) -> ReadError {
        let parts = self.attachment.parts();
        let (ring, capacity) = ((&**parts.name()).into(), parts.geometry().capacity);
        ReadError::Overtaken { ring, attempts: TRIES, capacity }
    }

    #[cold]
    fn invalid(&self, version: u64) -> ReadError {
        let ring = (&**self.attachment.parts().name()).into();
        ReadError::Invalid { ring, version, expected: core::any::type_name::<T>() }
    }
}

impl<T: Message> End for Reader<T> {
    const ALONE: bool = false;
    const FOR_ALL: bool = true;

    fn waiter(&mut self) -> &mut Waiter {
        &mut self.waiter
    }

    fn attachment(&self) -> &Attachment {
        &self.attachment
    }

    #[cfg(feature = "async")]
    fn place(&self) -> Place {
        Place { parts: self.attachment.parts().clone(), is_room: false }
    }

    fn event(&self) -> Event<Shared<'_>> {
        Event(Shared(self.ring.memory().messages()))
    }

    fn is_forsaken(&mut self, asking: bool) -> bool {
        if asking { self.attachment.has_gone(Role::Producer) } else { self.attachment.has_left(Role::Producer) }
    }

    fn look_ahead(&mut self) -> Look<()> {
        // What is corrupted is for the operation to report.
        if self.ring.newest().is_ok_and(|newest| newest == self.version) { Look::Nothing } else { Look::Done(()) }
    }

    fn has_more(&mut self, _: usize) -> bool {
        false
    }
}

impl<T> fmt::Debug for Reader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("latest::Reader").field("parts", self.attachment.parts()).finish_non_exhaustive()
    }
}
