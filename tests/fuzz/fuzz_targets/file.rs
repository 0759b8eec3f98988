//! Files that are spoilt before somebody attaches to them: see `support/fuzz`.
#![no_main]

#[allow(dead_code)] // what other tests need
#[path = "../../support/bytes.rs"]
mod bytes;
#[allow(dead_code)] // as above
#[path = "../../support/damage.rs"]
mod damage;
#[allow(dead_code)] // what the other target runs
#[path = "../../support/fuzz/mod.rs"]
mod fuzz;

use std::cell::RefCell;

thread_local! {
    static FUZZ: RefCell<fuzz::Fuzz> = RefCell::new(fuzz::Fuzz::new(&format!("ringway-fuzz-{}", std::process::id())));
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| FUZZ.with_borrow_mut(|fuzz| fuzz.file(data)));
