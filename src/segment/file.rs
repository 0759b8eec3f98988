//! What all memory that has a file has in common: pages are reserved when it is made, and it is checked before it is
//! mapped.

use super::{Checked, Wanted, Wishes};
use crate::error::{CreateError, HeaderError, MemoryError, OpenError};
use crate::layout::header::Header;
use crate::sys::file;
use core::mem::size_of;
use rustix::fs::{FallocateFlags, Gid, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Says whether a file of that size may be made. The kernel would not only refuse, it would send a signal that ends the
/// process (SIGXFSZ).
pub(super) fn check_limit(length: u64) -> Result<(), Errno> {
    match getrlimit(Resource::Fsize).current {
        Some(most) if most < length => Err(Errno::FBIG),
        _ => Ok(()),
    }
}

/// Has the file system set aside every page. In steps, as a signal may undo all of a step that it interrupts.
pub(super) fn reserve(file: impl AsFd, length: u64) -> Result<(), Errno> {
    const STEP: u64 = 16 << 20;
    let mut reserved = 0;
    while reserved < length {
        let step = STEP.min(length - reserved);
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), reserved, step) {
            Ok(()) => reserved += step,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Gives the file to the group, and to whom else its mode says, whatever the umask.
pub(super) fn open_up(file: impl AsFd, name: &str, wishes: &Wishes) -> Result<(), CreateError> {
    if let Some(group) = wishes.group {
        rustix::fs::fchown(&file, None, Some(Gid::from_raw(group))).map_err(|errno| CreateError::Memory {
            name: name.into(),
            error: MemoryError::Group { found: group, source: errno.into() },
        })?;
    }
    rustix::fs::fchmod(&file, Mode::from_raw_mode(wishes.mode)).map_err(failed(name, "setting the mode"))
}

/// The segment in `file`, when it is what is `wanted` and all of it is there. It is only read, and not through a mapping.
pub(super) fn check(file: impl AsFd, stat: &Stat, name: &str, wanted: &Wanted<'_>) -> Result<Checked, OpenError> {
    let mut bytes = [0; size_of::<Header>()];
    let read = file::read_start(&file, &mut bytes).map_err(system_error(name, "reading the header"))?;
    let header_error = |error| OpenError::Header { name: name.into(), error };
    let (header, geometry) = Header::check(&bytes[..read], stat.st_size as u64, &wanted.ring).map_err(header_error)?;
    // A page that the file system has not set aside is a SIGBUS when it is touched and there is none left.
    let (found, expected) = (stat.st_blocks as u64 * 512, stat.st_size as u64);
    if found < expected {
        return Err(header_error(HeaderError::Sparse { found, expected }));
    }
    Ok(Checked { header, geometry, length: stat.st_size as usize, bytes })
}

/// The file behind a descriptor, with a description of its own.
pub(super) fn open_again(file: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    use std::os::fd::AsRawFd;
    file::open_following(&format!("/proc/self/fd/{}", file.as_raw_fd()), OFlags::RDWR)
}

pub(super) fn failed<E: Into<io::Error>>(name: &str, doing: &'static str) -> impl FnOnce(E) -> CreateError {
    move |error| CreateError::System { name: name.to_owned(), doing, source: error.into() }
}

pub(super) fn system_error<E: Into<io::Error>>(name: &str, doing: &'static str) -> impl FnOnce(E) -> OpenError {
    move |error| OpenError::System { name: name.to_owned(), doing, source: error.into() }
}
