//! A few words and buffers that two threads, or two processes, share: for the start signal and for the limits.
//!
//! The memory has no name, so that nothing stays behind whatever becomes of us. The other process gets it through the
//! descriptor table of the first.
#![allow(unsafe_code)]

use rustix::fs::{MemfdFlags, Mode, OFlags};
use rustix::mm::{MapFlags, ProtFlags};
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

/// Words lie this far apart, so that no two share a line, nor a pair of lines that a core fetches together.
const APART: usize = 128;
const WORDS: usize = 32;

// What the words are for.

/// How many sides have arrived, in all turns so far.
pub const ARRIVED: usize = 0;
/// The turn that may begin.
pub const OPEN: usize = 1;
/// How many sides are done, in all turns so far, and how many of them lost their core meanwhile.
pub const DONE: usize = 2;
pub const DISTURBED: usize = 3;
/// Sums of what was pushed and popped by the sides that cannot verify each message by themselves.
pub const PUSHED: usize = 4;
pub const POPPED: usize = 5;
/// For what is between the sides, where that is no queue.
pub const FREE: usize = 8;

/// Where the buffers begin: on a page of their own.
const BUFFERS: usize = WORDS * APART;

/// Where a process finds the [`Shared`] of another.
pub fn path_of(shared: &Shared) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), shared.file.as_raw_fd())
}

/// Memory that both sides map.
pub struct Shared {
    base: NonNull<u8>,
    buffers: usize,
    file: OwnedFd,
}

// SAFETY: it is shared memory, which every thread may reach; all that it lends are atomics and raw pointers.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// Fresh memory, all zeros, with so many bytes of buffers.
    pub fn new(buffers: usize) -> Shared {
        let file = rustix::fs::memfd_create("ringway-bench", MemfdFlags::CLOEXEC).expect("anonymous memory");
        rustix::fs::ftruncate(&file, (BUFFERS + buffers) as u64).expect("room in anonymous memory");
        Shared::map(file, buffers)
    }

    /// The memory of another process.
    pub fn open(path: &str, buffers: usize) -> Shared {
        let file = rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).expect("our parent's memory");
        let found = rustix::fs::fstat(&file).expect("the size of our parent's memory").st_size;
        assert_eq!(found as usize, BUFFERS + buffers, "our parent made this for another measurement");
        Shared::map(file, buffers)
    }

    fn map(file: OwnedFd, buffers: usize) -> Shared {
        let length = BUFFERS + buffers;
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED | MapFlags::POPULATE);
        // SAFETY: a new mapping at a place of the kernel's choice disturbs nobody.
        let base = unsafe { rustix::mm::mmap(std::ptr::null_mut(), length, access, flags, &file, 0) };
        let base = NonNull::new(base.expect("a mapping").cast()).expect("a mapping is not at 0");
        Shared { base, buffers, file }
    }

    /// A word with lines of its own.
    pub fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < WORDS);
        // SAFETY: the words lie at the start of the mapping, which is larger.
        let word = unsafe { self.base.add(index * APART) };
        // SAFETY: it is aligned, mapped for as long as `self` lives, and only ever accessed as an atomic.
        unsafe { word.cast().as_ref() }
    }

    /// The start of `length` bytes of buffers, `offset` bytes after the first.
    pub fn buffer(&self, offset: usize, length: usize) -> NonNull<u8> {
        assert!(offset + length <= self.buffers);
        // SAFETY: it was just found to lie inside the mapping.
        unsafe { self.base.add(BUFFERS + offset) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: it is our own mapping, of that length, and whatever was lent from it borrowed `self`, or belongs to a
        // side that is kept beside an `Arc` of it.
        let unmapped = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), BUFFERS + self.buffers) };
        debug_assert!(unmapped.is_ok());
    }
}
