//! What ringway is measured against: each rival behind the interface that all candidates of the benches have.

// The benches of ringway itself share it, which are no library and need no docs.
#[allow(missing_docs)]
#[path = "../../harness/contract.rs"]
pub mod contract;
pub mod rivals;
