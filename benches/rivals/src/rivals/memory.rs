//! Shared memory of a file, for what is built by hand in it.

use super::names::at;
use rustix::mm::{MapFlags, ProtFlags};
use std::fs::File;
use std::path::Path;
use std::ptr::NonNull;

/// A mapping of a whole file.
#[derive(Debug)]
pub struct Memory {
    base: NonNull<u8>,
    length: usize,
}

// SAFETY: it only says where the memory is; whoever uses it has to see to it that nothing is used by two at once.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// A new file, all zeros.
    pub fn create(path: &Path, length: usize) -> Result<Memory, String> {
        let file = File::options().read(true).write(true).create_new(true).open(path).map_err(at(path))?;
        file.set_len(length as u64).map_err(at(path))?;
        Memory::map(&file, length).map_err(at(path))
    }

    /// The file of somebody else.
    pub fn open(path: &Path) -> Result<Memory, String> {
        let file = File::options().read(true).write(true).open(path).map_err(at(path))?;
        let length = file.metadata().map_err(at(path))?.len();
        Memory::map(&file, length as usize).map_err(at(path))
    }

    fn map(file: &File, length: usize) -> rustix::io::Result<Memory> {
        // The pages are there from the start, as for the other candidates: no fault is timed.
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED | MapFlags::POPULATE);
        // SAFETY: a new mapping at a place of the kernel's choice disturbs nobody.
        let base = unsafe { rustix::mm::mmap(std::ptr::null_mut(), length, access, flags, file, 0) }?;
        Ok(Memory { base: NonNull::new(base.cast()).expect("a mapping is not at 0"), length })
    }

    /// Where a `T` lies in it, that many bytes after the start.
    pub fn place<T>(&self, offset: usize) -> NonNull<T> {
        assert!(offset + size_of::<T>() <= self.length, "{offset} + {} > {}", size_of::<T>(), self.length);
        // SAFETY: it was just found to lie inside the mapping.
        let place = unsafe { self.base.add(offset) };
        let place = place.cast::<T>();
        assert!(place.is_aligned());
        place
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: it is our own mapping, of that length, and whoever uses a place in it keeps this.
        let unmapped = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.length) };
        debug_assert!(unmapped.is_ok());
    }
}
