//! A lock-free ring buffer in shared memory, for processes that must pass messages in nanoseconds and must not lose one
//! when a peer is killed.
//!
//! > **`kill -9` any process at any instruction.** The survivors do not hang, no committed message is lost, none is
//! > delivered twice, and full capacity comes back. Nobody calls a repair function.
//!
//! ```
//! use ringway::{Options, spsc};
//! # let name = &format!("doc-lib-{}", std::process::id());
//!
//! // One process:
//! let ring = spsc::Ring::<u64>::open_or_create(name, &Options::new().capacity(1024))?;
//! let mut producer = ring.producer()?;
//! producer.try_push(42)?;
//!
//! // Another, started before or after:
//! let ring = spsc::Ring::<u64>::open_or_create(name, &Options::new().capacity(1024))?;
//! let mut consumer = ring.consumer()?;
//! assert_eq!(consumer.try_pop()?, 42);
//!
//! // The name, and what is in the ring, stay until somebody unlinks it (see `Lifetime`).
//! spsc::Ring::<u64>::unlink(name)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`spsc`]: one producer, one consumer. [`mpmc`]: many of either; each message goes to one consumer. What a death
//!   leaves behind is said there, case by case.
//! - [`Latest`]: no queue, but one value that one process writes and any number read: always the newest, always whole.
//! - Each operation comes in two forms: `try_push` and `try_pop` return at once; `push` and `pop`, with time-outs,
//!   deadlines, iterators and batches, wait as [`Wait`] says. [`select()`] waits for several rings; the feature `async` has
//!   futures, a `Stream` and a `Sink`.
//! - [`Message`]: what can be sent.
//! - [`bytes`]: rings whose message size is known only when the program runs.
//! - [`inspect`]: looking at any ring, of whatever type, without being part of it; which rings there are.
//! - [`remove`]: removing names, and what creators that were killed have left.
//! - [`Options`], [`Lifetime`]: capacity, permissions, who removes the name.
//!
//! Where what lies, why it is right and what proves it: `ARCHITECTURE.md` in the repository.
//!
//! Linux only, on 64-bit machines. A segment belongs to the machine, and to the boot of it, that made it.
#![deny(unsafe_code)]

#[cfg(not(target_os = "linux"))]
compile_error!("ringway stands on open file description locks and renameat2, which only Linux has");

#[cfg(not(target_pointer_width = "64"))]
compile_error!("ringway needs 64-bit addresses: positions and file offsets are 64-bit numbers");

mod error;
pub mod inspect;
mod layout;
mod message;
mod queue;
mod recover;
mod registry;
mod ring;
mod segment;
mod sync;
mod sys;
mod wait;

pub use error::{
    ClaimError, Corrupted, CreateError, EvictError, FolderError, HeaderError, InspectError, Invalid, InvalidName,
    MemoryError, NewerError, OpenError, PopError, PopSliceError, PushAllError, PushError, PushSliceError, ReadError,
    ReserveError, Role, SystemVError, TryPopError, TryPushError, UnlinkError,
};
pub use layout::header::Lifetime;
pub use message::Message;
pub use queue::{
    Case, Iter, Kind, Latest, MOST_CASES, Mpmc, Newest, Options, Ring, Spsc, TryIter, Wait, bytes, latest, mpmc,
    remove, select, spsc,
};
#[cfg(feature = "async")]
pub use queue::{Messages, Pushes};
pub use recover::Recovered;
pub use segment::{HugePageSize, HugePages, Memory, MemoryKind, MemoryLock, Source};
/// What a message type derives its properties from. The derives need `#[zerocopy(crate = "ringway::zerocopy")]` when the
/// using crate has no dependency on zerocopy of its own.
pub use zerocopy;
