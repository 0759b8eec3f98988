//! POSIX shared memory by name: files in `/dev/shm`.
//!
//! A name is absent or fully valid, whichever instruction its creator is killed at: a segment is made under a temporary
//! name and renamed when it is whole. Its pages are reserved when it is made, so that a full file system is an error
//! then and not a `SIGBUS` later.
#![allow(unsafe_code)]

use super::making::Making;
use super::name::{FOLDER, Name};
use crate::error::{CreateError, HeaderError, OpenError, UnlinkError};
use crate::layout::geometry::Geometry;
use crate::layout::header::{Expected, Header, Identity, Lifetime};
use crate::layout::parts::Parts;
use crate::sys::file::{self, Inode, KeptFile};
use crate::sys::mapping::Mapping;
use core::mem::size_of;
use core::sync::atomic::{AtomicU64, Ordering};
use rustix::fs::{AtFlags, CWD, FallocateFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use shared_memory::{ShmemConf, ShmemError};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use zerocopy::IntoBytes;

/// A mapped segment whose header has been checked.
#[derive(Debug)]
pub(crate) struct Segment {
    name: Name,
    /// Where its file is: under a temporary name until [`publish`](Segment::publish).
    path: String,
    published: bool,
    /// Until then.
    making: Option<Making>,
    file: KeptFile,
    lifetime: Lifetime,
    parts: Parts,
}

impl Segment {
    /// Makes a segment that has no name yet: see [`publish`](Segment::publish). Dropped before that, it is gone.
    pub(crate) fn create(
        name: Name,
        geometry: Geometry,
        identity: &Identity,
        mode: u32,
    ) -> Result<Segment, CreateError> {
        let needed = geometry.total_size as u64;
        // Before anything is made. The reservation below has the last word.
        if let Some(available) = free_space().filter(|&available| available < needed) {
            return Err(no_space(&name, needed, available));
        }
        // The kernel would not only refuse, it would send a signal that ends the process (SIGXFSZ).
        if getrlimit(Resource::Fsize).current.is_some_and(|most| most < needed) {
            return Err(failed(&name, "creating the segment, beyond the limit on the size of files,")(Errno::FBIG));
        }
        let temporary = Name::temporary().map_err(failed(&name, "choosing a temporary name"))?;
        // Before there is a file, and until it has its name: so whoever cleans up sees that we are alive.
        let making = Making::begin(&temporary).map_err(failed(&name, "locking the folder of the new segment"))?;
        let not_zero = file::keep_zero_in_use().map_err(failed(&name, "opening /dev/null"))?;
        let made = Temporary { path: Some(temporary.path()) };
        let shmem = ShmemConf::new()
            .os_id(temporary.os_id())
            .size(geometry.total_size)
            .create()
            .map_err(|error| create_failed(&name, needed, error))?;
        drop(not_zero);
        let mapping = Mapping::adopt(shmem).map_err(failed(&name, "mapping the new segment"))?;
        // The umask may have kept even us from opening it.
        rustix::fs::chmod(temporary.path(), Mode::RUSR | Mode::WUSR)
            .map_err(failed(&name, "setting the mode of the new segment"))?;
        let file = file::open(&temporary.path(), OFlags::RDWR).map_err(failed(&name, "opening the new segment"))?;
        let stat = rustix::fs::fstat(&file).map_err(failed(&name, "looking at the new segment"))?;
        reserve(&file, needed).map_err(|errno| match errno {
            Errno::NOSPC => no_space(&name, needed, free_space().unwrap_or(0)),
            errno => failed(&name, "reserving the pages of the new segment")(errno),
        })?;
        let base = mapping.base();
        let mapping = Arc::new(mapping);
        // SAFETY: the mapping is `total_size` bytes of a file that is just as long, with all pages reserved; nobody else
        // knows its name.
        let parts = unsafe { Parts::new(base, geometry, name.as_str().into(), mapping.clone()) };
        for cell in 0..geometry.cells {
            // SAFETY: the cell is one of the geometry's.
            let cell_start = unsafe { parts.cells().add(cell * geometry.shape.stride) };
            // SAFETY: a cell starts with its word, aligned.
            let word = unsafe { cell_start.cast::<AtomicU64>().as_ref() };
            word.store(identity.kind.first_word(cell), Ordering::Relaxed);
        }
        let header = Header::new(&geometry, identity);
        rustix::io::pwrite(&file, header.as_bytes(), 0).map_err(failed(&name, "writing the header"))?;
        if !is_mapping_of(&mapping, header.as_bytes()) {
            let replaced = io::Error::other("another file has its temporary name");
            return Err(failed(&name, "mapping the new segment")(replaced));
        }
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).map_err(failed(&name, "setting the mode"))?;
        let path = made.keep();
        let file = KeptFile::new(file, Inode::of(&stat));
        Ok(Segment { name, path, published: false, making, file, lifetime: identity.lifetime, parts })
    }

    /// Gives the segment its name, in one step. From here on others find it, whole.
    pub(crate) fn publish(&mut self) -> Result<(), CreateError> {
        let path = self.name.path();
        match rustix::fs::renameat_with(CWD, &self.path, CWD, &path, RenameFlags::NOREPLACE) {
            Ok(()) => {
                self.path = path;
                self.published = true;
                self.making = None;
                Ok(())
            }
            Err(Errno::EXIST) => Err(CreateError::AlreadyExists { name: (&self.name).into() }),
            Err(errno) => Err(failed(&self.name, "giving the new segment its name")(errno)),
        }
    }

    /// Maps the segment of that name, after its header has been found to be what is `expected`. Nothing of it is
    /// touched, and no page of it is read through the mapping, before that.
    pub(crate) fn open(name: Name, expected: &Expected, owner: u32) -> Result<Segment, OpenError> {
        let path = name.path();
        let file = file::open(&path, OFlags::RDWR).map_err(|errno| open_failed(&name, errno))?;
        let stat = rustix::fs::fstat(&file).map_err(|errno| open_failed(&name, errno))?;
        if let Some(found) = file::not_a_file(&stat) {
            return Err(OpenError::NotAFile { name: (&name).into(), found });
        }
        if stat.st_uid != owner {
            return Err(OpenError::Owner { name: (&name).into(), found: stat.st_uid, expected: owner });
        }
        let system = |doing| {
            let name = String::from(&name);
            move |source: io::Error| OpenError::System { name, doing, source }
        };
        let mut bytes = [0; size_of::<Header>()];
        let read = file::read_start(&file, &mut bytes).map_err(system("reading the header"))?;
        let header_error = |error| OpenError::Header { name: (&name).into(), error };
        let (header, geometry) = Header::check(&bytes[..read], stat.st_size as u64, expected).map_err(header_error)?;
        let not_zero = file::keep_zero_in_use().map_err(|errno| open_failed(&name, errno))?;
        let shmem = ShmemConf::new().os_id(name.os_id()).open().map_err(|error| match error {
            ShmemError::MapOpenFailed(errno) => open_failed(&name, Errno::from_raw_os_error(errno as i32)),
            other => system("mapping it")(io::Error::other(other)),
        })?;
        drop(not_zero);
        let mapping = Mapping::adopt(shmem).map_err(system("mapping it"))?;
        // Our descriptor keeps the inode from being given to another file.
        let inode = Inode::of(&stat);
        if Inode::at(&path) != Ok(inode) || !is_mapping_of(&mapping, &bytes) {
            return Err(OpenError::NotFound { name: (&name).into() });
        }
        if mapping.len() != geometry.total_size {
            let (found, expected) = (mapping.len() as u64, geometry.total_size as u64);
            return Err(header_error(HeaderError::FileSize { found, expected }));
        }
        // A page that the file system has not set aside is a SIGBUS when it is touched and there is none left.
        let (found, expected) = (stat.st_blocks as u64 * 512, geometry.total_size as u64);
        if found < expected {
            return Err(header_error(HeaderError::Sparse { found, expected }));
        }
        let base = mapping.base();
        let mapping = Arc::new(mapping);
        // SAFETY: the mapping is as long as the checked geometry says, writable, and of a file that was just as long when
        // it was mapped. (Whoever may write to it could truncate it later: that is beyond what is promised.)
        let parts = unsafe { Parts::new(base, geometry, name.as_str().into(), mapping) };
        let file = KeptFile::new(file, inode);
        Ok(Segment { name, path, published: true, making: None, file, lifetime: header.lifetime(), parts })
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    pub(crate) fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// Whether its name is still that of this very segment.
    pub(crate) fn is_current(&self) -> bool {
        Inode::at(&self.path) == Ok(self.file.inode())
    }

    /// Opens the segment's file once more, with a description of its own.
    pub(crate) fn reopen(&self) -> io::Result<OwnedFd> {
        reopen(&self.path, self.file.inode())
    }

    /// Lends a descriptor of the segment's file to `ask`, or says `None` when there is none to be had.
    pub(crate) fn with_file<R>(&self, ask: impl FnOnce(BorrowedFd<'_>) -> R) -> Option<R> {
        if let Some(file) = self.file.get() {
            return Some(ask(file));
        }
        self.reopen().ok().map(|file| ask(file.as_fd()))
    }

    /// Removes the name, if it is still this segment's.
    pub(crate) fn unlink(&self) {
        if self.is_current() {
            let _ = rustix::fs::unlink(&self.path);
        }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if !self.published {
            self.unlink();
        }
    }
}

/// A ring as found by its name, to have that name removed.
pub(crate) struct Named {
    name: Name,
    inode: Inode,
    /// Keeps the inode from being given to another file.
    _file: OwnedFd,
}

impl Named {
    /// Looks whether it is a ring, of any kind, version and type.
    pub(crate) fn find(name: &Name) -> Result<Named, UnlinkError> {
        let path = name.path();
        let failed = |errno| unlink_failed(name, errno);
        let file = match file::open(&path, OFlags::RDWR) {
            Err(Errno::ACCESS) => file::open(&path, OFlags::RDONLY).map_err(failed)?,
            result => result.map_err(failed)?,
        };
        let stat = rustix::fs::fstat(&file).map_err(failed)?;
        let mut start = [0; 8];
        let is_ring = file::not_a_file(&stat).is_none()
            && file::read_start(&file, &mut start).is_ok_and(|read| Header::is_ours(&start[..read]));
        match is_ring {
            true => Ok(Named { name: name.clone(), inode: Inode::of(&stat), _file: file }),
            false => Err(UnlinkError::NotARing { name: name.into() }),
        }
    }

    /// Opens its file once more, with a description of its own.
    pub(crate) fn reopen(&self) -> io::Result<OwnedFd> {
        reopen(&self.name.path(), self.inode)
    }

    /// Removes the name, if it is still that of this ring.
    pub(crate) fn unlink(&self) -> Result<(), UnlinkError> {
        let path = self.name.path();
        let failed = |errno| unlink_failed(&self.name, errno);
        if Inode::at(&path).map_err(failed)? != self.inode {
            return Err(UnlinkError::Replaced { name: (&self.name).into() });
        }
        rustix::fs::unlinkat(CWD, &path, AtFlags::empty()).map_err(failed)
    }
}

fn reopen(path: &str, inode: Inode) -> io::Result<OwnedFd> {
    let file = file::open(path, OFlags::RDWR)?;
    if Inode::of(&rustix::fs::fstat(&file)?) != inode {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(file)
}

/// Removes the file of a ring that was in the making when its creator died. No file ever gets such a name again.
pub(crate) fn unlink_leftover(name: &str) -> Result<(), UnlinkError> {
    rustix::fs::unlink(format!("{FOLDER}/{name}")).map_err(|errno| unlink_failed(name, errno))
}

fn unlink_failed(name: impl Into<String>, errno: Errno) -> UnlinkError {
    let name = name.into();
    match errno {
        Errno::NOENT => UnlinkError::NotFound { name },
        Errno::ACCESS | Errno::PERM => UnlinkError::Permission { name },
        Errno::LOOP | Errno::ISDIR | Errno::NXIO => UnlinkError::NotARing { name },
        errno => UnlinkError::System { name, source: errno.into() },
    }
}

/// A file in the making, removed unless it is kept.
struct Temporary {
    path: Option<String>,
}

impl Temporary {
    fn keep(mut self) -> String {
        self.path.take().unwrap_or_default()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = rustix::fs::unlink(path);
        }
    }
}

/// Has the file system set aside every page. In steps, as a signal may undo all of a step that it interrupts.
fn reserve(file: &OwnedFd, length: u64) -> Result<(), Errno> {
    const STEP: u64 = 16 << 20;
    let mut reserved = 0;
    while reserved < length {
        let step = STEP.min(length - reserved);
        match rustix::fs::fallocate(file, FallocateFlags::empty(), reserved, step) {
            Ok(()) => reserved += step,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Whether `mapping` is of the file whose first bytes are `header`. It was mapped by name, and a name can be given to
/// another file and back; no two rings have the same header, which says when each was made, in nanoseconds.
fn is_mapping_of(mapping: &Mapping, header: &[u8]) -> bool {
    if mapping.len() < header.len() {
        return false;
    }
    let mut mapped = [0; size_of::<Header>()];
    // SAFETY: the mapping is readable and at least as long as a header. Nobody who keeps to the protocol writes to it
    // once the segment has its name; whatever we read is only compared.
    unsafe { core::ptr::copy_nonoverlapping(mapping.base().as_ptr(), mapped.as_mut_ptr(), mapped.len()) };
    mapped == header
}

/// Free bytes where segments are made; `None` where there is no limit, or no telling.
fn free_space() -> Option<u64> {
    let space = rustix::fs::statvfs(FOLDER).ok()?;
    (space.f_blocks > 0).then(|| space.f_bavail.saturating_mul(space.f_frsize))
}

fn no_space(name: &Name, needed: u64, available: u64) -> CreateError {
    CreateError::NoSpace { name: name.into(), needed, available, place: FOLDER }
}

fn failed<E: Into<io::Error>>(name: &Name, doing: &'static str) -> impl FnOnce(E) -> CreateError {
    let name = String::from(name);
    move |error| CreateError::System { name, doing, source: error.into() }
}

fn create_failed(name: &Name, needed: u64, error: ShmemError) -> CreateError {
    match error {
        ShmemError::MapCreateFailed(errno) | ShmemError::UnknownOsError(errno) => {
            match Errno::from_raw_os_error(errno as i32) {
                Errno::ACCESS | Errno::PERM | Errno::ROFS => {
                    CreateError::Permission { name: name.into(), place: FOLDER }
                }
                // There may be bytes enough and no inode or address space to use them: then that is what to say.
                errno => match free_space() {
                    Some(available) if errno == Errno::NOSPC && available < needed => no_space(name, needed, available),
                    _ => failed(name, "creating the segment")(errno),
                },
            }
        }
        other => failed(name, "creating the segment")(io::Error::other(other)),
    }
}

fn open_failed(name: &Name, errno: Errno) -> OpenError {
    let name = String::from(name);
    match errno {
        Errno::NOENT => OpenError::NotFound { name },
        Errno::ACCESS | Errno::PERM | Errno::ROFS => OpenError::Permission { name },
        Errno::LOOP => OpenError::NotAFile { name, found: "symbolic link" },
        Errno::ISDIR => OpenError::NotAFile { name, found: "directory" },
        Errno::NXIO => OpenError::NotAFile { name, found: "socket" },
        errno => OpenError::System { name, doing: "opening it", source: errno.into() },
    }
}
