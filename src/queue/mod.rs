//! What a user holds: a ring in a segment, its handles, and how a process comes and goes.

mod attachment;
mod options;
mod role;
pub mod spsc;

pub use options::Options;
