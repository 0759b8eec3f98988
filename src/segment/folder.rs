//! The folders that names are in: `/dev/shm`, or one of the user's own, which is looked at whenever it is used.

use super::name::Name;
use crate::error::FolderError;
use crate::sys::file::{self, Inode};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::borrow::Cow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// The folder in which Linux keeps POSIX shared memory (shm_overview(7)).
pub(crate) const SHM: &str = "/dev/shm";

/// Whoever may write there can replace what is in it, unless the folder is sticky.
const OTHERS_MAY_WRITE: u32 = 0o022;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Folder {
    /// The system's own, as it is.
    Shm,
    /// One that the user names, by an absolute path.
    Own(PathBuf),
}

/// A folder as it is at the moment, to do something with what is in it.
#[derive(Debug)]
pub(super) struct Opened {
    /// There unless it is the system's.
    descriptor: Option<OwnedFd>,
}

impl Folder {
    /// For people.
    pub(super) fn place(&self) -> Cow<'_, str> {
        match self {
            Folder::Shm => SHM.into(),
            Folder::Own(path) => path.to_string_lossy(),
        }
    }

    /// The path of a file in it, as it counts from anywhere.
    pub(crate) fn join(&self, file: &str) -> PathBuf {
        match self {
            Folder::Shm => PathBuf::from(SHM).join(file),
            Folder::Own(path) => path.join(file),
        }
    }

    /// The path of a file in it, as it counts from the opened folder.
    pub(super) fn path_of(&self, file: &str) -> String {
        match self {
            Folder::Shm => [SHM, "/", file].concat(),
            Folder::Own(_) => file.to_owned(),
        }
    }

    /// Opens the folder, when nobody but us, root and whom we trust can change what is in it.
    pub(super) fn open(&self, trusted: Option<u32>) -> Result<Opened, FolderError> {
        let Folder::Own(path) = self else {
            return Ok(Opened { descriptor: None });
        };
        let unusable = |errno: Errno| FolderError::Unusable { path: path.clone(), source: errno.into() };
        let descriptor = file::open_at(CWD, path.as_path(), OFlags::PATH | OFlags::DIRECTORY).map_err(unusable)?;
        let stat = rustix::fs::fstat(&descriptor).map_err(unusable)?;
        let us = rustix::process::geteuid().as_raw();
        if ![us, 0].contains(&stat.st_uid) && Some(stat.st_uid) != trusted {
            return Err(FolderError::Owner { path: path.clone(), found: stat.st_uid, expected: us });
        }
        let mode = Mode::from_raw_mode(stat.st_mode);
        if stat.st_mode & OTHERS_MAY_WRITE != 0 && !mode.contains(Mode::SVTX) {
            return Err(FolderError::Writable { path: path.clone(), found: stat.st_mode & 0o7777 });
        }
        debug_assert_eq!(FileType::from_raw_mode(stat.st_mode), FileType::Directory);
        Ok(Opened { descriptor: Some(descriptor) })
    }
}

impl Opened {
    /// What paths count from.
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_ref().map_or(CWD, |descriptor| descriptor.as_fd())
    }

    /// Opens a file that exists.
    pub(super) fn file(&self, name: &Name, access: OFlags) -> Result<OwnedFd, Errno> {
        file::open_at(self.descriptor(), name.path(), access)
    }

    /// Makes a new file, for nobody but us.
    pub(super) fn create(&self, name: &Name) -> Result<OwnedFd, Errno> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(self.descriptor(), name.path(), flags, Mode::RUSR | Mode::WUSR)
    }

    /// Which file has that name now.
    pub(super) fn inode(&self, name: &Name) -> Result<Inode, Errno> {
        Inode::at(self.descriptor(), name.path())
    }

    pub(super) fn set_mode(&self, name: &Name, mode: Mode) -> Result<(), Errno> {
        rustix::fs::chmodat(self.descriptor(), name.path(), mode, AtFlags::empty())
    }

    /// Gives a file a name that nothing has.
    pub(super) fn rename(&self, from: &Name, to: &Name) -> Result<(), Errno> {
        let folder = self.descriptor();
        rustix::fs::renameat_with(folder, from.path(), folder, to.path(), RenameFlags::NOREPLACE)
    }

    pub(super) fn unlink(&self, name: &Name) -> Result<(), Errno> {
        rustix::fs::unlinkat(self.descriptor(), name.path(), AtFlags::empty())
    }

    /// Bytes of the huge pages of which the files there are made, on a hugetlbfs.
    pub(super) fn huge_page_size(&self) -> Option<u64> {
        file::huge_page_size(self.descriptor.as_ref()?)
    }

    /// Free bytes; `None` where there is no limit, or no telling.
    pub(super) fn free_space(&self) -> Option<u64> {
        let space = match &self.descriptor {
            Some(descriptor) => rustix::fs::fstatvfs(descriptor),
            None => rustix::fs::statvfs(SHM),
        };
        let space = space.ok()?;
        (space.f_blocks > 0).then(|| space.f_bavail.saturating_mul(space.f_frsize))
    }
}
