//! Rings in the making: how others know that the creator of a temporary file is alive.
//!
//! Before the file is there, its creator takes a lock on the *folder*, of one byte whose number is part of the file's
//! name, and keeps it until the file has its name for good. The kernel gives it up when the creator dies. So there is no
//! moment at which a temporary file exists, its creator is alive, and the byte is free; whoever finds the byte free may
//! remove the file. If the creator has given it its name in between, there is nothing left to remove.
//!
//! The name says that it is proven like that. A temporary file of any other name is of a creator that may not open the
//! folder, or of a build of this library whose creators prove themselves in another way, or in none: nothing that is free
//! says that they are dead.

use super::folder::SHM;
use super::name::{PROVEN_BY_LOCK, TEMPORARY};
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
        let Some((_, Some(byte))) = parse(temporary) else {
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

/// Whether `name` is of a ring in the making whose creator is dead. Doubt is a no; `None` when its creator is of a build
/// that proves itself in no way that is known here.
pub(crate) fn is_leftover(name: &str) -> Option<bool> {
    let Some((_, byte)) = parse(name) else { return Some(false) };
    let byte = byte?;
    let folder = file::open(SHM, OFlags::RDONLY | OFlags::DIRECTORY);
    Some(folder.is_ok_and(|folder| !lock::is_locked_at_all(folder, byte, 1).unwrap_or(true)))
}

/// Whether anybody has anything of the file locked, as whoever attaches to a ring has in all builds. Doubt is a yes.
pub(crate) fn is_locked(name: &str) -> bool {
    match file::open(&format!("{SHM}/{name}"), OFlags::RDONLY) {
        Ok(file) => lock::is_locked_at_all(file, 0, 0).unwrap_or(true),
        Err(errno) => errno != Errno::NOENT,
    }
}

/// The pid of a temporary name, and the byte, if its creator has it locked as long as it lives.
fn parse(name: &str) -> Option<(u32, Option<u64>)> {
    // A name, and no path to somewhere else.
    let None = name.find(['/', '\0']) else { return None };
    let (pid, random) = name.strip_prefix(TEMPORARY)?.split_once('-')?;
    let (random, proof) = random.split_at_checked(16)?;
    let number = u64::from_str_radix(random, 16).ok()?;
    // As many bits as the kernel has for a byte's number.
    Some((pid.parse().ok()?, (proof == PROVEN_BY_LOCK).then_some(number >> 2)))
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
        assert_eq!(is_leftover(name.file()), Some(true));
        let making = Making::begin(name.file()).unwrap();
        assert!(making.is_some() && is_leftover(name.file()) == Some(false));
        drop(making);
        assert_eq!(is_leftover(name.file()), Some(true));
    }

    #[test]
    fn a_creator_of_another_build_is_never_taken_for_dead() {
        for other in [".ringway-12-0123456789abcdef", ".ringway-12-0123456789abcdef.words"] {
            assert_eq!((creator(other), is_leftover(other)), (Some(12), None));
            assert!(Making::begin(other).is_err());
        }
        // Nor is one of this build that cannot lock anything.
        let name = Name::new("ticks".as_ref(), Folder::Shm).unwrap().temporary().unwrap().unproven();
        assert_eq!((creator(name.file()), is_leftover(name.file())), (Some(std::process::id()), None));
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
            ".ringway-1-0123456789abcdef/../ticks",
            ".ringway-1-0123456789abcdef/../ticks.lock",
            ".ringway-1-0123456789abcdef\0",
        ] {
            assert_eq!(creator(other), None, "{other}");
            assert_eq!(is_leftover(other), Some(false), "{other}");
        }
    }
}
