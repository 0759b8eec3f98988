//! A range of mapped memory that belongs to this process and to none of its forks.
#![allow(unsafe_code)]

use super::fork::{self, Incarnation};
use core::ffi::c_void;
use core::ptr::NonNull;
use rustix::mm::{Advice, MapFlags, MremapFlags, ProtFlags};
use shared_memory::Shmem;
use std::io;
use std::os::fd::AsFd;

/// Mapped memory, unmapped on drop. A forked child has nothing at its address: a child must not share its parent's
/// handles, and must not keep its parent's locks.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<c_void>,
    length: usize,
    process: Incarnation,
}

// SAFETY: it is an address and a length; what threads do with the memory behind it is the business of whoever reads or
// writes there. Unmapping is possible from any thread.
unsafe impl Send for Mapping {}
// SAFETY: as above; no method changes the value.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// The memory of `shmem`, freed from what else a [`Shmem`] does.
    ///
    /// NB: it unlinks by name when its owner drops it, whatever has that name by then, it keeps a descriptor whose
    /// number somebody else may own after a `closefrom`, and it cannot be sent between threads. So we map its pages a
    /// second time and let go of it at once.
    pub(crate) fn adopt(mut shmem: Shmem) -> io::Result<Mapping> {
        shmem.set_owner(false);
        let _until_marked = fork::forbid();
        let length = shmem.len();
        // SAFETY: an old size of 0 on a shared mapping maps its pages once more, at a place that the kernel chooses, and
        // leaves the old mapping as it is (mremap(2)).
        let base = unsafe { rustix::mm::mremap(shmem.as_ptr().cast(), 0, length, MremapFlags::MAYMOVE) }?;
        Mapping::of_our_own(base, length)
    }

    /// The first `length` bytes of `file`, which must be as long.
    pub(crate) fn of_file(file: impl AsFd, length: usize) -> io::Result<Mapping> {
        let _until_marked = fork::forbid();
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at a place that the kernel chooses.
        let base = unsafe { rustix::mm::mmap(core::ptr::null_mut(), length, access, MapFlags::SHARED, file, 0) }?;
        Mapping::of_our_own(base, length)
    }

    /// New memory, for this process alone.
    pub(crate) fn private(length: usize) -> io::Result<Mapping> {
        let _until_marked = fork::forbid();
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at a place that the kernel chooses.
        let base = unsafe { rustix::mm::mmap_anonymous(core::ptr::null_mut(), length, access, MapFlags::PRIVATE) }?;
        Mapping::of_our_own(base, length)
    }

    /// A page that cannot be accessed, and that keeps the description behind `file` open without a descriptor. To be
    /// called where [forks are forbidden](fork::forbid).
    pub(crate) fn anchor(file: impl AsFd) -> io::Result<Mapping> {
        // NB: of a file in huge pages nothing smaller can be mapped, marked and unmapped.
        let length = rustix::param::page_size().max(rustix::fs::fstat(&file)?.st_blksize as usize);
        // SAFETY: a new mapping at a place that the kernel chooses.
        let base =
            unsafe { rustix::mm::mmap(core::ptr::null_mut(), length, ProtFlags::empty(), MapFlags::SHARED, file, 0) }?;
        Mapping::of_our_own(base, length)
    }

    fn of_our_own(base: *mut c_void, length: usize) -> io::Result<Mapping> {
        let base = NonNull::new(base).ok_or(io::ErrorKind::OutOfMemory)?;
        let mapping = Mapping { base, length, process: Incarnation::current() };
        // (Miri has no forks, and so no word for it.)
        #[cfg(not(miri))]
        // SAFETY: the range is the mapping that has just been made, and nobody else knows of it.
        unsafe { rustix::mm::madvise(base.as_ptr(), length, Advice::LinuxDontFork) }?;
        Ok(mapping)
    }

    /// The first byte, aligned to a page.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base.cast()
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // In a forked child nothing of ours is mapped there, but something of the child's may be.
        if Incarnation::current() == self.process {
            // SAFETY: the range is ours, and whoever used it has given up this value.
            let _ = unsafe { rustix::mm::munmap(self.base.as_ptr(), self.length) };
        }
    }
}
