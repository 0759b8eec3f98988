//! Operations that wait, on an MPMC ring: what holds on both kinds.

mod support;

#[path = "contracts/closing.rs"]
mod closing;
#[path = "contracts/waiting.rs"]
mod waiting;

use support::be_the_other_process;
use support::kinds::mpmc as kind;

#[test]
#[ignore = "the other process of the tests here"]
fn the_other_process() {
    be_the_other_process(&closing::JOBS);
}
