//! Messages as the bytes that the system carries.

use crate::contract::Payload;
use std::mem::MaybeUninit;

/// What came.
pub enum Received<T> {
    Whole(T),
    /// The first bytes of a message.
    Part(Vec<u8>),
}

/// A message that is received in the place where it will be returned from, without another copy. `read` initialises the
/// first bytes of that place, and returns them.
#[inline(always)]
pub fn receive<T: Payload, E>(
    read: impl for<'room> FnOnce(&'room mut [MaybeUninit<u8>]) -> Result<&'room mut [u8], E>,
) -> Result<Received<T>, E> {
    let mut place = MaybeUninit::<T>::uninit();
    let start = place.as_mut_ptr().cast::<MaybeUninit<u8>>();
    // SAFETY: these are the bytes of `place`, which need not be initialised, and nobody else refers to them.
    let room = unsafe { std::slice::from_raw_parts_mut(start, size_of::<T>()) };
    let got = read(room)?;
    if got.len() < size_of::<T>() {
        return Ok(Received::Part(got.to_vec()));
    }
    assert!(got.as_ptr().cast() == start, "`read` returned bytes from elsewhere");
    assert!(T::try_ref_from_bytes(got).is_ok(), "what came is no message of that type");
    // SAFETY: all its bytes are initialised, as they were lent to us as such, and are a valid message.
    Ok(Received::Whole(unsafe { place.assume_init() }))
}

/// The message that is in these bytes.
pub fn message<T: Payload>(bytes: &[u8]) -> T {
    T::try_read_from_bytes(bytes).unwrap_or_else(|_| panic!("these bytes are no message of that type"))
}

/// Has a message written where it lies in shared memory.
pub fn fill_in_place<T: Payload>(place: &mut MaybeUninit<T>, fill: impl FnOnce(&mut [u8])) {
    let start = place.as_mut_ptr().cast::<u8>();
    // SAFETY: these are the bytes of `place`. Those of shared memory are all initialised, as zeros to begin with.
    let bytes = unsafe { std::slice::from_raw_parts_mut(start, size_of::<T>()) };
    fill(bytes);
    assert!(T::try_ref_from_bytes(bytes).is_ok(), "what was written is no message of that type");
}
