//! The one place that knows which world the code runs in: real atomics, or loom's.
//!
//! Everything an algorithm shares between threads goes through this module, so that the very code that is released is
//! the code that loom explores. It knows nothing of rings.

pub(crate) use core::sync::atomic::{Ordering, compiler_fence};

#[cfg(not(ringway_loom))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, fence};

#[cfg(ringway_loom)]
pub(crate) use {
    loom::sync::atomic::fence,
    mortal::{AtomicU32, AtomicU64},
};

macro_rules! mapped {
    ($name:ident, $real:ty, $word:ty) => {
        /// What is at a place in mapped memory.
        ///
        /// Mapped memory holds real atomics only. A model brings memory of its own, so under loom nothing can ask for one.
        #[cfg(not(ringway_loom))]
        #[inline(always)]
        pub(crate) fn $name(word: &$real) -> &$word {
            word
        }

        #[cfg(ringway_loom)]
        pub(crate) fn $name(_: &$real) -> &$word {
            unreachable!("a model runs on memory of its own, never on a mapping")
        }
    };
}
mapped!(mapped, core::sync::atomic::AtomicU64, AtomicU64);
mapped!(mapped_u32, core::sync::atomic::AtomicU32, AtomicU32);
mapped!(mapped_words, [core::sync::atomic::AtomicU64], [AtomicU64]);

/// loom's atomics, in threads that a model can kill at any of their steps.
#[cfg(ringway_loom)]
pub(crate) mod mortal {
    use super::Ordering;
    use core::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    const IMMORTAL: usize = usize::MAX;

    loom::thread_local! {
        static STEPS_LEFT: Cell<usize> = Cell::new(IMMORTAL);
    }

    /// What a dying thread is unwound with.
    struct Died;

    /// Lives a life of at most `steps` steps. `None` says that it was cut short; all that it stored before is there.
    ///
    /// Death is an unwind, so `life` must own nothing whose `Drop` touches shared memory: the dead do not clean up.
    pub(crate) fn at_most<R>(steps: usize, life: impl FnOnce() -> R) -> Option<R> {
        STEPS_LEFT.with(|left| left.set(steps));
        let end = catch_unwind(AssertUnwindSafe(life));
        STEPS_LEFT.with(|left| left.set(IMMORTAL));
        match end {
            Ok(result) => Some(result),
            Err(cause) if cause.is::<Died>() => None,
            // A failed check of the model, or a race that loom found.
            Err(cause) => resume_unwind(cause),
        }
    }

    /// Something that other threads can notice is about to happen: the place to die at. Every atomic operation is a
    /// step; a model's memory makes the copy of each item one as well.
    pub(crate) fn step() {
        let left = STEPS_LEFT.with(Cell::get);
        if left == 0 {
            resume_unwind(Box::new(Died));
        }
        if left != IMMORTAL {
            STEPS_LEFT.with(|steps| steps.set(left - 1));
        }
    }

    macro_rules! word {
        ($word:ident, $value:ident) => {
            /// A word of which loom explores every order of accesses.
            ///
            /// NB: loom remembers only the last access of each word, to find out whose order is worth exchanging. A load
            /// by one thread so hides an earlier load by another from the store that comes next, and the order in which
            /// the hidden load finds that store is never tried. Each load therefore also stores to `loads`, which nobody
            /// reads: loads have an order now, every one of which is tried, so none stays hidden. Relaxed, so as to
            /// synchronise nothing.
            #[derive(Debug)]
            pub(crate) struct $word {
                word: loom::sync::atomic::$word,
                loads: loom::sync::atomic::$word,
            }

            impl $word {
                pub(crate) fn new(value: $value) -> $word {
                    let word = loom::sync::atomic::$word::new(value);
                    $word { word, loads: loom::sync::atomic::$word::new(0) }
                }

                pub(crate) fn load(&self, order: Ordering) -> $value {
                    step();
                    self.loads.store(0, Ordering::Relaxed);
                    self.word.load(order)
                }

                pub(crate) fn store(&self, value: $value, order: Ordering) {
                    step();
                    self.word.store(value, order);
                }

                pub(crate) fn compare_exchange(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    step();
                    self.word.compare_exchange(current, new, success, failure)
                }
            }
        };
    }
    word!(AtomicU32, u32);
    word!(AtomicU64, u64);

    impl AtomicU64 {
        pub(crate) fn fetch_add(&self, more: u64, order: Ordering) -> u64 {
            step();
            self.word.fetch_add(more, order)
        }
    }
}
