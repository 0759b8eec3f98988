//! A lock-free ring buffer in shared memory.
#![deny(unsafe_code)]
#![allow(dead_code)]

mod error;
mod layout;
mod message;
mod registry;
mod ring;
mod sync;

pub use error::{
    ClaimError, Corrupted, CreateError, HeaderError, Invalid, InvalidName, OpenError, PopSliceError, ReserveError,
    Role, TryPopError, TryPushError, UnlinkError,
};
pub use layout::header::Lifetime;
pub use message::Message;
pub use zerocopy;
