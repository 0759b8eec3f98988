//! What a user holds: a ring in a segment, its handles, and how a process comes and goes.

mod attachment;
pub mod mpmc;
mod options;
mod ring;
mod role;
pub mod spsc;

pub use options::Options;
pub use ring::{Kind, Mpmc, Ring, Spsc};
