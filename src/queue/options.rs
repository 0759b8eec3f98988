//! How a ring is created, and what is expected of one that is opened.

use super::waiting::Wait;
use crate::layout::geometry::CellShape;
use crate::layout::header::{Kind, Lifetime};
use crate::segment::{HugePageSize, HugePages, MemoryLock, Wishes};
use std::time::Duration;

/// How a ring is created, and what is expected of one that is opened.
///
/// ```
/// use ringway::{Lifetime, Options, spsc};
///
/// # let name = format!("doc-options-{}", std::process::id());
/// let options = Options::new().capacity(4096).lifetime(Lifetime::LastDetach);
/// let ring = spsc::Ring::<u64>::create(&name, &options)?;
/// assert_eq!(ring.capacity(), 4096);
/// # Ok::<(), ringway::CreateError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    pub(super) capacity: Option<usize>,
    pub(super) processes: usize,
    pub(super) lifetime: Lifetime,
    pub(super) schema: Option<u64>,
    pub(super) owner: Option<u32>,
    pub(super) timeout: Duration,
    pub(super) wait: Wait,
    pub(super) memory: Wishes,
}

impl Options {
    /// Messages that a ring holds when nobody says otherwise.
    const DEFAULT_CAPACITY: usize = 1024;

    /// Likewise, of a [`Latest`](crate::Latest): bytes of cells, and the least values.
    const DEFAULT_BYTES: usize = 64 * 1024;
    const LEAST_VALUES: usize = 3;

    /// The defaults: 1024 messages, 64 processes, mode 0600, persistent, no waiting.
    pub fn new() -> Options {
        Options {
            capacity: None,
            processes: 64,
            lifetime: Lifetime::Persistent,
            schema: None,
            owner: None,
            timeout: Duration::ZERO,
            wait: Wait::Park,
            memory: Wishes {
                mode: 0o600,
                group: None,
                prefault: false,
                lock: MemoryLock::Never,
                numa_node: None,
                huge: HugePages::Never,
                huge_size: HugePageSize::Mib2,
            },
        }
    }

    /// How many messages the ring holds: exactly this many, any number from 1 up. 1024 by default.
    ///
    /// Of a [`Latest`](crate::Latest), how many values are kept: a reader has to begin again when so many are written while
    /// it copies one. By default as many as fit into 64 KiB, 3 to 1023.
    ///
    /// When an existing ring is opened, it must have this capacity; without this call it may have any.
    pub fn capacity(mut self, messages: usize) -> Options {
        self.capacity = Some(messages);
        self
    }

    /// How many processes can be attached at the same time, 1 to 8191, 64 by default. Each takes 128 bytes of the
    /// segment. A ring that is opened a second time in one process counts twice. Processes that were killed do not count.
    pub fn processes(mut self, most: usize) -> Options {
        self.processes = most;
        self
    }

    /// Who may open the ring, as the permission bits of its file: 0600 by default, only us. The process's umask does not
    /// matter, and we ourselves always may read and write.
    ///
    /// Whoever may write to the file can put anything into the ring, or truncate it, which stops its processes with
    /// `SIGBUS`. Who may only read it can still lock it, and so keep others from attaching.
    pub fn mode(mut self, permissions: u32) -> Options {
        self.memory.mode = permissions & 0o777 | 0o600;
        self
    }

    /// The group that a ring which is created belongs to, by its id: with a [`mode`](Options::mode) of 0660 its members may
    /// use the ring. We must be one of them. By default the group that the system gives to a new file.
    pub fn group(mut self, gid: u32) -> Options {
        self.memory.group = Some(gid);
        self
    }

    /// Maps all of the ring when this process attaches, so that no operation meets a page fault. Off by default: a page is
    /// mapped when it is first touched, which takes a microsecond or so. Takes the longer the larger the ring is.
    pub fn prefault(mut self, at_once: bool) -> Options {
        self.memory.prefault = at_once;
        self
    }

    /// Whether this process keeps the ring in memory, so that nothing of it is ever swapped out. [`MemoryLock::Never`] by
    /// default. What is locked is also mapped, as with [`prefault`](Options::prefault), and counts toward the limit of
    /// this process (`RLIMIT_MEMLOCK`).
    pub fn lock(mut self, lock: MemoryLock) -> Options {
        self.memory.lock = lock;
        self
    }

    /// The NUMA node that the memory of a ring which is created comes from. By default that of the processor on which its
    /// creator runs. On a machine with one node, number 0 changes nothing. Where an existing ring is, it stays.
    pub fn numa_node(mut self, node: u32) -> Options {
        self.memory.numa_node = Some(node);
        self
    }

    /// Whether a ring that is created is in huge pages, of which a large one needs few. [`HugePages::Never`] by default. The
    /// ring takes whole pages.
    ///
    /// Pages of a [`Source::memfd`](crate::Source::memfd), of the heap, and of a folder on a hugetlbfs come from a pool that
    /// an administrator sets aside (`/proc/sys/vm/nr_hugepages`). Under other POSIX names the system puts ordinary pages
    /// together, of 2 MiB only; so may who opens such a ring have it mapped.
    ///
    /// NB: sealed memory in huge pages is not safe from every peer: one that punches a hole into it gives pages back to
    /// the pool, and when the pool is empty, who touches the hole ends with a `SIGBUS`. Whoever opens a memfd in huge pages
    /// must therefore say, by this option, that huge pages will do.
    pub fn huge_pages(mut self, wish: HugePages) -> Options {
        self.memory.huge = wish;
        self
    }

    /// How large the huge pages are. 2 MiB by default. In a folder on a hugetlbfs they are as large as they are there.
    pub fn huge_page_size(mut self, size: HugePageSize) -> Options {
        self.memory.huge_size = size;
        self
    }

    /// Who removes the name of a ring that is created. [`Lifetime::Persistent`] by default.
    pub fn lifetime(mut self, lifetime: Lifetime) -> Options {
        self.lifetime = lifetime;
        self
    }

    /// A tag that stands for the meaning of the messages, such as a version of their protocol. Both sides must give the
    /// same one.
    ///
    /// By default it is made from the name of the message type without its path, so that a `Tick` is not taken for a
    /// `Quote` of the same size. Give a tag where the two programs call the type by different names.
    pub fn schema(mut self, tag: u64) -> Options {
        self.schema = Some(tag);
        self
    }

    /// The user id that must own a ring that is opened. By default our own effective user id: the owner of a file can
    /// change it in ways that nobody can guard against. Of a System V segment, which can be given away, that user, root or
    /// we must have made it. Sealed memory may be anybody's, unless this is said; its owner has no power over it that others
    /// do not have.
    pub fn owner(mut self, uid: u32) -> Options {
        self.owner = Some(uid);
        self
    }

    /// How long to wait for the name of a ring to appear when it is opened. Not at all by default. (Opening may take a
    /// second beyond that when a process is stopped in the middle of leaving.)
    pub fn timeout(mut self, patience: Duration) -> Options {
        self.timeout = patience;
        self
    }

    /// How the handles of this process wait when they block. [`Wait::Park`] by default; each can be told otherwise.
    pub fn wait(mut self, how: Wait) -> Options {
        self.wait = how;
        self
    }
}

impl Options {
    /// How many messages a ring of that kind and shape is created for.
    pub(super) fn capacity_of(&self, kind: Kind, shape: CellShape) -> usize {
        let by_default = match kind {
            Kind::Spsc | Kind::Mpmc => Options::DEFAULT_CAPACITY,
            Kind::Latest => (Options::DEFAULT_BYTES / shape.stride).saturating_sub(1).max(Options::LEAST_VALUES),
        };
        self.capacity.unwrap_or(by_default)
    }
}

impl Default for Options {
    fn default() -> Options {
        Options::new()
    }
}
