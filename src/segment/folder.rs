//! The folders that names are in: `/dev/shm`, or one of the user's own, which is looked at whenever it is used.

use crate::error::FolderError;
use crate::sys::file::{self, Inode};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::borrow::Cow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// The folder in which Linux keeps POSIX shared memory (shm_overview(7)).
pub(super) const SHM: &str = "/dev/shm";

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
pub(super) struct Opened<'f> {
    folder: &'f Folder,
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

    /// Opens the folder, when nobody but us, root and whom we trust can change what is in it.
    pub(super) fn open(&self, trusted: Option<u32>) -> Result<Opened<'_>, FolderError> {
        let Folder::Own(path) = self else {
            return Ok(Opened { folder: self, descriptor: None });
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
        Ok(Opened { folder: self, descriptor: Some(descriptor) })
    }
}

impl Opened<'_> {
    /// What paths count from.
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_ref().map_or(CWD, |descriptor| descriptor.as_fd())
    }

    /// The path of a file, as counted from there.
    fn path<'n>(&self, file: &'n str) -> Cow<'n, str> {
        match self.folder {
            Folder::Shm => format!("{SHM}/{file}").into(),
            Folder::Own(_) => file.into(),
        }
    }

    /// Opens a file that exists.
    pub(super) fn file(&self, name: &str, access: OFlags) -> Result<OwnedFd, Errno> {
        file::open_at(self.descriptor(), &*self.path(name), access)
    }

    /// Makes a new file, for nobody but us.
    pub(super) fn create(&self, name: &str) -> Result<OwnedFd, Errno> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(self.descriptor(), &*self.path(name), flags, Mode::RUSR | Mode::WUSR)
    }

    /// Which file has that name now.
    pub(super) fn inode(&self, name: &str) -> Result<Inode, Errno> {
        Inode::at(self.descriptor(), &self.path(name))
    }

    pub(super) fn set_mode(&self, name: &str, mode: Mode) -> Result<(), Errno> {
        rustix::fs::chmodat(self.descriptor(), &*self.path(name), mode, AtFlags::empty())
    }

    /// Gives a file a name that nothing has.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), Errno> {
        let folder = self.descriptor();
        rustix::fs::renameat_with(folder, &*self.path(from), folder, &*self.path(to), RenameFlags::NOREPLACE)
    }

    pub(super) fn unlink(&self, name: &str) -> Result<(), Errno> {
        rustix::fs::unlinkat(self.descriptor(), &*self.path(name), AtFlags::empty())
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
