//! The algorithms, over memory that somebody else provides. A ring cannot sleep, read a clock, or learn who is alive.

pub(crate) mod erased;
pub(crate) mod latest;
pub(crate) mod memory;
#[cfg(all(test, ringway_loom))]
mod models;
pub(crate) mod mpmc;
pub(crate) mod spsc;
