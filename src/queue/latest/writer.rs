//! The writing end, as a user holds it.

use crate::message::Message;
use crate::queue::role::HeldRole;
use crate::queue::waiting::Shared;
use crate::ring::latest::writer;
use crate::ring::memory::{Mapped, Overwritten};
use crate::wait::{Event, Notifier};
use std::fmt;

/// The writing end of a [`Latest`](super::Latest). There is one at a time, in all processes together.
///
/// It can be sent to another thread, and not be shared by two. Dropping it gives up the role; the newest value stays.
pub struct Writer<T> {
    ring: writer::Writer<Mapped<T, Overwritten>>,
    role: HeldRole,
    notifier: Notifier,
}

impl<T: Message> Writer<T> {
    pub(super) fn new(ring: writer::Writer<Mapped<T, Overwritten>>, role: HeldRole) -> Writer<T> {
        let notifier = role.attachment.notifier();
        Writer { ring, role, notifier }
    }

    /// Makes `value` the newest, and wakes readers that wait for it. Wait-free, but for the system call that wakes those who
    /// sleep.
    ///
    /// When this returns, every reader that begins to read gets it, or a newer one, also if we are killed in the next
    /// instant. Killed before that, it is there as a whole or not at all.
    #[inline]
    pub fn write(&mut self, value: &T) {
        self.ring.write(value.as_bytes());
        Event(Shared(self.ring.memory().messages())).notify_all(&mut self.notifier);
    }

    /// How many values were written since it was created, by all writers one after the other: the version of the newest.
    pub fn version(&self) -> u64 {
        self.ring.version()
    }
}

impl<T> fmt::Debug for Writer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("latest::Writer").field("parts", self.role.attachment.parts()).finish_non_exhaustive()
    }
}
