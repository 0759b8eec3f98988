//! What is asked of the memory itself, whatever its kind, and what was obtained.

use super::huge::{HugePageSize, HugePages};
use crate::error::MemoryError;
use crate::sys::mapping::Mapping;
use crate::sys::pages;
use core::fmt;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// Whether a ring is kept in memory, so that no part of it is ever swapped out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemoryLock {
    /// It may be swapped out. The default.
    #[default]
    Never,
    /// It is locked if that is possible: [`Memory::locked`] tells, and [`Memory::refused`] why not.
    Try,
    /// It is locked, or there is an error.
    Require,
}

/// What is asked of the memory itself.
#[derive(Clone, Debug)]
pub(crate) struct Wishes {
    /// The permission bits of its file.
    pub(crate) mode: u32,
    pub(crate) group: Option<u32>,
    pub(crate) prefault: bool,
    pub(crate) lock: MemoryLock,
    pub(crate) numa_node: Option<u32>,
    pub(crate) huge: HugePages,
    pub(crate) huge_size: HugePageSize,
}

/// What kind of memory a ring is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemoryKind {
    /// A file under a name.
    Posix,
    /// A sealed memfd.
    Memfd,
    /// Memory of one process.
    Heap,
    /// A System V segment.
    SystemV,
}

impl fmt::Display for MemoryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MemoryKind::Posix => "POSIX shared memory",
            MemoryKind::Memfd => "sealed memfd",
            MemoryKind::Heap => "heap",
            MemoryKind::SystemV => "System V segment",
        })
    }
}

/// What a ring's memory really is, in this process, at the moment of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// Its kind.
    pub kind: MemoryKind,
    /// Bytes of the segment, as it is mapped.
    pub bytes: u64,
    /// Bytes of the pages of which the memory is made. 0 where the system does not say.
    pub page_size: u64,
    /// Bytes that are mapped here in huge pages, whether the memory is made of them or the system has put them together.
    pub in_huge_pages: u64,
    /// Bytes that are mapped here. What is missing is mapped when it is first touched.
    pub resident: u64,
    /// Whether all of it is kept in memory by this process.
    pub locked: bool,
    /// The NUMA node that all of it is on, as far as it is mapped here; `None` where it is on several, or the system knows
    /// no nodes.
    pub numa_node: Option<u32>,
    /// The inode number of its file, if it has one.
    pub inode: Option<u64>,
    /// The number of its System V segment, as `ipcs -m` shows it, if it is one.
    pub shmid: Option<i32>,
    /// What was only tried, and not granted, with the reason.
    pub refused: Vec<String>,
}

impl Memory {
    /// What is known of any kind.
    pub(super) fn of(kind: MemoryKind, mapping: &Mapping, refused: &[String]) -> Memory {
        let figures = pages::figures(mapping);
        Memory {
            kind,
            bytes: mapping.len() as u64,
            page_size: figures.page_size,
            in_huge_pages: figures.huge,
            resident: figures.resident,
            locked: figures.locked,
            numa_node: figures.node,
            inode: None,
            shmid: None,
            refused: refused.to_vec(),
        }
    }
}

/// To be called on memory whose pages are not there yet.
pub(super) fn place(mapping: &Mapping, wishes: &Wishes) -> Result<(), MemoryError> {
    let Some(node) = wishes.numa_node else { return Ok(()) };
    match pages::bind(mapping, node) {
        // A system without nodes has one, as it were.
        Err(Errno::NOSYS) if node == 0 => Ok(()),
        result => {
            result.map_err(|errno| MemoryError::NumaNode { found: node, nodes: pages::nodes(), source: errno.into() })
        }
    }
}

/// To be called on memory that is all there. Returns what was only tried, and refused.
pub(super) fn settle(mapping: &Mapping, wishes: &Wishes) -> Result<Vec<String>, MemoryError> {
    let needed = mapping.len() as u64;
    let mut refused = Vec::new();
    if wishes.lock != MemoryLock::Never {
        let locked = pages::lock(mapping).map_err(|errno| MemoryError::Lock {
            needed,
            limit: getrlimit(Resource::Memlock).current,
            source: errno.into(),
        });
        match locked {
            Err(error) if wishes.lock == MemoryLock::Try => refused.push(error.to_string()),
            result => result?,
        }
    }
    if wishes.prefault {
        pages::populate(mapping).map_err(|errno| MemoryError::Prefault { needed, source: errno.into() })?;
    }
    Ok(refused)
}
