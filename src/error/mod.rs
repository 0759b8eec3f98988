//! What can go wrong, one type per operation. Each names the ring, what was found, what was expected, what to do.

mod inspect;
mod ring;
mod segment;
mod waiting;

pub use inspect::InspectError;
pub use ring::{
    ClaimError, Corrupted, EvictError, Invalid, PopSliceError, PushSliceError, ReserveError, Role, TryPopError,
    TryPushError,
};
pub use segment::{CreateError, HeaderError, InvalidName, OpenError, UnlinkError};
pub use waiting::{PopError, PushAllError, PushError};
