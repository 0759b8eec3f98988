//! Huge pages: a large ring in few pages costs its processes fewer misses of the table in which the processor looks up
//! where a page is.
//!
//! There are two sorts. Those of the *pool* are set aside by an administrator, and memory is made of them: a memfd, the
//! heap, a folder on a hugetlbfs. On a tmpfs, where POSIX names are, the kernel *puts together* ordinary pages.

use crate::error::MemoryError;
use crate::sys::mapping::Mapping;
use crate::sys::pages;
use rustix::io::Errno;
use std::io;

/// Whether a ring that is created is in huge pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HugePages {
    /// It is in ordinary pages, unless it is in a folder that has no others. The default.
    #[default]
    Never,
    /// It is if that is possible: [`Memory::in_huge_pages`](crate::Memory::in_huge_pages) tells, and
    /// [`Memory::refused`](crate::Memory::refused) why not.
    Try,
    /// It is, or there is an error that says how many pages are free, and what to set.
    Require,
}

/// How large a huge page is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HugePageSize {
    /// 2 MiB. The default.
    #[default]
    Mib2,
    /// 1 GiB.
    Gib1,
}

impl HugePageSize {
    /// In bytes.
    pub const fn bytes(self) -> u64 {
        match self {
            HugePageSize::Mib2 => 2 << 20,
            HugePageSize::Gib1 => 1 << 30,
        }
    }
}

/// Why memory of the pool, of `length` bytes, is not to be had.
pub(super) fn refused(bytes: u64, length: u64, errno: Errno) -> MemoryError {
    let Some(pool) = pages::pool(bytes) else {
        return MemoryError::NoHugePages { size: bytes, why: format!("the system offers {}", pages::offered()) };
    };
    let needed = length.div_ceil(bytes);
    match errno {
        Errno::NOMEM | Errno::NOSPC => MemoryError::HugePages {
            size: bytes,
            needed,
            free: pool.free,
            total: pool.total,
            setting: pool.setting,
            set: pool.total + needed.saturating_sub(pool.free),
        },
        errno => MemoryError::NoHugePages { size: bytes, why: io::Error::from(errno).to_string() },
    }
}

/// Before the pages of a new file on a tmpfs are set aside: huge ones, where the file system gives them by itself.
pub(super) fn prepare(mapping: &Mapping) {
    pages::advise_huge(mapping);
    // What this cannot do, setting them aside one by one and putting them together can.
    let _ = pages::try_populate(mapping);
}

/// Has the pages of a file on a tmpfs put together.
pub(super) fn gather(mapping: &Mapping, size: HugePageSize) -> Result<(), MemoryError> {
    let no = |why: String| MemoryError::NoHugePages { size: size.bytes(), why };
    if size != HugePageSize::Mib2 {
        return Err(no("a tmpfs has none of that size; use a memfd, or a folder on a hugetlbfs".to_owned()));
    }
    pages::advise_huge(mapping);
    let all = mapping.len() as u64;
    if pages::figures(mapping).huge == all {
        return Ok(());
    }
    let gathered = pages::collapse(mapping);
    // What was put together is mapped when it is touched.
    let _ = pages::try_populate(mapping);
    let huge = pages::figures(mapping).huge;
    match gathered {
        _ if huge == all => Ok(()),
        Ok(()) => Err(no(format!("only {huge} of {all} bytes could be put together"))),
        Err(errno) => Err(no(format!(
            "the system puts none together: {}; Linux 6.1 can, or mount the file system with `huge=advise`",
            io::Error::from(errno)
        ))),
    }
}
