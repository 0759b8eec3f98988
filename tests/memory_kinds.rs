//! One set of contracts, on every kind of memory.

mod support;

#[macro_use]
#[path = "contracts/memory.rs"]
mod memory;

use support::be_the_other_process;

mod posix {
    use crate::support::memory::Posix;
    crate::with_contracts! { contract_tests! Posix }
}

mod folder {
    use crate::support::memory::InFolder;
    crate::with_contracts! { contract_tests! InFolder }
}

mod memfd {
    use crate::support::memory::Memfd;
    crate::with_contracts! { contract_tests! Memfd }
}

mod system_v {
    use crate::support::memory::SystemV;
    crate::with_contracts! { contract_tests! SystemV }
}

#[test]
#[ignore = "not a test: the other process of the tests in this file"]
fn the_other_process() {
    be_the_other_process(&memory::JOBS);
}
