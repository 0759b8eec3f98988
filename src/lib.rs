//! A lock-free ring buffer in shared memory, for processes that must pass messages in nanoseconds and must not lose one
//! when a peer is killed.
#![deny(unsafe_code)]

mod error;
mod layout;
mod message;
mod queue;
mod registry;
mod ring;
mod segment;
mod sync;
mod sys;

pub use error::{
    ClaimError, Corrupted, CreateError, HeaderError, Invalid, InvalidName, OpenError, PopSliceError, ReserveError,
    Role, TryPopError, TryPushError, UnlinkError,
};
pub use layout::header::Lifetime;
pub use message::Message;
pub use queue::{Options, spsc};
/// What a message type derives its properties from. The derives need `#[zerocopy(crate = "ringway::zerocopy")]` when the
/// using crate has no dependency on zerocopy of its own.
pub use zerocopy;
