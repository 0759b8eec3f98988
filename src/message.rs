//! What may travel through a ring: plain data, checked when it arrives.
//!
//! Owns the question "are these bytes a `T`?" and nothing else; where the bytes come from is the ring's business.
#![allow(unsafe_code)]

use core::mem::{MaybeUninit, size_of};
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// A type that can travel between processes: plain data without padding, pointers or interior mutability.
///
/// It is implemented for every type that derives the four zerocopy traits; there is nothing to write by hand.
/// [`IntoBytes`] means that no padding byte leaks out of the sender, [`TryFromBytes`] that no invalid `bool`, `char` or
/// `enum` gets into the receiver. A type that also derives [`FromBytes`](zerocopy::FromBytes), so that every bit
/// pattern is valid, is received without any check and may be lent in place ([`peek`](crate::spsc::Consumer::peek)).
///
/// Both processes must have compiled the same layout: give the type `#[repr(C)]`. Its size is 1 byte to 2^31 bytes and
/// its alignment at most 64 bytes, and it has no `Drop`; a ring of any other type does not compile.
///
/// ```
/// use ringway::zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};
///
/// #[derive(Clone, Copy, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
/// #[zerocopy(crate = "ringway::zerocopy")]
/// #[repr(C)]
/// struct Order {
///     price: f64,
///     quantity: u32,
///     side: Side,
///     urgent: bool,
///     venue: [u8; 2],
/// }
///
/// #[derive(Clone, Copy, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
/// #[zerocopy(crate = "ringway::zerocopy")]
/// #[repr(u8)]
/// enum Side { Buy, Sell }
///
/// fn is_message<T: ringway::Message>() {}
/// is_message::<Order>();
/// ```
///
/// A type with padding is refused by the compiler, as its padding would carry whatever lay in the sender's memory:
///
/// ```compile_fail
/// # use ringway::zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};
/// #[derive(TryFromBytes, IntoBytes, Immutable, KnownLayout)]
/// #[zerocopy(crate = "ringway::zerocopy")]
/// #[repr(C)]
/// struct Padded { price: f64, urgent: bool }
/// ```
pub trait Message: TryFromBytes + IntoBytes + Immutable + KnownLayout + Send + Sized + 'static {}

impl<T: TryFromBytes + IntoBytes + Immutable + KnownLayout + Send + Sized + 'static> Message for T {}

/// Whether `candidate` holds a valid `T`. Compiles to `true` for a type that is valid in every bit pattern.
///
/// # Safety
/// Every byte of `candidate` is initialised, and nobody else writes to it during the call.
#[inline(always)]
pub(crate) unsafe fn is_valid<T: Message>(candidate: *const T) -> bool {
    // SAFETY: the caller says that all bytes are initialised and quiet; a reference to bytes needs no alignment, and
    // `Immutable` says that there is no interior mutability to see through it.
    let bytes = unsafe { core::slice::from_raw_parts(candidate.cast::<u8>(), size_of::<T>()) };
    T::try_ref_from_bytes(bytes).is_ok()
}

/// The value in what `fill` makes of zeros, or `None` when those bytes are no valid `T`, and what `fill` says.
#[inline(always)]
pub(crate) fn filled<T: Message, R>(fill: impl FnOnce(&mut [u8]) -> R) -> (Option<T>, R) {
    let mut candidate = MaybeUninit::<T>::zeroed();
    // SAFETY: all these bytes are ours, and initialised with zeros; whatever `fill` writes there, they stay initialised.
    let bytes = unsafe { core::slice::from_raw_parts_mut(candidate.as_mut_ptr().cast::<u8>(), size_of::<T>()) };
    let result = fill(bytes);
    // SAFETY: as above.
    (unsafe { assume_checked(candidate) }, result)
}

/// The value in `candidate`, or `None` when its bytes are no valid `T`.
///
/// # Safety
/// Every byte of `candidate` is initialised.
#[inline(always)]
pub(crate) unsafe fn assume_checked<T: Message>(candidate: MaybeUninit<T>) -> Option<T> {
    // SAFETY: initialised by the caller's word, and quiet because it is our local value.
    let valid = unsafe { is_valid(candidate.as_ptr()) };
    // SAFETY: the bytes have just been found to be a valid `T`.
    valid.then(|| unsafe { candidate.assume_init() })
}
