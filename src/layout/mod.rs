//! The bytes of a segment: where everything lies, and the arithmetic that follows from it. No algorithm.
//!
//! This is the ABI between processes. All numbers have a fixed width and the machine's byte order, all places are
//! offsets from the start of the segment, and there are no pointers. Change anything here and [`header::VERSION`] must
//! change with it.
//!
//! ```text
//! 0          512          1152                  4096-aligned
//! | Header    | Control    | Record x processes  | cell x cells            |
//! |           | head       |                     | u64 | item item ...     |
//! |           | tail       |                     |
//! |           | roles      |                     | SPSC: the u64 is a tag  |
//! |           | orphans    |                     | MPMC: a word            |
//! |           | obstacle   |                     | Latest: a version       |
//! ```

pub(crate) mod cell;
pub(crate) mod control;
pub(crate) mod geometry;
pub(crate) mod header;
pub(crate) mod parts;
pub(crate) mod tag;
