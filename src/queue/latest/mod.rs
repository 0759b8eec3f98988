//! A typed object in shared memory: one process writes it, any number read it, and they get the newest value, whole.
//!
//! ```
//! use ringway::{Latest, Options};
//!
//! # let name = &format!("doc-latest-{}", std::process::id());
//! // One process ...
//! let object = Latest::<[f64; 3]>::create(name, &Options::new())?;
//! let mut writer = object.writer()?;
//! writer.write(&[1.0, 2.0, 3.0]);
//! writer.write(&[1.5, 2.5, 3.5]);
//!
//! // ... and any number of others.
//! let object = Latest::<[f64; 3]>::open(name)?;
//! let mut reader = object.reader();
//! assert_eq!(reader.read()?, Some([1.5, 2.5, 3.5]));
//! assert_eq!(reader.read_if_newer()?, None);
//!
//! Latest::<[f64; 3]>::unlink(name)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It is no queue: values that nobody has read in time are overwritten, and a value stays until there is a newer one. It
//! comes and goes as rings do: the same kinds of memory ([`Source`](crate::Source)), [`Options`](crate::Options),
//! errors and commands.
//!
//! # What is promised
//!
//! - Readers get whole values only: never a part of one and a part of another. In terms of the language there is no data
//!   race either.
//! - [`Writer::write`] is wait-free. It does not know of readers, and none can hold it up; only if some sleep, it takes a
//!   system call to wake them.
//! - [`Reader::read`] waits for nobody, not for a writer that is stopped or dead in the middle of a write either. It copies
//!   the value once, unless so many values as the [capacity](crate::Options::capacity) are written meanwhile: then it copies
//!   again, what is the newest then. After 100 times it gives up ([`ReadError::Overtaken`](crate::ReadError)).
//! - No reader ever sees a value that is older than one which it has seen.
//!
//! # What a death leaves behind
//!
//! | killed | effect |
//! |---|---|
//! | the writer, in `write` | the value is there as a whole or not at all; readers go on with the newest that is |
//! | the writer, at any time | the next [`writer()`](Latest::writer) goes on with the next version |
//! | a reader, at any time | none |

mod reader;
mod writer;

pub use super::role::Peer;
pub use reader::Reader;
pub use writer::Writer;

use super::ring::{Newest, Ring};
use super::role::Claim;
use crate::error::{ClaimError, Role};
use crate::message::Message;
use crate::ring::latest as algorithm;
use crate::ring::memory::Mapped;

/// A typed object in shared memory, attached to this process: see [`latest`](self).
pub type Latest<T> = Ring<T, Newest>;

impl<T: Message> Latest<T> {
    /// Claims the role of the one who writes, from nobody or from a dead process, and goes on with the version after the
    /// newest. (It is called the producer's role where others are told of it.)
    ///
    /// # Errors
    /// [`ClaimError::RoleTaken`] while another handle has the role, in this process or in another one that is alive.
    pub fn writer(&self) -> Result<Writer<T>, ClaimError> {
        let claim = Claim::new(&self.attachment, Role::Producer)?;
        let ring = algorithm::writer::Writer::take_over(Mapped::new(self.attachment.parts().clone()))?;
        Ok(Writer::new(ring, claim.keep()))
    }

    /// A handle that reads. There may be any number of them; they leave no trace.
    pub fn reader(&self) -> Reader<T> {
        let ring = algorithm::reader::Reader::new(Mapped::new(self.attachment.parts().clone()));
        Reader::new(ring, self.attachment.clone())
    }

    /// Who writes now. Asks the kernel: about a microsecond.
    pub fn peer(&self) -> Peer {
        self.attachment.peer(Role::Producer)
    }
}
