//! What an event promises, checked. `exhaustive` has every order of the protocol's steps, with store buffers, barriers
//! and deaths; `released` has the released code under loom, and the table of orderings.

#[cfg(all(test, not(ringway_loom)))]
mod exhaustive;
#[cfg(all(test, ringway_loom))]
mod released;
