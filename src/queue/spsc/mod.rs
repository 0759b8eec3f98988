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
pub(super) mod erased;
mod guards;
mod producer;

pub use super::role::Peer;
pub use consumer::Consumer;
pub use guards::{Peek, Reserved};
pub use producer::Producer;

use super::ring::{self, Spsc};
use super::role::Claim;
use crate::error::{ClaimError, Role};
use crate::message::Message;
use crate::ring::memory::Mapped;
use crate::ring::spsc as algorithm;

/// A named ring for one producer and one consumer.
pub type Ring<T> = ring::Ring<T, Spsc>;

impl<T: Message> Ring<T> {
    /// Claims the producer's role, from nobody or from a dead process, and goes on where the last producer stopped: with
    /// the message after the last one that was committed. What a dead producer had not committed never existed.
    ///
    /// Takes a microsecond, and after a death the time to look at each cell once.
    ///
    /// # Errors
    /// [`ClaimError::RoleTaken`] while another handle has the role, in this process or in another one that is alive.
    pub fn producer(&self) -> Result<Producer<T>, ClaimError> {
        let claim = Claim::new(&self.attachment, Role::Producer)?;
        let ring =
            algorithm::producer::Producer::take_over(Mapped::new(self.attachment.parts().clone()), claim.repair)?;
        Ok(Producer::new(ring, claim.keep()))
    }

    /// Claims the consumer's role, from nobody or from a dead process, and goes on with the first message that was not
    /// handed over.
    ///
    /// # Errors
    /// [`ClaimError::RoleTaken`] while another handle has the role, in this process or in another one that is alive.
    pub fn consumer(&self) -> Result<Consumer<T>, ClaimError> {
        let claim = Claim::new(&self.attachment, Role::Consumer)?;
        let ring = algorithm::consumer::Consumer::take_over(Mapped::new(self.attachment.parts().clone()))?;
        Ok(Consumer::new(ring, claim.keep()))
    }

    /// Who has a role now. Asks the kernel: about a microsecond.
    pub fn peer(&self, role: Role) -> Peer {
        self.attachment.peer(role)
    }
}
