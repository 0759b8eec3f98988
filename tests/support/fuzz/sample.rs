//! Messages of which it shows whether they are valid.

use ringway::Message;
use ringway::zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};
use std::hint::black_box;

/// Valid in few patterns of bits.
#[derive(Clone, Copy, Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
pub struct Checked {
    flag: bool,
    rest: [u8; 7],
}

/// A message, and proof that one which came out is a valid one.
pub trait Sample: Message + Copy {
    const SAMPLE: Self;

    fn check(&self) {
        black_box(self.as_bytes());
    }
}

impl Sample for u8 {
    const SAMPLE: u8 = 6;
}

impl Sample for u64 {
    const SAMPLE: u64 = 6;
}

impl Sample for [u64; 9] {
    const SAMPLE: [u64; 9] = [6; 9];
}

impl Sample for Checked {
    const SAMPLE: Checked = Checked { flag: true, rest: [6; 7] };

    fn check(&self) {
        // The bytes as they are, not as the compiler may assume that they are.
        assert!(black_box(self.as_bytes())[0] < 2, "{:?} is no message", self.as_bytes());
    }
}
