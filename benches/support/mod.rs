//! What the benches share: two cores, two sides, and what is run between them.

pub mod cores;
pub mod job;
pub mod limits;
pub mod link;
pub mod queues;
pub mod shared;
pub mod sides;
pub mod summary;
