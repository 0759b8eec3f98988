//! Rings in the making: how others know that the creator of a temporary file is alive.
//!
//! Before the file is there, its creator takes a lock on the *folder*, of one byte whose number is part of the file's
//! name, and keeps it until the file has its name for good. The kernel gives it up when the creator dies. So there is no
//! moment at which a temporary file exists, its creator is alive, and the byte is free; whoever finds the byte free may
//! remove the file. If the creator has given it its name in between, there is nothing left to remove.

use super::folder::SHM;
use super::name::TEMPORARY;
use crate::sys::file;
use crate::sys::lock::{self, Lock};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;

/// As long as this lives, so does the creator.
#[derive(Debug)]
pub(crate) struct Making {
    _folder: OwnedFd,
}

impl Making {
    /// To be called before there is a file of that temporary name. `None` where the folder may not be read.
    pub(crate) fn begin(temporary: &str) -> io::Result<Option<Making>> {
        let Some((_, byte)) = parse(temporary) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let folder = match file::open(SHM, OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(Errno::ACCESS | Errno::PERM) => return Ok(None),
            result => result?,
        };
        // Shared, as a folder cannot be opened for writing. Nobody else has a reason to lock that very byte.
        lock::try_lock(&folder, Lock::Shared, byte, 1)?;
        Ok(Some(Making { _folder: folder }))
    }
}

/// The creator of a ring in the making that has this name, as it called itself.
pub(crate) fn creator(name: &str) -> Option<u32> {
    parse(name).map(|(pid, _)| pid)
}

/// Whether `name` is of a ring in the making whose creator is dead. Doubt is a no.
pub(crate) fn is_leftover(name: &str) -> bool {
    let Some((_, byte)) = parse(name) else { return false };
    let folder = file::open(SHM, OFlags::RDONLY | OFlags::DIRECTORY);
    folder.is_ok_and(|folder| !lock::is_locked_at_all(folder, byte, 1).unwrap_or(true))
}

/// The pid, and the byte, of a temporary name.
fn parse(name: &str) -> Option<(u32, u64)> {
    let (pid, random) = name.strip_prefix(TEMPORARY)?.split_once('-')?;
    if random.len() != 16 {
        return None;
    }
    // As many bits as the kernel has for a byte's number.
    Some((pid.parse().ok()?, u64::from_str_radix(random, 16).ok()? >> 2))
}

#[cfg(all(test, not(ringway_loom)))]
mod tests {
    use super::super::folder::Folder;
    use super::super::name::Name;
    use super::*;

    #[test]
    fn a_temporary_name_is_a_leftovers_unless_its_maker_is_alive() {
        let name = Name::new("ticks".as_ref(), Folder::Shm).unwrap().temporary().unwrap();
        assert_eq!(creator(name.file()), Some(std::process::id()));
        assert!(is_leftover(name.file()));
        let making = Making::begin(name.file()).unwrap();
        assert!(making.is_some() && !is_leftover(name.file()));
        drop(making);
        assert!(is_leftover(name.file()));
    }

    #[test]
    fn nothing_but_a_temporary_name_is_taken_for_one() {
        for other in [
            "ticks",
            ".ringway-",
            ".ringway-1",
            ".ringway-1-2",
            ".ringway-x-0123456789abcdef",
            ".ringway-1-0123456789abcdeg",
        ] {
            assert_eq!(creator(other), None, "{other}");
            assert!(!is_leftover(other), "{other}");
        }
    }
}
