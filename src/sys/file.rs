//! Files by name, known by their inode: a name may be given to another file at any time.

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::path::Arg;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inode {
    device: u64,
    number: u64,
}

impl Inode {
    pub(crate) fn of(stat: &Stat) -> Inode {
        // The types of these fields differ between architectures.
        #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
        Inode { device: stat.st_dev as u64, number: stat.st_ino as u64 }
    }

    /// The file that `path` names now, seen from `folder`; a symbolic link is itself.
    pub(crate) fn at(folder: impl AsFd, path: &str) -> Result<Inode, Errno> {
        rustix::fs::statat(folder, path, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).map(|stat| Inode::of(&stat))
    }

    pub(crate) fn number(self) -> u64 {
        self.number
    }
}

/// Opens an existing file with a description of its own. Follows no link, waits for nobody, is not inherited by exec.
pub(crate) fn open(path: &str, access: OFlags) -> Result<OwnedFd, Errno> {
    open_at(CWD, path, access)
}

/// As [`open`], of a path as it is seen from `folder`.
pub(crate) fn open_at(folder: impl AsFd, path: impl Arg + Copy, access: OFlags) -> Result<OwnedFd, Errno> {
    open_flags(folder, path, access | OFlags::NOFOLLOW)
}

/// As [`open`], and follows links, also those of `/proc/PID/fd`, which are none, but the files themselves.
pub(crate) fn open_following(path: impl Arg + Copy, access: OFlags) -> Result<OwnedFd, Errno> {
    open_flags(CWD, path, access)
}

fn open_flags(folder: impl AsFd, path: impl Arg + Copy, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    loop {
        match rustix::fs::openat(&folder, path, flags, Mode::empty()) {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Takes descriptor 0 for as long as the result lives, if it is free.
///
/// NB: `shared_memory` takes a descriptor of 0 for none: it neither closes it nor removes what it has made.
pub(crate) fn keep_zero_in_use() -> Result<Option<OwnedFd>, Errno> {
    match rustix::io::fcntl_getfd(rustix::stdio::stdin()) {
        Err(Errno::BADF) => open("/dev/null", OFlags::RDONLY).map(Some),
        _ => Ok(None),
    }
}

/// What `stat` is, when it is no regular file.
pub(crate) fn not_a_file(stat: &Stat) -> Option<&'static str> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => None,
        FileType::Directory => Some("directory"),
        FileType::Symlink => Some("symbolic link"),
        FileType::Fifo => Some("fifo"),
        FileType::Socket => Some("socket"),
        FileType::CharacterDevice | FileType::BlockDevice => Some("device"),
        _ => Some("file of an unknown type"),
    }
}

/// Bytes of the huge pages of which a file is made, or those in a folder, if they are of the pool.
pub(crate) fn huge_page_size(file: impl AsFd) -> Option<u64> {
    const HUGETLBFS_MAGIC: i64 = 0x9584_58f6;
    let file_system = rustix::fs::fstatfs(file).ok()?;
    #[allow(clippy::unnecessary_cast)] // the types of these fields differ between architectures
    (file_system.f_type as i64 == HUGETLBFS_MAGIC).then_some(file_system.f_bsize as u64)
}

/// Reads from the start of `file` until `buffer` is full or the file ends, and returns how many bytes there are.
pub(crate) fn read_start(file: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    read_at(file, 0, buffer)
}

/// As [`read_start`], from the byte `offset` on.
pub(crate) fn read_at(file: impl AsFd, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::pread(&file, &mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

/// A descriptor that is kept for long, so that somebody else in the process may close it and get its number for another
/// file (`closefrom`, a daemon's "close everything"). It is looked at before each use.
#[derive(Debug)]
pub(crate) struct KeptFile {
    /// There until drop.
    file: Option<OwnedFd>,
    inode: Inode,
}

impl KeptFile {
    pub(crate) fn new(file: OwnedFd, inode: Inode) -> KeptFile {
        KeptFile { file: Some(file), inode }
    }

    pub(crate) fn inode(&self) -> Inode {
        self.inode
    }

    /// The descriptor, if it still is the one of our file.
    pub(crate) fn get(&self) -> Option<BorrowedFd<'_>> {
        let file = self.file.as_ref()?;
        let stat = rustix::fs::fstat(file).ok()?;
        (Inode::of(&stat) == self.inode).then(|| file.as_fd())
    }
}

impl Drop for KeptFile {
    fn drop(&mut self) {
        if self.get().is_none() {
            // The number is somebody else's by now, or nobody's: it is not ours to close.
            let _ = self.file.take().map(OwnedFd::into_raw_fd);
        }
    }
}
