//! What can go wrong, one type per operation. Each names the ring, what was found, what was expected, what to do.

mod header;
mod inspect;
mod latest;
mod memory;
mod name;
mod ring;
mod segment;
mod system_v;
mod waiting;

pub use header::HeaderError;
pub use inspect::InspectError;
pub use latest::{NewerError, ReadError};
pub use memory::MemoryError;
pub use name::{FolderError, InvalidName};
pub use ring::{
    ClaimError, Corrupted, EvictError, Invalid, PopSliceError, PushSliceError, ReserveError, Role, TryPopError,
    TryPushError,
};
pub use segment::{CreateError, OpenError, UnlinkError};
pub use system_v::SystemVError;
pub use waiting::{PopError, PushAllError, PushError};
