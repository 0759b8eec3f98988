//! Open file description locks: byte ranges that the kernel gives up when the last reference to a description is gone.
//!
//! See `fcntl(2)`, "Open file description locks". `rustix` has only the older, process-associated ones.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// How a range is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    /// Many may hold it, while nobody holds it exclusively.
    Shared,
    /// One holds it.
    Exclusive,
}

/// Takes the lock of `length` bytes from `start` on for this description, or says `false` when another one is in the way.
pub(crate) fn try_lock(file: impl AsFd, lock: Lock, start: u64, length: u64) -> io::Result<bool> {
    let kind = match lock {
        Lock::Shared => libc::F_RDLCK,
        Lock::Exclusive => libc::F_WRLCK,
    };
    match fcntl_lock(file, libc::F_OFD_SETLK, kind, start, length) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives up what this description holds of `length` bytes from `start` on.
pub(crate) fn unlock(file: impl AsFd, start: u64, length: u64) -> io::Result<()> {
    fcntl_lock(file, libc::F_OFD_SETLK, libc::F_UNLCK, start, length).map(drop)
}

/// Whether another description holds any of `length` bytes from `start` on exclusively. (A shared lock needs no more than
/// permission to read the file. It proves nothing.)
pub(crate) fn is_locked(file: impl AsFd, start: u64, length: u64) -> io::Result<bool> {
    Ok(fcntl_lock(file, libc::F_OFD_GETLK, libc::F_RDLCK, start, length)? != libc::F_UNLCK)
}

/// Whether another description holds any of `length` bytes from `start` on, in whatever way.
pub(crate) fn is_locked_at_all(file: impl AsFd, start: u64, length: u64) -> io::Result<bool> {
    Ok(fcntl_lock(file, libc::F_OFD_GETLK, libc::F_WRLCK, start, length)? != libc::F_UNLCK)
}

fn fcntl_lock(file: impl AsFd, command: i32, kind: i32, start: u64, length: u64) -> io::Result<i32> {
    // SAFETY: `flock` is plain numbers, for which zero is a valid value. (It has private padding on some platforms.)
    let mut lock: libc::flock = unsafe { core::mem::zeroed() };
    lock.l_type = kind as _;
    lock.l_whence = libc::SEEK_SET as _;
    lock.l_start = start as _;
    lock.l_len = length as _;
    // SAFETY: these three commands take a pointer to a `flock`, which is ours for the length of the call.
    match unsafe { libc::fcntl(file.as_fd().as_raw_fd(), command, &mut lock) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(i32::from(lock.l_type)),
    }
}
