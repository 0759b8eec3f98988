//! What a user holds: a ring in a segment, its handles, and how a process comes and goes.

#[cfg(feature = "async")]
mod asynchronous;
mod attachment;
mod blocking;
pub mod bytes;
pub mod latest;
pub mod mpmc;
mod options;
#[cfg(feature = "async")]
mod reactor;
pub mod remove;
mod ring;
mod role;
mod select;
pub mod spsc;
mod waiting;

#[cfg(feature = "async")]
pub use asynchronous::{Messages, Pushes};
pub use blocking::{Iter, TryIter};
pub use latest::Latest;
pub use options::Options;
pub use ring::{Kind, Mpmc, Newest, Ring, Spsc};
pub use select::{Case, MOST_CASES, select};
pub use waiting::Wait;
