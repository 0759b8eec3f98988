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
    kind: Kind,
    process: Incarnation,
}

/// By which call it goes.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Mapped,
    /// A System V segment. It goes as a whole: in huge pages it may be mapped further than it is long, and what is no
    /// whole number of them cannot be unmapped.
    Attached,
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
        Mapping::of_our_own(base, length, Kind::Mapped)
    }

    /// The first `length` bytes of `file`, which must be as long.
    pub(crate) fn of_file(file: impl AsFd, length: usize) -> io::Result<Mapping> {
        let _until_marked = fork::forbid();
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at a place that the kernel chooses.
        let base = unsafe { rustix::mm::mmap(core::ptr::null_mut(), length, access, MapFlags::SHARED, file, 0) }?;
        Mapping::of_our_own(base, length, Kind::Mapped)
    }

    /// New memory, for this process alone. `huge` says of which pages of the pool.
    pub(crate) fn private(length: usize, huge: MapFlags) -> io::Result<Mapping> {
        let _until_marked = fork::forbid();
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at a place that the kernel chooses.
        let base =
            unsafe { rustix::mm::mmap_anonymous(core::ptr::null_mut(), length, access, MapFlags::PRIVATE | huge) }?;
        Mapping::of_our_own(base, length, Kind::Mapped)
    }

    /// The `length` bytes of a System V segment that `attach` attaches, somewhere else than where anything is.
    pub(crate) fn attached(length: usize, attach: impl FnOnce() -> io::Result<*mut c_void>) -> io::Result<Mapping> {
        let _until_marked = fork::forbid();
        Mapping::of_our_own(attach()?, length, Kind::Attached)
    }

    /// A page that cannot be accessed, and that keeps the description behind `file` open without a descriptor. To be
    /// called where [forks are forbidden](fork::forbid).
    pub(crate) fn anchor(file: impl AsFd) -> io::Result<Mapping> {
        // NB: of a file in huge pages nothing smaller can be mapped, marked and unmapped.
        let length = rustix::param::page_size().max(rustix::fs::fstat(&file)?.st_blksize as usize);
        // SAFETY: a new mapping at a place that the kernel chooses.
        let base =
            unsafe { rustix::mm::mmap(core::ptr::null_mut(), length, ProtFlags::empty(), MapFlags::SHARED, file, 0) }?;
        Mapping::of_our_own(base, length, Kind::Mapped)
    }

    /// The same memory at an address that is a multiple of `size`, a power of two, so that it can be mapped in pages of
    /// that size.
    pub(crate) fn aligned_to(self, size: usize) -> io::Result<Mapping> {
        if self.base.addr().get() % size == 0 {
            return Ok(self);
        }
        let _until_moved = fork::forbid();
        let room = self.length.next_multiple_of(rustix::param::page_size()) + size;
        let nowhere = core::ptr::null_mut();
        // SAFETY: a new mapping at a place that the kernel chooses, which nobody can access.
        let found = unsafe { rustix::mm::mmap_anonymous(nowhere, room, ProtFlags::empty(), MapFlags::PRIVATE) }?;
        let offset = found.addr().next_multiple_of(size) - found.addr();
        // SAFETY: the offset is less than `size`, so it lies within what has just been mapped.
        let target = unsafe { found.byte_add(offset) };
        let flags = MremapFlags::MAYMOVE;
        // SAFETY: our own mapping, of which nobody has an address yet, moves to where nothing but our own room is.
        let moved = unsafe { rustix::mm::mremap_fixed(self.base.as_ptr(), self.length, self.length, flags, target) };
        let end = self.length.next_multiple_of(rustix::param::page_size());
        let rest = match moved {
            Ok(_) => [(0, offset), (offset + end, room - offset - end)],
            Err(_) => [(0, room), (0, 0)],
        };
        for (start, length) in rest.into_iter().filter(|&(_, length)| length > 0) {
            // SAFETY: it lies within the room.
            let start = unsafe { found.byte_add(start) };
            // SAFETY: what is left of the room, in which there is nothing.
            let _ = unsafe { rustix::mm::munmap(start, length) };
        }
        let base = NonNull::new(moved?).ok_or(io::ErrorKind::OutOfMemory)?;
        let mapping = Mapping { base, ..self };
        core::mem::forget(self);
        Ok(mapping)
    }

    fn of_our_own(base: *mut c_void, length: usize, kind: Kind) -> io::Result<Mapping> {
        let base = NonNull::new(base).ok_or(io::ErrorKind::OutOfMemory)?;
        let mapping = Mapping { base, length, kind, process: Incarnation::current() };
        if !cfg!(miri) {
            // SAFETY: the range is the mapping that has just been made, and nobody else knows of it.
            unsafe { rustix::mm::madvise(base.as_ptr(), length, Advice::LinuxDontFork) }?;
        }
        Ok(mapping)
    }

    /// The first byte, aligned to a page.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base.cast()
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Whether it is there: not in a forked child of the process that mapped it.
    pub(crate) fn is_here(&self) -> bool {
        Incarnation::current() == self.process
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // In a forked child nothing of ours is mapped there, but something of the child's may be.
        if !self.is_here() {
            return;
        }
        match self.kind {
            Kind::Mapped => {
                // SAFETY: the range is ours, and whoever used it has given up this value.
                let _ = unsafe { rustix::mm::munmap(self.base.as_ptr(), self.length) };
            }
            Kind::Attached => {
                // SAFETY: as above.
                unsafe { libc::shmdt(self.base.as_ptr()) };
            }
        }
    }
}
