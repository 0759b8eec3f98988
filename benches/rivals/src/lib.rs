//! What ringway is measured against: each rival behind the interface that all candidates of the benches have.

pub mod candidates;
// The benches of ringway itself share it, which are no library and need no docs.
#[allow(missing_docs)]
#[path = "../../harness/mod.rs"]
pub mod harness;
pub mod rivals;

pub use harness::contract;
