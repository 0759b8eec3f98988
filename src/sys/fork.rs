//! Keeping forks away while a child would copy what only this process may have, and knowing that we are such a child.
#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Once;

/// How many forks lie between this process and the one that first asked.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// Taken by whoever must not be forked, and by every fork for as long as it takes.
///
/// NB: a lock of the C library, as one that is taken and released in two functions needs no guard there.
static GATE: Gate = Gate(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));

struct Gate(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: a mutex is there to be shared; nothing but the two functions of the C library below accesses it.
unsafe impl Sync for Gate {}

/// This process, as told from its forked children, whatever pids they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Incarnation {
    pid: u32,
    /// A child in a new pid namespace, or after pids came round, may have its parent's pid.
    forks: u64,
}

impl Incarnation {
    pub(crate) fn current() -> Incarnation {
        Incarnation { pid: super::process::pid(), forks: count() }
    }
}

/// How many forks lie between this process and the one that first asked.
pub(super) fn count() -> u64 {
    watch_forks();
    FORKS.load(Ordering::SeqCst)
}

/// No thread of this process forks while this lives: `fork` waits. (`vfork` and `posix_spawn` do not; what they start
/// gives up our memory and descriptors with its exec. A bare `clone` system call is on its own.)
#[derive(Debug)]
pub(crate) struct NoForks(PhantomData<*const ()>);

pub(crate) fn forbid() -> NoForks {
    watch_forks();
    lock();
    NoForks(PhantomData)
}

impl Drop for NoForks {
    fn drop(&mut self) {
        unlock();
    }
}

fn watch_forks() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        if cfg!(miri) {
            return; // it has no forks
        }
        // SAFETY: the three functions live as long as the program, and do only what may be done in a forked child. When
        // this fails, for want of memory, forks go unnoticed.
        let _ = unsafe { libc::pthread_atfork(Some(lock), Some(unlock), Some(in_child)) };
    });
}

extern "C" fn lock() {
    // SAFETY: the mutex is statically initialised and never moves.
    let _ = unsafe { libc::pthread_mutex_lock(GATE.0.get()) };
}

extern "C" fn unlock() {
    // SAFETY: as for `lock`; this thread holds it.
    let _ = unsafe { libc::pthread_mutex_unlock(GATE.0.get()) };
}

extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::SeqCst);
    unlock();
}

#[cfg(all(test, not(ringway_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_forked_child_is_another_incarnation() {
        let parent = Incarnation::current();
        // SAFETY: the child does nothing but compare numbers and end.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let other = FORKS.load(Ordering::SeqCst) != parent.forks;
            // SAFETY: ends the child without running anything of the parent's.
            unsafe { libc::_exit(i32::from(!other)) };
        }
        let mut status = -1;
        // SAFETY: waits for our own child.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0, "the child took itself for its parent");
        assert_eq!(Incarnation::current(), parent);
    }

    #[test]
    fn a_fork_waits_until_it_is_allowed() {
        let no_forks = forbid();
        let (forked, when_forked) = std::sync::mpsc::channel();
        let forking = std::thread::spawn(move || {
            // SAFETY: the child does nothing but end.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: ends the child without running anything of the parent's.
                unsafe { libc::_exit(0) };
            }
            forked.send(()).unwrap();
            // SAFETY: waits for our own child; a null status is allowed.
            unsafe { libc::waitpid(child, core::ptr::null_mut(), 0) }
        });
        for _ in 0..1000 {
            std::thread::yield_now();
            assert!(when_forked.try_recv().is_err(), "forked in spite of it");
        }
        drop(no_forks);
        when_forked.recv().unwrap();
        assert!(forking.join().unwrap() > 0);
    }
}
