//! Memory without a name, passed on by its descriptor, and sealed: whoever has it can put anything into it, and nobody
//! can take any of it away. A peer that is not trusted cannot end us with a `SIGBUS`, unless by using up all memory that
//! the system is willing to promise, and then ours, through a hole that it punches, is as good as anybody's.

use super::file::{self, failed, system_error};
use super::memory::place;
use super::{Backing, HugePageSize, HugePages, Memory, MemoryKind, Plan, Segment, Source, Wanted};
use crate::error::{CreateError, MemoryError, OpenError};
use crate::sys::file::{Inode, KeptFile, huge_page_size, open_following};
use crate::sys::mapping::Mapping;
use rustix::fs::{MemfdFlags, OFlags, SealFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The seals of a ring: all that could take memory away, and no others from now on.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// On top of these the kernel may have put one against being made executable (`vm.memfd_noexec`), which is fine.
const ALLOWED: SealFlags = SealFlags::EXEC;

#[derive(Debug)]
struct Memfd {
    file: KeptFile,
}

impl Backing for Memfd {
    fn file(&self) -> Option<BorrowedFd<'_>> {
        self.file.get()
    }

    fn reopen(&self) -> io::Result<OwnedFd> {
        let file = self.file.get().ok_or(io::ErrorKind::NotFound)?;
        Ok(file::open_again(file)?)
    }

    fn describe(&self, mapping: &Mapping, refused: &[String]) -> Memory {
        let inode = Some(self.file.inode().number());
        Memory { inode, ..Memory::of(MemoryKind::Memfd, mapping, refused) }
    }

    fn to_be_sent(&self) -> Option<BorrowedFd<'_>> {
        self.file.get()
    }
}

pub(super) fn create(label: &str, source: &Source, plan: &Plan<'_>) -> Result<Segment, CreateError> {
    let name = source.to_string();
    let (segment, refused) = plan.in_huge_pages_or_not(|huge| create_in_pages_of(huge, label, &name, plan))?;
    Ok(Segment { refused, ..segment })
}

fn create_in_pages_of(
    huge: Option<HugePageSize>,
    label: &str,
    name: &str,
    plan: &Plan<'_>,
) -> Result<Segment, CreateError> {
    let length = plan.length(huge);
    let failed_to = |doing| move |error: io::Error| plan.refused(name, huge, error, doing);
    file::check_limit(length as u64).map_err(failed(name, "making it, beyond the limit on the size of files,"))?;
    let pages = match huge {
        None => MemfdFlags::empty(),
        Some(HugePageSize::Mib2) => MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB,
        Some(HugePageSize::Gib1) => MemfdFlags::HUGETLB | MemfdFlags::HUGE_1GB,
    };
    let file = rustix::fs::memfd_create(label, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | pages)
        .map_err(|errno| failed_to("making memory without a name (memfd_create)")(errno.into()))?;
    rustix::fs::ftruncate(&file, length as u64).map_err(failed(name, "sizing it"))?;
    let mapping = Mapping::of_file(&file, length).map_err(failed_to("mapping it"))?;
    place(&mapping, plan.wishes).map_err(|error| CreateError::Memory { name: name.into(), error })?;
    file::reserve(&file, length as u64).map_err(|errno| failed_to("reserving its pages")(errno.into()))?;
    file::open_up(&file, name, plan.wishes)?;
    rustix::fs::fcntl_add_seals(&file, SEALS).map_err(failed(name, "sealing it"))?;
    let inode = Inode::of(&rustix::fs::fstat(&file).map_err(failed(name, "looking at it"))?);
    let backing = Memfd { file: KeptFile::new(file, inode) };
    Ok(Segment::lay_out(mapping, name, plan, backing))
}

/// The ring behind a descriptor that somebody gave us. It is believed to be nothing before its seals are seen.
pub(super) fn open(descriptor: BorrowedFd<'_>, source: &Source, wanted: &Wanted<'_>) -> Result<Segment, OpenError> {
    let name = source.to_string();
    check_seals(descriptor, &name)?;
    // NB: with a description of our own: of the one that was sent, the sender has a part, and so of its locks.
    let file = file::open_again(descriptor).map_err(|errno| refused(&name, errno))?;
    attach(file, name, wanted)
}

pub(super) fn open_of(pid: u32, descriptor: u32, source: &Source, wanted: &Wanted<'_>) -> Result<Segment, OpenError> {
    let name = source.to_string();
    // NB: it may be anything, a device or a fifo, that minds to be opened. Only to look at it first.
    let path = format!("/proc/{pid}/fd/{descriptor}");
    let seen = open_following(&path, OFlags::PATH).map_err(|errno| refused(&name, errno))?;
    let stat = rustix::fs::fstat(&seen).map_err(|errno| refused(&name, errno))?;
    if let Some(found) = crate::sys::file::not_a_file(&stat) {
        return Err(OpenError::NotAFile { name, found });
    }
    let file = file::open_again(seen.as_fd()).map_err(|errno| refused(&name, errno))?;
    attach(file, name, wanted)
}

fn attach(file: OwnedFd, name: String, wanted: &Wanted<'_>) -> Result<Segment, OpenError> {
    check_seals(file.as_fd(), &name)?;
    // From here on its size is what it is.
    let stat = rustix::fs::fstat(&file).map_err(system_error(&name, "looking at it"))?;
    if let Some(expected) = wanted.owner.filter(|&owner| owner != stat.st_uid) {
        return Err(OpenError::Owner { name, found: stat.st_uid, expected });
    }
    // Seals do not keep anybody from punching a hole. Ordinary memory comes back as zeros; of these pages there may be no
    // other.
    if let Some(found) = huge_page_size(&file).filter(|_| wanted.wishes.huge == HugePages::Never) {
        return Err(OpenError::Memory { name, error: MemoryError::Revocable { found } });
    }
    let checked = file::check(&file, &stat, &name, wanted)?;
    let mapping = Mapping::of_file(&file, checked.length).map_err(system_error(&name, "mapping it"))?;
    let backing = Memfd { file: KeptFile::new(file, Inode::of(&stat)) };
    Ok(Segment::found(mapping, &name, &checked, backing))
}

fn check_seals(file: BorrowedFd<'_>, name: &str) -> Result<(), OpenError> {
    let found = match rustix::fs::fcntl_get_seals(file) {
        Ok(seals) => seals,
        // No file that can have any.
        Err(Errno::INVAL | Errno::BADF) => SealFlags::empty(),
        Err(errno) => return Err(system_error(name, "asking for its seals")(errno)),
    };
    match found.difference(ALLOWED) == SEALS {
        true => Ok(()),
        false => Err(OpenError::Seals { name: name.into(), found: found.bits(), expected: SEALS.bits() }),
    }
}

fn refused(name: &str, errno: Errno) -> OpenError {
    match errno {
        Errno::NOENT | Errno::SRCH => OpenError::NotFound { name: name.into() },
        Errno::ACCESS | Errno::PERM => OpenError::Permission { name: name.into() },
        errno => system_error(name, "opening it through /proc")(errno),
    }
}
