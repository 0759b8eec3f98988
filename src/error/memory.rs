//! What a ring's memory could not be made to be.

use std::io;
use thiserror::Error;

/// Something that [`Options`](crate::Options) ask of the memory itself, and that the machine does not give.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// It cannot be locked in memory.
    #[error(
        "its {needed} bytes cannot be locked in memory, the limit is {} and may be used up in part: {source}; \
         raise it (`ulimit -l`, LimitMEMLOCK), give CAP_IPC_LOCK, or use `MemoryLock::Try`",
        limit.map_or_else(|| "none".to_owned(), |limit| format!("{limit} bytes"))
    )]
    Lock {
        /// The size of the segment in bytes.
        needed: u64,
        /// How many bytes this process may lock (`RLIMIT_MEMLOCK`); `None` when there is no limit.
        limit: Option<u64>,
        /// What the system said.
        source: io::Error,
    },
    /// Its pages cannot all be mapped ahead.
    #[error("its {needed} bytes cannot be mapped ahead: {source}; ask for less, or leave out `prefault`")]
    Prefault {
        /// The size of the segment in bytes.
        needed: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The machine has no such NUMA node, or does not let us choose.
    #[error("it cannot be placed on NUMA node {found}: {source}; this machine has the nodes {nodes}")]
    NumaNode {
        /// The node that was asked for.
        found: u32,
        /// The nodes that there are, as in `/sys/devices/system/node/online`.
        nodes: String,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be given to the group.
    #[error("it cannot be given to group {found}: {source}; be a member of the group, or leave out `group`")]
    Group {
        /// The group id that was asked for.
        found: u32,
        /// What the system said.
        source: io::Error,
    },
    /// There are not enough huge pages.
    #[error(
        "it needs {needed} huge pages of {size} bytes, {free} of {total} are free; \
         `echo {set} > {setting}` as root, or use `HugePages::Try`"
    )]
    HugePages {
        /// Bytes of a page.
        size: u64,
        /// Pages that the ring needs.
        needed: u64,
        /// Pages of the pool that nobody has.
        free: u64,
        /// Pages of the pool.
        total: u64,
        /// The file that says how many pages the pool has.
        setting: String,
        /// How many it would have to be.
        set: u64,
    },
    /// There are no huge pages of that size for memory of that kind.
    #[error("it cannot be in huge pages of {size} bytes: {why}; or use `HugePages::Try`")]
    NoHugePages {
        /// Bytes of a page.
        size: u64,
        /// What stands in the way.
        why: String,
    },
    /// Sealed memory in huge pages, which was not asked for.
    #[error(
        "it is in huge pages of {found} bytes, which a peer may give back under us, and end us with a SIGBUS; \
         if you trust all who have it: `Options::huge_pages`"
    )]
    Revocable {
        /// Bytes of a page.
        found: u64,
    },
}
