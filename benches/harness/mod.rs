//! What the benches share: two cores, two sides or many, and what is run between them.

pub mod contract;
pub mod cores;
pub mod crowd;
pub mod job;
pub mod limits;
pub mod link;
pub mod mpmc_summary;
pub mod program;
pub mod queues;
pub mod recovery;
pub mod rounds;
pub mod shared;
pub mod sides;
pub mod sleepers;
pub mod summary;
pub mod vyukov;
