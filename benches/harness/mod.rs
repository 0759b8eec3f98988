//! The method of all measurements: two cores, sides on them that start together, and rounds in which all candidates take
//! turns. Our rings and the limits of the machine are candidates here; each program adds its own.
//!
//! The benches, `ringway bench` and the comparison with rivals share these files. They depend on nothing but ringway,
//! rustix, libc and hdrhistogram.

pub mod channel;
pub mod contract;
pub mod cores;
pub mod crowd;
pub mod in_place;
pub mod job;
pub mod limits;
pub mod link;
pub mod recovery;
pub mod rings;
pub mod rounds;
pub mod shared;
pub mod sides;
pub mod sleepers;
pub mod timed;
