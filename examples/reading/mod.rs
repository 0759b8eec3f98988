//! The record that `producer` and `consumer` exchange.

use ringway::zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// A text of fixed size, a flag, an integer and a float: 40 bytes, no padding, the same layout in every program.
#[derive(TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
pub struct Reading {
    pub station: [u8; 23],
    pub valid: bool,
    pub number: u64,
    pub celsius: f64,
}
