//! What the system says of System V segments, and of nothing else.

use thiserror::Error;

/// A System V segment that the system does not make.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SystemVError {
    /// Larger than a segment may be (`EINVAL`).
    #[error("it needs {needed} bytes, a segment may have {most}; ask for less, or raise /proc/sys/kernel/shmmax")]
    Size {
        /// The size of the ring's memory in bytes.
        needed: u64,
        /// The most that the system allows.
        most: u64,
    },
    /// There are as many segments, or pages of them, as there may be (`ENOSPC`).
    #[error(
        "the system has as many segments as it allows ({segments}), or as many pages of them ({pages}); remove what is \
         not used (`ipcs -m`, `ipcrm -m`), or raise /proc/sys/kernel/shmmni or shmall"
    )]
    Full {
        /// How many segments there may be.
        segments: u64,
        /// How many pages all of them together may have.
        pages: u64,
    },
}
