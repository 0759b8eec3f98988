//! What the processes of this test tell each other: a page of counters that all of them share, whoever dies.

use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::OnceLock;

/// The most messages that a victim tells of.
const SEEN: usize = 64;

/// Zeros at first. Written by one process at a time, as the victim is stopped while the test looks.
#[derive(Debug)]
pub struct Board {
    /// Changes while the test gets on.
    pub heartbeat: Counter,
    /// The pid of the last victim, whose leftovers must go if the test itself dies.
    pub victim: Counter,
    /// Which of several stages the last victim plays on.
    pub stage: Counter,
    pub kill_points: Counter,
    /// Those that the kill points stand for: all of them, in each state of a ring.
    pub instructions: Counter,
    pub hung: Counter,
    pub lost: Counter,
    pub duplicated: Counter,
    /// Messages for which there was no room any more.
    pub capacity_lost: Counter,
    pub passed: Counter,
    pub failed: Counter,
    /// Takeovers of a role, those that were not granted at the first attempt, and the longest wait in microseconds.
    pub takeovers: Counter,
    pub takeovers_late: Counter,
    pub takeover_wait: Counter,
    /// Temporary files that dead creators left.
    pub temporaries: Counter,
    /// The pid of a child of the victim, which outlives it; 0 for none.
    pub orphan: Counter,
    /// From the victim: whether its operation has returned, how many messages it said were pushed, and which ones the
    /// application has got.
    pub returned: Counter,
    pub pushed: Counter,
    /// From the victim: a message that its application has looked at without having got it; 0 for none.
    pub looked_at: Counter,
    seen_count: Counter,
    seen: [Counter; SEEN],
}

/// A number in shared memory.
#[derive(Debug)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::SeqCst);
    }

    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::SeqCst);
    }
}

impl Board {
    /// The application of the victim has got this message.
    pub fn saw(&self, message: u64) {
        let count = self.seen_count.get();
        self.seen[count as usize].set(message);
        self.seen_count.set(count + 1);
    }

    pub fn seen(&self) -> Vec<u64> {
        self.seen[..self.seen_count.get() as usize].iter().map(Counter::get).collect()
    }

    /// For a new victim.
    pub fn wipe(&self) {
        self.returned.set(0);
        self.pushed.set(0);
        self.looked_at.set(0);
        self.seen_count.set(0);
    }
}

/// The board. The first call, before any fork, makes it.
pub fn board() -> &'static Board {
    static BOARD: OnceLock<&'static Board> = OnceLock::new();
    BOARD.get_or_init(|| {
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at a place that the kernel chooses.
        let page = unsafe { libc::mmap(null_mut(), size_of::<Board>(), access, flags, -1, 0) };
        assert_ne!(page, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
        let board = NonNull::new(page.cast::<Board>()).expect("a mapping");
        // SAFETY: it is aligned to a page, as long as a `Board`, never unmapped, and zeros are a valid `Board`: atomics.
        unsafe { board.as_ref() }
    })
}
