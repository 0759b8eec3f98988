//! The one place that knows which world the code runs in: real atomics, or loom's.
//!
//! Everything an algorithm shares between threads goes through this module, so that the very code that is released is
//! the code that loom explores. It knows nothing of rings.

pub(crate) use core::sync::atomic::Ordering;

#[cfg(not(ringway_loom))]
pub(crate) use core::sync::atomic::AtomicU64;

#[cfg(ringway_loom)]
pub(crate) use loom::sync::atomic::AtomicU64;

/// The word at a place in mapped memory.
///
/// Mapped memory holds real atomics only. A model brings memory of its own, so under loom nothing can ask for one.
#[cfg(not(ringway_loom))]
#[inline(always)]
pub(crate) fn mapped(word: &core::sync::atomic::AtomicU64) -> &AtomicU64 {
    word
}

#[cfg(ringway_loom)]
pub(crate) fn mapped(_: &core::sync::atomic::AtomicU64) -> &AtomicU64 {
    unreachable!("a model runs on memory of its own, never on a mapping")
}
