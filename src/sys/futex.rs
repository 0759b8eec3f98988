//! Sleeping until a word changes, in whatever process that happens.

use core::sync::atomic::AtomicU32;
use rustix::io::Errno;
use rustix::thread::futex::{self, Flags};
use rustix::thread::{MembarrierCommand, membarrier};
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::Duration;

/// Sleeps while `word` is `expected`, for `patience` at most. May wake for no reason.
pub(crate) fn wait(word: &AtomicU32, expected: u32, patience: Duration) {
    let patience = Timespec { tv_sec: patience.as_secs() as _, tv_nsec: patience.subsec_nanos().into() };
    // NB: not PRIVATE, as others sleep and wake in other processes. All that can go wrong is a reason to look again.
    let _ = futex::wait(word, Flags::empty(), expected, Some(&patience));
}

/// Wakes as many as `most` of those who sleep on `word`.
pub(crate) fn wake(word: &AtomicU32, most: u32) {
    // A word in shared memory can be named, so nothing can go wrong.
    let _ = futex::wake(word, Flags::empty(), most);
}

/// From now on, [`barrier_everywhere`] reaches this process. Says whether it does.
pub(crate) fn accept_barriers() -> bool {
    !cfg!(miri) && membarrier(MembarrierCommand::RegisterGlobalExpedited).is_ok()
}

/// A full memory barrier in every thread that runs, of all processes that have accepted it. Says whether it was there.
pub(crate) fn barrier_everywhere() -> bool {
    for _ in 0..100 {
        match membarrier(MembarrierCommand::GlobalExpedited) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result.is_ok(),
        }
    }
    false
}

/// The most words that one call can sleep on.
pub(crate) const MOST: usize = 128;

/// Sleeps while all `words`, at most [`MOST`], are as expected, for `patience` at most. May wake for no reason.
///
/// Where there is no such call it returns every millisecond.
pub(crate) fn wait_any<'w>(words: impl Iterator<Item = (&'w AtomicU32, u32)>, patience: Duration) {
    let mut waiters = [futex::Wait::new(); MOST];
    let mut count = 0;
    for ((word, expected), waiter) in words.zip(&mut waiters) {
        waiter.val = expected.into();
        waiter.uaddr = futex::WaitPtr::new(word.as_ptr().cast());
        waiter.flags = futex::WaitFlags::SIZE_U32;
        count += 1;
    }
    let now = clock_gettime(ClockId::Monotonic);
    let nanoseconds = now.tv_nsec + i64::from(patience.subsec_nanos());
    let deadline = Timespec {
        tv_sec: now.tv_sec.saturating_add_unsigned(patience.as_secs()).saturating_add(nanoseconds / 1_000_000_000),
        tv_nsec: nanoseconds % 1_000_000_000,
    };
    let flags = futex::WaitvFlags::empty();
    let slept = futex::waitv(&waiters[..count], flags, Some(&deadline), futex::ClockId::Monotonic);
    // Before Linux 5.16, in a sandbox, without memory.
    if matches!(slept, Err(error) if ![Errno::AGAIN, Errno::INTR, Errno::TIMEDOUT].contains(&error)) {
        std::thread::sleep(patience.min(Duration::from_millis(1)));
    }
}
