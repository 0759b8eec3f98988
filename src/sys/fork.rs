//! Was there a fork? For steps during which none may happen, as the child would keep what we are about to let go.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Once;

static BEGUN: AtomicU64 = AtomicU64::new(0);
static DONE: AtomicU64 = AtomicU64::new(0);

/// Watches for forks from its making on. (`vfork` and `posix_spawn` do not count: what they start gives up our memory
/// and descriptors with its exec.)
pub(crate) struct Watch {
    begun: u64,
    was_quiet: bool,
}

impl Watch {
    pub(crate) fn start() -> Watch {
        static REGISTERED: Once = Once::new();
        REGISTERED.call_once(|| {
            // SAFETY: the three functions live as long as the program, and only store to atomics, which may be done in
            // a forked child. When it fails, for want of memory, forks go unnoticed.
            let _ = unsafe { libc::pthread_atfork(Some(before), Some(after), Some(after)) };
        });
        let done = DONE.load(Ordering::SeqCst);
        let begun = BEGUN.load(Ordering::SeqCst);
        Watch { begun, was_quiet: begun == done }
    }

    /// Whether a fork may have happened since the start.
    pub(crate) fn saw_fork(&self) -> bool {
        !self.was_quiet || BEGUN.load(Ordering::SeqCst) != self.begun
    }
}

extern "C" fn before() {
    BEGUN.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn after() {
    DONE.fetch_add(1, Ordering::SeqCst);
}

#[cfg(all(test, not(ringway_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_fork_is_seen_by_who_watches_and_by_nobody_after() {
        let watch = Watch::start();
        // SAFETY: the child does nothing but end.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: ends the child without running anything of the parent's.
            unsafe { libc::_exit(0) };
        }
        // SAFETY: waits for our own child; a null status is allowed.
        assert_eq!(unsafe { libc::waitpid(child, core::ptr::null_mut(), 0) }, child);
        assert!(watch.saw_fork());
        assert!(!Watch::start().saw_fork());
    }
}
