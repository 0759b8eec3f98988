//! Shared memory by name: files in `/dev/shm`, or in a folder of the user's own.
//!
//! A name is absent or fully valid, whichever instruction its creator is killed at: a segment is made under a temporary
//! name and renamed when it is whole. Its pages are reserved when it is made, so that a full file system is an error
//! then and not a `SIGBUS` later.

use super::file::{check, check_limit, failed, open_up, reserve, system_error};
use super::folder::{Folder, Opened, SHM};
use super::huge;
use super::making::Making;
use super::memory::place;
use super::name::Name;
use super::{Backing, HugePageSize, HugePages, Memory, MemoryKind, Plan, Segment, Wanted, Wishes, header_of};
use crate::error::{CreateError, FolderError, HeaderError, MemoryError, OpenError, UnlinkError};
use crate::layout::header::Header;
use crate::sys::file::{self, Inode, KeptFile};
use crate::sys::mapping::Mapping;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use shared_memory::{ShmemConf, ShmemError};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// A file under a name.
#[derive(Debug)]
struct Posix {
    name: Name,
    /// Under which it is made; `None` once it has its name.
    temporary: Option<Name>,
    /// Until then.
    making: Option<Making>,
    file: KeptFile,
    /// Whom we trust to own its folder, beside us and root.
    trusted: Option<u32>,
}

impl Posix {
    /// What it is found by at the moment.
    fn current(&self) -> &Name {
        self.temporary.as_ref().unwrap_or(&self.name)
    }

    fn folder(&self) -> io::Result<Opened> {
        self.name.folder().open(self.trusted).map_err(io::Error::other)
    }
}

impl Backing for Posix {
    fn publish(&mut self) -> Result<(), CreateError> {
        let Some(temporary) = &self.temporary else { return Ok(()) };
        let name = String::from(&self.name);
        let folder = open_folder(&self.name)?;
        match folder.rename(temporary, &self.name) {
            Ok(()) => {
                self.temporary = None;
                self.making = None;
                Ok(())
            }
            Err(Errno::EXIST) => Err(CreateError::AlreadyExists { name }),
            Err(errno) => Err(failed(&name, "giving the new segment its name")(errno)),
        }
    }

    fn has_name(&self) -> bool {
        true
    }

    fn is_current(&self) -> bool {
        self.folder().is_ok_and(|folder| folder.inode(self.current()) == Ok(self.file.inode()))
    }

    fn unlink(&self) {
        let Ok(folder) = self.folder() else { return };
        if folder.inode(self.current()) == Ok(self.file.inode()) {
            let _ = folder.unlink(self.current());
        }
    }

    fn file(&self) -> Option<BorrowedFd<'_>> {
        self.file.get()
    }

    fn reopen(&self) -> io::Result<OwnedFd> {
        reopen(&self.folder()?, self.current(), self.file.inode())
    }

    fn describe(&self, mapping: &Mapping, refused: &[String]) -> Memory {
        let inode = Some(self.file.inode().number());
        Memory { inode, ..Memory::of(MemoryKind::Posix, mapping, refused) }
    }
}

impl Drop for Posix {
    fn drop(&mut self) {
        if self.temporary.is_some() {
            self.unlink();
        }
    }
}

/// Makes a segment under a temporary name. Dropped before it gets its own, it is gone.
pub(super) fn create(name: Name, plan: &Plan<'_>) -> Result<Segment, CreateError> {
    let shown = String::from(&name);
    let folder = open_folder(&name)?;
    // A folder may have no pages but huge ones; or ordinary ones are to be put together.
    let pool = folder.huge_page_size();
    let gathered = (pool.is_none() && plan.wishes.huge != HugePages::Never).then_some(plan.wishes.huge_size);
    let page_size = pool.or(gathered.filter(|&size| size == HugePageSize::Mib2).map(HugePageSize::bytes));
    let length = plan.geometry.total_size.next_multiple_of(page_size.unwrap_or(1) as usize);
    let needed = length as u64;
    // Before anything is made. The reservation below has the last word.
    if let Some(available) = folder.free_space().filter(|&available| available < needed) {
        return Err(no_space(&name, needed, available));
    }
    check_limit(needed).map_err(failed(&shown, "creating the segment, beyond the limit on the size of files,"))?;
    let temporary = name.temporary().map_err(failed(&shown, "choosing a temporary name"))?;
    // Before there is a file, and until it has its name: so whoever cleans up sees that we are alive.
    let making = match name.folder() {
        Folder::Shm => {
            Making::begin(temporary.file()).map_err(failed(&shown, "locking the folder of the new segment"))?
        }
        Folder::Own(_) => None,
    };
    // NB: who has no lock must not be believed to be dead for want of it.
    let temporary = if making.is_some() { temporary } else { temporary.unproven() };
    let made = Temporary { folder: &folder, name: &temporary };
    let in_memory = |error| CreateError::Memory { name: shown.clone(), error };
    let no_room = |errno| match (pool, errno) {
        (Some(size), Errno::NOSPC | Errno::NOMEM) => in_memory(huge::refused(size, needed, errno)),
        (_, Errno::NOSPC) => no_space(&name, needed, folder.free_space().unwrap_or(0)),
        (_, errno) => failed(&shown, "setting its memory aside")(errno),
    };
    let (mapping, file) = match name.folder() {
        Folder::Shm => {
            let mapping =
                map_new(&temporary, length, &shown)?.map_err(|errno| create_failed(&name, &folder, needed, errno))?;
            // The umask may have kept even us from opening it.
            folder
                .set_mode(&temporary, Mode::RUSR | Mode::WUSR)
                .map_err(failed(&shown, "setting the mode of the new segment"))?;
            let file = folder.file(&temporary, OFlags::RDWR);
            (mapping, file.map_err(failed(&shown, "opening the new segment"))?)
        }
        Folder::Own(_) => {
            let file = folder.create(&temporary);
            let file = file.map_err(|errno| create_failed(&name, &folder, needed, errno))?;
            rustix::fs::ftruncate(&file, needed).map_err(|errno| create_failed(&name, &folder, needed, errno))?;
            let mapping = Mapping::of_file(&file, length);
            (mapping.map_err(|error| no_room(Errno::from_io_error(&error).unwrap_or(Errno::NOMEM)))?, file)
        }
    };
    let mapping = align(mapping, plan.wishes, pool).map_err(failed(&shown, "mapping the new segment"))?;
    let stat = rustix::fs::fstat(&file).map_err(failed(&shown, "looking at the new segment"))?;
    place(&mapping, plan.wishes).map_err(in_memory)?;
    if gathered.is_some() {
        huge::prepare(&mapping);
    }
    reserve(&file, needed).map_err(no_room)?;
    if *name.folder() == Folder::Shm {
        check_same(&mapping, &file, &temporary, &shown)?;
    }
    let refused = gather(&mapping, plan.wishes, pool).map_err(in_memory)?;
    open_up(&file, &shown, plan.wishes)?;
    core::mem::forget(made);
    let file = KeptFile::new(file, Inode::of(&stat));
    let backing = Posix { name: name.clone(), temporary: Some(temporary.clone()), making, file, trusted: None };
    Ok(Segment { refused, ..Segment::lay_out(mapping, &shown, plan, backing) })
}

/// A mapping that can be in huge pages, if they are wished and its file is not made of them.
fn align(mapping: Mapping, wishes: &Wishes, pool: Option<u64>) -> io::Result<Mapping> {
    match wishes.huge != HugePages::Never && pool.is_none() && wishes.huge_size == HugePageSize::Mib2 {
        true => mapping.aligned_to(wishes.huge_size.bytes() as usize),
        false => Ok(mapping),
    }
}

/// Has its pages put together, if that is wished. Returns what was only tried, and refused.
fn gather(mapping: &Mapping, wishes: &Wishes, pool: Option<u64>) -> Result<Vec<String>, MemoryError> {
    if wishes.huge == HugePages::Never || pool.is_some() {
        return Ok(Vec::new());
    }
    match huge::gather(mapping, wishes.huge_size) {
        Err(error) if wishes.huge == HugePages::Try => Ok(vec![error.to_string()]),
        result => result.map(|()| Vec::new()),
    }
}

/// Maps the segment of that name, after it has been found to be what is `wanted`. Nothing of it is touched, and no page
/// of it is read through the mapping, before that.
pub(super) fn open(name: Name, wanted: &Wanted<'_>) -> Result<Segment, OpenError> {
    let shown = String::from(&name);
    let folder = match name.folder().open(wanted.owner) {
        Err(FolderError::Unusable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::NotFound { name: shown });
        }
        result => result.map_err(|error| OpenError::Folder { name: shown.clone(), error })?,
    };
    let file = folder.file(&name, OFlags::RDWR).map_err(|errno| open_failed(&name, errno))?;
    let stat = rustix::fs::fstat(&file).map_err(|errno| open_failed(&name, errno))?;
    if let Some(found) = file::not_a_file(&stat) {
        return Err(OpenError::NotAFile { name: shown, found });
    }
    let owner = wanted.owner.unwrap_or_else(|| rustix::process::geteuid().as_raw());
    if stat.st_uid != owner {
        return Err(OpenError::Owner { name: shown, found: stat.st_uid, expected: owner });
    }
    let checked = check(&file, &stat, &shown, wanted)?;
    let length = checked.length;
    let pool = folder.huge_page_size();
    let mapping = match name.folder() {
        Folder::Shm => map_existing(&name)?,
        Folder::Own(_) => Mapping::of_file(&file, length).map_err(system_error(&shown, "mapping it"))?,
    };
    // Our descriptor keeps the inode from being given to another file.
    let inode = Inode::of(&stat);
    if folder.inode(&name) != Ok(inode) || header_of(&mapping) != Some(checked.bytes) {
        return Err(OpenError::NotFound { name: shown });
    }
    if mapping.len() != length {
        let error = HeaderError::FileSize { found: mapping.len() as u64, expected: length as u64 };
        return Err(OpenError::Header { name: shown, error });
    }
    let mapping = align(mapping, wanted.wishes, pool).map_err(system_error(&shown, "mapping it"))?;
    let refused = gather(&mapping, wanted.wishes, pool);
    let refused = refused.map_err(|error| OpenError::Memory { name: shown.clone(), error })?;
    drop(folder);
    let backing =
        Posix { name, temporary: None, making: None, file: KeptFile::new(file, inode), trusted: wanted.owner };
    Ok(Segment { refused, ..Segment::found(mapping, &shown, &checked, backing) })
}

/// A ring as found by its name, to have that name removed.
#[derive(Debug)]
pub(crate) struct Named {
    name: Name,
    inode: Inode,
    /// Keeps the inode from being given to another file.
    _file: OwnedFd,
}

impl Named {
    /// Looks whether it is a ring, of any kind, version and type.
    pub(super) fn find(name: Name) -> Result<Named, UnlinkError> {
        let failed = |errno| unlink_failed(&name, errno);
        let folder = folder_to_unlink(&name)?;
        let file = match folder.file(&name, OFlags::RDWR) {
            Err(Errno::ACCESS) => folder.file(&name, OFlags::RDONLY).map_err(failed)?,
            result => result.map_err(failed)?,
        };
        let stat = rustix::fs::fstat(&file).map_err(failed)?;
        let mut start = [0; 8];
        let is_ring = file::not_a_file(&stat).is_none()
            && file::read_start(&file, &mut start).is_ok_and(|read| Header::is_ours(&start[..read]));
        drop(folder);
        match is_ring {
            true => Ok(Named { name, inode: Inode::of(&stat), _file: file }),
            false => Err(UnlinkError::NotARing { name: (&name).into() }),
        }
    }

    /// Opens its file once more, with a description of its own.
    pub(super) fn reopen(&self) -> io::Result<OwnedFd> {
        reopen(&self.name.folder().open(None).map_err(io::Error::other)?, &self.name, self.inode)
    }

    /// Removes the name, if it is still that of this ring.
    pub(super) fn unlink(&self) -> Result<(), UnlinkError> {
        let failed = |errno| unlink_failed(&self.name, errno);
        let folder = folder_to_unlink(&self.name)?;
        if folder.inode(&self.name).map_err(failed)? != self.inode {
            return Err(UnlinkError::Replaced { name: (&self.name).into() });
        }
        folder.unlink(&self.name).map_err(failed)
    }
}

/// Removes the file of a ring that was in the making when its creator died. No file ever gets such a name again.
pub(crate) fn unlink_leftover(name: &str) -> Result<(), UnlinkError> {
    rustix::fs::unlink(format!("{SHM}/{name}")).map_err(|errno| unlink_failed(name, errno))
}

fn reopen(folder: &Opened, name: &Name, inode: Inode) -> io::Result<OwnedFd> {
    let file = folder.file(name, OFlags::RDWR)?;
    if Inode::of(&rustix::fs::fstat(&file)?) != inode {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(file)
}

/// A file in the making, removed unless it is kept.
struct Temporary<'t> {
    folder: &'t Opened,
    name: &'t Name,
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        let _ = self.folder.unlink(self.name);
    }
}

/// Makes and maps a new file in `/dev/shm`. The inner error is the system's.
fn map_new(name: &Name, length: usize, shown: &str) -> Result<Result<Mapping, Errno>, CreateError> {
    let not_zero = file::keep_zero_in_use().map_err(failed(shown, "opening /dev/null"))?;
    let shmem = match ShmemConf::new().os_id(name.os_id()).size(length).create() {
        Err(ShmemError::MapCreateFailed(errno) | ShmemError::UnknownOsError(errno)) => {
            return Ok(Err(Errno::from_raw_os_error(errno as i32)));
        }
        Err(other) => return Err(failed(shown, "creating the segment")(io::Error::other(other))),
        Ok(shmem) => shmem,
    };
    drop(not_zero);
    Mapping::adopt(shmem).map(Ok).map_err(failed(shown, "mapping the new segment"))
}

fn map_existing(name: &Name) -> Result<Mapping, OpenError> {
    let shown = String::from(name);
    let not_zero = file::keep_zero_in_use().map_err(|errno| open_failed(name, errno))?;
    let shmem = ShmemConf::new().os_id(name.os_id()).open().map_err(|error| match error {
        ShmemError::MapOpenFailed(errno) => open_failed(name, Errno::from_raw_os_error(errno as i32)),
        other => system_error(&shown, "mapping it")(io::Error::other(other)),
    })?;
    drop(not_zero);
    Mapping::adopt(shmem).map_err(system_error(&shown, "mapping it"))
}

/// Is the mapping of `file`? It was made by name, and a name can be given to another file. So its name, which nothing
/// else has, is written to the one and looked for in the other.
fn check_same(mapping: &Mapping, file: &OwnedFd, name: &Name, shown: &str) -> Result<(), CreateError> {
    let written = name.file().as_bytes();
    rustix::io::pwrite(file, written, 0).map_err(failed(shown, "writing to the new segment"))?;
    match header_of(mapping) {
        Some(bytes) if bytes.starts_with(written) => Ok(()),
        _ => {
            let replaced = io::Error::other("another file has its temporary name");
            Err(failed(shown, "mapping the new segment")(replaced))
        }
    }
}

fn open_folder(name: &Name) -> Result<Opened, CreateError> {
    name.folder().open(None).map_err(|error| CreateError::Folder { name: name.into(), error })
}

fn folder_to_unlink(name: &Name) -> Result<Opened, UnlinkError> {
    name.folder().open(None).map_err(|error| UnlinkError::Folder { name: name.into(), error })
}

fn no_space(name: &Name, needed: u64, available: u64) -> CreateError {
    CreateError::NoSpace { name: name.into(), needed, available, place: name.folder().place().into() }
}

fn create_failed(name: &Name, folder: &Opened, needed: u64, errno: Errno) -> CreateError {
    match errno {
        Errno::ACCESS | Errno::PERM | Errno::ROFS => {
            CreateError::Permission { name: name.into(), place: name.folder().place().into() }
        }
        // There may be bytes enough and no inode or address space to use them: then that is what to say.
        errno => match folder.free_space() {
            Some(available) if errno == Errno::NOSPC && available < needed => no_space(name, needed, available),
            _ => failed(&String::from(name), "creating the segment")(errno),
        },
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

fn unlink_failed(name: impl Into<String>, errno: Errno) -> UnlinkError {
    let name = name.into();
    match errno {
        Errno::NOENT => UnlinkError::NotFound { name },
        Errno::ACCESS | Errno::PERM => UnlinkError::Permission { name },
        Errno::LOOP | Errno::ISDIR | Errno::NXIO => UnlinkError::NotARing { name },
        errno => UnlinkError::System { name, source: errno.into() },
    }
}
