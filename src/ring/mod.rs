//! The algorithms, over memory that somebody else provides. A ring cannot sleep, read a clock, or learn who is alive.

pub(crate) mod memory;
pub(crate) mod spsc;
